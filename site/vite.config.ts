import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const service = "http://localhost:8082";

export default defineConfig({
  plugins: [react()],
  build: {
    // Files below this size would become data: URLs, which the Content-Security-Policy refuses for scripts and fonts.
    assetsInlineLimit: 0,
    target: "es2023",
    // The polyfill is an inline script, which the Content-Security-Policy refuses; all browsers of the target preload.
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": service, "/dev": service, "/feed.atom": service } },
  test: { environment: "node", include: ["src/**/*.test.ts", "src/**/*.test.tsx"] },
});
