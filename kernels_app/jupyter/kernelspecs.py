"""`api/kernelspecs` and the logos of kernelspecs; `api/status`."""

from __future__ import annotations

import mimetypes
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from kernels_app.bus.envelopes import KernelSpecInfo, NodeInfo
from kernels_app.bus.identifiers import kernelspec_resource_key
from kernels_app.jupyter.kernels import connection_counts
from kernels_app.models import Kernel
from kernels_app.runs.placement import available_kernelspecs, default_kernelspec
from kernels_app.selectors.kernels import STAYING_STATES
from kernels_app.selectors.nodes import nodes_up
from kernels_app.services.reservation import permitted
from notebooks_app.errors import NotFound
from notebooks_app.jupyter.contents_models import moment
from notebooks_app.jupyter.endpoints import Call, Endpoint, answer, escaped
from notebooks_app.wire import blocking_transport
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.selectors.quotas import effective_quotas
from zasper_hub.accounts.tokens import Scope

# A logo is drawn by `<img>`; in a tab of its own it runs nothing.
LOGO_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
STARTED_AT = datetime.now(UTC)

kernelspecs = Endpoint()
kernelspec = Endpoint()
resource = Endpoint()
status = Endpoint()


@kernelspecs.on("GET", Need.VIEWER, Scope.READ)
def list_kernelspecs(call: Call) -> HttpResponseBase:
    """The kernelspecs of all nodes that are up, as far as the caller may start them."""
    nodes = _permitted_nodes(call)
    specs = {spec.name: _model(call, spec) for spec in available_kernelspecs(nodes)}
    return answer({"default": default_kernelspec(nodes), "kernelspecs": specs})


@kernelspec.on("GET", Need.VIEWER, Scope.READ)
def get_kernelspec(call: Call, name: str) -> HttpResponseBase:
    return answer(_model(call, _spec(call, name)))


@resource.on("HEAD", Need.VIEWER, Scope.READ)
@resource.on("GET", Need.VIEWER, Scope.READ)
def get_resource(call: Call, name: str, file_name: str) -> HttpResponseBase:
    """A logo."""
    if file_name not in _spec(call, name).resources:
        raise NotFound("Kernelspec resource not found")
    data = blocking_transport().get_value(kernelspec_resource_key(name, file_name))
    if data is None:
        raise NotFound("Kernelspec resource not found")
    response = HttpResponse(data, content_type=mimetypes.guess_type(file_name)[0])
    response["Content-Security-Policy"] = LOGO_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, max-age=3600"
    return response


@status.on("GET", Need.VIEWER, Scope.READ)
def get_status(call: Call) -> HttpResponseBase:
    """What runs in the project; `started` is when this web process did."""
    kernels = Kernel.objects.filter(project=call.project)
    listed = [str(pk) for pk in kernels.filter(state__in=STAYING_STATES).values_list("pk", flat=True)]
    counts = connection_counts()
    active = kernels.exclude(last_activity_at=None).order_by("-last_activity_at").first()
    return answer(
        {
            "connections": sum(int(counts.get(kernel_id, b"0")) for kernel_id in listed),
            "kernels": len(listed),
            "last_activity": moment(active.last_activity_at if active is not None else STARTED_AT),
            "started": moment(STARTED_AT),
        }
    )


def _permitted_nodes(call: Call) -> list[NodeInfo]:
    """The nodes, with those of their kernelspecs that the caller may start in the project."""
    return permitted(nodes_up(), effective_quotas(call.user, call.project.team))


def _spec(call: Call, name: str) -> KernelSpecInfo:
    for spec in available_kernelspecs(_permitted_nodes(call)):
        if spec.name == name:
            return spec
    raise NotFound(f"Kernel spec {name[:100]} not found")


def _model(call: Call, spec: KernelSpecInfo) -> dict[str, Any]:
    return {
        "name": spec.name,
        "spec": {
            "argv": spec.argv,
            "env": {},
            "display_name": spec.display_name,
            "language": spec.language,
            "interrupt_mode": spec.interrupt_mode,
            "metadata": spec.metadata,
        },
        "resources": {
            file_name.partition(".")[0]: escaped(f"{call.base_path}kernelspecs/{spec.name}/{file_name}")
            for file_name in spec.resources
        },
    }
