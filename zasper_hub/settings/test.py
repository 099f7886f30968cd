"""Settings of the tests: a fast password hash, the in-memory bus."""

from zasper_hub.settings.base import *  # noqa: F403

SECRET_KEY = "only-for-tests-0123456789-0123456789"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
