"""What administrators do to people, where it concerns their kernels and projects too."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from kernels_app.services.stopping import stop_kernels_of
from kernels_app.services.terminals import stop_terminals_of
from notebooks_app.models import ProjectMembership
from zasper_hub.accounts.errors import Invalid
from zasper_hub.accounts.models import Team, TeamRole, User
from zasper_hub.accounts.names import clean_name
from zasper_hub.accounts.services import people_administration as administration
from zasper_hub.accounts.services.people import create_person
from zasper_hub.accounts.services.teams import set_team_member

DISABLED = "The account of the person who started it was disabled."


@dataclass(frozen=True, slots=True)
class MadePerson:
    """`link` where no password was given."""

    person: User
    link: administration.PasswordLink | None


@transaction.atomic
def make_person(
    *,
    actor: User,
    username: str,
    display_name: str = "",
    email: str = "",
    is_administrator: bool = False,
    password: str | None = None,
    places: list[tuple[Team, TeamRole]],
) -> MadePerson:
    """A new account, a member of these teams.

    Raises:
        Invalid: a name, the address, or too weak a password. Exists: the username is taken.
    """
    if password is not None:
        try:
            validate_password(password, User(username=username, display_name=display_name, email=email))
        except ValidationError as error:
            raise Invalid(" ".join(error.messages), field="password") from error
    person = create_person(
        username=username,
        password=password,
        display_name=clean_name(display_name, "person") if display_name.strip() else "",
        email=administration.clean_email(email),
        is_administrator=is_administrator,
        made_by=actor,
    )
    for team, role in places:
        set_team_member(team, person, role, actor=actor)
    if password is not None:
        return MadePerson(person, None)
    return MadePerson(person, administration.make_password_link(person, actor=actor))


@transaction.atomic
def change_person(
    person: User,
    *,
    actor: User,
    display_name: str | None = None,
    email: str | None = None,
    is_active: bool | None = None,
    is_administrator: bool | None = None,
    stops_kernels: bool = False,
    version: str | None = None,
) -> User:
    """As `people_administration.change_person`; `stops_kernels` goes with disabling them. Who is disabled has no
    terminals any more, and soon no kernels."""
    changed = administration.change_person(
        person,
        actor=actor,
        display_name=display_name,
        email=email,
        is_active=is_active,
        is_administrator=is_administrator,
        version=version,
    )
    if stops_kernels and not changed.is_active:
        stop_kernels_of(changed, reason=DISABLED, actor=actor)
    if is_active is False:
        user_id = str(changed.pk)
        project_ids = list(
            ProjectMembership.objects.filter(user=changed).values_list("project_id", flat=True)
        )
        transaction.on_commit(lambda: stop_terminals_of(user_id, project_ids, reason=DISABLED), robust=True)
    return changed
