/** Fails when what a first visit loads is larger than it may be. Run after the build: node scripts/check-size.mjs [folder]. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

const LIMIT_BYTES = 350_000; // docs: interface, Stack

const folder = resolve(process.argv[2] ?? join(import.meta.dirname, "../dist/app"));
const manifest = JSON.parse(readFileSync(join(folder, ".vite/manifest.json"), "utf8"));

/** Every file a chunk needs before it can run: itself, its static imports, and their styles. */
function filesOf(key, seen = new Set()) {
  const chunk = manifest[key];
  if (!chunk) throw new Error(`The manifest has no ${key}. Was the app built?`);
  if (seen.has(chunk.file)) return seen;
  seen.add(chunk.file);
  for (const style of chunk.css ?? []) seen.add(style);
  for (const imported of chunk.imports ?? []) filesOf(imported, seen);
  return seen;
}

const compressed = (file) => gzipSync(readFileSync(join(folder, file)), { level: 9 }).length;

const entry = "src/main.tsx";
const visits = {
  "the dashboard": [entry],
  "a notebook": [entry, "src/pages/tabs/NotebookTab.tsx"],
  "a text file": [entry, "src/pages/tabs/TextTab.tsx"],
};

let isTooLarge = false;
for (const [name, keys] of Object.entries(visits)) {
  const files = new Set(keys.flatMap((key) => [...filesOf(key)]));
  const size = [...files].reduce((sum, file) => sum + compressed(file), 0);
  const verdict = size <= LIMIT_BYTES ? "ok" : "TOO LARGE";
  console.log(`${name}: ${(size / 1000).toFixed(1)} kB compressed in ${files.size} files (at most ${LIMIT_BYTES / 1000} kB): ${verdict}`);
  if (size > LIMIT_BYTES) {
    isTooLarge = true;
    for (const file of [...files].sort((one, other) => compressed(other) - compressed(one)).slice(0, 8)) console.log(`  ${(compressed(file) / 1000).toFixed(1)} kB  ${file}`);
  }
}
process.exitCode = isTooLarge ? 1 : 0;
