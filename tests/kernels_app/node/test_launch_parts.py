"""Kernelspecs, environments and the sentences about endings."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import cast

import pytest

from kernels_app.bus.envelopes import Limits, StartKernel
from kernels_app.bus.identifiers import KernelId
from kernels_app.node.endings import (
    MAX_REASON_CHARS,
    exit_reason,
    launch_reason,
    memory_reason,
    without_folders,
)
from kernels_app.node.environment import RefusedVariable, kernel_environment, with_session_file
from kernels_app.node.kernelspecs import (
    Kernelspecs,
    UnknownKernelspec,
    kernel_transport,
    kernelspec_folders,
    write_deno_kernelspec,
)
from kernels_app.node.launching import Launcher
from kernels_app.node.provisioners.base import NodeProvisioner


def write_spec(folder: Path, name: str, content: object) -> None:
    (folder / name).mkdir(parents=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name / "kernel.json").write_text(text)


def specs(folder: Path) -> Kernelspecs:
    return Kernelspecs([folder], Path("/env/bin/python"))


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"argv": []}', '{"argv": [1]}', '{"display_name": "x"}'],
)
def test_a_broken_kernelspec_is_left_out_of_the_list_and_refused_by_name(
    tmp_path: Path, content: str
) -> None:
    write_spec(tmp_path, "broken", content)
    write_spec(tmp_path, "good", {"argv": ["good"], "display_name": "Good", "language": "g"})
    found = specs(tmp_path)
    assert [(info.name, info.display_name, info.language) for info in found.all()] == [("good", "Good", "g")]
    with pytest.raises(UnknownKernelspec):
        found.spec("broken")


@pytest.mark.parametrize("name", ["absent", "../good", "/etc", "", "a" * 5000, "x\0y", "good/.."])
def test_a_name_that_is_none_is_refused_with_the_names_there_are(tmp_path: Path, name: str) -> None:
    write_spec(tmp_path, "good", {"argv": ["good"], "display_name": "Good", "language": "g"})
    with pytest.raises(UnknownKernelspec, match="good"):
        specs(tmp_path).spec(name)


def test_only_the_given_folders_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_spec(tmp_path / "home" / "kernels", "mine", {"argv": ["x"], "display_name": "x", "language": "x"})
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "home"))
    (tmp_path / "none").mkdir()
    assert specs(tmp_path / "none").all() == []


def test_the_command_has_the_kernel_environments_python_and_the_connection_file(tmp_path: Path) -> None:
    write_spec(
        tmp_path,
        "py",
        {"argv": ["python", "-m", "x", "-f", "{connection_file}", "{prefix}"], "display_name": "P"},
    )
    found = specs(tmp_path)
    command = found.command(found.spec("py"), Path("/run/c.json"))
    assert command == ["/env/bin/python", "-m", "x", "-f", "/run/c.json", "/env"]


def test_unix_sockets_only_for_kernels_known_to_listen_on_them(tmp_path: Path) -> None:
    def transport(name: str, argv: list[str], metadata: object) -> str:
        write_spec(tmp_path, name, {"argv": argv, "display_name": name, "metadata": metadata})
        return kernel_transport(specs(tmp_path).spec(name))

    assert transport("a", ["python", "-m", "ipykernel_launcher"], {}) == "ipc"
    assert transport("b", ["R", "--slave"], {}) == "tcp"
    assert transport("c", ["other"], {"zasper": {"transport": "ipc"}}) == "ipc"
    assert transport("d", ["python", "-m", "ipykernel_launcher"], {"zasper": {"transport": "tcp"}}) == "tcp"
    assert transport("e", ["other"], {"zasper": {"transport": "pigeon"}}) == "tcp"


def test_the_deno_kernelspec_is_written_once_deno_is_there(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    assert write_deno_kernelspec(python) is None
    (tmp_path / "bin" / "deno").touch()
    for _ in range(2):
        assert write_deno_kernelspec(python) is not None
    [info] = Kernelspecs(kernelspec_folders(python), python).all()
    assert (info.name, info.language) == ("deno", "typescript")


def environment(**requested: str) -> dict[str, str]:
    return kernel_environment(
        node_environment={"HOME": "/home/x", "PATH": "/secret/bin", "DATABASE_URL": "x", "LD_PRELOAD": "x"},
        requested=requested,
        kernel_python=Path("/env/bin/python"),
        ipython_folder=Path("/run/ipython"),
        cpu_cores=1.5,
    )


@pytest.mark.parametrize("session_file", ["", "a\nb.ipynb", "a\0b", "a\r"])
def test_a_notebook_whose_name_no_variable_can_have_is_not_named(session_file: str) -> None:
    assert with_session_file({"A": "b"}, session_file, Path("/project")) == {"A": "b"}


def test_a_kernel_is_told_its_notebook_unless_a_client_says_another() -> None:
    made = with_session_file({}, "a b/ä.ipynb", Path("/project"))
    assert environment(**made)["JPY_SESSION_NAME"] == "/project/a b/ä.ipynb"
    asked = {"JPY_SESSION_NAME": "mine.ipynb"}
    assert with_session_file(asked, "a.ipynb", Path("/project")) == asked


def test_a_process_sees_its_notebook_in_the_projects_folder(tmp_path: Path) -> None:
    write_spec(tmp_path / "specs", "py", {"argv": ["python", "-m", "x"], "display_name": "P"})
    launcher = Launcher(
        kernelspecs=specs(tmp_path / "specs"),
        projects_root=tmp_path / "projects",
        run_dir=tmp_path / "run",
        make_provisioner=lambda kernel_id, spec: cast("NodeProvisioner", None),
        node_environment={},
    )
    (tmp_path / "projects" / "p" / "work").mkdir(parents=True)
    command = StartKernel(
        fence=1,
        kernel_id=KernelId("k"),
        kernelspec_name="py",
        project_path="p",
        cwd="work",
        environment={},
        limits=Limits(),
        session_file="work/a.ipynb",
    )
    plan = launcher.prepare(command).plan
    assert plan.environment["JPY_SESSION_NAME"] == str(plan.cwd / "a.ipynb")


def test_a_kernel_gets_a_path_a_home_and_nothing_of_the_hub() -> None:
    made = environment(GREETING="hello")
    assert made["GREETING"] == "hello"
    assert made["HOME"] == "/home/x"
    assert made["PATH"].startswith("/env/bin:")
    assert made["OMP_NUM_THREADS"] == "2"
    assert not {"DATABASE_URL", "LD_PRELOAD"} & set(made)
    assert "/secret" not in made["PATH"]


@pytest.mark.parametrize(
    "name",
    ["PATH", "Path", "LD_PRELOAD", "ld_preload", "DYLD_INSERT_LIBRARIES", "PYTHONPATH", "HOME", "IPYTHONDIR",
     "BASH_ENV", "NODE_OPTIONS", "ZASPER_KERNEL_ID", "", "A B", "A=B", "A\0", "1A", "Ä"],
)  # fmt: skip
def test_a_request_cannot_set_what_changes_programs_and_libraries(name: str) -> None:
    with pytest.raises(RefusedVariable):
        environment(**{name: "x"})


def test_a_value_with_nul_is_refused() -> None:
    with pytest.raises(RefusedVariable):
        environment(A="x\0y")


def test_endings_are_sentences_a_person_can_act_on() -> None:
    assert exit_reason(1, "boom", is_ready=True, display_name="P") == (
        "The kernel “P” ended by itself (exit code 1). Its last words: boom"
    )
    assert "while it was starting" in exit_reason(1, "", is_ready=False, display_name="P")
    killed = exit_reason(-signal.SIGKILL, "", is_ready=True, display_name="P")
    assert "SIGKILL" in killed
    assert "memory" in killed
    assert "signal 64" in exit_reason(-64, "", is_ready=True, display_name="P")
    assert len(exit_reason(1, "x" * 5000, is_ready=True, display_name="P")) == MAX_REASON_CHARS
    assert "\x00" not in exit_reason(1, "a\x00b", is_ready=True, display_name="P\x00")
    assert memory_reason(600 << 20, 512 << 20).startswith("Killed at 600 MiB of 512 MiB.")
    assert memory_reason(1, 2 << 30).startswith("Killed at 2.0 GiB of 2.0 GiB.")


def test_launch_failures_name_what_is_missing() -> None:
    def reason(error: OSError) -> str:
        return launch_reason(error, program="/x/kernel", display_name="P")

    assert "not installed: …/kernel." in reason(FileNotFoundError(2, "No such file", "/x/kernel"))
    assert "folder does not exist" in reason(FileNotFoundError(2, "No such file", "/projects/p"))
    assert reason(PermissionError(13, "Permission denied", "/x/kernel")).endswith(
        "no permission for …/kernel."
    )
    assert "Cannot allocate memory" in reason(OSError(12, "Cannot allocate memory"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--existing /srv/hub/run/kernel-1.json", "--existing …/kernel-1.json"),
        ('File "/srv/env/lib/x.py", line 3, in f', 'File "…/x.py", line 3, in f'),
        ("cannot open '/srv/a/b.txt': no such file", "cannot open '…/b.txt': no such file"),
        ("(/srv/hub/)", "(…/)"),
        ("PATH=/usr/local/bin:/usr/bin", "PATH=…/bin:…/bin"),
        ("n/a, 1/2/3, a/b/c, http://host/a/b, ./a/b, ../a/b, / and /tmp", None),
    ],
)
def test_no_sentence_tells_the_servers_folders(text: str, shown: str | None) -> None:
    assert without_folders(text) == (text if shown is None else shown)
    if shown is not None:
        assert shown in exit_reason(1, text, is_ready=True, display_name="P")
