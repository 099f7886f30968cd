"""Folding: bad input first, then Jupyter's rules, then the limits."""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels_app.bus.identifiers import CellId, KernelId, RunId
from kernels_app.bus.operations import (
    AnyOperation,
    Clear,
    Finished,
    InputClosed,
    InputRequest,
    KernelChanged,
    StreamChunk,
    decode_batch,
    encode_batch,
)
from kernels_app.node.folding import Folding, FoldingLimits
from kernels_app.node.folding_stream import count_units
from kernels_app.runs.apply import CellState, apply
from tests.kernels_app.node.test_folding_terminal import PIECES, shown

A, B = CellId("a"), CellId("b")
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300).decode() + "\n"
SMALL = FoldingLimits(
    stream_head_units=6_000,
    stream_tail_units=5_000,
    chunk_bytes=1_000,
    whole_text_bytes=40_000,
    max_outputs=5,
)


class Kernel:
    """A kernel that talks, and what a browser then shows. Every operation travels as JSON."""

    def __init__(self, limits: FoldingLimits | None = None) -> None:
        numbers = itertools.count(1)
        self.folding = Folding(lambda: next(numbers), limits)
        self.now_ms = 0
        self.operations: list[AnyOperation] = []
        self.blobs: dict[str, bytes] = {}
        self.cells: dict[CellId, CellState] = {}
        self.run = RunId("")

    def start(self, cell_id: CellId = A, run_id: str = "") -> RunId:
        self.run = RunId(run_id or f"run of {cell_id}")
        self.folding.start_run(cell_id, self.run, self.now_ms)
        return self.run

    def say(self, msg_type: str, run_id: RunId | None = None, **content: Any) -> None:
        self.folding.message(run_id or self.run, msg_type, content, {}, self.now_ms)

    def print(self, text: str, name: str = "stdout", run_id: RunId | None = None) -> None:
        self.say("stream", run_id, name=name, text=text)

    def display(self, data: Any, display_id: str | None = None, **more: Any) -> None:
        transient = {"display_id": display_id} if display_id else {}
        self.say("display_data", data=data, metadata={}, transient=transient, **more)

    def wait(self, ms: int = 10_000) -> list[AnyOperation]:
        self.now_ms += ms
        return self._take()

    def finish(self, run_id: RunId | None = None, **more: Any) -> list[dict[str, Any]]:
        """The outputs of cell `a` once the run has ended."""
        self.folding.finish_run(run_id or self.run, "ok", self.now_ms, **more)
        self._take()
        return self.outputs()

    def outputs(self, cell_id: CellId = A) -> list[dict[str, Any]]:
        outputs: list[dict[str, Any]] = self.cells[cell_id]["outputs"]
        return outputs

    def kinds(self) -> list[str]:
        return [type(operation).__name__ for operation in self.operations]

    def _take(self, force: bool = False) -> list[AnyOperation]:
        operations, blobs = self.folding.take(self.now_ms, force)
        self.blobs.update(blobs)
        batch = decode_batch(encode_batch(operations)).ops
        for operation in batch:
            apply(self.cells, operation)
        self.operations += batch
        return batch

    def take_all(self) -> None:
        self._take(force=True)

    def whole_text(self, output: dict[str, Any]) -> str:
        return b"".join(self.blobs[chunk["sha256"]] for chunk in output.get("chunks", [])).decode()


@pytest.fixture
def kernel() -> Kernel:
    kernel = Kernel()
    kernel.start()
    return kernel


ODD: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800\x00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "name",
        "text",
        "data",
        "metadata",
        "transient",
        "wait",
        "ename",
        "evalue",
        "traceback",
        "execution_count",
    ]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["stream", "display_data", "execute_result", "update_display_data", "error", "clear_output",
                 "execute_input", "comm_open", "status", ""]
            ),
            st.dictionaries(FIELDS, ODD, max_size=5),
        ),
        max_size=12,
    )
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_nothing_a_kernel_sends_breaks_it(messages: list[tuple[str, dict[str, Any]]]) -> None:
    kernel = Kernel()
    run = kernel.start()
    for msg_type, content in messages:
        kernel.folding.message(run, msg_type, content, {}, 0)
    kernel.finish()
    assert kernel.cells[A]["state"] == "ok"
    assert b"\\u0000" not in msgspec.json.encode(kernel.cells)


