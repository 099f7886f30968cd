"""The addresses of a project's Jupyter-compatible server that have to do with kernels, below `addresses.PROJECT`."""

from __future__ import annotations

from django.urls import URLPattern, path

from kernels_app.jupyter import execution, kernels, kernelspecs, terminals

patterns: list[URLPattern] = [
    path("api/status", kernelspecs.status),
    path("api/kernels", kernels.all_kernels),
    path("api/kernels/<str:kernel_id>", kernels.one_kernel),
    path("api/kernels/<str:kernel_id>/interrupt", kernels.kernel_interrupt),
    path("api/kernels/<str:kernel_id>/restart", kernels.kernel_restart),
    path("api/kernels/<str:kernel_id>/execute", execution.execute),
    path("api/kernels/<str:kernel_id>/input", execution.kernel_input),
    path("api/kernels/<str:kernel_id>/requests/<str:request_id>", execution.execution_request),
    path("api/sessions", kernels.all_sessions),
    path("api/sessions/<str:session_id>", kernels.one_session),
    path("api/kernelspecs", kernelspecs.kernelspecs),
    path("api/kernelspecs/<str:name>", kernelspecs.kernelspec),
    path("api/terminals", terminals.terminals),
    path("api/terminals/<str:terminal_name>", terminals.terminal),
    path("kernelspecs/<str:name>/<str:file_name>", kernelspecs.resource),
]
