"""People, the teams they belong to, their API tokens, and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models

from zasper_hub.accounts.quotas import Level, Quota


class User(AbstractUser):
    """A person who signs in. `display_name` is what other people see; empty means the username."""

    display_name = models.CharField(max_length=100, blank=True)
    theme = models.CharField(
        max_length=6,
        default="system",
        choices=[("system", "As the system"), ("light", "Light"), ("dark", "Dark")],
    )
    last_seen_at = models.DateTimeField(
        null=True, blank=True, db_index=True, help_text="By a page or a token; within five minutes."
    )

    # No columns: set by authentication while an administrator acts as this person; the audit log reads it.
    acted_by: User | None = None
    acting_until: datetime | None = None

    @property
    def shown_name(self) -> str:
        return self.display_name or self.username


class TeamRole(models.TextChoices):
    MEMBER = "member", "Member"
    ADMIN = "admin", "Administrator"


class Team(models.Model):
    """Owns projects. Each person has one personal team, created with the account."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=100)
    personal_of = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="personal_team",
        help_text="The person whose personal team this is; empty for a shared team.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Deleted: kept, without members, while its projects are in the trash.",
    )

    def __str__(self) -> str:
        return self.slug


class TeamMembership(models.Model):
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="team_memberships"
    )
    role = models.CharField(max_length=10, choices=TeamRole.choices, default=TeamRole.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "user"], name="one_membership_a_team")
        ]


class ApiToken(models.Model):
    """A bearer token. Only its hash is kept; the text is shown once, when it is made."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(
        max_length=12, unique=True, help_text="The token's public first part, by which it is found."
    )
    secret_hash = models.CharField(max_length=64, help_text="SHA-256 of the whole token, hex.")
    scopes = models.JSONField(default=list, help_text="A list of scope names, see tokens.Scope.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)


class AuditEvent(models.Model):
    """One thing somebody did that an administrator may have to look up. Never holds content."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="audit_events"
    )
    actor_name = models.CharField(max_length=150, blank=True, help_text="Readable when the account is gone.")
    acted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The administrator who acted as the actor.",
    )
    acted_by_name = models.CharField(max_length=150, blank=True)
    team = models.ForeignKey(
        Team, null=True, on_delete=models.SET_NULL, related_name="+", help_text="Whose administrators see it."
    )
    action = models.CharField(max_length=50, db_index=True, help_text="e.g. `sign_in`, `run`, `share`")
    target = models.CharField(max_length=200, blank=True, help_text="kind:id of what it was done to")
    details = models.JSONField(default=dict)
    address = models.GenericIPAddressField(null=True, blank=True)


class LoginSession(models.Model):
    """One sign-in by password that has not ended: a browser that holds a login cookie."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="login_sessions"
    )
    session_key = models.CharField(max_length=40, unique=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField()


class AccessChange(models.Model):
    """Somebody's access changed: what they have open is checked again. Kept for a day."""

    user_id = models.BigIntegerField()
    at = models.DateTimeField(auto_now_add=True, db_index=True)


class QuotaSetting(models.Model):
    """One limit that somebody set: docs/reference/quotas.md. No row: the next level counts."""

    level = models.CharField(max_length=10, choices=[(level.value, level.value) for level in Level])
    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.CASCADE, related_name="quota_settings"
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="quota_settings",
    )
    quota = models.CharField(max_length=30, choices=[(quota.value, quota.value) for quota in Quota])
    value = models.JSONField(null=True, help_text="A number, a list of names, or null: no limit.")
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["quota"], condition=models.Q(level=Level.SITE.value), name="one_site_quota"
            ),
            models.UniqueConstraint(
                fields=["team", "level", "quota"],
                condition=models.Q(level__in=(Level.TEAM.value, Level.TEAM_OWN.value)),
                name="one_quota_a_team",
            ),
            models.UniqueConstraint(
                fields=["person", "quota"],
                condition=models.Q(level=Level.PERSON.value),
                name="one_quota_a_person",
            ),
            models.UniqueConstraint(
                fields=["team", "person", "quota"],
                condition=models.Q(level=Level.MEMBER.value),
                name="one_quota_a_member",
            ),
            models.CheckConstraint(
                condition=(
                    models.Q(level=Level.SITE.value, team=None, person=None)
                    | models.Q(
                        level__in=(Level.TEAM.value, Level.TEAM_OWN.value), team__isnull=False, person=None
                    )
                    | models.Q(level=Level.PERSON.value, team=None, person__isnull=False)
                    | models.Q(level=Level.MEMBER.value, team__isnull=False, person__isnull=False)
                ),
                name="quota_names_whom_it_is_for",
            ),
        ]


class ActingPeriod(models.Model):
    """An administrator acts as a person: both see that it is, and was, so."""

    administrator = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="acting_periods"
    )
    administrator_name = models.CharField(max_length=150)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="acted_as_periods"
    )
    reason = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)


class Announcement(models.Model):
    """A sentence of the administrators to everybody, between two moments."""

    text = models.CharField(max_length=500)
    level = models.CharField(
        max_length=10,
        default="info",
        choices=[("info", "Information"), ("warning", "Warning"), ("urgent", "Urgent")],
    )
    starts_at = models.DateTimeField(db_index=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)


class Invitation(models.Model):
    """A link by which somebody joins the hub or a team. Only the hash of its secret is kept."""

    token_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the link's secret, hex.")
    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.CASCADE, related_name="invitations"
    )
    role = models.CharField(max_length=10, choices=TeamRole.choices, default=TeamRole.MEMBER)
    username = models.CharField(max_length=150, blank=True, help_text="The one it is for; empty for anybody.")
    display_name = models.CharField(max_length=100, blank=True)
    email = models.EmailField(blank=True)
    note = models.CharField(max_length=200, blank=True)
    max_uses = models.PositiveIntegerField(default=1)
    use_count = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
