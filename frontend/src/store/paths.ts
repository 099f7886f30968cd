import type { EntryType } from "../api/types";
import type { IconName } from "../ui/Icon";

/** Paths within a project: parts joined by `/`, no slash at either end; the project itself is "". */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function joinPath(folder: string, name: string): string {
  return folder ? `${folder}/${name}` : name;
}

/** Whether `path` is `folder` or lies below it. */
export function isWithin(path: string, folder: string): boolean {
  return folder === "" || path === folder || path.startsWith(`${folder}/`);
}

/** `.py` of `a/b.py`, lower case, with the dot; "" when there is none. */
export function extensionOf(path: string): string {
  const name = nameOf(path);
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(dot).toLowerCase() : "";
}

/** `report.csv` → `report 2.csv`, the first name that is not taken. */
export function freeName(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) return wanted;
  const extension = extensionOf(wanted);
  const stem = extension ? wanted.slice(0, -extension.length) : wanted;
  for (let number = 2; ; number++) {
    const candidate = `${stem} ${String(number)}${extension}`;
    if (!taken.has(candidate)) return candidate;
  }
}

const LONGEST_NAME = 255;

/** Why this cannot be the name of a file, or null. The hub checks again. */
export function problemOfName(name: string): string | null {
  if (name === "." || name === "..") return "This name has a meaning of its own. Choose another.";
  if (/[/\\]/.test(name)) return "A name cannot contain / or \\.";
  if (hasControlCharacter(name)) return "A name cannot contain control characters.";
  if (new TextEncoder().encode(name).length > LONGEST_NAME) return "That name is too long.";
  return null;
}

function hasControlCharacter(name: string): boolean {
  for (const character of name) if (character < " " || character === "\u007f") return true;
  return false;
}

const IMAGES: ReadonlySet<string> = new Set([".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".avif", ".bmp", ".ico"]);
const BINARIES: ReadonlySet<string> = new Set(
  ".zip .gz .bz2 .xz .zst .tar .tgz .7z .parquet .feather .arrow .npy .npz .h5 .hdf5 .pkl .pickle .joblib .pt .pth .onnx .safetensors .pdf .xls .xlsx .doc .docx .ppt .pptx .odt .ods .mp3 .mp4 .wav .flac .ogg .webm .mov .avi .woff .woff2 .ttf .otf .so .dll .exe .bin .db .sqlite .sqlite3 .whl .pyc .class .jar".split(" "),
);

export type TabKind = "notebook" | "image" | "text" | "binary" | "terminal";

const TERMINALS = "/terminal/"; // no path of a file begins with a slash

/** What a terminal's tab has for a path. */
export function terminalPath(name: string): string {
  return TERMINALS + name;
}

/** The terminal whose tab this is, or null for a file. */
export function terminalOf(path: string): string | null {
  return path.startsWith(TERMINALS) ? path.slice(TERMINALS.length) : null;
}

/** What a tab is called. */
export function titleOf(path: string): string {
  const terminal = terminalOf(path);
  return terminal === null ? nameOf(path) : `Terminal ${terminal}`;
}

/** How a file opens. Text that turns out to be none says so itself. */
export function tabKindOf(path: string): TabKind {
  if (terminalOf(path) !== null) return "terminal";
  const extension = extensionOf(path);
  if (extension === ".ipynb") return "notebook";
  if (IMAGES.has(extension)) return "image";
  return BINARIES.has(extension) ? "binary" : "text";
}

export function iconOf(path: string, type: EntryType): IconName {
  if (type === "folder") return "folder";
  const kind = type === "notebook" ? "notebook" : tabKindOf(path);
  if (kind === "text") return [".py", ".js", ".ts", ".r", ".jl", ".sql", ".sh", ".json", ".toml", ".yaml", ".yml", ".html", ".css"].includes(extensionOf(path)) ? "code" : "file";
  return kind === "binary" ? "file" : kind;
}
