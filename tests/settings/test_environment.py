"""The hub's settings as they are read from the environment."""

from __future__ import annotations

import pytest

from zasper_hub.settings.environment import Environment, read_environment


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose hands on every setting; those that nobody set are empty."""
    for name in Environment.model_fields:
        monkeypatch.setenv(name.upper(), "")
    found = read_environment()
    defaults = {name: field.default for name, field in Environment.model_fields.items()}
    assert {name: getattr(found, name) for name in defaults} == defaults
