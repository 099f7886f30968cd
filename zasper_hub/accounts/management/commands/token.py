"""`manage.py token USER [--days N] [--scopes …]`: prints a new API token, once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from zasper_hub.accounts.errors import HubError
from zasper_hub.accounts.models import User
from zasper_hub.accounts.services.tokens import DEFAULT_DAYS, MAX_DAYS, make_token
from zasper_hub.accounts.tokens import Scope


class Command(BaseCommand):
    help = "Make an API token for a person and print it. Only its hash is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", metavar="USER", help="username")
        parser.add_argument(
            "--days",
            type=int,
            default=DEFAULT_DAYS,
            help=f"how long it lives, 1 to {MAX_DAYS}; default {DEFAULT_DAYS}",
        )
        parser.add_argument(
            "--scopes",
            nargs="+",
            action="extend",
            metavar="SCOPE",
            help=f"what it may be used for, separated by spaces or commas: {', '.join(Scope)}; default all",
        )
        parser.add_argument(
            "--name", default="command line", help="what its owner sees in the list of tokens"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no account {options['user']!r}.")
        scopes: list[str] | None = options["scopes"]
        if scopes is not None:
            scopes = [name for text in scopes for name in text.replace(",", " ").split()]
        try:
            made = make_token(user, name=options["name"], days=options["days"], scopes=scopes)
        except HubError as error:
            raise CommandError(error.message) from error
        self.stdout.write(made.text)
