"""What follows from a row that changed, whoever changed it: the app, the admin panel or a command."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from notebooks_app.models import ProjectMembership
from zasper_hub.accounts.services.access_changes import note_access_change


@receiver(post_save, sender=ProjectMembership)
@receiver(post_delete, sender=ProjectMembership)
def membership_changed(instance: ProjectMembership, **_: Any) -> None:
    note_access_change([instance.user_id])
