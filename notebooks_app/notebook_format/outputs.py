"""Outputs between nbformat and the folded form (docs/reference/runs.md, "Outputs"). Pure.

`fold_outputs` is for import, `unfold_outputs` for export; a fold and an unfold give back what was
there. Only a NUL character is lost (it becomes U+FFFD): PostgreSQL's JSON cannot hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from kernels_app.bus.payloads import decode_payload, encode_payload, is_json_mime

INLINE_LIMIT_BYTES = 32 * 1024  # a larger payload becomes a blob
HEAD_LIMIT_CHARS = 256 * 1024
TAIL_LIMIT_CHARS = 256 * 1024
CHUNK_CHARS = 1024 * 1024  # pieces of a whole text: small enough to serve one while reading the next
_DISPLAY_TYPES = ("display_data", "execute_result")
_DISPLAY_FIELDS = frozenset({"output_type", "data", "metadata", "execution_count"})
_STREAM_FIELDS = frozenset({"output_type", "name", "text"})
_ERROR_FIELDS = frozenset({"output_type", "ename", "evalue", "traceback"})

# Keeps bytes; answers `{"sha256": ..., "size_bytes": ...}`.
StoreBlob = Callable[[bytes], Mapping[str, Any]]
# The bytes of a SHA-256. Raises BlobMissing.
LoadBlob = Callable[[str], bytes]


class BlobMissing(Exception):
    """A payload that is named by an output is not kept (any more)."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"No blob {sha256}.")
        self.sha256 = sha256


def fold_outputs(outputs: list[dict[str, Any]], store_blob: StoreBlob) -> list[dict[str, Any]]:
    """Folded outputs of a cell as read by `read_notebook`; large payloads go to `store_blob`."""
    return [_fold(output, store_blob) for output in outputs]


def unfold_outputs(folded: list[dict[str, Any]], load_blob: LoadBlob) -> list[dict[str, Any]]:
    """nbformat outputs, blobs inline.

    A stream beyond its limits is its head, a line that tells how much is left out, and its tail. A
    notice is a `display_data` whose metadata names it. A blob that is missing leaves a line that
    says so, never an error: one lost picture must not keep a notebook from being saved.
    """
    return [_unfold(output, load_blob) for output in folded]


def blobs_in(folded: list[dict[str, Any]]) -> set[str]:
    """SHA-256 of every blob that folded outputs name. What a file has of types unknown here is its own: never blobs."""
    found: set[str] = set()
    for output in folded:
        if output["output_type"] in _DISPLAY_TYPES:
            found.update(blob["sha256"] for blob in (output.get("blobs") or {}).values())
        elif output["output_type"] == "stream":
            found.update(blob["sha256"] for blob in output.get("chunks") or [])
    return found


def _fold(output: dict[str, Any], store_blob: StoreBlob) -> dict[str, Any]:
    kind = output["output_type"]
    if kind in _DISPLAY_TYPES:
        notice = _notice_of(output)
        return notice if notice is not None else _fold_display(output, store_blob)
    if kind == "stream":
        folded = _fold_stream(str(output.get("name") or "stdout"), _without_nul(output["text"]), store_blob)
        known = _STREAM_FIELDS
    elif kind == "error":
        traceback = output.get("traceback")
        folded = {
            "output_type": "error",
            "ename": str(output.get("ename") or ""),
            "evalue": str(output.get("evalue") or ""),
            "traceback": [str(line) for line in traceback] if isinstance(traceback, list) else [],
        }
        known = _ERROR_FIELDS
    else:  # "Unrecognized output from a future minor-revision": kept, not drawn
        return cast("dict[str, Any]", _without_nul(output))
    return _with_extra(_without_nul(folded), output, known)


def _fold_display(output: dict[str, Any], store_blob: StoreBlob) -> dict[str, Any]:
    data: dict[str, Any] = {}
    blobs: dict[str, Any] = {}
    for mime, value in output["data"].items():
        payload = _payload(mime, value)
        # A binary payload counts as it travels inline: in base64, a third longer.
        inline_bytes = len(value) if isinstance(value, str) else len(payload or b"")
        if payload is None or max(inline_bytes, len(payload)) <= INLINE_LIMIT_BYTES:
            data[mime] = _without_nul(value)
        else:
            blobs[mime] = dict(store_blob(payload))
    folded: dict[str, Any] = {
        "output_type": output["output_type"],
        "data": data,
        "metadata": _without_nul(output.get("metadata") or {}),
    }
    if blobs:
        folded["blobs"] = blobs
    count = output.get("execution_count")
    if output["output_type"] == "execute_result" and isinstance(count, int):
        folded["execution_count"] = count
    return _with_extra(folded, output, _DISPLAY_FIELDS)


