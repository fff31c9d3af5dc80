/** For bundlers: `import { init } from "@streamgauge/web"`. */
export { type InitOptions, init } from "./browser/init";
export type { Client } from "./core/client";
export type { Properties } from "./core/seams";
