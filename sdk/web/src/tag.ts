/** `<script async src="https://HOST/sdk.js" data-key="…"></script>`: a client in `window.streamgauge`. */
import { type InitOptions, init } from "./browser/init";
import type { Client } from "./core/client";

type Call = { [Name in keyof Client]: [Name, ...Parameters<Client[Name]>] }[keyof Client];

/** Before the script is there it is an array of calls, which are made then. */
interface Global {
  streamgauge?: Call[] | (Client & { push(call: Call): void });
}

const script = document.currentScript as HTMLScriptElement;
const page = globalThis as Global;
const early = page.streamgauge ?? [];

// Else this is the second script of its kind.
if (Array.isArray(early)) {
  const { key, host, consent, persistence, privacySignals, pageViews, flushMs } = script.dataset;
  const client = init({
    host: host ?? script.src.replace(/\/[^/]*$/, ""),
    writeKey: key,
    flushMs: Number(flushMs) || undefined,
    ...({ consent, persistence, privacySignals, pageViews } as Partial<InitOptions>),
  });
  const push = ([name, ...given]: Call): void => void (client[name] as (...all: unknown[]) => unknown)(...given);
  page.streamgauge = { ...client, push };
  early.forEach(push);
}
