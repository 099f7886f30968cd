"""Django's settings, all derived from one typed `Environment`."""

from __future__ import annotations

from pathlib import Path

import dj_database_url

from zasper_hub.settings.environment import BASE_DIR, Environment, read_environment

ENV: Environment = read_environment()

DATA_DIR: Path = ENV.hub_data_dir.resolve()
SECRET_KEY: str = ENV.hub_secret_key.get_secret_value() if ENV.hub_secret_key else ""
DEBUG = ENV.hub_debug
ALLOWED_HOSTS: list[str] = ["*"]

INSTALLED_APPS = [
    "daphne",
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
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "axes.middleware.AxesMiddleware",
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

# The embedded Valkey listens on a socket in the data directory only: no port, no password.
REDIS_URL: str = (
    ENV.redis_url.get_secret_value() if ENV.redis_url else f"unix://{DATA_DIR}/run/valkey.sock"
)

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
FRONTEND_DIST = BASE_DIR / "frontend" / "dist"
