"""Hints to open pages that are not about one project. A lost one costs a refetch, nothing else."""

from __future__ import annotations

from zasper_hub.accounts.services.hints import send_hint

EVERYBODY = "everybody"  # group of the stock channel layer: all sockets that pass hints on


def person_group(user_id: int) -> str:
    return f"person.{user_id}"


def hint_person(user_id: int) -> None:
    """`{"type": "me"}` to the pages of one person, after the commit: ask `GET me` again."""
    send_hint(person_group(user_id), {"type": "hint", "hint": {"type": "me"}})


def hint_announcements() -> None:
    """`{"type": "announcements"}` to everybody's pages, after the commit."""
    send_hint(EVERYBODY, {"type": "hint", "hint": {"type": "announcements"}})
