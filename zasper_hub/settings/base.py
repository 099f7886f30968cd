"""Django's settings, all derived from one typed `Environment`."""

from __future__ import annotations

from pathlib import Path

import dj_database_url

from zasper_hub.embedded.layout import run_dir_of
from zasper_hub.settings.environment import BASE_DIR, Environment, read_environment
from zasper_hub.settings.log_lines import configure_log_lines, library_lines
from zasper_hub.settings.people import *
from zasper_hub.settings.people import cookie_names, origins_of
from zasper_hub.settings.quotas import quota_defaults

ENV: Environment = read_environment()

DATA_DIR: Path = ENV.hub_data_dir.resolve()
SECRET_KEY: str = ENV.hub_secret_key.get_secret_value() if ENV.hub_secret_key else ""
DEBUG = ENV.hub_debug
ALLOWED_HOSTS: list[str] = ["*"]
HUB_ORIGINS = origins_of(ENV.hub_public_url)
# What stands before every address of the hub: "" or "/hub". Addresses that Django makes have it by the second name.
BASE_PATH = ENV.hub_base_path
FORCE_SCRIPT_NAME = BASE_PATH or None
QUOTA_DEFAULTS = quota_defaults(ENV)
HUB_COMPUTE_WINDOW_DAYS = ENV.hub_compute_window_days
HUB_MEMORY_OVERCOMMIT = ENV.hub_memory_overcommit
HUB_TEAM_ADMINS_INVITE_NEW_PEOPLE = ENV.hub_team_admins_invite_new_people
HUB_MAX_TERMINALS_PER_PROJECT = ENV.hub_max_terminals_per_project
HUB_MAX_TERMINALS_PER_USER = ENV.hub_max_terminals_per_user
HUB_TERMINAL_IDLE_HOURS = ENV.hub_terminal_idle_hours
# For what is converted with the kernels' packages; kernels themselves are started by the node.
KERNEL_PYTHON = ENV.hub_kernel_python
METRICS_HOST, METRICS_PORT = ENV.hub_metrics_host, ENV.hub_metrics_port
PROXY_COUNT = ENV.hub_proxy_count
HEALTH_FILE = ENV.hub_health_file
MAX_FILE_BYTES = ENV.hub_max_upload_mb * 1024 * 1024

INSTALLED_APPS = [
    "zasper_hub.accounts",
    "notebooks_app",
    "kernels_app",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "allauth",
    "allauth.account",
    "axes",
]

MIDDLEWARE = [
    "zasper_hub.accounts.observed_requests.ObservedRequests",
    "zasper_hub.accounts.client_address.ClientAddress",
    "django.middleware.security.SecurityMiddleware",
    "zasper_hub.accounts.middleware.SecurityHeaders",
    "zasper_hub.accounts.middleware.ApiErrorShape",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "zasper_hub.accounts.acting.ActingAs",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "axes.middleware.AxesMiddleware",
    # Last: what it does needs the person, and it keeps Django's chain in one thread.
    "zasper_hub.accounts.middleware.SeenLoginSessions",
]

ROOT_URLCONF = "zasper_hub.urls"
ASGI_APPLICATION = "zasper_hub.asgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "zasper_hub" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        ENV.database_url.get_secret_value() if ENV.database_url else f"sqlite:///{DATA_DIR}/hub.sqlite3",
        conn_max_age=60,
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        # WAL lets readers go on while one writes; IMMEDIATE avoids upgrades that fail with "locked".
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
    # A file does not go away as a server does: the worker need not open it for each task, which reads all its tables.
    CELERY_DB_REUSE_MAX = 100

# The embedded Valkey listens on a socket in the data directory only: no port, no password.
REDIS_URL: str = (
    ENV.redis_url.get_secret_value() if ENV.redis_url else f"unix://{run_dir_of(DATA_DIR)}/valkey.sock"
)

STATIC_URL = f"{BASE_PATH}/static/"
STATIC_ROOT = DATA_DIR / "static"
FRONTEND_DIST = BASE_DIR / "frontend" / "dist"
STATICFILES_DIRS = [
    BASE_DIR / "zasper_hub" / "static",
    *([("app", FRONTEND_DIST / "app")] if (FRONTEND_DIST / "app").is_dir() else []),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
# Vite names its files by content; the rest may change with an upgrade.
WHITENOISE_IMMUTABLE_FILE_TEST = r"/static/app/assets/.+-[A-Za-z0-9_-]{8,}\."

# The wire. A separate logical database keeps the broker's keys apart from the streams.
BUS_URL: str = REDIS_URL


def _redis_database(url: str, number: int) -> str:
    """`url` pointing at logical database `number`."""
    if url.startswith("unix://"):
        return f"{url}?db={number}"
    return f"{url.rstrip('/')}/{number}" if url.count("/") <= 3 else url


CHANNEL_LAYERS = {
    # Hints only ("a file changed"): a lost one costs a refetch. Kernel traffic is on the bus.
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {
            # The layer waits on a blocking read: redis-py's own time-out would end it every few seconds.
            "hosts": [{"address": _redis_database(REDIS_URL, 2), "socket_timeout": None}],
            "capacity": 200,
            "expiry": 20,
        },
    }
}

CACHES = {
    # What limits tries from one address, counted over all web processes.
    "default": {
        "BACKEND": "zasper_hub.accounts.shared_cache.SharedCache",
        "LOCATION": _redis_database(REDIS_URL, 3),
    }
}

CELERY_BROKER_URL: str = (
    _redis_database(REDIS_URL, 1).replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
)
# How long the worker waits for work before it asks again; what comes meanwhile wakes it. With kombu's own second it
# would be most of what an idle hub does.
CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 10}
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")
CELERY_TASK_TIME_LIMIT = 1800
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"

LOGIN_URL = LOGOUT_REDIRECT_URL = f"{BASE_PATH}/accounts/login/"
LOGIN_REDIRECT_URL = f"{BASE_PATH}/"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
IS_HTTPS = bool(ENV.hub_public_url and ENV.hub_public_url.startswith("https://"))
if IS_HTTPS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = cookie_names(BASE_PATH, is_https=IS_HTTPS)
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{BASE_PATH}/"
CSRF_TRUSTED_ORIGINS = HUB_ORIGINS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": library_lines}},
    "filters": {
        # A hub that starts is asked every moment whether it is ready yet; its "no" is no error.
        "not_readiness": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: "/readyz" not in record.getMessage(),
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": ENV.hub_log_level},
    "loggers": {
        "django.request": {"level": "ERROR", "filters": ["not_readiness"]},
        "django.channels.server": {"level": "WARNING"},
    },
}

configure_log_lines(ENV.hub_log_level)
