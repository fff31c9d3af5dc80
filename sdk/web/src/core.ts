/** The client without a browser: for React Native, and whoever brings storage, transport and lifecycle. */
export { type Client, type ClientOptions, type Consent, createClient } from "./core/client";
export { memory } from "./core/memory";
export type { Answer, Clock, KeyValues, Lifecycle, Properties, Random, Transport } from "./core/seams";
export { http } from "./platform/http";
export { type AsyncKeyValues, mirror } from "./platform/mirror";
export { systemClock, systemRandom } from "./platform/system";
