"""Converts one notebook with nbconvert: run by the Python of the kernel environment, never imported by the hub.

Arguments: format (html, script or markdown), name, memory limit in bytes, CPU limit in seconds, and `sanitize` for HTML
without scripts. The notebook comes on the standard input; `result` and `result.json` are written to the current folder,
which is empty and its own.
"""

import json
import resource
import sys
import zipfile
from pathlib import Path

# A notebook may name its own exporter: any that can be imported, also one that starts programs.
SCRIPT_EXPORTERS = ("python",)
MAX_RESULT_BYTES = 512 * 1024 * 1024


def limit(memory_bytes: int, cpu_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_RESULT_BYTES, MAX_RESULT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def convert(name: str, target: str, *, is_sanitized: bool) -> None:
    import nbformat  # type: ignore[import-untyped, unused-ignore]
    from nbconvert.exporters import (  # type: ignore[import-not-found, unused-ignore]
        HTMLExporter,
        MarkdownExporter,
        ScriptExporter,
    )
    from traitlets.config import Config  # type: ignore[import-not-found, unused-ignore]

    notebook = nbformat.reads(sys.stdin.buffer.read().decode(), as_version=4)  # type: ignore[no-untyped-call, unused-ignore]
    language = notebook.metadata.get("language_info")
    if isinstance(language, dict) and language.get("nbconvert_exporter") not in SCRIPT_EXPORTERS:
        language.pop("nbconvert_exporter", None)
    classes = {"html": HTMLExporter, "markdown": MarkdownExporter, "script": ScriptExporter}
    exporter = classes[target](config=Config())
    if is_sanitized and target == "html":
        exporter.sanitize_html = True
    output, resources = exporter.from_notebook_node(notebook, resources={"metadata": {"name": name}})
    extension = resources.get("output_extension") or exporter.file_extension or ".txt"
    files = resources.get("outputs") or {}
    mimetype = exporter.output_mimetype or "text/plain"
    if files:
        with zipfile.ZipFile("result", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}{extension}", output)
            for file_name, data in files.items():
                archive.writestr(Path(file_name).name, data)
        extension, mimetype = ".zip", "application/zip"
    else:
        Path("result").write_text(output, encoding="utf-8", errors="replace")
    Path("result.json").write_text(json.dumps({"extension": extension, "mimetype": mimetype}))


if __name__ == "__main__":
    limit(int(sys.argv[3]), int(sys.argv[4]))
    convert(sys.argv[2], sys.argv[1], is_sanitized="sanitize" in sys.argv[5:])
