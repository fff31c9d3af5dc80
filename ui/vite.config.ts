import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = "http://127.0.0.1:8080";
const apiPaths = ["/metrics", "/events", "/dead-letter", "/live", "/imports", "/healthz", "/readyz", "/openapi.json", "/docs", "/-/metrics", "/api", "/session", "/keys", "/alerts", "/rules", "/silences", "/receivers", "/notifications"];

export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    outDir: "../src/streamgauge/api/static",
    emptyOutDir: true,
    target: ["chrome123", "edge123", "firefox121", "safari17.5"],
    // Data URLs would work under our CSP, but a file can be cached and named.
    assetsInlineLimit: 0,
  },
  // A test reads the colours out of the stylesheet; without this it would get an empty one.
  test: { css: true },
  server: { proxy: Object.fromEntries(apiPaths.map((path) => [path, server])) },
});
