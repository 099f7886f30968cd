"""What a client may send: everything an editor makes passes, everything made to break something does not."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text, XmlFragment

from notebooks_app.notebook_format import Cell, Notebook
from notebooks_app.sync.replica import encode_since, load_tolerantly
from notebooks_app.sync.shape import read_shape, seed
from notebooks_app.sync.update_check import MAX_TYPE_DEPTH, check_update, inspect_update
from notebooks_app.sync.varint import BadEncoding, write_bytes, write_uint
from tests.notebooks_app.sync.yjs_bytes import (
    ANY,
    DELETED,
    ROOT,
    STRING,
    TYPE,
    below,
    deep_value,
    item,
    update_of,
)

HUGE = 2**40
HOSTILE = {
    "empty": b"",
    "clients without end": write_uint(HUGE),
    "structs without end": write_uint(1) + write_uint(HUGE) + write_uint(5) + write_uint(0),
    "values without end": update_of(item(ANY, write_uint(HUGE))),
    "an array without end": update_of(item(ANY, write_uint(1) + bytes([117]) + write_uint(HUGE))),
    "an object without end": update_of(item(ANY, write_uint(1) + bytes([118]) + write_uint(HUGE))),
    "a value nested 400,000 deep": update_of(deep_value(400_000)),
    "a value nested a little too deep": update_of(deep_value(70)),
    "a text without end": update_of(item(STRING, write_uint(HUGE))),
    "a text that is not UTF-8": update_of(item(STRING, write_bytes(b"\xff\xfe"))),
    "an empty text": update_of(item(STRING, write_bytes(b""))),
    "a clock that overflows": update_of(bytes([0]) + write_uint(2**31 - 1), clock=2**31 - 2),
    "a length that overflows": update_of(bytes([0]) + write_uint(2**32 - 1)),
    "deletions without end": update_of(item(STRING, write_bytes(b"a")), deletes=write_uint(HUGE)),
    "a deletion that overflows": b"\0" + b"".join(map(write_uint, (1, 5, 1, 2**31 - 1, 2**31 - 1))),
    "a BigInt": update_of(item(ANY, write_uint(1) + bytes([122]) + bytes(8))),
    "bytes as a value": update_of(item(ANY, write_uint(1) + bytes([116]) + write_bytes(b"x"))),
    "an unknown value": update_of(item(ANY, write_uint(1) + bytes([7]))),
    "binary content": update_of(item(3, write_bytes(b"abc"))),
    "an embed": update_of(item(5, write_bytes(b"{}"))),
    "formatting": update_of(item(6, write_bytes(b"bold") + write_bytes(b"true"))),
    "a subdocument": update_of(item(9, write_bytes(b"guid") + bytes([126]))),
    "a move": update_of(item(11, write_uint(0))),
    "legacy JSON": update_of(item(2, write_uint(1) + write_bytes(b"{}"))),
    "an array type": update_of(item(TYPE, write_uint(0))),
    "a weak link": update_of(item(TYPE, write_uint(7))),
    "another root": update_of(item(STRING, write_bytes(b"a"), parent=write_uint(1) + write_bytes(b"other"))),
    "a type below itself": update_of(item(TYPE, write_uint(1), parent=below(5, 0))),
    "a text behind itself and a type in it": update_of(
        bytes([0x80 | TYPE]) + write_uint(5) + write_uint(0) + write_uint(1)
    ),
    "a key without end": update_of(
        bytes([0x20 | STRING]) + ROOT + write_bytes(b"k" * 5000) + write_bytes(b"a")
    ),
    "bytes left over": Doc().get_update() + b"x",
    "a number without end": b"\xff" * 50,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_update_is_refused(name: str) -> None:
    with pytest.raises(BadEncoding):
        check_update(HOSTILE[name])


def test_damaged_updates_are_refused_or_merge_without_a_crash() -> None:
    seed_number = int.from_bytes(os.urandom(4), "big")
    print("seed", seed_number)
    chance = random.Random(seed_number)
    cell = Cell(cell_type="code", id="a", source="x = 'é😀'", metadata={"a": [1, None]})
    good = seed(Notebook(cells=(cell,)))
    passed_count = 0
    for _ in range(3_000):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        damaged = bytes(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data)
        try:
            check_update(damaged)
        except BadEncoding:
            continue
        passed_count += 1
        replica, _ = load_tolerantly(good, [damaged])
        read_shape(replica)
        assert encode_since(replica)
    assert passed_count > 100


def test_ordinary_edits_pass() -> None:
    doc: Doc[Any] = Doc()
    sent: list[bytes] = []
    subscription = doc.observe(lambda event: sent.append(event.update))
    cells: Map[Any] = doc.get("cells", type=Map)
    cells["a"] = Map(
        {"type": "code", "source": Text("é😀"), "metadata": Map({"x": {"y": [1, 2.5, None, True]}})}
    )
    source = cells["a"]["source"]
    assert isinstance(source, Text)
    source.insert(0, "漢字")
    del source[0:3]
    cells["a"]["position"] = "a0"
    del cells["a"]
    doc.unobserve(subscription)
    assert len(sent) == 5
    for update in [*sent, doc.get_update()]:
        check_update(update)
    assert check_update(sent[0]).type_depth == 2
    assert check_update(sent[1]).type_depth == 0
    assert check_update(Doc().get_update()).is_empty


@pytest.mark.parametrize("shared", [Array(), XmlFragment()])
def test_shared_types_that_notebooks_lack_are_refused(shared: object) -> None:
    doc: Doc[Any] = Doc()
    doc.get("cells", type=Map)["a"] = shared
    with pytest.raises(BadEncoding):
        check_update(doc.get_update())


def test_depth_of_nested_types_is_counted_within_an_update() -> None:
    def nested(depth: int) -> bytes:
        doc: Doc[Any] = Doc()
        with doc.transaction():
            inner: Map[Any] = doc.get("cells", type=Map)
            for _ in range(depth):
                inner["x"] = child = Map[Any]()
                inner = child
        return doc.get_update()

    assert check_update(nested(MAX_TYPE_DEPTH)).type_depth == MAX_TYPE_DEPTH
    with pytest.raises(BadEncoding):
        check_update(nested(MAX_TYPE_DEPTH + 1))
    assert inspect_update(nested(5_000)).type_depth == 5_000


def test_a_deleted_range_of_someone_else_passes() -> None:
    check_update(update_of(item(DELETED, write_uint(3))))
