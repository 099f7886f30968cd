"""What has to be done before the hub's programs start: a backup before an upgrade, migrations, the administrator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

DATA = Path(os.environ["HUB_DATA_DIR"])


def manage(*words: str) -> str:
    """Output of `manage.py …`; ends with what it says when it fails."""
    done = subprocess.run([sys.executable, "manage.py", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"manage.py {words[0]} failed:\n" + "\n".join(done.stderr.strip().splitlines()[-8:]))
    return done.stdout


def waiting_migrations() -> tuple[int, int]:
    """How many are applied and how many are not."""
    lines = manage("showmigrations", "--plan").splitlines()
    return sum(line.startswith("[X]") for line in lines), sum(line.startswith("[ ]") for line in lines)


def main() -> None:
    for name in ("projects", "spool", "static", "run"):
        (DATA / name).mkdir(mode=0o700, exist_ok=True)
    applied, waiting = waiting_migrations()
    if applied and waiting:
        sys.stdout.write(f"An upgrade: {waiting} migrations. First a backup of the database.\n")
        sys.stdout.flush()
        subprocess.run([sys.executable, "deploy/docker/backup.py", "database", "before-upgrade"], check=True)
    password = json.loads(manage("prepare").strip().splitlines()[-1])["generated_password"]
    if password is not None:
        name = os.environ.get("HUB_ADMIN_USER") or "admin"
        sys.stdout.write(
            f"\n  First start. Administrator: {name}  password: {password}\n"
            "  It is shown this once; change it on the account page.\n\n"
        )
    sys.stdout.write("The hub is prepared.\n")


if __name__ == "__main__":
    main()
