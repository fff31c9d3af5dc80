import { type Client, type Consent, createClient } from "../core/client";
import { memory } from "../core/memory";
import { http } from "../platform/http";
import { systemClock, systemRandom } from "../platform/system";
import { pageLifecycle } from "./lifecycle";
import { origins, watchPages } from "./pages";
import { localValues } from "./storage";

export interface InitOptions {
  /** `https://events.example.com` */
  readonly host: string;
  readonly writeKey?: string | undefined;
  /** `pending`: keep events in memory, and send none, until `optIn()`. */
  readonly consent?: Exclude<Consent, "denied"> | undefined;
  /** `memory`: nothing is written to the browser; each load is a new visitor. */
  readonly persistence?: "local" | "memory" | undefined;
  /** Do-Not-Track and Global Privacy Control. */
  readonly privacySignals?: "respect" | "ignore" | undefined;
  /** `path`: a `page_view` for each path; `hash`: for each path and fragment; `manual`: only by `page()`. */
  readonly pageViews?: "path" | "hash" | "manual" | undefined;
  /** The name of a page, instead of its path: to leave out the ids of things. */
  readonly page?: ((location: Location) => string) | undefined;
  readonly flushMs?: number | undefined;
  readonly queueBytesMax?: number | undefined;
}

const clients: Record<string, Client> = {};

/** The client of this host and key; the same one when called again. */
export function init(options: InitOptions): Client {
  const { host, writeKey, pageViews } = options;
  const prefix = `streamgauge.${writeKey ?? ""}.`;
  const known = clients[host + prefix];
  if (known) return known;
  const name = options.page ?? ((at) => at.pathname + (pageViews === "hash" ? at.hash : ""));
  const client = createClient({
    ...options,
    prefix,
    storage: options.persistence === "memory" ? memory() : localValues(),
    transport: http(host, writeKey),
    lifecycle: pageLifecycle(prefix),
    clock: systemClock,
    random: systemRandom,
    consent: options.privacySignals !== "ignore" && isRefused() ? "denied" : options.consent,
    context: () => ({ page: name(location), locale: navigator.language }),
  });
  clients[host + prefix] = client;
  let first = origins;
  if (pageViews !== "manual") {
    watchPages(
      () => name(location),
      () => {
        client.page(first());
        first = () => ({});
      },
    );
  }
  return client;
}

function isRefused(): boolean {
  return navigator.doNotTrack === "1" || !!(navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;
}