def test_messages_of_unknown_runs_are_ignored(kernel: Kernel) -> None:
    kernel.print("lost", run_id=RunId("nobody"))
    kernel.folding.finish_run(RunId("nobody"), "ok", 0)
    assert kernel.finish() == []


def test_a_picture_that_is_no_base64_is_left_out_and_said_so(kernel: Kernel) -> None:
    kernel.display({"image/png": "?" * 50_000, "text/plain": "<Figure>"})
    display, notice = kernel.finish()
    assert display["data"] == {"text/plain": "<Figure>"}
    assert notice["output_type"] == "notice"
    assert "image/png" in notice["text"]


def test_consecutive_texts_of_one_stream_are_one_output_and_one_operation(kernel: Kernel) -> None:
    for number in range(100):
        kernel.print(f"{number}\n")
    kernel.print("oh\n", "stderr")
    kernel.print("more\n")
    outputs = kernel.finish()
    assert [(o["name"], len(o["text"])) for o in outputs] == [("stdout", 290), ("stderr", 3), ("stdout", 5)]
    assert kernel.kinds() == ["Started", "Stream", "Stream", "Stream", "Finished"]
    assert [operation.seq for operation in kernel.operations] == [1, 2, 3, 4, 5]


def test_texts_wait_about_50_ms_for_more_and_no_longer(kernel: Kernel) -> None:
    kernel.wait(0)
    kernel.print("a")
    assert kernel.folding.due_ms == 50
    assert kernel.wait(49) == []
    kernel.print("b")
    assert kernel.folding.due_ms == 50
    kernel.wait(1)
    assert kernel.outputs()[0]["text"] == "ab"
    assert kernel.folding.due_ms is None


def test_a_pair_of_surrogates_in_two_messages_becomes_one_character(kernel: Kernel) -> None:
    kernel.print("smile \ud83d")
    kernel.wait()
    assert kernel.outputs()[0]["text"] == "smile "
    kernel.print("\ude00!")
    assert kernel.finish()[0]["text"] == "smile 😀!"


def test_a_progress_bar_rewrites_only_what_changed(kernel: Kernel) -> None:
    kernel.print("Epoch 1\n  10%|#    |")
    kernel.wait()
    kernel.print("\r  50%|###  |")
    (operation,) = kernel.wait()
    assert getattr(operation, "drop", None) == len("10%|#    |")
    assert kernel.outputs()[0]["text"] == "Epoch 1\n  50%|###  |"


def test_positions_are_counted_in_utf16(kernel: Kernel) -> None:
    kernel.print("😀😀😀")
    kernel.wait()
    kernel.print("\b\b!")
    (operation,) = kernel.wait()
    assert getattr(operation, "drop", None) == 4
    assert kernel.outputs()[0]["text"] == "😀!😀"


def test_clear_output_empties_at_once(kernel: Kernel) -> None:
    kernel.print("old")
    kernel.wait()
    kernel.say("clear_output", wait=False)
    kernel.wait()
    assert kernel.outputs() == []
    kernel.print("new")
    assert kernel.finish()[0]["text"] == "new"


def test_clear_output_that_waits_comes_with_the_next_output(kernel: Kernel) -> None:
    kernel.print("old")
    kernel.wait()
    kernel.say("clear_output", wait=True)
    assert kernel.wait() == []
    kernel.print("new")
    batch = kernel.wait()
    assert [type(operation).__name__ for operation in batch] == ["Clear", "Stream"]
    assert kernel.finish() == [{"output_type": "stream", "name": "stdout", "text": "new"}]


def test_clear_output_that_waits_for_nothing_is_dropped(kernel: Kernel) -> None:
    kernel.print("stays")
    kernel.say("clear_output", wait=True)
    assert kernel.finish()[0]["text"] == "stays"
    kernel.print(" and grows")
    kernel.wait()
    assert kernel.outputs()[0]["text"] == "stays and grows"


def test_an_animation_sends_only_the_frames_somebody_could_see(kernel: Kernel) -> None:
    kernel.wait(0)
    for frame in range(100):
        kernel.say("clear_output", wait=True)
        kernel.display({"text/plain": f"frame {frame}", "image/png": PNG.replace("P", "Q")})
    kernel.wait()
    assert kernel.kinds() == ["Started", "Clear", "Display"]
    assert kernel.outputs()[0]["data"]["text/plain"] == "frame 99"
    assert len(kernel.blobs) == 1


