#!/usr/bin/env python
"""Django's command line for the hub; `manage.py hub` runs everything on one machine."""

import os
import sys


def main() -> int:
    if sys.argv[1:2] == ["hub"]:
        # The parent of all programs: it loads Django for them, and uses it in none of its own work.
        from zasper_hub.embedded.main import main as run_hub

        return run_hub()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zasper_hub.settings.production")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
