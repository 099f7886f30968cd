"""Programs that are forked from the parent, which has loaded once what they have in common.

That memory is shared by all of them, and a program that is started again is there at once. The parent forks between
two runs of its event loop and has no threads, no connection and no lock that a fork could inherit; its own files are
closed in the fork. What a fork becomes says its command line, as if it had been started by it: `-m module …` or
`script …`. No Django until `load_common_modules`.
"""

from __future__ import annotations

import asyncio
import atexit
import collections
import contextlib
import ctypes
import gc
import importlib
import os
import runpy
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from zasper_hub.embedded.programs import Program
from zasper_hub.embedded.supervisor import Process, die_with_parent, prctl, start_process
from zasper_hub.settings.environment import BASE_DIR

# What the programs load anyway. Not among them: what starts or counts something when it is imported, which are the
# programs' own modules, `zasper_hub.asgi`, and all of Daphne and Twisted that installs a reactor.
COMMON_MODULES = (
    "kernels_app.recorder.program",
    "kernels_app.management.commands.recorder",
    "zasper_hub.celery",
    "celery.apps.worker",
    "celery.beat",
    "celery.concurrency.solo",
    "celery.worker.consumer",
    "kombu.transport.redis",
    "channels.routing",
    "channels_redis.core",
    "redis.asyncio",
    "django.db.models.sql.compiler",
    "zasper_hub.urls",
    "notebooks_app.consumers",
    "kernels_app.consumers",
)
PR_SET_NAME = 15  # Linux: <sys/prctl.h>
M_ARENA_MAX = -8  # glibc: <malloc.h>
# The parent has handlers of its own for them.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ForkFailed(Exception):
    """A program could not be forked; it can be started as a process of its own."""


def can_fork() -> bool:
    """Whether this system has files that tell when a process ends, so that the parent needs no threads for that."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


class ForkedProcess:
    """A child of this process, made by `os.fork`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[int] = self._loop.create_future()
        self._pidfd = os.pidfd_open(pid)
        self._loop.add_reader(self._pidfd, self._note_end)

    def _note_end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        self._end.set_result(self.returncode)

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    def send_signal(self, number: int, /) -> None:
        """
        Raises:
            ProcessLookupError: it has ended.
        """
        if self.returncode is not None:
            raise ProcessLookupError(self.pid)
        os.kill(self.pid, number)


@dataclass(frozen=True)
class _Asked:
    program: Program
    output_fd: int
    errors_fd: int
    pid: asyncio.Future[int]


