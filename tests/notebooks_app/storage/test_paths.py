"""The one path join: nothing leads out of a project's folder."""

from __future__ import annotations

import os
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notebooks_app.errors import NotFound
from notebooks_app.storage.paths import join_path, resolve_parts, split_path

NAMES = [
    "a", "b.txt", "sub", "..", ".", "", "/", "\\", "\0", "%2e%2e", "%2F", ".hidden", "é", "e\u0301", "．．",
    "in", "out", "up", "root", "loop",
]  # fmt: skip
hostile_paths = st.one_of(
    st.lists(st.sampled_from(NAMES), max_size=6).map("/".join),
    st.text(max_size=40),
    st.text(alphabet="./\\%2eEfF5cC0\0a", max_size=20),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with links of every kind; `other` beside it, whose name begins alike."""
    base = tmp_path_factory.mktemp("projects")
    project, other = base / "p1", base / "p11"
    (project / "sub" / "deep").mkdir(parents=True)
    other.mkdir()
    (other / "secret").write_text("secret")
    (project / "a").write_text("a")
    (project / "sub" / "b.txt").write_text("b")
    (project / "e\u0301").write_text("composed otherwise")
    (project / ".hidden").mkdir()
    (project / "in").symlink_to("sub")
    (project / "out").symlink_to(other)
    (project / "up").symlink_to("../p11/secret")
    (project / "root").symlink_to("/")
    (project / "loop").symlink_to("loop")
    (project / "sub" / "out").symlink_to("../../p11")
    (project / "sub" / "up").symlink_to("../a")
    (project / "sub" / "in").symlink_to(project / "sub" / "deep")
    (project / "sub" / "root").symlink_to("../.hidden")
    return project


@settings(max_examples=1500, deadline=None)
@given(hostile_paths, st.booleans())
def test_whatever_the_path_the_place_is_inside_or_there_is_none(
    folder: Path, path: str, hidden: bool
) -> None:
    with suppress(NotFound):
        place = join_path(folder, path, allows_hidden=hidden)
        assert place.parts[: len(folder.parts)] == folder.parts
        assert os.path.realpath(place) == str(place)
        assert ".." not in place.parts
        assert hidden or not any(part.startswith(".") for part in place.parts[len(folder.parts) :])


@pytest.mark.parametrize(
    "path",
    ["out", "out/secret", "up", "root", "root/etc/passwd", "loop", "sub/out/secret", "sub/root", "in/out"],
)
def test_links_that_leave_the_folder_are_not_there(folder: Path, path: str) -> None:
    with pytest.raises(NotFound):
        join_path(folder, path)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("in/b.txt", "sub/b.txt"),
        ("sub/up", "a"),
        ("sub/in/new", "sub/deep/new"),
        ("", ""),
        ("sub/", "sub"),
        ("no/x", "no/x"),
    ],
)
def test_links_that_stay_inside_are_followed(folder: Path, path: str, place: str) -> None:
    assert join_path(folder, path) == folder / place


def test_a_link_itself_can_be_named(folder: Path) -> None:
    assert resolve_parts(folder, ("out",), follows_last=False) == ("out",)
    assert resolve_parts(folder, ("in", "up"), follows_last=False) == ("sub", "up")


def test_one_name_in_two_unicode_forms_is_one_file(folder: Path) -> None:
    assert join_path(folder, "é") == folder / "e\u0301"
    assert join_path(folder, "e\u0301") == folder / "e\u0301"
    new = join_path(folder, unicodedata.normalize("NFD", "neü"))
    assert new.name == unicodedata.normalize("NFC", "neü")


def test_a_project_folder_that_is_reached_by_a_link_is_one(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "data"
    link.symlink_to(folder)
    assert join_path(link, "sub/in") == folder / "sub" / "deep"


def test_hidden_names_are_there_where_they_are_allowed() -> None:
    assert split_path(".git/config", allows_hidden=True) == (".git", "config")
    for path in (".git/config", "a/.x", "..."):
        with pytest.raises(NotFound):
            split_path(path)
