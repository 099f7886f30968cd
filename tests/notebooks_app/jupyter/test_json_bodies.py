"""Large bodies of JSON: one at a time, of a bounded number of parts."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.test import RequestFactory

from notebooks_app.errors import TooLarge, Unavailable
from notebooks_app.jupyter import json_bodies
from notebooks_app.jupyter.json_bodies import LARGE_BYTES, end_turn, read_json_body
from tests.cast import Cast
from tests.notebooks_app.jupyter.server import Server, body

MAX_BYTES = 2 * LARGE_BYTES
LARGE = json.dumps({"content": "x" * LARGE_BYTES}).encode()


def request(content: bytes) -> Any:
    return RequestFactory().post("/", content, content_type="application/json")


def test_a_body_of_many_parts_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_bodies, "MAX_PARTS", 1000)
    many = b'{"content": {"cells": [%s]}}' % b",".join([b"[]"] * (LARGE_BYTES // 3 + 1))
    asked = request(many)
    with pytest.raises(TooLarge, match="1,000 lists"):
        read_json_body(asked, max_bytes=MAX_BYTES)
    end_turn(asked)
    # As text of a file they are no parts.
    for text in ("[" * LARGE_BYTES, '["' * (LARGE_BYTES // 2), "{\\" * (LARGE_BYTES // 2)):
        asked = request(json.dumps({"content": text}).encode())
        assert read_json_body(asked, max_bytes=10 * MAX_BYTES) == {"content": text}
        end_turn(asked)


def test_one_large_body_is_read_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = request(LARGE), request(LARGE)
    assert read_json_body(first, max_bytes=MAX_BYTES) is not None
    monkeypatch.setattr(json_bodies, "TURN_WAIT_S", 0.05)
    with pytest.raises(Unavailable):
        read_json_body(second, max_bytes=MAX_BYTES)
    end_turn(second)
    small = request(b'{"a": 1}')
    assert read_json_body(small) == {"a": 1}
    end_turn(small)
    monkeypatch.setattr(json_bodies, "TURN_WAIT_S", 30.0)
    third = request(LARGE)
    reads = threading.Thread(target=lambda: read_json_body(third, max_bytes=MAX_BYTES))
    reads.start()
    end_turn(first)
    end_turn(first)
    reads.join(timeout=20)
    assert not reads.is_alive()
    end_turn(third)


def test_a_request_gives_its_turn_back_however_it_ends(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_bodies, "TURN_WAIT_S", 0.05)
    carol = Server(cast, cast.carol)
    for _ in range(2):
        answer = carol.call("POST", "nbconvert/html", json.loads(LARGE))
        assert answer.status_code == 400, body(answer)
