import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

const server = process.env.SENSOCTO_URL ?? "http://127.0.0.1:4000";

export default defineConfig({
  plugins: [svelte()],
  // No polyfill and no inlined asset: the page must run under a policy of 'self' alone.
  build: { target: "es2023", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  worker: { format: "es" },
  // The host stays the page's, so that the server sees orders from a page of its own.
  server: { proxy: { "/api": { target: server }, "/metrics": { target: server }, "/socket": { target: server, ws: true } } },
  // A slow machine is no fault.
  test: { include: ["src/**/*.test.ts"], environment: "node", testTimeout: 60_000 },
});
