"""What a piece of code put out, from the kernel's own messages, as nbformat has it. Pure."""

from __future__ import annotations

import json
from typing import Any

from kernels_app.bus.channel_messages import JSON_FRAMES, header_of, unpack_message

MAX_OUTPUT_BYTES = 32 * 1024 * 1024


class CodeOutputs:
    """Feed it the messages of a kernel; `is_done` when the code has run and nothing more comes."""

    def __init__(self, msg_id: str) -> None:
        self.status = "ok"
        self.execution_count: int | None = None
        self.outputs: list[dict[str, Any]] = []
        self.input_request: dict[str, Any] | None = None
        self.input_header = b"{}"
        self._msg_id = msg_id
        self._has_reply = False
        self._is_idle = False
        self._clears_next = False
        self._size_bytes = 0

    @property
    def is_done(self) -> bool:
        return self._has_reply and self._is_idle

    def take(self, message: bytes) -> None:
        """A message in the v1 form; those of other requests are passed by."""
        _, frames = unpack_message(message)
        parent, content = frames[1], frames[JSON_FRAMES - 1]
        if self._msg_id.encode() not in parent or json.loads(parent).get("msg_id") != self._msg_id:
            return
        kind = header_of(frames[0]).msg_type
        self._size_bytes += len(content)
        if self._size_bytes > MAX_OUTPUT_BYTES and kind in ("stream", "display_data", "execute_result"):
            self._mark_limit()
            return
        self._apply(kind, json.loads(content), frames[0])

    def result(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "execution_count": self.execution_count,
            "outputs": json.dumps(self.outputs),
        }

    def _apply(self, kind: str, content: dict[str, Any], header: bytes) -> None:
        if kind == "status":
            self._is_idle = content.get("execution_state") == "idle"
        elif kind == "execute_reply":
            self._has_reply = True
            self.input_request = None
            self.status = str(content.get("status", "error"))
            self.execution_count = content.get("execution_count")
        elif kind == "input_request":
            self.input_request = {
                "prompt": str(content.get("prompt", "")),
                "password": content.get("password") is True,
            }
            self.input_header = header
        elif kind == "clear_output":
            if content.get("wait") is True:
                self._clears_next = True
            else:
                self.outputs.clear()
        elif kind == "update_display_data":
            self._update(content)
        elif kind in ("stream", "display_data", "execute_result", "error"):
            self._add(kind, content)

    def _add(self, kind: str, content: dict[str, Any]) -> None:
        if self._clears_next:
            self._clears_next = False
            self.outputs.clear()
        if kind == "stream":
            last = self.outputs[-1] if self.outputs else {}
            if last.get("output_type") == "stream" and last.get("name") == content.get("name"):
                last["text"] += str(content.get("text", ""))
            else:
                self.outputs.append(
                    {"output_type": kind, "name": content.get("name"), "text": content.get("text", "")}
                )
            return
        names = {
            "display_data": ("data", "metadata", "transient"),
            "execute_result": ("data", "metadata", "execution_count", "transient"),
            "error": ("ename", "evalue", "traceback"),
        }[kind]
        self.outputs.append(
            {"output_type": kind, **{name: content[name] for name in names if name in content}}
        )

    def _update(self, content: dict[str, Any]) -> None:
        display_id = (content.get("transient") or {}).get("display_id")
        for output in self.outputs:
            if display_id is not None and (output.get("transient") or {}).get("display_id") == display_id:
                output["data"], output["metadata"] = content.get("data", {}), content.get("metadata", {})

    def _mark_limit(self) -> None:
        text = "\nThe rest of the output is larger than the hub keeps for such a request.\n"
        mark = {"output_type": "stream", "name": "stderr", "text": text}
        if mark not in self.outputs:
            self.outputs.append(mark)