def _payload(mime: str, value: Any) -> bytes | None:
    """Bytes of the value that give it back exactly; None when its type has none."""
    if not isinstance(value, str) and not is_json_mime(mime):
        return None
    try:
        return encode_payload(mime, value)
    except ValueError:
        return None


def _fold_stream(name: str, text: str, store_blob: StoreBlob) -> dict[str, Any]:
    folded: dict[str, Any] = {"output_type": "stream", "name": name, "text": text}
    omitted = len(text) - HEAD_LIMIT_CHARS - TAIL_LIMIT_CHARS
    if omitted > 0:
        folded["text"] = text[:HEAD_LIMIT_CHARS]
        folded["tail"] = text[-TAIL_LIMIT_CHARS:]
        folded["omitted"] = omitted
        folded["chunks"] = [
            dict(store_blob(text[start : start + CHUNK_CHARS].encode()))
            for start in range(0, len(text), CHUNK_CHARS)
        ]
        # The file came with all of it: it keeps all of it.
        folded["in_file"] = True
    return folded


def _with_extra(folded: dict[str, Any], output: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    extra = {key: value for key, value in output.items() if key not in known}
    return {**folded, "extra": _without_nul(extra)} if extra else folded


def _notice_of(output: dict[str, Any]) -> dict[str, Any] | None:
    """The notice that an export wrote as this output, if one did."""
    own = output["metadata"].get("zasper")
    code = own.get("notice") if isinstance(own, dict) else None
    text = output["data"].get("text/plain")
    if not isinstance(code, str) or not isinstance(text, str):
        return None
    return {"output_type": "notice", "code": code, "text": text}


def _unfold(folded: dict[str, Any], load_blob: LoadBlob) -> dict[str, Any]:
    kind = folded["output_type"]
    extra = folded.get("extra") or {}
    if kind == "notice" and "text" in folded and "code" in folded:  # else a file's own type of that name
        return {
            "output_type": "display_data",
            "data": {"text/plain": folded["text"]},
            "metadata": {"zasper": {"notice": folded["code"]}},
        }
    if kind == "stream":
        return {**extra, "output_type": kind, "name": folded["name"], "text": _whole_text(folded, load_blob)}
    if kind == "error":
        return {**extra, **{key: folded[key] for key in _ERROR_FIELDS}}
    if kind not in _DISPLAY_TYPES:
        return folded
    output = {
        **extra,
        "output_type": kind,
        "data": _whole_data(folded, load_blob),
        "metadata": folded.get("metadata") or {},
    }
    if kind == "execute_result":
        output["execution_count"] = folded.get("execution_count")
    return output


def _whole_text(folded: dict[str, Any], load_blob: LoadBlob) -> str:
    text = str(folded["text"])
    omitted = folded.get("omitted") or 0
    tail = str(folded.get("tail") or "")
    if not omitted:
        return text + tail
    if folded.get("in_file"):
        try:
            return "".join(load_blob(chunk["sha256"]).decode() for chunk in folded["chunks"])
        except BlobMissing:
            pass  # what is left is told like any text beyond its limits
    before = "" if text.endswith("\n") else "\n"
    return f"{text}{before}… {omitted:,} characters omitted …\n{tail}"


def _whole_data(folded: dict[str, Any], load_blob: LoadBlob) -> dict[str, Any]:
    data = dict(folded["data"])
    for mime, blob in (folded.get("blobs") or {}).items():
        try:
            data[mime] = decode_payload(mime, load_blob(blob["sha256"]))
        except (BlobMissing, ValueError):
            data.setdefault("text/plain", f"[{mime}, {blob['size_bytes']:,} bytes: not kept any more]")
    return data


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "\ufffd") if "\0" in value else value
        case list():
            return [_without_nul(item) for item in value]
        case dict():
            return {_without_nul(key): _without_nul(item) for key, item in value.items()}
        case _:
            return value
