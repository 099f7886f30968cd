"""Settings of the tests: a fast password hash, in-memory database, bus and channel layer."""

import tempfile
from pathlib import Path

from zasper_hub.settings.base import *

SECRET_KEY = "only-for-tests-0123456789-0123456789-0123456789"
DATA_DIR = Path(tempfile.mkdtemp(prefix="zasper-hub-tests-"))
STATIC_ROOT = DATA_DIR / "static"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    # A file, as a running hub has one: threads of a shared memory database lock each other out at once.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
BUS_URL = "memory://tests"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
CELERY_TASK_ALWAYS_EAGER = True
