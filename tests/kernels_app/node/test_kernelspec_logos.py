"""What a node tells of its kernelspecs: enough to draw them, nothing of its machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernels_app.bus.identifiers import kernelspec_resource_key
from kernels_app.bus.memory_store import forget_memory_store, memory_store
from kernels_app.bus.opening import open_transport
from kernels_app.node.kernelspec_logos import publish_logos
from kernels_app.node.kernelspecs import MAX_LOGO_BYTES, MAX_LOGOS, Kernelspecs

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a kernelspec that names programs by their paths and has more in its folder than logos."""
    made = tmp_path / "mine"
    made.mkdir()
    spec = {
        "argv": [
            "/opt/secret/bin/python3",
            "-m",
            "mine",
            "-f",
            "{connection_file}",
            "/opt/secret/config.json",
        ],
        "display_name": "Mine",
        "language": "python",
        "metadata": {"debugger": True},
    }
    (made / "kernel.json").write_text(json.dumps(spec))
    (made / "logo-64x64.png").write_bytes(PNG)
    (made / "logo-svg.svg").write_text("<svg/>")
    (made / "kernel.js").write_text("alert(1)")
    (made / "logo-x.html").write_text("<script>")
    return made


def kernelspecs(folder: Path) -> Kernelspecs:
    return Kernelspecs([folder.parent], Path("/usr/bin/python3"))


def test_programs_are_told_without_their_folders(folder: Path) -> None:
    [info] = kernelspecs(folder).all()
    assert info.argv == ["python3", "-m", "mine", "-f", "{connection_file}", "config.json"]
    assert (info.interrupt_mode, info.metadata) == ("signal", {"debugger": True})


def test_logos_are_offered_and_nothing_else(folder: Path) -> None:
    found = kernelspecs(folder)
    [info] = found.all()
    assert info.resources == ["logo-64x64.png", "logo-svg.svg"]
    assert found.logo("mine", "logo-64x64.png") == PNG
    for name in ("kernel.json", "kernel.js", "logo-x.html", "../mine/kernel.json", "logo-../kernel.json"):
        assert found.logo("mine", name) is None


def test_logos_are_bounded(folder: Path) -> None:
    (folder / "logo-64x64.png").write_bytes(b"x" * (MAX_LOGO_BYTES + 1))
    for number in range(20):
        (folder / f"logo-{number}.png").write_bytes(PNG)
    found = kernelspecs(folder)
    assert len(found.all()[0].resources) == MAX_LOGOS
    assert found.logo("mine", "logo-64x64.png") is None


def test_large_metadata_stays_at_home(folder: Path) -> None:
    spec = json.loads((folder / "kernel.json").read_text())
    (folder / "kernel.json").write_text(json.dumps({**spec, "metadata": {"x": "y" * 10_000}}))
    assert kernelspecs(folder).all()[0].metadata == {}


async def test_logos_come_on_the_wire_and_again_after_it_was_away(folder: Path) -> None:
    forget_memory_store("logos")
    store = memory_store("logos")
    transport = open_transport("memory://logos")
    found = kernelspecs(folder)
    store.set_down(True)
    await publish_logos(transport, found, found.all())
    store.set_down(False)
    key = kernelspec_resource_key("mine", "logo-64x64.png")
    assert await transport.get_value(key) is None
    await publish_logos(transport, found, found.all())
    assert await transport.get_value(key) == PNG
    await transport.close()
    forget_memory_store("logos")
