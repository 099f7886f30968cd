"""The cache that all processes of a hub share, and what it does while Valkey is away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernels_app.bus.valkey_server import ValkeyServer
from zasper_hub.accounts.shared_cache import JsonSerializer, SharedCache


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    server = ValkeyServer()
    server.start()
    yield server
    server.close()


@pytest.mark.integration
def test_processes_share_what_is_in_it_and_go_on_alone_while_it_is_away(valkey: ValkeyServer) -> None:
    server = f"{valkey.url}?db=3"
    one, two = SharedCache(server, {}), SharedCache(server, {})
    assert one.add("tries:lock", True, timeout=10)
    assert not two.add("tries:lock", True, timeout=10)
    one.set("tries", [1.5, 2.5], timeout=60)
    assert two.get("tries", []) == [1.5, 2.5]
    assert two.delete("tries:lock")
    assert one.add("tries:lock", True, timeout=10)
    valkey.kill()
    assert one.get("tries", []) == []
    assert one.add("tries:lock", True, timeout=10)
    assert not one.add("tries:lock", True, timeout=10)
    one.set("tries", [3.5], timeout=60)
    assert one.get("tries") == [3.5]
    assert one.delete("tries:lock")
    valkey.start()
    one.set("tries", [4.5], timeout=60)
    assert two.get("tries") == [4.5]


def test_who_can_write_to_valkey_makes_nothing_run_here() -> None:
    import pickle

    with pytest.raises(ValueError, match=r"JSON|utf-8|decode"):
        JsonSerializer().loads(pickle.dumps([1.5]))
    assert JsonSerializer().loads(JsonSerializer().dumps([1.5, True, "é"])) == [1.5, True, "é"]
