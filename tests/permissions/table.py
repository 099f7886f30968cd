"""The permission table as it was agreed: what each method of each route needs, and which scope a token must have.

A new route, a new method or another need fails `test_routes` until it is written down here: that is the review.
"""

from __future__ import annotations

from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.tokens import Scope

Line = tuple[Need, Scope | None]

READ: Line = (Need.SIGNED_IN, Scope.READ)
MANAGE: Line = (Need.SIGNED_IN, Scope.MANAGE)
ACCOUNT: Line = (Need.SIGNED_IN, Scope.ACCOUNT)
VIEW: Line = (Need.VIEWER, Scope.READ)
WRITE: Line = (Need.EDITOR, Scope.WRITE)
RUN: Line = (Need.EDITOR, Scope.RUN)
OWN: Line = (Need.OWNER, Scope.MANAGE)
ADMINISTER: Line = (Need.ADMINISTRATION, Scope.ADMIN)  # team administrators: their teams' part
ADMINISTER_HUB: Line = (Need.STAFF, Scope.ADMIN)
ADMINISTER_TEAM: Line = (Need.TEAM_STEWARD, Scope.ADMIN)
PUBLIC: Line = (Need.ANYONE, None)
STEWARD: Line = (Need.TEAM_STEWARD, Scope.MANAGE)

PROJECT = "/api/hub/v1/projects/<uuid:project_id>"
DOCUMENT = "/api/hub/v1/documents/<uuid:document_id>"
ADMIN_API = "/api/hub/v1/admin"
PERSON = f"{ADMIN_API}/people/<str:username>"
ADMIN_TEAM = f"{ADMIN_API}/teams/<slug:team_slug>"
TEAM = "/api/hub/v1/teams/<slug:team_slug>"