def test_displays_keep_their_order_among_texts(kernel: Kernel) -> None:
    kernel.print("before")
    kernel.display({"text/plain": "x"})
    kernel.print("after")
    assert [o["output_type"] for o in kernel.finish()] == ["stream", "display_data", "stream"]


def test_update_display_reaches_every_output_with_that_id_in_any_cell(kernel: Kernel) -> None:
    kernel.display({"text/plain": "1"}, "d")
    kernel.display({"text/plain": "1"}, "d")
    kernel.finish()
    kernel.start(B)
    kernel.display({"text/plain": "1"}, "d")
    kernel.display({"text/plain": "1"}, "other")
    for number in range(50):
        kernel.say(
            "update_display_data",
            data={"text/plain": str(number)},
            metadata={},
            transient={"display_id": "d"},
        )
    kernel.finish()
    assert [o["data"]["text/plain"] for o in kernel.outputs(A) + kernel.outputs(B)] == ["49", "49", "49", "1"]
    assert kernel.kinds().count("UpdateDisplay") == 1


def test_updates_of_what_is_not_shown_any_more_do_nothing(kernel: Kernel) -> None:
    kernel.display({"text/plain": "1"}, "d")
    kernel.say("update_display_data", data={"text/plain": "2"}, transient={"display_id": "d"})
    kernel.say("clear_output")
    kernel.display({"text/plain": "another"}, "e")
    kernel.say("update_display_data", data={"text/plain": "3"}, transient={"display_id": "d"})
    kernel.say("update_display_data", data={"text/plain": "4"}, transient={"display_id": "unknown"})
    assert kernel.finish()[0]["data"] == {"text/plain": "another"}
    kernel.folding.forget_displays()
    kernel.say("update_display_data", data={"text/plain": "5"}, transient={"display_id": "e"})
    assert kernel.wait() == []


def test_results_have_their_count_and_errors_their_traceback(kernel: Kernel) -> None:
    kernel.say("execute_input", code="1/0", execution_count=7)
    kernel.say("execute_result", data={"text/plain": "42"}, metadata={}, execution_count=7)
    kernel.say("error", ename="ZeroDivisionError", evalue="division by zero", traceback=["a\x00", "b"])
    result, error = kernel.finish()
    assert result == {
        "output_type": "execute_result", "data": {"text/plain": "42"}, "metadata": {}, "execution_count": 7
    }  # fmt: skip
    assert error["traceback"] == ["a\ufffd", "b"]
    assert kernel.cells[A]["execution_count"] == 7


def test_a_thread_still_prints_into_its_own_cell(kernel: Kernel) -> None:
    first = kernel.run
    kernel.print("start\n")
    kernel.finish()
    kernel.start(B)
    kernel.print("late\n", run_id=first)
    kernel.print("b\n")
    kernel.finish()
    kernel.wait()
    assert kernel.outputs(A)[0]["text"] == "start\nlate\n"
    assert kernel.outputs(B)[0]["text"] == "b\n"


def test_late_output_of_a_run_that_was_replaced_is_dropped(kernel: Kernel) -> None:
    first = kernel.run
    kernel.finish()
    kernel.start(A, "second")
    kernel.print("ghost", run_id=first)
    kernel.print("real")
    assert [o["text"] for o in kernel.finish()] == ["real"]


def test_input_shows_what_was_answered_and_hides_passwords(kernel: Kernel) -> None:
    for password in (False, True):
        kernel.print("before ")
        request = InputRequest(
            seq=0, at=0, cell_id=A, run_id=kernel.run, input_id="i", prompt="Name? ", password=password
        )
        kernel.folding.emit(request, 0)
        kernel.wait(0)
        assert kernel.cells[A]["input"] == {"input_id": "i", "prompt": "Name? ", "password": password}
        kernel.folding.emit(
            InputClosed(
                seq=0, at=0, cell_id=A, run_id=kernel.run, input_id="i", value="bob" if not password else ""
            ),
            0,
        )
        kernel.wait()
        assert kernel.cells[A]["input"] is None
    (output,) = kernel.finish()
    assert output["text"] == "before Name? bob\nbefore Name? ········\n"


