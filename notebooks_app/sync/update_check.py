"""What a Yjs update (v1) contains, read before anything else touches it. Pure.

A client's bytes reach every other browser and the merge in the hub's own processes, where a wrong length
exhausts memory and deep nesting exhausts the stack. So an update is parsed here in full, and only what a
notebook document is made of passes: maps, texts, strings and JSON values under the known roots.

Format: yjs/src/utils/encoding.js, structs/*.js, UpdateEncoderV1.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from notebooks_app.sync.varint import BadEncoding, Reader

ROOT_NAMES = frozenset({"cells", "notebook"})

MAX_CLOCK = 2**31 - 1  # merging adds clocks and lengths in 32 bits
MAX_JSON_DEPTH = 64
MAX_KEY_BYTES = 1024
# In one update. A notebook has two levels: a cell, and its source and metadata.
MAX_TYPE_DEPTH = 8

_HAS_LEFT_ORIGIN = 0x80
_HAS_RIGHT_ORIGIN = 0x40
_HAS_PARENT_KEY = 0x20
_GC, _DELETED, _STRING, _TYPE, _ANY, _SKIP = 0, 1, 4, 7, 8, 10
_MAP_TYPE, _TEXT_TYPE = 1, 2


class ItemId(NamedTuple):
    """The id of an item: the client that made it, and that client's clock."""

    client: int
    clock: int


class Span(NamedTuple):
    """Clocks of one client, `start` up to but not including `end`."""

    client: int
    start: int
    end: int

    def holds(self, item: ItemId) -> bool:
        return item.client == self.client and self.start <= item.clock < self.end


class UpdateContent(NamedTuple):
    """`type_depth`: how deep the deepest new shared type is nested, as far as this update tells.

    `spans` are the structs it brings, `deleted` what it deletes, which may be anyone's.
    """

    type_depth: int
    spans: tuple[Span, ...]
    deleted: tuple[Span, ...]

    @property
    def is_empty(self) -> bool:
        return not self.spans and not self.deleted


class _Item(NamedTuple):
    """Where an item hangs: below `parent`, or where `sibling` does; both None: below a root."""

    clock: int
    length: int
    is_type: bool
    parent: ItemId | None
    sibling: ItemId | None


def check_update(update: bytes) -> UpdateContent:
    """What a client's update contains. Raises BadEncoding when it may not be merged."""
    content = inspect_update(update)
    if content.type_depth > MAX_TYPE_DEPTH:
        raise BadEncoding("it nests too deeply")
    return content


def inspect_update(update: bytes) -> UpdateContent:
    """The same for an update of the hub's own, of any depth."""
    items, spans, deleted = _parse(update)
    return UpdateContent(max(_type_depths(items).values(), default=0), spans, deleted)


def types_deeper_than(update: bytes, depth: int) -> set[ItemId]:
    """The shared types in an update that are nested deeper than that."""
    items, _, _ = _parse(update)
    return {item for item, at in _type_depths(items).items() if at > depth}


def _parse(update: bytes) -> tuple[dict[int, list[_Item]], tuple[Span, ...], tuple[Span, ...]]:
    reader = Reader(update)
    items: dict[int, list[_Item]] = {}
    spans: list[Span] = []
    for _ in range(reader.uint()):
        count, client, clock = reader.uint(), reader.uint(), reader.uint(MAX_CLOCK)
        of_client = items.setdefault(client, [])
        for _ in range(count):
            length, is_skipped = _read_struct(reader, clock, of_client)
            end = clock + length
            if length == 0 or end > MAX_CLOCK:
                raise BadEncoding("a length is out of range")
            if not is_skipped:
                if spans and spans[-1].client == client and spans[-1].end == clock:
                    spans[-1] = Span(client, spans[-1].start, end)
                else:
                    spans.append(Span(client, clock, end))
            clock = end
    deleted = _read_delete_set(reader)
    if not reader.is_at_end:
        raise BadEncoding("bytes are left over")
    return items, tuple(spans), deleted


def _read_struct(reader: Reader, clock: int, items: list[_Item]) -> tuple[int, bool]:
    """Reads one struct: its length, and whether it is a gap. What others may hang on goes into `items`."""
    info = reader.byte()
    content = info & 0x1F
    if content in (_GC, _SKIP):
        return reader.uint(MAX_CLOCK), content == _SKIP
    parent = sibling = None
    if info & _HAS_LEFT_ORIGIN:
        sibling = _read_id(reader)
    if info & _HAS_RIGHT_ORIGIN:
        right = _read_id(reader)
        sibling = sibling or right
    if sibling is None:
        if reader.uint(1) == 1:
            if _read_key(reader) not in ROOT_NAMES:
                raise BadEncoding("it writes outside the notebook")
        else:
            parent = _read_id(reader)
        if info & _HAS_PARENT_KEY:
            _read_key(reader)
    length = _read_content(reader, content)
    items.append(_Item(clock, length, content == _TYPE, parent, sibling))
    return length, False


