"""Use cases of accounts. What other programs of the hub call is named here."""

from zasper_hub.accounts.services.people import create_person, ensure_first_administrator

__all__ = ["create_person", "ensure_first_administrator"]
