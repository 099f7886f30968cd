import { defineConfig } from "vite";

/** The page in which outputs that are more than text and pictures are drawn; it has its own origin and policy. */
export default defineConfig({
  root: "frame",
  base: "./",
  publicDir: false,
  build: {
    outDir: "../dist/frame",
    emptyOutDir: true,
    target: "es2022",
    // An opaque origin may not load module scripts with credentials or preload them; everything is plain.
    modulePreload: false,
    reportCompressedSize: false,
  },
});
