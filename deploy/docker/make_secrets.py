"""Makes the hub's secrets on the first start, and hands each program its own. Standard library only.

`/secrets` (a volume, or a folder of yours: HUB_SECRETS) holds `secret_key`, `postgres_password` and
`valkey_password`; those that are there are kept, the others are made. PostgreSQL and Valkey see only
their own, in volumes of theirs.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from pathlib import Path

SECRETS = Path("/secrets")
POSTGRES = Path("/run/postgres-secret")
VALKEY = Path("/run/valkey-secret")
# They become part of addresses and of a configuration file.
USABLE = re.compile(r"[A-Za-z0-9_.~-]{16,128}\Z")


def secret(name: str) -> str:
    """The secret's text; made when there is no file of this name."""
    path = SECRETS / name
    if not path.exists():
        write(path, secrets.token_urlsafe(48), 0o600)
    text = path.read_text(encoding="utf-8").strip()
    if not USABLE.match(text):
        sys.exit(f"{name}: give 16 to 128 letters, digits, '-', '_', '.' or '~'.")
    return text


def write(path: Path, text: str, mode: int) -> None:
    """Never half a file, and never readable before its mode is right."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    new.chmod(mode)  # whatever the umask says
    new.replace(path)


def main() -> None:
    secret("secret_key")
    postgres, valkey = secret("postgres_password"), secret("valkey_password")
    write(SECRETS / "database_url", f"postgres://hub:{postgres}@postgres:5432/hub", 0o600)
    write(SECRETS / "redis_url", f"redis://:{valkey}@valkey:6379", 0o600)
    # Read by other users, each in a volume that only its own container mounts.
    write(POSTGRES / "password", postgres, 0o444)
    write(
        VALKEY / "valkey.conf",
        "bind 0.0.0.0 -::*\nport 6379\nprotected-mode yes\n"
        f"requirepass {valkey}\n"
        'dir /data\nappendonly yes\nappendfsync everysec\nsave ""\n'
        "maxmemory-policy noeviction\nclient-output-buffer-limit pubsub 256mb 64mb 60\n",
        0o444,
    )


if __name__ == "__main__":
    try:
        main()
    except PermissionError as error:
        sys.exit(f"{error.filename} cannot be written: it must belong to user 10001 (chown -R 10001:10001).")
