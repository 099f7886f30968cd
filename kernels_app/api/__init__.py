"""Hub API of kernels and runs."""

from __future__ import annotations

from ninja import Router

from kernels_app.api import kernels, runs, usage

routers: list[Router] = [runs.router, kernels.router, usage.router]
