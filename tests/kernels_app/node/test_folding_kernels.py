"""Real kernels of two languages, folded: what they send is what the rules were written for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernels_app.bus.identifiers import CellId
from kernels_app.node.kernelspecs import write_deno_kernelspec
from tests.kernels_app.node.live_kernel import KERNEL_ENVIRONMENT, LiveKernel, live

pytestmark = pytest.mark.integration

A, B = CellId("a"), CellId("b")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKernel]:
    yield from live("python3", tmp_path_factory.mktemp("ipython"))


@pytest.fixture(scope="module")
def deno(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKernel]:
    write_deno_kernelspec(KERNEL_ENVIRONMENT / "bin" / "python")
    yield from live("deno", tmp_path_factory.mktemp("ipython"))


def test_python_lines_one_by_one_are_one_output(python: LiveKernel) -> None:
    (output,) = python.run("for i in range(5000): print(i, flush=True)")
    text = python.fold.whole_text(output) or output["text"]
    assert text == "".join(f"{number}\n" for number in range(5_000))


def test_python_prints_200_000_lines_and_none_is_missing(python: LiveKernel) -> None:
    (output,) = python.run("for i in range(200_000): print(i)")
    assert python.fold.whole_text(output) == "".join(f"{number}\n" for number in range(200_000))
    assert output["text"].startswith("0\n1\n")
    assert output["tail"].endswith("199998\n199999\n")


def test_python_clear_output_in_a_loop_leaves_the_last(python: LiveKernel) -> None:
    outputs = python.run(
        "from IPython.display import clear_output\n"
        "for i in range(20):\n    clear_output(wait=True)\n    print('step', i)\n"
    )
    assert outputs == [{"output_type": "stream", "name": "stdout", "text": "step 19\n"}]


def test_python_tqdm_bars_are_one_line_each(python: LiveKernel) -> None:
    (output,) = python.run(
        "from tqdm import tqdm\nfor a in tqdm(range(3), desc='outer', ncols=60):\n"
        "    for b in tqdm(range(40), desc='inner', ncols=60, leave=False): pass\n"
    )
    assert output["name"] == "stderr"
    lines = [line for line in output["text"].split("\n") if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("outer: 100%|")


def test_python_display_id_is_updated_from_another_cell(python: LiveKernel) -> None:
    python.run("handle = display('first', display_id='shared'); display('other')")
    python.run("handle.update('second')", B)
    assert [output["data"]["text/plain"] for output in python.fold.outputs(A)] == ["'second'", "'other'"]


def test_python_figures_tables_and_errors_come_through(python: LiveKernel) -> None:
    outputs = python.run(
        "%matplotlib inline\nimport matplotlib.pyplot as plt, pandas as pd\n"
        "plt.plot([1, 2]); plt.show()\ndisplay(pd.DataFrame({'a': [1]}))\n1/0"
    )
    figure, table, error = outputs
    assert "image/png" in {*figure["data"], *figure.get("blobs", {})}
    assert '<table border="1" class="dataframe">' in table["data"]["text/html"]
    assert error["ename"] == "ZeroDivisionError"
    assert python.run("6 * 7")[0]["data"] == {"text/plain": "42"}


def test_deno_prints_displays_and_fails_in_its_own_way(deno: LiveKernel) -> None:
    source = "for (let i = 0; i < 500; i++) console.log(`line ${i} 😀`); console.log('\\x1b[31mred\\x1b[0m')"
    (text,) = deno.run(source, ends_with="red\x1b[0m\n")
    assert text["text"] == "".join(f"line {number} 😀\n" for number in range(500)) + "\x1b[31mred\x1b[0m\n"
    (result,) = deno.run("6 * 7")
    assert result["output_type"] == "execute_result"
    assert "42" in result["data"]["text/plain"]
    error = deno.run("throw new TypeError('no')")[-1]
    assert (error["output_type"], error["ename"]) == ("error", "TypeError")
    (display,) = deno.run("await Deno.jupyter.display({'text/markdown': '**bold**'}, {raw: true})")
    assert display["data"] == {"text/markdown": "**bold**"}


def test_deno_updates_a_display_by_its_id(deno: LiveKernel) -> None:
    content = "{{data: {{'text/plain': '{}'}}, metadata: {{}}, transient: {{display_id: 'd'}}}}"
    show = "await Deno.jupyter.broadcast('{}', " + content + ")"
    deno.run(show.format("display_data", "one"))
    deno.run(show.format("update_display_data", "two"), B)
    assert deno.fold.outputs(A)[0]["data"] == {"text/plain": "two"}
