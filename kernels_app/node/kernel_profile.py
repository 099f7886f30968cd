"""What IPython kernels are told before they make their sockets. The text of this module runs in the kernel, as the
`ipython_config.py` of its profile; the node only passes it on (`IPYTHON_CONFIG`).

No history that all share: each person of a hub would see what the others ran. No high-water mark of what is published:
past it (1,000 by default) a publisher drops messages, under load lines of a quick `print(…, flush=True)`. No debugger
before somebody debugs: importing debugpy is a fifth of a kernel's start, and memory of every kernel. What a first
completion needs is found parsed, beside the kernel's Python: a sandbox begins with an empty home.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import types
from collections.abc import Callable
from typing import Any

_DEBUGGER = "ipykernel.debugger"
_PARSED_FILES = "parso.cache"
# Filled when the environment was made (deploy/parsed_files.py).
_SHARED_PARSED_FILES = pathlib.Path(sys.prefix, "share", "parsed-files")


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


class WhenImported(importlib.abc.MetaPathFinder):
    """Calls back with a module that was imported, once."""

    def __init__(self, name: str, call_back: Callable[[Any], None]) -> None:
        self._name = name
        self._call_back = call_back

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def execute_and_call_back(module: Any) -> None:
                execute(module)
                self._call_back(module)

            loader.exec_module = execute_and_call_back
        return spec


def share_parsed_files(cache: Any) -> None:
    """`cache`: parso's, which jedi completes with. It reads what it finds parsed beside the kernel's Python too, takes
    a file that a killed kernel left half written for none (it would complete nothing, ever), and leaves none."""
    load, path_of = cache._load_from_file_system, cache._get_hashed_path
    pickle, shared = cache.pickle, [_SHARED_PARSED_FILES] if _SHARED_PARSED_FILES.is_dir() else []

    def load_whole(grammar: Any, path: Any, modified: Any, cache_path: Any = None) -> Any:
        for folder in (cache_path, *shared):
            with contextlib.suppress(Exception):
                node = load(grammar, path, modified, cache_path=folder)
                if node is not None:
                    return node
        return None

    def save_whole(grammar: Any, path: Any, item: Any, cache_path: Any = None) -> None:
        with contextlib.suppress(OSError):
            target = pathlib.Path(path_of(grammar, path, cache_path=cache_path))
            part = target.with_suffix(f".pkl.{os.getpid()}")
            try:
                with part.open("wb") as stream:
                    pickle.dump(item, stream, pickle.HIGHEST_PROTOCOL)
                part.replace(target)
            except BaseException:
                part.unlink()
                raise

    cache._load_from_file_system, cache._save_to_file_system = load_whole, save_whole


def _complete_quickly() -> None:
    if _PARSED_FILES not in sys.modules:
        sys.meta_path.insert(0, WhenImported(_PARSED_FILES, share_parsed_files))


def configure(config: Any) -> None:
    """`config`: IPython's."""
    config.HistoryManager.hist_file = ":memory:"
    _keep_every_message()
    _debug_when_asked()
    _complete_quickly()
