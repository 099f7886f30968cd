import type { Kernelspec } from "../api/types";

/** The text of a notebook with one empty code cell (nbformat 4.5). */
export function emptyNotebook(kernelspec?: Kernelspec, makeId: () => string = cellId): string {
  const notebook = {
    cells: [{ cell_type: "code", execution_count: null, id: makeId(), metadata: {}, outputs: [], source: [] }],
    metadata: kernelspec
      ? { kernelspec: { display_name: kernelspec.display_name, language: kernelspec.language, name: kernelspec.name }, language_info: { name: kernelspec.language } }
      : { kernelspec: { display_name: "Python 3", language: "python", name: "python3" }, language_info: { name: "python" } },
    nbformat: 4,
    nbformat_minor: 5,
  };
  return `${JSON.stringify(notebook, null, 1)}\n`;
}

function cellId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