HUB_API: dict[str, Line] = {
    "GET /api/hub/v1/me": READ,
    "PATCH /api/hub/v1/me": ACCOUNT,
    "POST /api/hub/v1/me/password": ACCOUNT,
    "GET /api/hub/v1/me/login-sessions": ACCOUNT,
    "DELETE /api/hub/v1/me/login-sessions/<int:login_session_id>": ACCOUNT,
    "GET /api/hub/v1/me/tokens": ACCOUNT,
    "POST /api/hub/v1/me/tokens": ACCOUNT,
    "DELETE /api/hub/v1/me/tokens/<int:token_id>": ACCOUNT,
    "GET /api/hub/v1/me/documents": READ,
    "GET /api/hub/v1/teams": READ,
    "POST /api/hub/v1/teams": MANAGE,
    f"PATCH {TEAM}": (Need.TEAM_ADMIN, Scope.MANAGE),
    f"GET {TEAM}/members": (Need.TEAM_MEMBER, Scope.READ),
    f"POST {TEAM}/members": (Need.TEAM_ADMIN, Scope.MANAGE),
    f"DELETE {TEAM}/members": (
        Need.TEAM_MEMBER,
        Scope.MANAGE,
    ),  # oneself; others: an administrator of the team
    "GET /api/hub/v1/projects": READ,
    "POST /api/hub/v1/projects": MANAGE,
    f"GET {PROJECT}": VIEW,
    f"PATCH {PROJECT}": OWN,
    f"DELETE {PROJECT}": OWN,
    f"GET {PROJECT}/members": VIEW,
    f"POST {PROJECT}/members": OWN,
    f"DELETE {PROJECT}/members": (Need.VIEWER, Scope.MANAGE),  # oneself; others: an owner
    f"GET {PROJECT}/files": VIEW,
    f"GET {PROJECT}/files/": VIEW,
    f"GET {PROJECT}/files/<path:path>": VIEW,
    f"HEAD {PROJECT}/files/<path:path>": VIEW,
    f"PUT {PROJECT}/files/<path:path>": WRITE,
    f"DELETE {PROJECT}/files/<path:path>": WRITE,
    f"POST {PROJECT}/files-move": WRITE,
    f"POST {PROJECT}/files-copy": WRITE,
    f"GET {PROJECT}/trash": VIEW,
    f"DELETE {PROJECT}/trash": WRITE,
    f"POST {PROJECT}/trash/<uuid:trash_id>/restore": WRITE,
    f"DELETE {PROJECT}/trash/<uuid:trash_id>": WRITE,
    f"POST {PROJECT}/documents": VIEW,
    f"GET {DOCUMENT}": VIEW,
    f"GET {DOCUMENT}/notebook": VIEW,
    f"GET {DOCUMENT}/blobs/<str:sha256>": VIEW,
    f"GET {DOCUMENT}/text": VIEW,
    f"GET {DOCUMENT}/versions": VIEW,
    f"POST {DOCUMENT}/versions": WRITE,
    f"GET {DOCUMENT}/versions/<uuid:version_id>/notebook": VIEW,
    f"POST {DOCUMENT}/versions/<uuid:version_id>/restore": WRITE,
    f"GET {DOCUMENT}/runs": VIEW,
    f"POST {DOCUMENT}/runs": RUN,
    f"POST {DOCUMENT}/interrupt": RUN,
    f"POST {DOCUMENT}/restart": RUN,
    f"PUT {DOCUMENT}/kernel": RUN,
    "GET /api/hub/v1/kernels": READ,
    "DELETE /api/hub/v1/kernels/<uuid:kernel_id>": RUN,
    "POST /api/hub/v1/kernels/<uuid:kernel_id>/keep": RUN,
    "GET /api/hub/v1/kernelspecs": READ,
    "GET /api/hub/v1/usage": READ,
    "DELETE /api/hub/v1/projects/deleted/<uuid:deleted_id>": MANAGE,  # what the caller owned
    "GET /api/hub/v1/usage/projects": READ,
    "GET /api/hub/v1/usage/days": READ,
    **{
        f"{method} /api/hub/v1/admin/{whose}quotas": line
        for whose, line in (
            ("", ADMINISTER_HUB),
            ("people/<str:username>/", ADMINISTER_HUB),
            ("teams/<slug:team_slug>/", STEWARD),
            ("teams/<slug:team_slug>/people/<str:username>/", STEWARD),
        )
        for method in ("GET", "PUT", "DELETE")
    },
    f"GET {PROJECT}/terminals": RUN,
    f"POST {PROJECT}/terminals": RUN,
    f"DELETE {PROJECT}/terminals/<str:terminal_name>": RUN,
    "GET /api/hub/v1/announcements": READ,
    f"GET {ADMIN_API}/announcements": ADMINISTER_HUB,
    f"POST {ADMIN_API}/announcements": ADMINISTER_HUB,
    f"PATCH {ADMIN_API}/announcements/<int:announcement_id>": ADMINISTER_HUB,
    f"DELETE {ADMIN_API}/announcements/<int:announcement_id>": ADMINISTER_HUB,
    f"POST {ADMIN_API}/announcements/<int:announcement_id>/end": ADMINISTER_HUB,
    f"POST {PERSON}/act-as": (Need.STAFF, None),  # by cookie alone
    "DELETE /api/hub/v1/acting": (Need.SIGNED_IN, None),
    "GET /api/hub/v1/me/acted-as": ACCOUNT,
    f"GET {ADMIN_API}/invitations": ADMINISTER,
    f"POST {ADMIN_API}/invitations": ADMINISTER,
    f"POST {ADMIN_API}/invitations/csv": ADMINISTER,
    f"DELETE {ADMIN_API}/invitations/<int:invitation_id>": ADMINISTER,
    f"GET {ADMIN_API}/audit": ADMINISTER,
    f"GET {ADMIN_API}/audit.csv": ADMINISTER,
    f"GET {ADMIN_API}/audit/actions": ADMINISTER,
    f"GET {ADMIN_API}/overview": ADMINISTER,
    f"GET {ADMIN_API}/people": ADMINISTER,
    f"POST {ADMIN_API}/people": ADMINISTER_HUB,
    f"POST {ADMIN_API}/people/bulk": ADMINISTER_HUB,
    f"GET {PERSON}": ADMINISTER,
    f"PATCH {PERSON}": ADMINISTER_HUB,
    f"DELETE {PERSON}": ADMINISTER_HUB,
    f"POST {PERSON}/password": ADMINISTER_HUB,
    f"POST {PERSON}/password-link": ADMINISTER_HUB,
    f"POST {PERSON}/sign-out": ADMINISTER_HUB,
    f"GET {ADMIN_API}/teams": ADMINISTER,
    f"POST {ADMIN_API}/teams": ADMINISTER_HUB,
    f"GET {ADMIN_TEAM}": ADMINISTER_TEAM,
    f"PATCH {ADMIN_TEAM}": ADMINISTER_TEAM,
    f"DELETE {ADMIN_TEAM}": ADMINISTER_TEAM,  # in truth administrators of the hub only
    f"POST {ADMIN_TEAM}/members": ADMINISTER_TEAM,
    f"DELETE {ADMIN_TEAM}/members": ADMINISTER_TEAM,
    f"GET {ADMIN_TEAM}/placement": ADMINISTER_TEAM,  # in truth administrators of the hub only
    f"PUT {ADMIN_TEAM}/placement": ADMINISTER_TEAM,  # in truth administrators of the hub only
    f"GET {ADMIN_API}/kernels": ADMINISTER,
    f"POST {ADMIN_API}/kernels/stop": ADMINISTER,
    f"GET {ADMIN_API}/nodes": ADMINISTER_HUB,
    f"GET {ADMIN_API}/nodes/<str:node_id>": ADMINISTER_HUB,
    f"POST {ADMIN_API}/nodes/<str:node_id>/drain": ADMINISTER_HUB,
    f"POST {ADMIN_API}/nodes/<str:node_id>/undrain": ADMINISTER_HUB,
    f"DELETE {ADMIN_API}/nodes/<str:node_id>": ADMINISTER_HUB,
}

