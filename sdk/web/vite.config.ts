import { defineConfig } from "vitest/config";

/** Two kinds of file: modules for bundlers, and (`--mode tag`) the one script that the server serves as `/sdk.js`. */
export default defineConfig(({ mode }) => ({
  build: {
    target: "es2020",
    ...(mode === "tag"
      ? {
          outDir: "../../src/streamgauge/api/sdk",
          emptyOutDir: true,
          lib: { entry: "src/tag.ts", formats: ["iife"], name: "streamgaugeTag", fileName: () => "sdk.js" },
        }
      : {
          lib: { entry: { index: "src/index.ts", core: "src/core.ts" }, formats: ["es"] },
          rolldownOptions: { output: { chunkFileNames: "shared.js" } },
        }),
  },
}));
