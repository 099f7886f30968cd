"""What other apps may connect to."""

from __future__ import annotations

from django.dispatch import Signal

# Sent with `user=` after the transaction in which an account was made has been committed. Its personal team exists.
account_created = Signal()
