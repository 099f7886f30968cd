"""Where `next` may lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zasper_hub.accounts.redirects import safe_next


@pytest.mark.parametrize(
    "target",
    [
        None, "", "http://evil.example/", "https:evil.example", "//evil.example", "///evil.example", "/\\evil.example",
        "\\\\evil.example", "/\t/evil.example", "/\n/evil.example", "\t//evil.example", "javascript:alert(1)",
        "/%2f/evil.example", "/%5cevil.example", "/%252f/evil.example", "evil.example", "../admin", "/a/../..//evil",
        "/.//evil.example", "/p/./x", "/x%0d%0aSet-Cookie:a=b", "http:///evil.example", " /x", "/" + "a" * 3000,
    ],
)  # fmt: skip
def test_nothing_that_may_leave_the_host_gets_through(target: str | None) -> None:
    assert safe_next(target) is None


@pytest.mark.parametrize(
    "target", ["/", "/p/alice/analysis", "/p/alice/a%20b/f/x.ipynb?cell=3", "/account#tokens"]
)
def test_a_path_on_this_host_stays_as_it_is(target: str) -> None:
    assert safe_next(target) == target


@given(st.text(alphabet="/\\.%2f5cF:@eE \t\r\nax?#", max_size=20))
def test_what_gets_through_is_always_one_slash_and_then_something_else(target: str) -> None:
    if (found := safe_next(target)) is not None:
        assert found.startswith("/")
        assert not found.startswith(("//", "/\\"))
        assert "\n" not in found
