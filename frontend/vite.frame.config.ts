import { defineConfig } from "vite";

/**
 * The page in which outputs that are more than text and pictures are drawn. One classic script: a page without an origin
 * could load modules only with CORS. Its HTML and styles are files of `frame/public`.
 */
export default defineConfig({
  root: "frame",
  base: "./",
  publicDir: "public",
  build: {
    outDir: "../dist/frame",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    reportCompressedSize: false,
    rollupOptions: {
      input: "frame/main.ts",
      output: { format: "iife", entryFileNames: "frame.js" },
    },
  },
});
