"""Settings of the tests: a fast password hash, in-memory database, bus and channel layer."""

import tempfile
from pathlib import Path

from zasper_hub.settings.base import *

SECRET_KEY = "only-for-tests-0123456789-0123456789-0123456789"
DATA_DIR = Path(tempfile.mkdtemp(prefix="zasper-hub-tests-"))
STATIC_ROOT = DATA_DIR / "static"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
BUS_URL = "memory://tests"
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
CELERY_TASK_ALWAYS_EAGER = True
