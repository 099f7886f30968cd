"""Settings of sign-in, throttling and access. Read by `base`."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit


def origins_of(public_url: str | None) -> list[str]:
    """The one origin that the hub's pages have for a browser; empty when it is whatever address they were asked at."""
    if not public_url:
        return []
    parts = urlsplit(public_url)
    return [f"{parts.scheme}://{parts.netloc}"]


def cookie_names(base_path: str, *, is_https: bool) -> tuple[str, str]:
    """Those of the sign-in and of the page's security token.

    Below a base path other programs share the hub's host, and a browser sends the cookies of them all: the names are
    the hub's own then. `__Host-` is for cookies of a whole host.
    """
    own = base_path.replace("/", ".")
    prefix = "" if not is_https else "__Secure-" if base_path else "__Host-"
    return f"{prefix}sessionid{own}", f"csrftoken{own}"


# Sockets of one person in one web process: a browser with thirty notebooks open has about sixty.
HUB_MAX_SOCKETS = 200

# Bodies that are read into memory (JSON). Files are streamed and have their own limit.
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
DATA_UPLOAD_MAX_NUMBER_FILES = 100

SESSION_COOKIE_AGE = 14 * 24 * 3600  # two weeks since the sign-in was last renewed
SESSION_SAVE_EVERY_REQUEST = False
CSRF_FAILURE_VIEW = "zasper_hub.accounts.views.csrf_failure"

# The first is used for new passwords; the second was until 0.1.
PASSWORD_HASHERS = [
    "zasper_hub.accounts.hashing.Argon2",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]

# allauth: sign-in by username and password. Accounts are made by administrators.
ACCOUNT_ADAPTER = "zasper_hub.accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_FORMS = {"login": "zasper_hub.accounts.forms.SignInForm"}
ACCOUNT_SESSION_REMEMBER = True
# One address may try many names (an office behind one router), yet not without end. Names: axes, below.
# Ours are in accounts/throttling.py.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None}

# What a link lets somebody choose a password for: it works once, until they sign in or their password changes.
PASSWORD_RESET_TIMEOUT = 3 * 24 * 3600

# axes: tries of one name from one address.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = timedelta(minutes=5)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_USERNAME_CALLABLE = "zasper_hub.accounts.throttling.username_of"
AXES_LOCKOUT_CALLABLE = "zasper_hub.accounts.views.locked_out"
AXES_VERBOSE = False
AXES_DISABLE_ACCESS_LOG = True  # the audit log has the sign-ins
