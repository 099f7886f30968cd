"""Every HTTP address of the hub."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from django.urls.resolvers import URLPattern, URLResolver

from kernels_app.api import routers as kernel_routers
from kernels_app.api.administration import routers as administration_routers
from kernels_app.jupyter.urls import patterns as kernel_patterns
from notebooks_app.api import routers as notebook_routers
from notebooks_app.jupyter.addresses import PROJECT
from notebooks_app.jupyter.endpoints import unknown_address
from notebooks_app.jupyter.urls import patterns as notebook_patterns
from zasper_hub import frontend, health
from zasper_hub.accounts.api import hub_api
from zasper_hub.accounts.api_acting import router as acting_router
from zasper_hub.accounts.api_announcements import router as announcement_router
from zasper_hub.accounts.api_invitations import router as invitation_router
from zasper_hub.accounts.api_routes import router as account_router
from zasper_hub.accounts.views import admin_sign_in

for router in (
    account_router,
    acting_router,
    announcement_router,
    invitation_router,
    *notebook_routers,
    *kernel_routers,
    *administration_routers,
):
    hub_api.add_router("", router)

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/records/login/", admin_sign_in),
    path("admin/records/", admin.site.urls),
    path("accounts/", include("zasper_hub.accounts.urls")),
    path("api/hub/v1/", hub_api.urls),
    path(PROJECT, include([*notebook_patterns, *kernel_patterns, path("<path:rest>", unknown_address)])),
    path("frame/<str:build>/<path:name>", frontend.output_frame, name="output-frame"),
    # The app routes these itself; what it does not know it says so.
    path("", frontend.app_page, name="app"),
    re_path(r"^(?P<path>(?:p|account|usage|teams|admin)(?:/.*)?)$", frontend.app_page, name="app-page"),
]
