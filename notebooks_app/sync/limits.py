"""How large the parts of a live document may be. In docs/reference/documents.md, with the reasons."""

from __future__ import annotations

MAX_UPDATE_BYTES = 8 * 1024 * 1024
# A document travels in one message when it is opened; web servers let 16 MiB through.
MAX_DOCUMENT_BYTES = 14 * 1024 * 1024
MAX_STATE_VECTOR_BYTES = 1024 * 1024