class Forker:
    """Runs the parent's event loop, and forks programs while it stands still."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._loaded: Mapping[str, str] = {}
        self._asked: collections.deque[_Asked] = collections.deque()

    def load(self, environment: Mapping[str, str]) -> None:
        """Load what the programs have in common, as they would in `environment`.

        Raises:
            Exception: whatever goes wrong when code is imported.
        """
        own = dict(os.environ)
        _set_environment(environment)
        try:
            load_common_modules()
            # Loading sets some for good, such as the time zone.
            self._loaded = {
                name: value for name, value in os.environ.items() if environment.get(name) != value
            }
        finally:
            _set_environment(own)
            gc.enable()

    def run(self, work: Coroutine[Any, Any, int]) -> int:
        """What `asyncio.run` would return."""
        # With a factory the loop is nobody's default, in forks neither.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            loop = runner.get_loop()
            if sys.version_info < (3, 12):
                # The default of before needs a thread for each child that is not forked.
                watcher = asyncio.PidfdChildWatcher()
                watcher.attach_loop(loop)
                asyncio.set_child_watcher(watcher)
            task = loop.create_task(work)
            task.add_done_callback(lambda _: loop.stop())
            while not task.done():
                loop.run_forever()
                while self._asked:
                    self._fork(self._asked.popleft())
            return task.result()

    async def start(self, program: Program, output: IO[bytes], errors: IO[bytes]) -> Process:
        """The `Starter` of what is forked; what cannot be forked becomes a process of its own.

        Raises:
            OSError: nor can that be started.
        """
        if not program.is_forked:
            return await start_process(program, output, errors)
        loop = asyncio.get_running_loop()
        asked = _Asked(program, output.fileno(), errors.fileno(), loop.create_future())
        self._asked.append(asked)
        loop.stop()
        try:
            return ForkedProcess(await asked.pid)
        except ForkFailed as error:
            self._say(f"{program.name} is started as a process of its own: {error}")
            return await start_process(program, output, errors)

    def _fork(self, asked: _Asked) -> None:
        if asked.pid.cancelled():
            return
        if sum(1 for _ in Path("/proc/self/task").iterdir()) > 1:
            asked.pid.set_exception(ForkFailed("the parent has threads"))
            return
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # what is written twice is better than no program
                stream.flush()
        parent_pid = os.getpid()
        # What comes meanwhile waits until the fork has handlers of its own.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                _become(asked, {**asked.program.environment, **self._loaded}, parent_pid, mask)
        except OSError as error:
            asked.pid.set_exception(ForkFailed(error.strerror or str(error)))
        else:
            asked.pid.set_result(pid)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def load_common_modules() -> None:
    """Everything that the programs share; from here on no collection of garbage touches it.

    Leaves the collector switched off.
    """
    gc.disable()  # nothing is garbage yet, and what a collection leaves behind are pages with holes
    import django

    django.setup()
    for name in COMMON_MODULES:
        importlib.import_module(name)
    from django.urls import get_resolver

    from zasper_hub.celery import app

    app.loader.import_default_modules()
    app.finalize()
    assert get_resolver().url_patterns  # imports every view
    gc.collect()
    gc.freeze()


def _become(
    asked: _Asked, environment: Mapping[str, str], parent_pid: int, mask: set[int | signal.Signals]
) -> NoReturn:
    """In the fork. It never returns, so that nothing of the parent that lives on here is cleaned up a second time."""
    code = 1
    try:
        _be_a_process_of_its_own(asked, environment, parent_pid, mask)
        run_command(asked.program.command)
        code = 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            code = end.code or 0
        else:
            sys.stderr.write(f"{end.code}\n")
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BaseException:  # what an interpreter says of it, and its exit code
        traceback.print_exc()
    finally:
        # As an interpreter ends, and as multiprocessing ends its forks: threads, then what asked to be told.
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _be_a_process_of_its_own(
    asked: _Asked, environment: Mapping[str, str], parent_pid: int, mask: set[int | signal.Signals]
) -> None:
    """Session, signals, files, environment, name, settings: what differs from the parent, or must not be its."""
    os.setsid()
    die_with_parent()
    if os.getppid() != parent_pid:
        sys.exit(1)
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for standard, fd in enumerate((nothing, asked.output_fd, asked.errors_fd)):
        os.dup2(fd, standard)
    kept = asked.program.inherited_fds
    for fd in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if fd > 2 and fd not in kept:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(fd)
    for fd in kept:
        os.set_inheritable(fd, True)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True)  # type: ignore[union-attr]  # as PYTHONUNBUFFERED does
    if sys.version_info < (3, 12):
        asyncio.set_event_loop_policy(None)
    os.chdir(BASE_DIR)
    _set_environment(environment)
    show_as(asked.program.name)
    _set_settings_of_program()
    gc.freeze()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _set_environment(environment: Mapping[str, str]) -> None:
    """Also what is looked up in it only once: the folder of temporary files, how memory is handed out."""
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    arenas = environment.get("MALLOC_ARENA_MAX", "")
    if arenas.isdecimal():
        with contextlib.suppress(AttributeError):  # a C library without
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, int(arenas))


def _set_settings_of_program() -> None:
    """Those of Django's settings in which the programs of one hub differ, from the environment as it is now."""
    if "zasper_hub.settings.base" not in sys.modules:
        return  # they will be read from it
    from django.conf import settings

    from zasper_hub.settings.environment import read_environment

    settings.ENV = environment = read_environment()
    settings.METRICS_HOST, settings.METRICS_PORT = environment.hub_metrics_host, environment.hub_metrics_port
    settings.HEALTH_FILE = environment.hub_health_file


def run_command(command: Sequence[str]) -> None:
    """Runs what `command` would run, in this process. Its first word is the interpreter.

    Raises:
        SystemExit: as the program ends.
    """
    words = list(command[1:])
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


def show_as(name: str) -> None:
    """What `ps` and `top` call this process from now on: `zasper-hub web`, `hub-web`.

    The name is written over the arguments, whose place /proc/self/stat tells (proc(5): arg_start, arg_end), and cut
    off where they end.
    """
    prctl(PR_SET_NAME, f"hub-{name}".encode())
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    room = end - start
    if start and room > 1:
        title = f"zasper-hub\0{name}".encode()[: room - 1]
        ctypes.memmove(start, title.ljust(room, b"\0"), room)
