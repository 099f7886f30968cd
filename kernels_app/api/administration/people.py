"""Admin API: people."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from django.urls import reverse
from ninja import Query, Router, Status

from kernels_app.api.administration.schemas import (
    BulkIn,
    BulkOut,
    LinkOut,
    MadePersonOut,
    PasswordSetIn,
    PersonChange,
    PersonDetailOut,
    PersonIn,
    PersonOut,
    Removed,
    Row,
)
from kernels_app.api.administration.shapes import removed, shaped_kernels, shaped_people
from kernels_app.errors import HubError, Invalid
from kernels_app.selectors import administration as select
from kernels_app.services import departures
from kernels_app.services import people as services
from kernels_app.services.stopping import BY_ADMINISTRATOR, stop_kernels_of
from zasper_hub.accounts.models import TeamRole, User
from zasper_hub.accounts.paging import Filter, PageIn, PageOut, Part, part_of
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.reach import Reach, reach_of
from zasper_hub.accounts.selectors.people import live_tokens_of, sign_ins_of
from zasper_hub.accounts.services import people_administration as administration
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["administration"])

_ANY = needs(Need.ADMINISTRATION, Scope.ADMIN)
_HUB = needs(Need.STAFF, Scope.ADMIN)

SORTS = {
    "username": "username",
    "display_name": "display_name",
    "email": "email",
    "last_seen_at": "last_seen_at",
    "created_at": "date_joined",
    "kernel_count": "kernel_count",
    "memory_bytes": "memory_bytes",
    "storage_bytes": "storage_bytes",
}

# Who may not see these may not sort by them either.
_OF_THE_ACCOUNT = ("email", "last_seen_at")


class PeoplePage(PageIn):
    state: Literal["", "active", "disabled", "online", "administrator"] = ""
    team: Filter = ""


@router.get("/admin/people", response=PageOut[PersonOut], auth=_ANY)
def list_people(request: HttpRequest, page: Query[PeoplePage]) -> Part:
    reach = reach_of(caller_of(request).user)
    if page.state and not reach.is_hub:
        raise Invalid("Only administrators of the hub see the state of accounts.", field="state")
    people = select.people_in(reach, search=page.search, state=page.state, team=page.team)
    sorts = SORTS if reach.is_hub else {name: SORTS[name] for name in SORTS if name not in _OF_THE_ACCOUNT}
    return part_of(
        people,
        page,
        sorts=sorts,
        default="username",
        shape=lambda rows: shaped_people(rows, reach),
    )


@router.post("/admin/people", response={201: MadePersonOut}, auth=_HUB)
def make_person(request: HttpRequest, body: PersonIn) -> Status[dict[str, Any]]:
    actor = caller_of(request).user
    reach = reach_of(actor)
    made = services.make_person(
        actor=actor,
        username=body.username,
        display_name=body.display_name,
        email=body.email,
        is_administrator=body.is_administrator,
        password=body.password,
        places=[(reach.team(place.slug), TeamRole(place.role)) for place in body.teams],
    )
    link = None if made.link is None else _link(request, made.link)
    return Status(201, {"person": _detail(made.person, reach), "link": link})


@router.post("/admin/people/bulk", response=BulkOut, auth=_HUB)
def change_many(request: HttpRequest, body: BulkIn) -> dict[str, Any]:
    actor = caller_of(request).user
    done: list[str] = []
    failed: list[Row] = []
    for username in dict.fromkeys(body.usernames):
        try:
            _do(body.action, reach_of(actor).person(username), actor)
        except HubError as error:
            failed.append({"username": username, "code": error.code, "message": error.message})
        else:
            done.append(username)
    return {"done": done, "failed": failed}


def _do(action: str, person: User, actor: User) -> None:
    match action:
        case "disable" | "enable":
            services.change_person(person, actor=actor, is_active=action == "enable")
        case "sign_out":
            administration.sign_out_everywhere(person, actor=actor)
        case _:
            stop_kernels_of(person, reason=BY_ADMINISTRATOR, actor=actor)


@router.get("/admin/people/{str:username}", response=PersonDetailOut, auth=_ANY)
def get_person(request: HttpRequest, username: str) -> Row:
    reach = reach_of(caller_of(request).user)
    return _detail(reach.person(username), reach)


@router.patch("/admin/people/{str:username}", response=PersonDetailOut, auth=_HUB)
def change_person(request: HttpRequest, username: str, body: PersonChange) -> Row:
    reach = reach_of(caller_of(request).user)
    changed = services.change_person(
        reach.person(username),
        actor=reach.user,
        display_name=body.display_name,
        email=body.email,
        is_active=body.is_active,
        is_administrator=body.is_administrator,
        stops_kernels=body.stop_kernels,
        version=body.version,
    )
    return _detail(changed, reach)


@router.delete("/admin/people/{str:username}", response=Removed, auth=_HUB)
def delete_person(
    request: HttpRequest,
    username: str,
    projects: Literal["trash", "hand_over"] = "trash",
    to: Filter = "",
) -> Row:
    reach = reach_of(caller_of(request).user)
    heir = None
    if projects == "hand_over":
        if not to:
            raise Invalid("Say to whom the projects go.", field="to")
        heir = reach.person(to)
    return removed(departures.delete_person(reach.person(username), actor=reach.user, to=heir))


@router.post("/admin/people/{str:username}/password", response={204: None}, auth=_HUB)
def set_password(request: HttpRequest, username: str, body: PasswordSetIn) -> Status[None]:
    reach = reach_of(caller_of(request).user)
    administration.set_password(reach.person(username), password=body.password, actor=reach.user)
    return Status(204, None)


@router.post("/admin/people/{str:username}/password-link", response={201: LinkOut}, auth=_HUB)
def make_password_link(request: HttpRequest, username: str) -> Status[Row]:
    reach = reach_of(caller_of(request).user)
    made = administration.make_password_link(reach.person(username), actor=reach.user)
    return Status(201, _link(request, made))


@router.post("/admin/people/{str:username}/sign-out", response={204: None}, auth=_HUB)
def sign_out(request: HttpRequest, username: str) -> Status[None]:
    reach = reach_of(caller_of(request).user)
    administration.sign_out_everywhere(reach.person(username), actor=reach.user)
    return Status(204, None)


def _link(request: HttpRequest, link: administration.PasswordLink) -> Row:
    address = reverse("account_choose_password", args=[link.person_key, link.token])
    return {"url": request.build_absolute_uri(address), "expires_at": link.expires_at}


def _detail(person: User, reach: Reach) -> Row:
    row = select.people_in(reach).get(pk=person.pk)
    places: list[Any] = list(select.projects_of_person(person, reach))
    projects = [
        {
            "id": place.project.pk,
            "team": place.project.team.slug,
            "slug": place.project.slug,
            "name": place.project.name,
            "role": place.role,
            "owner_count": place.owner_count,
            "member_count": place.member_count,
        }
        for place in places
    ]
    return {
        **shaped_people([row], reach)[0],
        "kernels": shaped_kernels(
            list(select.kernel_rows(reach).filter(user=person).order_by("-created_at"))
        ),
        "projects": projects,
        "sign_ins": [sign_in._asdict() for sign_in in sign_ins_of(person)] if reach.is_hub else [],
        "token_count": live_tokens_of(person).count() if reach.is_hub else None,
    }