def _read_id(reader: Reader) -> ItemId:
    return ItemId(reader.uint(), reader.uint(MAX_CLOCK))


def _read_key(reader: Reader) -> str:
    key = reader.string()
    if len(key) > MAX_KEY_BYTES:
        raise BadEncoding("a key is too long")
    return key


def _read_content(reader: Reader, content: int) -> int:
    """Length of the content in the unit of clocks (UTF-16 code units for text)."""
    if content == _STRING:
        return len(reader.string().encode("utf-16-le")) // 2
    if content == _DELETED:
        return reader.uint(MAX_CLOCK)
    if content == _ANY:
        count = reader.uint(reader.remaining_bytes)
        for _ in range(count):
            _skip_json(reader, 0)
        return count
    if content == _TYPE:
        if reader.uint(255) not in (_MAP_TYPE, _TEXT_TYPE):
            raise BadEncoding("it makes a shared type that notebooks do not have")
        return 1
    raise BadEncoding(f"it has content of kind {content}, which notebooks do not have")


def _skip_json(reader: Reader, depth: int) -> None:
    """Reads one value of lib0's `writeAny`."""
    if depth > MAX_JSON_DEPTH:
        raise BadEncoding("a value nests too deeply")
    match reader.byte():
        case 127 | 126 | 121 | 120:  # undefined, null, false, true
            pass
        case 125:  # integer
            _skip_varint(reader)
        case 124:
            reader.take(4)
        case 123:
            reader.take(8)
        case 119:
            reader.string()
        case 118:
            for _ in range(reader.uint(reader.remaining_bytes)):
                reader.string()
                _skip_json(reader, depth + 1)
        case 117:
            for _ in range(reader.uint(reader.remaining_bytes)):
                _skip_json(reader, depth + 1)
        case _:  # BigInt, Uint8Array and what is unknown: no JSON
            raise BadEncoding("a value is not JSON")


def _skip_varint(reader: Reader) -> None:
    """A signed number: the first byte holds six bits and the sign."""
    for size in range(9):
        byte = reader.byte()
        if byte < 128:
            return
        if size == 8:
            break
    raise BadEncoding("a number is too long")


def _read_delete_set(reader: Reader) -> tuple[Span, ...]:
    deleted: list[Span] = []
    for _ in range(reader.uint()):
        client = reader.uint()
        for _ in range(reader.uint()):
            start, length = reader.uint(MAX_CLOCK), reader.uint(MAX_CLOCK)
            if start + length > MAX_CLOCK:
                raise BadEncoding("a length is out of range")
            deleted.append(Span(client, start, start + length))
    return tuple(deleted)


def _type_depths(items: dict[int, list[_Item]]) -> dict[ItemId, int]:
    """Depth of each shared type; what hangs on something outside this update counts from there."""
    clocks: dict[int, list[int]] = {}

    def find(at: ItemId) -> _Item | None:
        of_client = items.get(at.client)
        if not of_client:
            return None
        if at.client not in clocks:
            clocks[at.client] = [item.clock for item in of_client]
        index = bisect_right(clocks[at.client], at.clock) - 1
        item = of_client[index] if index >= 0 else None
        return item if item is not None and at.clock < item.clock + item.length else None

    # Depth of what is above an item, by the item's first id.
    known: dict[ItemId, int] = {}
    depths: dict[ItemId, int] = {}
    for client, of_client in items.items():
        for start in of_client:
            if not start.is_type:
                continue
            path: list[tuple[ItemId, int]] = []  # item, and whether the step up from it is one level
            on_path: set[ItemId] = set()
            at, item = ItemId(client, start.clock), start
            depth = 0
            while True:
                if at in known:
                    depth = known[at]
                    break
                if at in on_path:
                    raise BadEncoding("it hangs on itself")
                above = item.parent or item.sibling
                found = find(above) if above is not None else None
                if above is None or found is None:
                    known[at] = depth = 0
                    break
                path.append((at, 1 if item.parent is not None and found.is_type else 0))
                on_path.add(at)
                at, item = ItemId(above.client, found.clock), found
            for at, level in reversed(path):
                depth += level
                known[at] = depth
            depths[ItemId(client, start.clock)] = depth + 1
    return depths
