"""Folding and applying together, against a naive reference."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels_app.node.folding import FoldingLimits
from kernels_app.node.folding_stream import count_units
from tests.kernels_app.node.folded_kernel import Kernel
from tests.kernels_app.node.test_folding_terminal import PIECES, shown

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
