"""`manage.py openapi --output FILE`: the hub API's OpenAPI document, from which the TypeScript types are made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils.module_loading import import_string

from zasper_hub.accounts.api import hub_api


class Command(BaseCommand):
    help = "Write the hub API's OpenAPI document."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", type=Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        import_string(f"{settings.ROOT_URLCONF}.urlpatterns")  # attaches the routers of all apps
        schema = hub_api.get_openapi_schema(path_prefix="/api/hub/v1/")
        text = json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False)
        options["output"].write_text(f"{text}\n", encoding="utf-8")
