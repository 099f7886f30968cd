"""The hub's settings as read, once, from the environment: typed, with their defaults.

Every field has a row in docs/reference/settings.md (compared by tests/architecture).
A secret may also be given as a file: `NAME_FILE=/path` (Docker secrets).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_core.core_schema import ValidationInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# Of what needs no escaping, neither in an address nor in the name of a cookie.
_BASE_PATH = re.compile(r"(/[A-Za-z0-9._-]{1,64}){0,4}")

SECRET_NAMES = ("HUB_ADMIN_PASSWORD", "DATABASE_URL", "REDIS_URL", "HUB_SECRET_KEY")


class Environment(BaseSettings):
    """What an operator can set. Names in the environment are the upper-case field names."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    hub_host: str = "127.0.0.1"
    hub_port: int = Field(default=8000, ge=1, le=65535)
    hub_data_dir: Path = BASE_DIR / "data"
    hub_admin_user: str = "admin"
    hub_admin_password: SecretStr | None = None
    hub_secret_key: SecretStr | None = None
    # None: SQLite in the data directory, and the embedded Valkey's socket in it.
    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    hub_public_url: str | None = None
    # After the public address, with which it has to agree: validated also when it is not set.
    hub_base_path: str = Field(default="", validate_default=True)
    hub_proxy_count: int = Field(default=0, ge=0, le=8)
    hub_debug: bool = False
    hub_log_level: str = Field(default="WARNING", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    hub_kernel_python: Path = BASE_DIR / ".kernel-venv" / "bin" / "python"
    # The site's quotas until an administrator sets others; docs/reference/quotas.md.
    hub_max_kernels_per_user: int = Field(default=10, ge=0, le=10_000)
    hub_kernel_memory_mb: int | None = Field(default=None, ge=64, le=64 << 20)
    hub_total_memory_mb: int | None = Field(default=None, ge=64, le=1 << 30)
    hub_kernel_cpu_cores: float | None = Field(default=None, ge=0.1, le=4096)
    hub_kernel_processes: int | None = Field(default=None, ge=32, le=1_000_000)
    hub_idle_timeout_minutes: int | None = Field(default=None, ge=1, le=527_000)
    hub_max_life_hours: int | None = Field(default=None, ge=1, le=8_784)
    hub_project_storage_mb: int | None = Field(default=None, ge=1, le=1 << 30)
    hub_person_storage_mb: int | None = Field(default=None, ge=1, le=1 << 30)
    hub_compute_gib_hours: float | None = Field(default=None, ge=0, le=1e9)
    hub_compute_window_days: int = Field(default=30, ge=1, le=365)
    hub_allowed_kernelspecs: str | None = None
    # Memory limits that kernels of one node may have together, as a multiple of its memory.
    hub_memory_overcommit: float = Field(default=2.0, ge=0.1, le=100)
    # Whoever administers a team may invite people who have no account yet; any member can make a team.
    hub_team_admins_invite_new_people: bool = False
    hub_max_terminals_per_project: int = Field(default=10, ge=0)
    hub_max_terminals_per_user: int = Field(default=10, ge=0)
    hub_terminal_idle_hours: int = Field(default=12, ge=1)
    # Of web; the embedded hub gives recorder, worker and node the three ports after it.
    hub_metrics_port: int | None = Field(default=None, ge=1, le=65532)
    hub_metrics_host: str = "127.0.0.1"
    # Touched by recorder and worker after each round that succeeded.
    hub_health_file: Path | None = None
    hub_max_upload_mb: int = Field(default=2048, ge=1)

    @field_validator("hub_base_path")
    @classmethod
    def _is_path(cls, given: str, info: ValidationInfo) -> str:
        """Without a slash at its end; empty for the hub that has an address of its own."""
        path = given.rstrip("/")
        if not _BASE_PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise ValueError(
                "begins with a slash, its parts have letters, digits, '.', '_' and '-' only: /hub"
            )
        public_path = urlsplit(info.data.get("hub_public_url") or "").path.rstrip("/")
        if public_path not in ("", path):
            raise ValueError(f"HUB_PUBLIC_URL has the path {public_path}; this one has to be the same")
        return path


def read_environment(source: Mapping[str, str] | None = None) -> Environment:
    """Environment of this process, secrets read from `…_FILE` where that is given.

    Raises:
        pydantic.ValidationError: a value is not of its type or outside its range.
        OSError: a `…_FILE` cannot be read.
    """
    environ = os.environ if source is None else source
    values = {key.lower(): value for key, value in environ.items() if value != ""}
    for name in SECRET_NAMES:
        file_name = values.get(f"{name.lower()}_file")
        if file_name is not None:
            values[name.lower()] = Path(file_name).read_text(encoding="utf-8").strip()
    known = {key: value for key, value in values.items() if key in Environment.model_fields}
    return Environment.model_validate(known)
