import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const service = "http://localhost:8082";

/** Have the page run the script of src/early.ts at once, beside those that take longer. */
const earlyScript: Plugin = {
  name: "early-script",
  transformIndexHtml: {
    order: "post",
    handler: (_page, { bundle }) =>
      Object.values(bundle ?? {})
        .filter((file) => file.type === "chunk" && file.name === "early")
        .map(({ fileName }) => ({
          tag: "script",
          attrs: { type: "module", async: true, crossorigin: true, fetchpriority: "high", src: `/${fileName}` },
          injectTo: "head",
        })),
  },
};

export default defineConfig({
  plugins: [react(), earlyScript],
  build: {
    // Files below this size would become data: URLs, which the Content-Security-Policy refuses for scripts and fonts.
    assetsInlineLimit: 0,
    target: "es2023",
    rolldownOptions: { input: ["index.html", "src/early.ts"] },
    // The polyfill is an inline script, which the Content-Security-Policy refuses; all browsers of the target preload.
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": service, "/dev": service, "/feed.atom": service } },
  test: {
    environment: "node",
    include: ["src/**/*.test.ts", "src/**/*.test.tsx"],
    // All files in one thread: to start one for each takes longer than the tests.
    pool: "threads",
    isolate: false,
    fileParallelism: false,
  },
});
