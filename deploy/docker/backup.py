"""Backup and restore of a hub in containers, run in one of its containers (see deploy/backup and deploy/restore).

`backup.py database NAME` writes only the database (what an upgrade does first); `backup.py all` everything:
database, files, blobs and trash, in one archive in /backups; `backup.py restore FILE` puts it back.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

BACKUPS = Path("/backups")
DATA = Path(os.environ.get("HUB_DATA_DIR", "/data"))
# Made anew by the hub's programs; the rest of the data directory is kept.
NOT_KEPT = {"static", "spool", "run", "logs"}
DUMP_NAME, FILES_NAME = "database.dump", "data"


def database_url() -> str:
    return Path(os.environ["DATABASE_URL_FILE"]).read_text(encoding="utf-8").strip()


def dump_database(path: Path) -> None:
    new = path.with_name(f"{path.name}.new")
    subprocess.run(["pg_dump", "--format=custom", "--no-owner", f"--file={new}", database_url()], check=True)
    new.chmod(0o600)
    new.replace(path)


def stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")


def back_up_all() -> Path:
    """The archive. The database comes first: what is written meanwhile is in the files only, and merged later."""
    target = BACKUPS / f"hub-{stamp()}.tar.gz"
    new = target.with_name(f".{target.name}.new")
    with tempfile.TemporaryDirectory(dir=BACKUPS) as folder:
        dump = Path(folder) / DUMP_NAME
        dump_database(dump)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with (
            os.fdopen(descriptor, "wb") as file,
            tarfile.open(fileobj=file, mode="w:gz", compresslevel=3) as archive,
        ):
            archive.add(dump, arcname=DUMP_NAME)
            for path in sorted(DATA.iterdir()):
                if path.name not in NOT_KEPT and not path.name.startswith("celerybeat"):
                    archive.add(path, arcname=f"{FILES_NAME}/{path.name}")
    new.replace(target)
    return target


def restore(archive_path: Path) -> None:
    """Database, files and blobs as they were; what Valkey holds is of another time and is emptied."""
    with tempfile.TemporaryDirectory(dir=DATA, prefix=".restore-") as folder:
        with tarfile.open(archive_path, mode="r:gz") as archive:
            archive.extractall(folder, filter="data")
        dump, files = Path(folder) / DUMP_NAME, Path(folder) / FILES_NAME
        if not dump.is_file() or not files.is_dir():
            sys.exit(f"{archive_path.name} is no backup of a hub.")
        clear = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
        subprocess.run(
            ["psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--command={clear}", database_url()], check=True
        )
        subprocess.run(
            [
                "pg_restore",
                "--no-owner",
                "--exit-on-error",
                "--single-transaction",
                f"--dbname={database_url()}",
                str(dump),
            ],
            check=True,
        )
        for path in files.iterdir():
            old = DATA / path.name
            if old.is_dir():
                shutil.rmtree(old)
            path.replace(old)
    import redis

    url = Path(os.environ["REDIS_URL_FILE"]).read_text(encoding="utf-8").strip()
    with redis.Redis.from_url(url) as client:
        client.flushall()


def main(words: list[str]) -> int:
    match words:
        case ["database", name] if name.replace("-", "").isalnum():
            dump_database(BACKUPS / f"{name}-{stamp()}.dump")
        case ["all"]:
            print(back_up_all().name)
        case ["restore", name]:
            path = BACKUPS / Path(name).name
            if not path.is_file():
                print(f"There is no {path.name} in the backups.", file=sys.stderr)
                return 1
            restore(path)
        case _:
            print(__doc__, file=sys.stderr)
            return 64
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
