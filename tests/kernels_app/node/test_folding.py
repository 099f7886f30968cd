"""Folding: bad input first, then Jupyter's rules."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels_app.bus.identifiers import KernelId, RunId
from kernels_app.bus.operations import (
    Clear,
    Finished,
    InputClosed,
    InputRequest,
    KernelChanged,
)
from tests.kernels_app.node.folded_kernel import PNG, A, B, Kernel

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


def test_finished_says_how_it_went(kernel: Kernel) -> None:
    kernel.now_ms = 500
    kernel.finish(execution_count=3, started_at=100)
    (finished,) = [o for o in kernel.operations if isinstance(o, Finished)]
    assert (finished.started_at, finished.finished_at, finished.execution_count) == (100, 500, 3)


@pytest.mark.parametrize("count", [2**31, 3_000_000_000, 2**70, -1, True])
def test_a_count_that_the_database_does_not_hold_is_left_out(kernel: Kernel, count: int) -> None:
    kernel.finish(execution_count=count)
    (finished,) = [o for o in kernel.operations if isinstance(o, Finished)]
    assert finished.execution_count is None
