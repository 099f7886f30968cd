"""Hub API of kernels and runs."""

from __future__ import annotations

from ninja import Router

from kernels_app.api import kernels, quotas, runs, terminals, usage

routers: list[Router] = [runs.router, kernels.router, terminals.router, usage.router, quotas.router]
