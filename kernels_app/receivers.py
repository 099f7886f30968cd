"""Kernels end with what they belong to: a person, a team, a project, a node whose row is deleted."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import pre_delete
from django.dispatch import receiver

from kernels_app.models import Kernel, Node
from kernels_app.services.kernels import stop_kernels
from kernels_app.services.nodes import forget_node
from notebooks_app.models import Project
from zasper_hub.accounts.models import Team, User


@receiver(pre_delete, sender=User, dispatch_uid="kernels_app.user_deleted")
def stop_kernels_of_user(sender: object, instance: User, **_: Any) -> None:
    stop_kernels(Kernel.objects.filter(user=instance), reason="The account that started it was deleted.")


@receiver(pre_delete, sender=Team, dispatch_uid="kernels_app.team_deleted")
def stop_kernels_of_team(sender: object, instance: Team, **_: Any) -> None:
    stop_kernels(Kernel.objects.filter(project__team=instance), reason="Its team was deleted.")


@receiver(pre_delete, sender=Project, dispatch_uid="kernels_app.project_purged")
def stop_kernels_of_project(sender: object, instance: Project, **_: Any) -> None:
    stop_kernels(Kernel.objects.filter(project=instance), reason="Its project was deleted.")


@receiver(pre_delete, sender=Node, dispatch_uid="kernels_app.node_deleted")
def end_kernels_of_deleted_node(sender: object, instance: Node, **_: Any) -> None:
    forget_node(instance)
