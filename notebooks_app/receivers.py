"""What follows from a row that changed, whoever changed it: the app, the admin panel or a command."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from notebooks_app.models import Document, ProjectMembership
from notebooks_app.services.leftovers import forget_logs
from zasper_hub.accounts.services.access_changes import note_access_change


@receiver(post_save, sender=ProjectMembership)
@receiver(post_delete, sender=ProjectMembership)
def membership_changed(instance: ProjectMembership, **_: Any) -> None:
    note_access_change([instance.user_id])


@receiver(post_delete, sender=Document)
def document_deleted(instance: Document, **_: Any) -> None:
    document_id, epoch = instance.pk, instance.epoch
    transaction.on_commit(lambda: forget_logs(document_id, epoch))