def test_a_prompt_that_is_no_proper_text_is_made_one(kernel: Kernel) -> None:
    request = InputRequest(
        seq=0,
        at=0,
        cell_id=A,
        run_id=kernel.run,
        input_id="i",
        prompt="\ud800\x00" + "?" * 20_000,
        password=False,
    )
    kernel.folding.emit(request, 0)
    kernel.wait(0)
    prompt = kernel.cells[A]["input"]["prompt"]
    assert prompt.startswith("\ufffd\ufffd?")
    assert len(prompt) < 10_000


def test_a_person_clears_a_running_cell(kernel: Kernel) -> None:
    kernel.print("old")
    kernel.wait()
    kernel.print("older")
    kernel.folding.emit(Clear(seq=0, at=0, cell_id=A, run_id=kernel.run), 0)
    kernel.print("new")
    assert [o["text"] for o in kernel.finish()] == ["new"]


def test_at_the_death_of_a_kernel_nothing_stays_behind(kernel: Kernel) -> None:
    kernel.print("last words")
    kernel.folding.emit(
        KernelChanged(seq=0, at=0, kernel_id=KernelId("k"), kernelspec_name="python3", state="died"),
        kernel.now_ms,
    )
    kernel.take_all()
    assert kernel.kinds() == ["Started", "Stream", "KernelChanged"]


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


def test_finished_says_how_it_went(kernel: Kernel) -> None:
    kernel.now_ms = 500
    kernel.finish(execution_count=3, started_at=100)
    (finished,) = [o for o in kernel.operations if isinstance(o, Finished)]
    assert (finished.started_at, finished.finished_at, finished.execution_count) == (100, 500, 3)


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


STREAM_MESSAGES = st.tuples(
    st.sampled_from(["stdout", "stdout", "stdout", "stderr"]), st.lists(PIECES, max_size=8).map("".join)
)
STEPS = st.lists(
    st.one_of(
        STREAM_MESSAGES,
        st.sampled_from(["wait", "tick", "display", "clear", "clear later"]),
        st.builds(lambda n: ("stdout", "0123456 8\n" * n), st.integers(1, 900)),
    ),
    max_size=40,
)


@given(STEPS)
@example(steps=[("stdout", "é"), "wait", ("stdout", "\x1b[2K")])
@settings(max_examples=300, deadline=None)
def test_folding_and_applying_gives_the_text_of_a_naive_reference(steps: list[Any]) -> None:
    """The reference keeps every message of each stream output and shows it at once."""
    kernel = Kernel(
        FoldingLimits(
            stream_head_units=7_000, stream_tail_units=5_000, chunk_bytes=2_000, chunk_interval_ms=300
        )
    )
    kernel.start()
    expected: list[tuple[str, str]] = []
    clears_next = False
    for step in steps:
        if step == "wait":
            kernel.wait(500)
        elif step == "tick":
            kernel.wait(20)
        elif step == "clear later":
            kernel.say("clear_output", wait=True)
            clears_next = True
        elif step == "clear":
            kernel.say("clear_output")
            expected, clears_next = [], False
        else:
            if clears_next and step != ("stdout", "") and step != ("stderr", ""):
                expected, clears_next = [], False
            if step == "display":
                kernel.display({"text/plain": "x"})
                expected.append(("display", ""))
            elif step[1]:
                kernel.print(step[1], step[0])
                if expected and expected[-1][0] == step[0]:
                    expected[-1] = (step[0], expected[-1][1] + step[1])
                else:
                    expected.append((step[0], step[1]))
    # A stream that was shown and then erased stays as an output without text.
    outputs = [output for output in kernel.finish() if output.get("text") != ""]
    wanted = [(name, shown(text)) for name, text in expected]
    wanted = [(name, text) for name, text in wanted if name == "display" or text]
    assert len(outputs) == len(wanted)
    for output, (name, text) in zip(outputs, wanted, strict=True):
        if name == "display":
            assert output["output_type"] == "display_data"
            continue
        head, tail, omitted = output["text"], output.get("tail", ""), output.get("omitted", 0)
        assert text.startswith(head)
        assert text.endswith(tail)
        assert count_units(head) + count_units(tail) + omitted == count_units(text)
        assert count_units(head) <= 7_000
        assert count_units(tail) <= 5_000
        if "chunks" in output:
            assert kernel.whole_text(output) == text
        else:
            assert omitted == 0


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
