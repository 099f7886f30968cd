"""Hub API: me, my tokens and sign-ins, teams."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest
from ninja import Router, Status

from zasper_hub.accounts.access import person_named, team_for
from zasper_hub.accounts.authentication import Caller
from zasper_hub.accounts.models import ApiToken, TeamMembership, TeamRole
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.reach import reach_of
from zasper_hub.accounts.schemas import (
    LoginSessionOut,
    MeIn,
    MeOut,
    NewTokenOut,
    PasswordIn,
    TeamIn,
    TeamMemberIn,
    TeamMemberOut,
    TeamOut,
    TokenIn,
    TokenOut,
)
from zasper_hub.accounts.selectors import people as select
from zasper_hub.accounts.services import login_sessions, people, teams, tokens
from zasper_hub.accounts.services.acting import periods_now
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["account"])

# Any token may ask who it is: that is how a program finds out what it may do.
_ME = needs(Need.SIGNED_IN, Scope.READ)
_ACCOUNT = needs(Need.SIGNED_IN, Scope.ACCOUNT)


@router.get("/me", response=MeOut, auth=_ME)
def get_me(request: HttpRequest) -> dict[str, Any]:
    return _me(caller_of(request))


@router.patch("/me", response=MeOut, auth=_ACCOUNT)
def change_me(request: HttpRequest, body: MeIn) -> dict[str, Any]:
    caller = caller_of(request)
    people.change_profile(caller.user, display_name=body.display_name, theme=body.theme)
    return _me(caller)


@router.post("/me/password", response={204: None}, auth=_ACCOUNT)
def change_password(request: HttpRequest, body: PasswordIn) -> Status[None]:
    caller = caller_of(request)
    people.change_password(
        caller.user,
        current_password=body.current_password,
        new_password=body.new_password,
        kept_session_key=caller.login_session_key,
    )
    if caller.login_session_key is not None:
        update_session_auth_hash(request, caller.user)
        login_sessions.move_login_session(caller.login_session_key, request.session.session_key or "")
    return Status(204, None)


@router.get("/me/login-sessions", response=list[LoginSessionOut], auth=_ACCOUNT)
def list_login_sessions(request: HttpRequest) -> list[dict[str, Any]]:
    caller = caller_of(request)
    return [
        {
            "id": login_session.pk,
            "is_current": login_session.session_key == caller.login_session_key,
            "address": login_session.address,
            "user_agent": login_session.user_agent,
            "last_seen_at": login_session.last_seen_at,
            "created_at": login_session.created_at,
        }
        for login_session in select.login_sessions_of(caller.user)
    ]


@router.delete("/me/login-sessions/{int:login_session_id}", response={204: None}, auth=_ACCOUNT)
def end_login_session(request: HttpRequest, login_session_id: int) -> Status[None]:
    login_sessions.end_login_session(caller_of(request).user, login_session_id)
    return Status(204, None)


@router.get("/me/tokens", response=list[TokenOut], auth=_ACCOUNT)
def list_tokens(request: HttpRequest) -> list[ApiToken]:
    return list(select.live_tokens_of(caller_of(request).user))


@router.post("/me/tokens", response={201: NewTokenOut}, auth=_ACCOUNT)
def make_token(request: HttpRequest, body: TokenIn) -> Status[dict[str, Any]]:
    caller = caller_of(request)
    made = tokens.make_token(
        caller.user, name=body.name, days=body.days, scopes=body.scopes, within=caller.scopes
    )
    shown = TokenOut.from_orm(made.token).model_dump()
    return Status(201, {**shown, "token": made.text})


@router.delete("/me/tokens/{int:token_id}", response={204: None}, auth=_ACCOUNT)
def revoke_token(request: HttpRequest, token_id: int) -> Status[None]:
    tokens.revoke_token(caller_of(request).user, token_id)
    return Status(204, None)


@router.get("/teams", response=list[TeamOut], auth=_ME)
def list_teams(request: HttpRequest) -> list[dict[str, Any]]:
    return [_team(membership) for membership in select.team_memberships_of(caller_of(request).user)]


@router.post("/teams", response={201: TeamOut}, auth=needs(Need.SIGNED_IN, Scope.MANAGE))
def make_team(request: HttpRequest, body: TeamIn) -> Status[dict[str, Any]]:
    user = caller_of(request).user
    team = teams.create_team(user, name=body.name)
    return Status(201, _team(team.memberships.select_related("team").get(user=user)))


@router.patch("/teams/{slug:team_slug}", response=TeamOut, auth=needs(Need.TEAM_ADMIN, Scope.MANAGE))
def rename_team(request: HttpRequest, team_slug: str, body: TeamIn) -> dict[str, Any]:
    user = caller_of(request).user
    team = team_for(user, team_slug, TeamRole.ADMIN)
    teams.rename_team(team, name=body.name, actor=user)
    return _team(team.memberships.select_related("team").get(user=user))


@router.get(
    "/teams/{slug:team_slug}/members", response=list[TeamMemberOut], auth=needs(Need.TEAM_MEMBER, Scope.READ)
)
def list_team_members(request: HttpRequest, team_slug: str) -> list[dict[str, str]]:
    team = team_for(caller_of(request).user, team_slug)
    return [_team_member(membership) for membership in select.members_of(team)]


@router.post(
    "/teams/{slug:team_slug}/members",
    response={201: TeamMemberOut},
    auth=needs(Need.TEAM_ADMIN, Scope.MANAGE),
)
def set_team_member(request: HttpRequest, team_slug: str, body: TeamMemberIn) -> Status[dict[str, str]]:
    user = caller_of(request).user
    team = team_for(user, team_slug, TeamRole.ADMIN)
    person = person_named(body.username)
    return Status(201, _team_member(teams.set_team_member(team, person, TeamRole(body.role), actor=user)))


@router.delete(
    "/teams/{slug:team_slug}/members", response={204: None}, auth=needs(Need.TEAM_MEMBER, Scope.MANAGE)
)
def remove_team_member(request: HttpRequest, team_slug: str, username: str) -> Status[None]:
    """Administrators of the team take out anybody; a member takes out themselves."""
    user = caller_of(request).user
    leaves = username.lower() == user.username.lower()
    team = team_for(user, team_slug, TeamRole.MEMBER if leaves else TeamRole.ADMIN)
    teams.remove_team_member(team, user if leaves else person_named(username, or_disabled=True), actor=user)
    return Status(204, None)


def _me(caller: Caller) -> dict[str, Any]:
    user = caller.user
    return {
        "username": user.username,
        "display_name": user.shown_name,
        "email": user.email,
        "is_staff": user.is_staff,
        "administers": reach_of(user).administers,
        "theme": user.theme,
        "teams": [_team(membership) for membership in select.team_memberships_of(user)],
        "scopes": None if caller.scopes is None else sorted(caller.scopes),
        "acting_as": None
        if user.acted_by is None
        else {
            "administrator": user.acted_by.username,
            "username": user.username,
            "ends_at": user.acting_until,
        },
        "acted_on_by": [
            {"administrator": period.administrator_name, "started_at": period.started_at}
            for period in periods_now(user)
        ],
    }


def _team(membership: TeamMembership) -> dict[str, Any]:
    return {
        "slug": membership.team.slug,
        "name": membership.team.name,
        "role": membership.role,
        "is_personal": membership.team.personal_of_id is not None,
    }


def _team_member(membership: TeamMembership) -> dict[str, str]:
    user = membership.user
    return {"username": user.username, "display_name": user.shown_name, "role": membership.role}
