import { defineConfig } from "vite";

/** The app: one module entry, hashed names, and a manifest from which the server's template takes them. */
export default defineConfig({
  // Addresses within the build are relative: where the hub is on its host shows at run time.
  base: "./",
  publicDir: false,
  build: {
    outDir: "dist/app",
    emptyOutDir: true,
    manifest: true, // .vite/manifest.json, a place that is not served
    target: "es2022",
    sourcemap: false,
    // Fonts and images stay files: the page's policy allows no data: fonts.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rollupOptions: { input: "src/main.tsx" },
  },
});
