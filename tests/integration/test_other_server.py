"""The hub runs unchanged under another ASGI server than Daphne."""

from __future__ import annotations

from typing import Any

import uvicorn

from zasper_hub.daphne_flow import DaphneFlow


async def test_uvicorn_takes_the_application_for_what_it_is() -> None:
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    config = uvicorn.Config(DaphneFlow(application), log_config=None)
    config.load()
    assert config.interface == "asgi3"

    async def nothing(*_: Any) -> dict[str, Any]:
        return {}

    await DaphneFlow(application)({"type": "http"}, nothing, nothing)  # type: ignore[arg-type]  # it sends nothing
    assert seen == ["http"]
