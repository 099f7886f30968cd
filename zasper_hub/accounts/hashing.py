"""How passwords are kept."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes, one lane: OWASP's recommendation ("Password Storage Cheat Sheet").

    About 30 ms of a core: a team that signs in at nine is not kept waiting. Django's own parameters take 100 MiB and
    210 ms, its PBKDF2 260 ms. Passwords kept by another hasher are kept by this one after their next sign-in.
    """

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
