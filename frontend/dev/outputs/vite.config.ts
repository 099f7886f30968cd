import { defineConfig } from "vite";

export default defineConfig({
  base: "/",
  publicDir: false,
  build: { target: "es2022", emptyOutDir: true, assetsInlineLimit: 0, reportCompressedSize: false, modulePreload: { polyfill: false } },
});
