import { defineConfig } from "vite";

export default defineConfig({
  // The folder is not part of the app's tsconfig, from which Vite would take this.
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  base: "/",
  publicDir: false,
  build: { target: "es2022", emptyOutDir: true, assetsInlineLimit: 0, reportCompressedSize: false, modulePreload: { polyfill: false } },
});
