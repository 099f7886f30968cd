"""The programs of the embedded hub: how each is started, in which order they end. No Django."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from zasper_hub.embedded import valkey
from zasper_hub.embedded.layout import Layout
from zasper_hub.settings.environment import BASE_DIR, Environment

# A document of 500 cells may come as one update; uploads come by HTTP. Daphne's own default is 1 MiB.
MAX_WEBSOCKET_MESSAGE_BYTES = 16 * 1024 * 1024
# With the process id it names this life of the parent: a node started again gets its lease back at once.
PARENT_STARTED_AT = int(time.time())


@dataclass(frozen=True)
class Program:
    """One child process. Programs of a higher `stop_rank` are told to end later.

    The longest times of the ranks add up to less than the 10 s in which Ctrl-C ends a hub.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stop_rank: int
    stop_timeout_s: float
    inherited_fds: tuple[int, ...] = ()
    # From the parent, which has loaded what these programs have in common.
    is_forked: bool = False


def hub_environment(layout: Layout, environment: Environment, secret_key: str) -> dict[str, str]:
    """What web, recorder and worker get: everything of this process, the derived addresses, the key."""
    redis_url = (
        environment.redis_url.get_secret_value()
        if environment.redis_url
        else f"unix://{layout.valkey_socket}"
    )
    return {
        # Threads here take turns at Python anyway: a heap of its own for each of them only costs memory.
        "MALLOC_ARENA_MAX": "1",
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "zasper_hub.settings.production",
        "HUB_DATA_DIR": str(layout.data_dir),
        "HUB_SECRET_KEY": secret_key,
        "REDIS_URL": redis_url,
        # Uploads are spooled on the disk that they end on, not in a small /tmp.
        "TMPDIR": str(layout.spool_dir),
        "PYTHONUNBUFFERED": "1",
    }


def node_environment(layout: Layout, environment: Environment, redis_url: str) -> dict[str, str]:
    """What the node gets: nothing of the hub's secrets, so that no kernel can inherit them."""
    kept = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "TMPDIR", "USER", "LOGNAME")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        **{name: value for name, value in os.environ.items() if name.startswith("NODE_")},
        "NODE_ID": "local",
        "NODE_PROJECTS_ROOT": str(layout.projects_dir),
        "NODE_RUN_DIR": str(layout.run_dir),
        "NODE_KERNEL_PYTHON": str(environment.hub_kernel_python),
        "NODE_HOLDER": f"parent:{os.getpid()}:{PARENT_STARTED_AT}",
        "REDIS_URL": redis_url,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(BASE_DIR),
    }


def metrics_environment(environment: Environment, offset: int) -> dict[str, str]:
    """On one machine each program has a port of its own."""
    if environment.hub_metrics_port is None:
        return {}
    port = environment.hub_metrics_port + offset
    return {"HUB_METRICS_PORT": str(port), "HUB_METRICS_HOST": environment.hub_metrics_host}


def valkey_program(layout: Layout) -> Program:
    return Program(
        name="valkey",
        command=(valkey.find_server(), str(valkey.write_configuration(layout))),
        environment=dict(os.environ),
        stop_rank=2,
        stop_timeout_s=2,
    )


def prepare_program(hub: Mapping[str, str]) -> Program:
    """Ends by itself: the database, the first administrator and static files are ready then."""
    command = (sys.executable, str(BASE_DIR / "manage.py"), "prepare")
    return Program("prepare", command, hub, stop_rank=0, stop_timeout_s=5, is_forked=True)


def web_command(*listening: str) -> tuple[str, ...]:
    """`listening` are Daphne's own words for where: `--fd 5`, or `--bind 0.0.0.0 --port 8000`."""
    return (
        sys.executable, "-m", "zasper_hub.web_server", *listening, "--verbosity", "0",
        # When everybody comes at once, somebody may wait for the database; Daphne's own 5 s make them come again.
        "--websocket_timeout", "-1", "--websocket_connect_timeout", "20", "--no-server-name",
        "--websocket-max-message-size", str(MAX_WEBSOCKET_MESSAGE_BYTES),
        "--websocket-max-frame-size", str(MAX_WEBSOCKET_MESSAGE_BYTES),
        "--application-close-timeout", "3",
        "zasper_hub.asgi:application",
    )  # fmt: skip


def worker_command() -> tuple[str, ...]:
    return (sys.executable, "-m", "zasper_hub.celery_worker")


def recorder_command() -> tuple[str, ...]:
    return (sys.executable, str(BASE_DIR / "manage.py"), "recorder")


def hub_programs(
    layout: Layout, environment: Environment, hub: Mapping[str, str], *, listener_fd: int
) -> list[Program]:
    """web, recorder, worker and node; `hub` is the environment of the first three."""
    web, recorder, worker, node = (metrics_environment(environment, offset) for offset in range(4))
    return [
        Program(
            "web",
            web_command("--fd", str(listener_fd)),
            {**hub, **web},
            stop_rank=0,
            stop_timeout_s=3,
            inherited_fds=(listener_fd,),
            is_forked=True,
        ),
        Program("worker", worker_command(), {**hub, **worker}, stop_rank=0, stop_timeout_s=3, is_forked=True),
        Program(
            "node",
            (sys.executable, "-m", "kernels_app.node"),
            node_environment(layout, environment, hub["REDIS_URL"])
            | {name.replace("HUB_", "NODE_"): value for name, value in node.items()},
            stop_rank=0,
            stop_timeout_s=4,
        ),
        Program(
            "recorder",
            recorder_command(),
            {**hub, **recorder},
            stop_rank=1,
            stop_timeout_s=2,
            is_forked=True,
        ),
    ]
