"""What IPython kernels are told before they make their sockets. The text of this module runs in the kernel, as the
`ipython_config.py` of its profile; the node only passes it on (`IPYTHON_CONFIG`).

No history that all share: each person of a hub would see what the others ran. No high-water mark of what is published:
past it (1,000 by default) a publisher drops messages, under load lines of a quick `print(…, flush=True)`. No debugger
before somebody debugs: importing debugpy is a fifth of a kernel's start, and memory of every kernel.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
import types
from typing import Any

_DEBUGGER = "ipykernel.debugger"


class Debugger:
    """In place of ipykernel's debugger until the first request for it, on the event loop of the control channel."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments
        self._real: Any = None
        self._is_asked_for = asyncio.Event()

    async def process_request(self, message: Any) -> Any:
        return await self._load().process_request(message)

    async def handle_stopped_event(self) -> None:
        """Called again and again by the kernel: waits until there is a debugger, then for it."""
        await self._is_asked_for.wait()
        await self._real.handle_stopped_event()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._load(), name)

    def _load(self) -> Any:
        if self._real is None:
            sys.modules.pop(_DEBUGGER, None)
            known = set(sys.modules)
            real = importlib.import_module(_DEBUGGER)
            # The kernel counts what is loaded before the first cell as its own: no debugger steps into it.
            modules = [module for name, module in list(sys.modules.items()) if name not in known]
            files = [getattr(module, "__file__", None) for module in modules]
            kernel_modules = next((value for value in self._arguments if isinstance(value, list)), [])
            kernel_modules += [file for file in files if file]
            self._real = real.Debugger(*self._arguments)
            self._is_asked_for.set()
        return self._real


def _debug_when_asked() -> None:
    """Puts the class above where ipykernel looks for its own."""
    if _DEBUGGER in sys.modules or importlib.util.find_spec("debugpy") is None:
        return
    stand_in = types.ModuleType(_DEBUGGER)
    stand_in.__dict__.update({"Debugger": Debugger, "_is_debugpy_available": True})
    sys.modules[_DEBUGGER] = stand_in


def _keep_every_message() -> None:
    app: Any = importlib.import_module("ipykernel.kernelapp").IPKernelApp
    init_iopub, high_water_mark = app.init_iopub, sys.modules["zmq"].__dict__["SNDHWM"]

    def init_iopub_unbounded(self: Any, context: Any) -> None:
        context.setsockopt(high_water_mark, 0)
        init_iopub(self, context)

    app.init_iopub = init_iopub_unbounded


def configure(config: Any) -> None:
    """`config`: IPython's."""
    config.HistoryManager.hist_file = ":memory:"
    _keep_every_message()
    _debug_when_asked()
