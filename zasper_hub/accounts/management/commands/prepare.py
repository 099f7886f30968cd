"""`manage.py prepare`: what a hub needs before its programs start. Safe to run again."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from zasper_hub.accounts.database_copy import copy_database, put_back
from zasper_hub.accounts.services import ensure_first_administrator


class Command(BaseCommand):
    help = "Migrate the database, collect static files, make the first administrator. Prints JSON."

    def handle(self, *args: Any, **options: Any) -> None:
        copy = migrate()
        call_command("collectstatic", interactive=False, verbosity=0)
        configured = settings.ENV.hub_admin_password
        generated = ensure_first_administrator(
            settings.ENV.hub_admin_user, configured.get_secret_value() if configured else None
        )
        self.stdout.write(
            json.dumps({"generated_password": generated, "database_copy": str(copy) if copy else None})
        )


def migrate() -> Path | None:
    """The copy of an SQLite database that was made first, if it is an upgrade; PostgreSQL has its dump by then.

    Raises:
        CommandError: what could not be done, in one line. An SQLite database is as it was.
    """
    if not _is_upgrade() or connection.vendor != "sqlite":
        call_command("migrate", interactive=False, verbosity=0)
        return None
    database = Path(connection.settings_dict["NAME"])
    try:
        copy = copy_database(database, settings.DATA_DIR / "backups", timezone.now())
    except (sqlite3.Error, OSError) as error:
        raise CommandError(f"The database could not be copied before its upgrade: {error}") from error
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except Exception as error:  # whatever a migration does wrong
        connection.close()
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        try:
            put_back(copy, database)
        except sqlite3.Error as second:
            raise CommandError(
                f"The upgrade failed ({reason}), and the database could not be put back ({second}). Copy {copy} "
                f"over {database}."
            ) from error
        raise CommandError(
            f"The upgrade failed ({reason}). The database is as it was before, for the version of before; a copy of "
            f"it is {copy}."
        ) from error
    return copy


def _is_upgrade() -> bool:
    """Whether some migrations are applied and others wait."""
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return bool(waiting and executor.loader.applied_migrations)
