"""Folding: what is cut, left out or held back, and what it costs."""

from __future__ import annotations

import base64
import hashlib
import time

from kernels_app.bus.identifiers import CellId
from kernels_app.bus.operations import (
    StreamChunk,
    encode_batch,
)
from kernels_app.node.folding import FoldingLimits
from kernels_app.node.folding_stream import count_units
from tests.kernels_app.node.folded_kernel import PNG, SMALL, A, Kernel


def test_large_payloads_become_blobs_of_what_a_browser_shows(kernel: Kernel) -> None:
    html = "<p>é</p>" * 10_000
    kernel.display(
        {"image/png": PNG, "text/html": html, "application/json": {"k": ["v"] * 20_000}, "text/plain": "t"}
    )
    (output,) = kernel.finish()
    assert output["data"] == {"text/plain": "t"}
    blobs = {mime: kernel.blobs[ref["sha256"]] for mime, ref in output["blobs"].items()}
    assert blobs["image/png"] == base64.b64decode(PNG)
    assert blobs["text/html"].decode() == html
    assert blobs["application/json"].startswith(b'{"k":["v"')
    for mime, ref in output["blobs"].items():
        assert ref == {"sha256": hashlib.sha256(blobs[mime]).hexdigest(), "size_bytes": len(blobs[mime])}


def test_a_payload_beyond_all_limits_is_left_out_and_said_so() -> None:
    kernel = Kernel(FoldingLimits(max_payload_bytes=40_000))
    kernel.start()
    kernel.display({"text/html": "x" * 50_000, "text/plain": "small"})
    display, notice = kernel.finish()
    assert list(display["data"]) == ["text/plain"]
    assert "text/html" in notice["text"]


def test_a_long_text_shows_head_and_tail_and_keeps_the_whole() -> None:
    kernel = Kernel(SMALL)
    kernel.start()
    text = "".join(f"line {number} 😀\n" for number in range(2_500))
    for start in range(0, len(text), 997):
        kernel.print(text[start : start + 997])
        kernel.wait(70)
    (output,) = kernel.finish()
    assert text.startswith(output["text"])
    assert output["text"].endswith("\n")
    assert text.endswith(output["tail"])
    assert output["tail"].startswith("line ")
    assert count_units(output["text"]) <= 6_000
    assert 4_900 <= count_units(output["tail"]) <= 5_000
    assert output["omitted"] == count_units(text) - count_units(output["text"]) - count_units(output["tail"])
    assert kernel.whole_text(output) == text
    assert all(len(blob) <= 1_000 for blob in kernel.blobs.values())


def test_past_the_last_limit_the_whole_text_ends_with_a_marker() -> None:
    kernel = Kernel(SMALL)
    kernel.start()
    for _ in range(60):
        kernel.print("é" * 499 + "\n")
        kernel.wait()
    (output,) = kernel.finish()
    assert output["limit_reached"] is True
    assert 39_990 <= sum(chunk["size_bytes"] for chunk in output["chunks"]) <= 40_000
    assert kernel.whole_text(output).replace("é", "").replace("\n", "") == ""
    assert kernel.kinds().count("StreamChunk") == len(output["chunks"]) + 1


def test_a_piece_of_whole_text_does_not_wait_for_ever() -> None:
    kernel = Kernel(FoldingLimits(stream_head_units=5_000))
    kernel.start()
    kernel.print("line\n" * 2_000)
    kernel.wait(100)
    kernel.print("line\n" * 200)
    kernel.wait(1_000)
    due_ms = kernel.folding.due_ms
    assert due_ms is not None
    assert 50_000 < due_ms <= 61_000
    assert any(isinstance(operation, StreamChunk) for operation in kernel.wait(61_000))


def test_text_without_end_is_sent_ever_less_often() -> None:
    kernel = Kernel()
    kernel.start()
    sent = 0
    for _ in range(600):  # 60 s of 1 MB/s
        kernel.print("x" * 99_999 + "\n")
        sent += len(encode_batch(kernel.wait(100)))
    assert sent < 60 * 200_000 + 1_000_000


def test_past_1000_outputs_text_goes_on_and_pictures_do_not() -> None:
    kernel = Kernel(SMALL)
    kernel.start()
    for number in range(20):
        kernel.print(f"out {number}\n")
        kernel.print(f"err {number}\n", "stderr")
        kernel.display({"text/plain": "picture"})
    kernel.say("error", ename="E", evalue="still shown", traceback=[])
    outputs = kernel.finish()
    assert [o["output_type"] for o in outputs] == [
        "stream", "stream", "display_data", "stream", "stream", "notice", "stream", "stream", "error"
    ]  # fmt: skip
    texts = "".join(o.get("text", "") for o in outputs if o["output_type"] == "stream")
    assert all(f"{kind} {number}\n" in texts for kind in ("out", "err") for number in range(20))


def test_many_streams_of_one_run_share_the_limit_of_text() -> None:
    kernel = Kernel()
    kernel.start()
    for _ in range(20):
        kernel.print("x" * 99 + "\n" * 1 + "y\n" * 100_000)
        kernel.display({"text/plain": "x"})
    outputs = kernel.finish()
    assert sum(len(o.get("text", "") + o.get("tail", "")) for o in outputs) < 800_000


def test_a_traceback_of_unreasonable_length_loses_its_middle(kernel: Kernel) -> None:
    kernel.say(
        "error", ename="E", evalue="v" * 100_000, traceback=[f"frame {n} " + "x" * 100 for n in range(50_000)]
    )
    (error,) = kernel.finish()
    assert len(error["evalue"]) < 10_000
    assert sum(map(len, error["traceback"])) < 140_000
    assert error["traceback"][0].startswith("frame 0 ")
    assert error["traceback"][-1].startswith("frame 49999 ")
    assert any("frames left out" in line for line in error["traceback"])


def test_streams_of_long_finished_runs_are_forgotten_but_not_their_cells(kernel: Kernel) -> None:
    first = kernel.run
    kernel.print("one")
    kernel.finish()
    for number in range(40):
        kernel.start(CellId(f"cell {number}"))
        kernel.print("x")
        kernel.finish()
    kernel.print("very late", run_id=first)
    kernel.wait()
    assert [o["text"] for o in kernel.outputs(A)] == ["one", "very late"]


def test_50_000_small_messages_fold_in_well_under_a_second() -> None:
    kernel = Kernel()
    run = kernel.start()
    messages = [{"name": "stdout", "text": f"{number}\n"} for number in range(50_000)]
    begin = time.process_time()
    for number, content in enumerate(messages):
        kernel.folding.message(run, "stream", content, {}, number // 10)
        if number % 100 == 0:
            kernel.folding.take(number // 10)
    assert time.process_time() - begin < 1
