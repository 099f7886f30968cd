"""`manage.py prepare`: what a hub needs before its programs start. Safe to run again."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from zasper_hub.accounts.services import ensure_first_administrator


class Command(BaseCommand):
    help = "Migrate the database, collect static files, make the first administrator. Prints JSON."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        configured = settings.ENV.hub_admin_password
        generated = ensure_first_administrator(
            settings.ENV.hub_admin_user, configured.get_secret_value() if configured else None
        )
        self.stdout.write(json.dumps({"generated_password": generated}))
