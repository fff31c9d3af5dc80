import { expect, test } from "vitest";
import { untilLoaded } from "./retry";

test("what fails is tried again, with pauses that double up to a limit", async () => {
  const pauses: number[] = [];
  let calls = 0;
  const load = (): Promise<string> => (++calls < 5 ? Promise.reject(new Error("away")) : Promise.resolve("here"));
  const pause = (ms: number): Promise<void> => {
    pauses.push(ms);
    return Promise.resolve();
  };
  expect(await untilLoaded(load, pause, 1_000)).toBe("here");
  expect(pauses).toEqual([250, 500, 1_000, 1_000]);
});