JUPYTER_ROOT = "/jupyter/<hub_project:jupyter_project>"
CONTENTS = f"{JUPYTER_ROOT}/api/contents"

# Jupyter-compatible servers of projects: `Endpoint` declares and enforces each method.
JUPYTER: dict[str, Line] = {
    f"GET {JUPYTER_ROOT}/": VIEW,
    f"GET {JUPYTER_ROOT}/api": PUBLIC,  # the version
    f"GET {JUPYTER_ROOT}/api/": PUBLIC,
    f"GET {JUPYTER_ROOT}/api/me": VIEW,
    f"GET {JUPYTER_ROOT}/api/status": VIEW,
    f"GET {JUPYTER_ROOT}/api/config/<str:section>": VIEW,
    f"PUT {JUPYTER_ROOT}/api/config/<str:section>": (Need.VIEWER, Scope.WRITE),  # the person's own
    f"PATCH {JUPYTER_ROOT}/api/config/<str:section>": (Need.VIEWER, Scope.WRITE),
    **{
        f"{method} {route}": line
        for route in (CONTENTS, f"{CONTENTS}/", f"{CONTENTS}/<path:path>")
        for method, line in (
            ("GET", VIEW),
            ("POST", WRITE),
            ("PUT", WRITE),
            ("PATCH", WRITE),
            ("DELETE", WRITE),
        )
    },
    f"GET {CONTENTS}/<path:path>/checkpoints": VIEW,
    f"POST {CONTENTS}/<path:path>/checkpoints": WRITE,
    f"POST {CONTENTS}/<path:path>/checkpoints/<str:checkpoint_id>": WRITE,
    f"DELETE {CONTENTS}/<path:path>/checkpoints/<str:checkpoint_id>": WRITE,
    f"GET {JUPYTER_ROOT}/files/<path:path>": VIEW,
    f"HEAD {JUPYTER_ROOT}/files/<path:path>": VIEW,
    f"GET {JUPYTER_ROOT}/view/<path:path>": VIEW,
    f"HEAD {JUPYTER_ROOT}/view/<path:path>": VIEW,
    f"GET {JUPYTER_ROOT}/api/nbconvert": VIEW,
    f"GET {JUPYTER_ROOT}/nbconvert/<str:target>/<path:path>": VIEW,
    f"POST {JUPYTER_ROOT}/nbconvert/<str:target>": VIEW,
    f"GET {JUPYTER_ROOT}/api/kernelspecs": VIEW,
    f"GET {JUPYTER_ROOT}/api/kernelspecs/<str:name>": VIEW,
    f"GET {JUPYTER_ROOT}/kernelspecs/<str:name>/<str:file_name>": VIEW,
    f"HEAD {JUPYTER_ROOT}/kernelspecs/<str:name>/<str:file_name>": VIEW,
    f"GET {JUPYTER_ROOT}/api/kernels": VIEW,
    f"POST {JUPYTER_ROOT}/api/kernels": RUN,
    f"GET {JUPYTER_ROOT}/api/kernels/<str:kernel_id>": VIEW,
    f"DELETE {JUPYTER_ROOT}/api/kernels/<str:kernel_id>": RUN,
    f"POST {JUPYTER_ROOT}/api/kernels/<str:kernel_id>/interrupt": RUN,
    f"POST {JUPYTER_ROOT}/api/kernels/<str:kernel_id>/restart": RUN,
    f"POST {JUPYTER_ROOT}/api/kernels/<str:kernel_id>/execute": RUN,
    f"POST {JUPYTER_ROOT}/api/kernels/<str:kernel_id>/input": RUN,
    f"GET {JUPYTER_ROOT}/api/kernels/<str:kernel_id>/requests/<str:request_id>": RUN,
    f"GET {JUPYTER_ROOT}/api/sessions": VIEW,
    f"POST {JUPYTER_ROOT}/api/sessions": RUN,
    f"GET {JUPYTER_ROOT}/api/sessions/<str:session_id>": VIEW,
    f"PATCH {JUPYTER_ROOT}/api/sessions/<str:session_id>": RUN,
    f"DELETE {JUPYTER_ROOT}/api/sessions/<str:session_id>": RUN,
    f"GET {JUPYTER_ROOT}/api/terminals": RUN,
    f"POST {JUPYTER_ROOT}/api/terminals": RUN,
    f"GET {JUPYTER_ROOT}/api/terminals/<str:terminal_name>": RUN,
    f"DELETE {JUPYTER_ROOT}/api/terminals/<str:terminal_name>": RUN,
    # What no other route has: always 404.
    **{
        f"{method} {JUPYTER_ROOT}/<path:rest>": PUBLIC
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    },
}

