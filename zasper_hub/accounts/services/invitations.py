"""Invitations: made, looked at, used, revoked. Whoever has the link may use it; only its hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from zasper_hub.accounts.errors import Exists, Forbidden, Invalid, NotFound, TooMany
from zasper_hub.accounts.models import Invitation, Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.names import clean_name
from zasper_hub.accounts.reach import Reach, reach_of
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.services.people import create_person
from zasper_hub.accounts.services.people_administration import clean_email
from zasper_hub.accounts.services.teams import lock_team

MAX_USES = 500
MAX_DAYS = 90
MAX_OPEN = 20_000  # of one administrator
State = Literal["open", "used", "expired", "revoked"]
DEAD = "This invitation does not work any more. Ask whoever sent it for a new one."


class MadeInvitation(NamedTuple):
    invitation: Invitation
    secret: str  # of the link; shown once


def invitations_in(reach: Reach) -> QuerySet[Invitation]:
    rows = Invitation.objects.select_related("team", "created_by")
    return rows if reach.team_ids is None else rows.filter(team_id__in=reach.team_ids)


def in_state(rows: QuerySet[Invitation], state: str, now: datetime) -> QuerySet[Invitation]:
    match state:
        case "revoked":
            return rows.exclude(revoked_at=None)
        case "used":
            return rows.filter(revoked_at=None, use_count__gte=F("max_uses"))
        case "expired":
            return rows.filter(revoked_at=None, use_count__lt=F("max_uses"), expires_at__lte=now)
        case "open":
            return rows.filter(revoked_at=None, use_count__lt=F("max_uses"), expires_at__gt=now)
        case _:
            return rows


def state_of(invitation: Invitation, now: datetime) -> State:
    if invitation.revoked_at is not None:
        return "revoked"
    if invitation.use_count >= invitation.max_uses:
        return "used"
    return "expired" if invitation.expires_at <= now else "open"


@transaction.atomic
def make_invitation(
    reach: Reach,
    *,
    team: Team | None = None,
    role: TeamRole = TeamRole.MEMBER,
    max_uses: int = 1,
    days: int = 7,
    username: str = "",
    display_name: str = "",
    email: str = "",
    note: str = "",
) -> MadeInvitation:
    """A new invitation to the hub, and to a team. With a username it is for that one person.

    Raises:
        Forbidden: the team is not within reach, or none is named by who only administers teams.
        Invalid: a name, the address, a number out of range, a personal team, or many uses for one person.
    """
    if not may_invite(reach, team):
        raise Forbidden("Invite into one of the teams that you administer.")
    if team is not None and team.personal_of_id is not None:
        raise Invalid("A personal team has one member.", field="team")
    if not 1 <= max_uses <= MAX_USES or not 1 <= days <= MAX_DAYS:
        raise Invalid(f"An invitation has 1 to {MAX_USES} uses and lives 1 to {MAX_DAYS} days.", field="days")
    if username and max_uses != 1:
        raise Invalid("An invitation for one person has one use.", field="max_uses")
    check_open_count(reach.user, 1)
    made = prepare_invitation(
        reach.user,
        team=team,
        role=role if team is not None else TeamRole.MEMBER,
        max_uses=max_uses,
        days=days,
        username=_clean_username(username) if username else "",
        display_name=clean_name(display_name, "person") if display_name.strip() else "",
        email=clean_email(email),
        note=clean_name(note, "note", max_length=200) if note.strip() else "",
    )
    made.invitation.save()
    audit.record(
        "invitation_made",
        actor=reach.user,
        target=f"invitation:{made.invitation.pk}",
        team_id=None if team is None else team.pk,
        role=role.value,
        max_uses=max_uses,
        days=days,
    )
    return made


def prepare_invitation(creator: User, *, team: Team | None, days: int, **fields: object) -> MadeInvitation:
    """An invitation that is not saved yet, with the secret of its link."""
    secret = secrets.token_urlsafe(24)
    invitation = Invitation(
        token_hash=_hash_of(secret),
        team=team,
        expires_at=timezone.now() + timedelta(days=days),
        created_by=creator,
        **fields,
    )
    return MadeInvitation(invitation, secret)


@transaction.atomic
def revoke_invitation(reach: Reach, invitation_id: int) -> None:
    """Harmless when repeated. Raises NotFound, also for one out of reach."""
    invitation = invitations_in(reach).filter(pk=invitation_id).first()
    if invitation is None:
        raise NotFound("There is no such invitation.")
    if Invitation.objects.filter(pk=invitation.pk, revoked_at=None).update(revoked_at=timezone.now()):
        audit.record(
            "invitation_revoked",
            actor=reach.user,
            target=f"invitation:{invitation.pk}",
            team_id=invitation.team_id,
        )


def open_invitation(secret: str) -> Invitation:
    """The invitation of a link (with its team). Raises NotFound unless it can be used now."""
    found = None
    if len(secret) <= 100 and secret.isascii():
        found = (
            Invitation.objects.select_related("team", "created_by")
            .filter(token_hash=_hash_of(secret))
            .first()
        )
    if found is None or state_of(found, timezone.now()) != "open":
        raise NotFound(DEAD)
    creator, team = found.created_by, found.team
    # It gives no more than the one who made it could give now.
    if creator is None or not creator.is_active or not may_invite(reach_of(creator), team):
        raise NotFound(DEAD)
    if team is not None and team.deleted_at is not None:
        raise NotFound(DEAD)
    return found


@transaction.atomic
def join_as_new(
    secret: str,
    *,
    username: str,
    password: str,
    display_name: str = "",
    email: str = "",
    address: str | None = None,
) -> User:
    """A new account by invitation, of its team.

    Raises:
        NotFound: the invitation. Invalid: a name or the password. Exists: the username is taken.
        Forbidden: the invitation is for people who have an account.
    """
    invitation = open_invitation(secret)
    if not makes_accounts(invitation):
        raise Forbidden("This invitation is for people who have an account here: sign in and join with it.")
    username = invitation.username or _clean_username(username)
    try:
        validate_password(password, User(username=username, display_name=display_name, email=email))
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="password") from error
    _use(invitation)
    person = create_person(
        username=username,
        password=password,
        display_name=clean_name(display_name, "person") if display_name.strip() else "",
        email=clean_email(email),
        made_by=invitation.created_by,
    )
    _enter_team(invitation, person, address)
    return person


@transaction.atomic
def join_as_member(secret: str, person: User, *, address: str | None = None) -> Invitation:
    """Somebody who has an account joins the invitation's team. Nobody loses a higher role they have.

    Raises:
        NotFound: the invitation. Forbidden: it is for somebody else, or an administrator acts as the person.
        Exists: they are of the team already (the invitation is not used up), or it names no team.
    """
    invitation = open_invitation(secret)
    if person.acted_by is not None:
        raise Forbidden("Not while you act as another person.")
    if invitation.username and invitation.username.lower() != person.username.lower():
        raise Forbidden("This invitation is for somebody else.")
    if invitation.team is None:
        raise Exists("You have an account already: there is nothing to join.")
    if TeamMembership.objects.filter(team=invitation.team, user=person).exists():
        raise Exists("You are of this team already.")
    _use(invitation)
    _enter_team(invitation, person, address)
    return invitation


def may_invite(reach: Reach, team: Team | None) -> bool:
    return reach.is_hub or (team is not None and reach.has_team(team.pk))


def may_make_accounts(reach: Reach) -> bool:
    """Whether the person's invitations may be used by somebody who has no account. Any member can make a team and
    administer it, so administering one is not enough by itself."""
    return reach.is_hub or settings.HUB_TEAM_ADMINS_INVITE_NEW_PEOPLE


def makes_accounts(invitation: Invitation) -> bool:
    creator = invitation.created_by
    return creator is not None and may_make_accounts(reach_of(creator))


def check_open_count(creator: User, more: int) -> None:
    """Raises TooMany when the person would have more open invitations than one may have."""
    open_count = in_state(Invitation.objects.filter(created_by=creator), "open", timezone.now()).count()
    if open_count + more > MAX_OPEN:
        raise TooMany(
            f"You may have {MAX_OPEN:,} open invitations and have {open_count:,}. Revoke some first."
        )


def _use(invitation: Invitation) -> None:
    # Who comes at the same time as the last use is refused here, not by the look before.
    used = Invitation.objects.filter(
        Q(pk=invitation.pk, revoked_at=None, expires_at__gt=timezone.now(), use_count__lt=F("max_uses"))
    ).update(use_count=F("use_count") + 1)
    if not used:
        raise NotFound(DEAD)


def _enter_team(invitation: Invitation, person: User, address: str | None) -> None:
    team = invitation.team
    if team is not None:
        lock_team(team)
        TeamMembership.objects.get_or_create(team=team, user=person, defaults={"role": invitation.role})
    audit.record(
        "invitation_used",
        actor=person,
        target=f"invitation:{invitation.pk}",
        team_id=invitation.team_id,
        address=address,
        role=invitation.role,
    )


def _clean_username(username: str) -> str:
    username = username.strip()
    try:
        User._meta.get_field("username").run_validators(username)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="username") from error
    if not username:
        raise Invalid("Choose a username.", field="username")
    return username


def _hash_of(secret: str) -> str:
    # The secret has 192 random bits: no salt or stretching is needed.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
