"""What every test shares: the cast of people, and data folders that no two tests share."""

from __future__ import annotations

pytest_plugins = ["tests.cast"]
