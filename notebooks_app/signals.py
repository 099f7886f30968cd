"""What other apps may connect to."""

from __future__ import annotations

from django.dispatch import Signal

# Sent with `project=` in the transaction in which a project was deleted: whoever runs something for it ends that.
project_deleted = Signal()
