"""When a client of raw channels is too slow."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kernels_app.errors import HubError, TooSlow
from kernels_app.relay.kernel_feed import HIGH_BYTES, LOW_BYTES, SLOW_S, ChannelClient


class FakeOutlet:
    def __init__(self) -> None:
        self.left_bytes = HIGH_BYTES + 1
        self.seq = 1
        self.ended: list[HubError | None] = []

    def put(self, messages: Sequence[tuple[int, bytes]]) -> None: ...

    def waiting_bytes(self) -> int:
        return self.left_bytes

    def sent_seq(self) -> int:
        return self.seq

    def final_seq(self, *, in_good_order: bool) -> int:
        return self.seq

    def lose(self, count: int) -> None: ...

    def end(self, error: HubError | None) -> None:
        self.ended.append(error)


@pytest.fixture
def outlet() -> FakeOutlet:
    return FakeOutlet()


@pytest.fixture
def client(outlet: FakeOutlet) -> ChannelClient:
    client = ChannelClient("c", outlet, may_return=True)
    client.is_behind = True
    assert not client.is_too_slow(0.0)
    return client


def test_who_takes_nothing_for_long_is(client: ChannelClient) -> None:
    assert not client.is_too_slow(SLOW_S)
    assert client.is_too_slow(SLOW_S + 1)


def test_who_reads_slowly_is_not(client: ChannelClient, outlet: FakeOutlet) -> None:
    for round_number in range(10):
        outlet.left_bytes -= 1
        assert not client.is_too_slow(round_number * SLOW_S)
    for round_number in range(10, 20):
        outlet.seq += 1  # of what lies in the buffers of the network
        assert not client.is_too_slow(round_number * SLOW_S)
    assert client.is_too_slow(20 * SLOW_S + 1)


def test_who_has_little_before_it_or_is_up_to_date_is_not(client: ChannelClient, outlet: FakeOutlet) -> None:
    outlet.left_bytes = LOW_BYTES - 1
    assert not client.is_too_slow(SLOW_S * 5)
    assert not client.is_too_slow(SLOW_S * 10)
    outlet.left_bytes = HIGH_BYTES
    client.is_behind = False
    assert not client.is_too_slow(SLOW_S * 15)
    assert not client.is_too_slow(SLOW_S * 20)


def test_the_connection_ends_with_the_code(client: ChannelClient, outlet: FakeOutlet) -> None:
    client.end(TooSlow())
    [error] = outlet.ended
    assert error is not None
    assert (error.close_code, client.is_ended) == (4408, True)
