import { expect, test } from "vitest";
import { createClient } from "../core/client";
import { type AsyncKeyValues, mirror } from "./mirror";
import { systemClock, systemRandom } from "./system";

/** As React Native's AsyncStorage: everything is answered later. */
function asyncStorage(values: Map<string, string>): AsyncKeyValues {
  const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
  return {
    getAllKeys: () => later().then(() => [...values.keys()]),
    getItem: (key) => later().then(() => values.get(key) ?? null),
    setItem: (key, value) => later().then(() => values.set(key, value)),
    removeItem: (key) => later().then(() => values.delete(key)),
  };
}

async function app(values: Map<string, string>, bodies: string[]): Promise<ReturnType<typeof createClient>> {
  return createClient({
    storage: await mirror(asyncStorage(values), "sg."),
    transport: async (body) => {
      bodies.push(body);
      if (bodies.length === 1) throw new Error("no network");
      return { status: 202, retryAfterS: 0, body: { status: "accepted" } };
    },
    lifecycle: { watch: () => {}, isOffline: () => false, alone: (task) => task() },
    clock: systemClock,
    random: systemRandom,
    prefix: "sg.",
  });
}

test("an app that was ended sends at its next start what it could not", async () => {
  const values = new Map([["of.others", "1"]]);
  const bodies: string[] = [];
  const first = await app(values, bodies);
  first.track("opened");
  await first.flush();
  await expect.poll(() => [...values.keys()].filter((key) => key.startsWith("sg.event.")).length).toBe(1);
  const second = await app(values, bodies);
  await second.flush();
  expect(bodies.length).toBe(2);
  expect(bodies[1]).toBe(bodies[0]);
  await expect.poll(() => [...values.keys()].filter((key) => key.startsWith("sg.event."))).toEqual([]);
  expect(values.get("of.others")).toBe("1");
});

test("a storage that refuses to write loses nothing while the app runs", async () => {
  const values = new Map<string, string>();
  const broken = { ...asyncStorage(values), setItem: () => Promise.reject(new Error("full")) };
  const mirrored = await mirror(broken, "sg.");
  mirrored.set("sg.a", "1");
  expect(mirrored.get("sg.a")).toBe("1");
  expect(mirrored.keys()).toEqual(["sg.a"]);
});
