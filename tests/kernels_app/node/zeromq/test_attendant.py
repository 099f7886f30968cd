"""The attendant without a container: frames, what it keeps of runs, kernelspecs of its image."""

from __future__ import annotations

import json
import secrets
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from kernels_app.node.zeromq import attendant
from kernels_app.node.zeromq.attendant.image_kernelspecs import kernelspecs
from kernels_app.node.zeromq.attendant.memory import KEPT_RUNS, Memory
from kernels_app.node.zeromq.attendant.messages import DELIMITER, cut_mark
from kernels_app.node.zeromq.attendant.protocol import (
    IOPUB,
    MAX_FRAME_BYTES,
    SHELL,
    STDIN,
    BrokenLine,
    Unpacker,
    pack,
)
from kernels_app.node.zeromq.frames import MessageParser
from kernels_app.node.zeromq.signing import Signer


def message(run_id: str, text: str = "") -> list[bytes]:
    parent = json.dumps({"msg_id": run_id}).encode()
    return [DELIMITER, b"signature", b"{}", parent, b"{}", text.encode()]


@pytest.mark.parametrize(
    "nonsense",
    [
        struct.pack(">I", 0),
        struct.pack(">I", MAX_FRAME_BYTES + 1),
        struct.pack(">I", 4) + b"i\0\0\0",
        struct.pack(">I", 6) + b"i" + struct.pack(">I", 2) + b"x",
    ],
)
def test_bytes_that_are_no_frames_break_the_line(nonsense: bytes) -> None:
    unpacker = Unpacker()
    unpacker.feed(nonsense)
    with pytest.raises(BrokenLine):
        list(unpacker.frames())


def test_frames_come_whole_however_their_bytes_come() -> None:
    sent = [(SHELL, [b"a", b"", b"c" * 1000]), (IOPUB, []), (STDIN, [secrets.token_bytes(70_000)])]
    data = b"".join(pack(kind, parts) for kind, parts in sent)
    for size in (1, 7, 4096, len(data)):
        unpacker = Unpacker()
        received = []
        for start in range(0, len(data), size):
            unpacker.feed(data[start : start + size])
            received += list(unpacker.frames())
        assert received == sent


def test_what_a_run_said_is_kept_and_sent_on_until_the_node_has_gone() -> None:
    memory = Memory(10_000)
    memory.begin("run-1")
    assert memory.take(IOPUB, message("run-1", "first"))
    memory.node_has_gone()
    assert not memory.take(IOPUB, message("run-1", "second"))
    assert memory.take(IOPUB, message("another", "beside"))
    kept = memory.run("run-1")
    assert kept is not None
    assert [frames[-1] for _, frames in kept.frames] == [b"first", b"second"]
    assert not kept.is_live


def test_a_run_that_says_too_much_keeps_its_end_and_knows_it() -> None:
    memory = Memory(1000)
    memory.begin("run")
    for number in range(100):
        memory.take(IOPUB, message("run", f"{number:0100}"))
    kept = memory.run("run")
    assert kept is not None
    assert kept.is_cut
    assert kept.size_bytes <= 1000
    assert kept.frames[-1][1][-1] == f"{99:0100}".encode()


def test_runs_are_known_longer_than_what_they_said_is_kept() -> None:
    memory = Memory(1000)
    for number in range(KEPT_RUNS + 3):
        memory.begin(f"run-{number}")
    assert memory.is_known("run-0")
    assert memory.run("run-0") is None
    assert memory.run(f"run-{KEPT_RUNS + 2}") is not None
    assert not memory.is_known("never")


def test_an_answered_question_is_not_asked_again() -> None:
    memory = Memory(10_000)
    memory.begin("run")
    memory.take(IOPUB, message("run", "text"))
    memory.take(STDIN, message("run", "name?"))
    memory.answered()
    kept = memory.run("run")
    assert kept is not None
    assert [kind for kind, _ in kept.frames] == [IOPUB]


def test_broken_kernelspecs_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "share" / "jupyter" / "kernels"
    for name, text in (("good", '{"argv": ["x"]}'), ("broken", "{"), ("list", "[]")):
        (folder / name).mkdir(parents=True)
        (folder / name / "kernel.json").write_text(text)
    assert kernelspecs(tmp_path) == {"good": {"argv": ["x"], "resource_dir": str(folder / "good")}}


def test_it_runs_from_wherever_its_folder_is_copied_to(tmp_path: Path) -> None:
    copied = tmp_path / "of an image" / "attendant"
    shutil.copytree(Path(attendant.__file__).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "json.py").write_text("raise SystemExit('a module of the folder it was started in')")
    done = subprocess.run(
        [sys.executable, "-I", str(copied), "--kernelspecs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert isinstance(json.loads(done.stdout), dict)


def test_the_line_that_says_what_is_lost_is_signed_and_about_its_run() -> None:
    message = MessageParser(Signer(b"key")).parse(cut_mark(b"key", "run-1"))
    assert (message.msg_type, message.parent_id) == ("stream", "run-1")
    assert "not kept" in message.content()["text"]
