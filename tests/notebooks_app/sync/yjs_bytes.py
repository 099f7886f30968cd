"""Yjs updates written byte by byte, for those that no library would make."""

from __future__ import annotations

from notebooks_app.sync.varint import write_bytes, write_uint

ROOT = write_uint(1) + write_bytes(b"cells")
ANY, STRING, DELETED, TYPE = 8, 4, 1, 7


def update_of(*structs: bytes, client: int = 5, clock: int = 0, deletes: bytes = b"\x00") -> bytes:
    return b"".join(
        (write_uint(1), write_uint(len(structs)), write_uint(client), write_uint(clock), *structs, deletes)
    )


def item(content: int, payload: bytes, *, parent: bytes = ROOT) -> bytes:
    return bytes([content]) + parent + payload


def below(client: int, clock: int) -> bytes:
    """Parent information: the shared type of that id."""
    return write_uint(0) + write_uint(client) + write_uint(clock)


def deep_value(depth: int) -> bytes:
    return item(ANY, write_uint(1) + bytes([117, 1]) * depth + bytes([126]))
