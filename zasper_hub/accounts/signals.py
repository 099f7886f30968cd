"""What other apps may connect to."""

from __future__ import annotations

from django.dispatch import Signal

# Sent with `user=` after the transaction in which an account was made has been committed. Its personal team exists.
account_created = Signal()

# Sent in the transaction in which limits were set or taken away, with `quotas=` (a frozenset of Quota), `team=` and
# `person=` (None: not of one). What runs is brought in line after the commit.
quotas_changed = Signal()