# Django views of our own: each declares its need with `view_needs`.
VIEWS: dict[str, Need] = {
    "/healthz": Need.ANYONE,
    "/readyz": Need.ANYONE,
    "/accounts/login/": Need.ANYONE,
    "/accounts/logout/": Need.ANYONE,
    "/accounts/signup/": Need.ANYONE,
    "/accounts/join/<str:secret>/": Need.ANYONE,  # who has the link
    "/accounts/choose-password/<str:person_key>/<str:token>/": Need.ANYONE,  # who has the link
    "/admin/records/login/": Need.ANYONE,
    "/frame/<str:build>/<path:name>": Need.ANYONE,
    "/": Need.ANYONE,  # sends who is not signed in to sign in
    "/(?P<path>(?:p|account|usage|teams|admin)(?:/.*)?)": Need.ANYONE,
}

# Views of django-ninja that hold nothing of anybody.
PUBLIC_OF_OTHERS = frozenset({"/api/hub/v1/openapi.json", "/api/hub/v1/"})

SOCKETS: dict[str, Line] = {
    "/ws/documents/<uuid:document_id>": VIEW,  # updates: editors, checked frame by frame
    "/ws/projects/<uuid:project_id>": VIEW,
    f"{JUPYTER_ROOT}/api/kernels/<str:kernel_id>/channels": RUN,
    f"{JUPYTER_ROOT}/": RUN,  # the same, its path in the query
    JUPYTER_ROOT: RUN,
    f"{JUPYTER_ROOT}/terminals/websocket/<str:terminal_name>": RUN,
    "/ws/runs/<uuid:document_id>": VIEW,  # running: editors with the scope `run`, checked message by message
}
