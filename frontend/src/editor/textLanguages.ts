import { StreamLanguage, type LanguageSupport } from "@codemirror/language";
import type { Extension } from "@codemirror/state";
import { extensionOf, nameOf } from "../store/paths";

type Load = () => Promise<Extension>;

async function stream(load: Promise<Parameters<typeof StreamLanguage.define>[0]>): Promise<Extension> {
  return StreamLanguage.define(await load);
}

async function support(load: Promise<LanguageSupport>): Promise<Extension> {
  return load;
}

const python: Load = () => support(import("@codemirror/lang-python").then((module) => module.python()));
const typescript = (options: { typescript?: boolean; jsx?: boolean }): Load => () => support(import("@codemirror/lang-javascript").then((module) => module.javascript(options)));
const json: Load = () => support(import("@codemirror/lang-json").then((module) => module.json()));
const markdown: Load = () => support(import("@codemirror/lang-markdown").then((module) => module.markdown()));
const shell: Load = () => stream(import("@codemirror/legacy-modes/mode/shell").then((module) => module.shell));
const yaml: Load = () => stream(import("@codemirror/legacy-modes/mode/yaml").then((module) => module.yaml));
const properties: Load = () => stream(import("@codemirror/legacy-modes/mode/properties").then((module) => module.properties));
const css: Load = () => stream(import("@codemirror/legacy-modes/mode/css").then((module) => module.css));
const xml = (kind: "xml" | "html"): Load => () => stream(import("@codemirror/legacy-modes/mode/xml").then((module) => module[kind]));
const clike = (kind: "c" | "cpp" | "java" | "scala" | "kotlin"): Load => () => stream(import("@codemirror/legacy-modes/mode/clike").then((module) => module[kind]));

const BY_EXTENSION: Readonly<Record<string, Load>> = {
  ".py": python,
  ".pyi": python,
  ".pyx": python,
  ".js": typescript({ jsx: true }),
  ".jsx": typescript({ jsx: true }),
  ".mjs": typescript({}),
  ".cjs": typescript({}),
  ".ts": typescript({ typescript: true }),
  ".tsx": typescript({ typescript: true, jsx: true }),
  ".json": json,
  ".geojson": json,
  ".md": markdown,
  ".markdown": markdown,
  ".sh": shell,
  ".bash": shell,
  ".zsh": shell,
  ".yaml": yaml,
  ".yml": yaml,
  ".toml": () => stream(import("@codemirror/legacy-modes/mode/toml").then((module) => module.toml)),
  ".ini": properties,
  ".cfg": properties,
  ".conf": properties,
  ".env": properties,
  ".r": () => stream(import("@codemirror/legacy-modes/mode/r").then((module) => module.r)),
  ".jl": () => stream(import("@codemirror/legacy-modes/mode/julia").then((module) => module.julia)),
  ".sql": () => stream(import("@codemirror/legacy-modes/mode/sql").then((module) => module.standardSQL)),
  ".css": css,
  ".html": xml("html"),
  ".htm": xml("html"),
  ".xml": xml("xml"),
  ".c": clike("c"),
  ".h": clike("c"),
  ".cpp": clike("cpp"),
  ".cc": clike("cpp"),
  ".hpp": clike("cpp"),
  ".java": clike("java"),
  ".kt": clike("kotlin"),
  ".scala": clike("scala"),
  ".go": () => stream(import("@codemirror/legacy-modes/mode/go").then((module) => module.go)),
  ".rs": () => stream(import("@codemirror/legacy-modes/mode/rust").then((module) => module.rust)),
  ".tex": () => stream(import("@codemirror/legacy-modes/mode/stex").then((module) => module.stex)),
  ".diff": () => stream(import("@codemirror/legacy-modes/mode/diff").then((module) => module.diff)),
  ".patch": () => stream(import("@codemirror/legacy-modes/mode/diff").then((module) => module.diff)),
};

const BY_NAME: Readonly<Record<string, Load>> = {
  dockerfile: () => stream(import("@codemirror/legacy-modes/mode/dockerfile").then((module) => module.dockerFile)),
  pipfile: () => stream(import("@codemirror/legacy-modes/mode/toml").then((module) => module.toml)),
};

/** How the file's language is coloured and indented, fetched when first needed; null for plain text. */
export function languageLoader(path: string): Load | null {
  return BY_NAME[nameOf(path).toLowerCase()] ?? BY_EXTENSION[extensionOf(path)] ?? null;
}

/** Prose reads better wrapped; code does not. */
export function wrapsLines(path: string): boolean {
  return ["", ".md", ".markdown", ".txt", ".rst", ".tex"].includes(extensionOf(path));
}
