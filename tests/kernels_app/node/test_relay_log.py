from __future__ import annotations

import random

from kernels_app.node.relay_log import AWAY_S, RelayLog


def filled(log: RelayLog, count: int, *, client: str = "", size: int = 10) -> None:
    for _ in range(count):
        log.append(client, b"%010d" % (log.head + 1) + b"x" * (size - 10))


def test_nothing_is_kept_while_nobody_is_there() -> None:
    log = RelayLog()
    filled(log, 1000)
    assert (log.head, log.kept_bytes) == (1000, 0)
    assert log.join("a", "web") == (1000, 0)


def test_a_new_client_gets_what_comes_after_it_joined() -> None:
    log = RelayLog()
    filled(log, 3)
    log.join("a", "web")
    filled(log, 2)
    piece = log.read(3, ["a"], 1000)
    assert (piece.last_seq, piece.seqs) == (5, [4, 5])


def test_messages_for_others_are_left_out_but_counted() -> None:
    log = RelayLog()
    log.join("a", "web")
    log.append("", b"1")
    log.append("b", b"2")
    log.append("a", b"3")
    log.append("b", b"4")
    piece = log.read(0, ["a"], 1000)
    assert (piece.last_seq, piece.seqs, piece.clients) == (4, [1, 3], ["", "a"])


def test_a_client_that_returns_goes_on_where_it_was() -> None:
    log = RelayLog()
    log.join("a", "web-1")
    filled(log, 10)
    log.leave("a", "web-1", 4, is_over=False, now_s=0)
    filled(log, 10)
    assert log.join("a", "web-2") == (4, 0)
    assert log.read(4, ["a"], 10**6).seqs == list(range(5, 21))


def test_a_web_process_that_is_gone_does_not_take_back_a_client_that_moved() -> None:
    log = RelayLog()
    log.join("a", "web-1")
    log.join("a", "web-2")
    log.leave("a", "web-1", 0, is_over=True, now_s=0)
    assert log.clients["a"].mailbox == "web-2"


def test_who_is_over_or_away_for_too_long_is_forgotten_with_its_messages() -> None:
    log = RelayLog()
    log.join("a", "web")
    log.join("b", "web")
    filled(log, 100)
    log.leave("a", "web", 0, is_over=True, now_s=0)
    log.leave("b", "web", 0, is_over=False, now_s=0)
    log.drop_away(AWAY_S - 1)
    assert log.kept_bytes == 1000
    log.drop_away(AWAY_S + 1)
    assert (log.clients, log.kept_bytes) == ({}, 0)


def test_what_all_have_is_let_go() -> None:
    log = RelayLog()
    log.join("a", "web")
    log.join("b", "web")
    filled(log, 2000)
    log.confirm("a", 1500)
    log.confirm("b", 1900)
    log.forget()
    assert (log.first, log.kept_bytes) == (1501, 5000)
    log.forget(needed_after=1000)
    assert log.first == 1501
    log.confirm("a", 2000)
    log.confirm("b", 9999)  # a number that was never given says nothing
    log.forget()
    assert log.first == 1901


def test_past_the_bound_the_oldest_go_and_are_counted() -> None:
    log = RelayLog(max_kept_bytes=1000)
    log.join("a", "web")
    filled(log, 300)
    assert log.kept_bytes <= 1000
    seq, lost_count = log.join("a", "web")
    assert seq == lost_count == log.first - 1 > 0
    assert log.read(seq, ["a"], 10**6).seqs[-1] == 300


def test_one_message_larger_than_the_bound_is_kept_whole() -> None:
    log = RelayLog(max_kept_bytes=1000)
    log.join("a", "web")
    filled(log, 5)
    filled(log, 1, size=5000)
    assert [len(message) for message in log.read(log.first - 1, ["a"], 10).messages] == [5000]


def test_a_piece_has_at_least_one_message_and_about_the_wanted_size() -> None:
    log = RelayLog()
    log.join("a", "web")
    filled(log, 10, size=100)
    assert log.read(0, ["a"], 1).seqs == [1]
    assert log.read(0, ["a"], 350).seqs == [1, 2, 3]


def test_whatever_happens_each_client_gets_everything_once_and_in_order() -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for _ in range(60):
        log = RelayLog()
        sent: list[tuple[str, bytes]] = []
        positions: dict[str, int] = {}
        got: dict[str, list[bytes]] = {}
        began: dict[str, int] = {}
        for step in range(300):
            name = chance.choice("abc")
            action = chance.random()
            if action < 0.4:
                target = chance.choice(["", "", *positions])
                log.append(target, b"%d" % step)
                sent.append((target, b"%d" % step))
            elif action < 0.5:
                seq, lost_count = log.join(name, "web")
                assert lost_count == 0
                if name not in positions:
                    positions[name], got[name], began[name] = seq, [], seq
                assert seq <= positions[name]
            elif name in positions and action < 0.8:
                piece = log.read(positions[name], [name], chance.choice([1, 5, 1000]))
                got[name] += piece.messages
                positions[name] = piece.last_seq
            elif name in positions and action < 0.9:
                log.confirm(name, positions[name])
                log.forget()
            elif name in positions:
                log.leave(name, "web", positions[name], is_over=False, now_s=0)
        for name in positions:
            got[name] += log.read(positions[name], [name], 10**9).messages
            wanted = [message for target, message in sent[began[name] :] if target in ("", name)]
            assert got[name] == wanted, seed
