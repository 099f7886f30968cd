"""The admin API: people, teams, kernels and nodes, for administrators. Shapes: docs/reference/admin-api.md."""

from __future__ import annotations

from ninja import Router

from kernels_app.api.administration import audit, kernels, nodes, overview, people, teams

routers: list[Router] = [
    overview.router,
    people.router,
    teams.router,
    kernels.router,
    nodes.router,
    audit.router,
]
