"""What a node is told by its environment, read once."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import secrets
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kernels_app.bus.identifiers import NodeId
from kernels_app.bus.terminals import TERMINALS_LABEL
from kernels_app.node.folding_runs import FoldingLimits
from kernels_app.node.provisioners.bubblewrap import NETWORKS as SANDBOX_NETWORKS
from kernels_app.node.provisioners.bubblewrap import SandboxSettings
from kernels_app.node.provisioners.container_settings import NETWORKS, ContainerSettings
from kernels_app.node.provisioners.file_limit import MAX_FILE_BYTES
from kernels_app.node.provisioners.processes import (
    default_kernel_memory_bytes,
    machine_memory_bytes,
    physical_memory_bytes,
)

# auto: sandbox where the machine can, else process.
PROVISIONERS = ("auto", "process", "sandbox", "docker")
# Repository, tag, digest: no option, no space.
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9_./:@-]{0,254}\Z")
_USER = re.compile(r"[1-9][0-9]{0,9}:[1-9][0-9]{0,9}\Z")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")
# What the node itself says in its labels.
OWN_LABELS = frozenset({TERMINALS_LABEL})
_NODE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


class ConfigError(Exception):
    """A variable is missing or wrong; one line for who started the node."""


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Paths are absolute."""

    node_id: NodeId
    # Who holds the lease: a node started again by the same holder takes it over at once.
    holder: str
    redis_url: str
    projects_root: Path
    run_dir: Path
    kernel_python: Path
    kernel_path: list[Path] = []
    start_timeout_s: float = 60.0
    shutdown_s: float = 7.5
    log_level: str = "INFO"
    output_limits: FoldingLimits = FoldingLimits()
    provisioner: str = "process"
    containers: ContainerSettings = ContainerSettings()
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    sandbox: SandboxSettings = SandboxSettings()
    # Of version 2: where this node may make control groups; looked for without it.
    control_group: Path | None = None
    # For placement: kernels at most (0: no bound), memory for kernels (None: the machine's), what the node is for.
    slot_count: int = 0
    memory_bytes: int | None = None
    labels: dict[str, str] = {}
    # Of the disk that holds the projects: what has to stay free (None: a share of it).
    disk_reserve_bytes: int | None = None
    max_file_bytes: int = MAX_FILE_BYTES
    # Of a kernel or terminal without a limit of its own (None: nothing bounds it).
    default_memory_bytes: int | None = None


def read_config(environment: Mapping[str, str]) -> NodeConfig:
    """Raises ConfigError."""
    node_id = environment.get("NODE_ID") or socket.gethostname()
    if not _NODE_ID.match(node_id):
        raise ConfigError("NODE_ID may have letters, digits, '.', '_' and '-', at most 64.")
    provisioner = environment.get("NODE_PROVISIONER") or "auto"
    if provisioner not in PROVISIONERS:
        raise ConfigError(f"NODE_PROVISIONER is one of {', '.join(PROVISIONERS)}: {provisioner}")
    is_docker = provisioner == "docker"
    # As it is written: in a virtual environment the Python is a link out of it.
    kernel_python = Path(
        sys.executable if is_docker else _needed(environment, "NODE_KERNEL_PYTHON")
    ).absolute()
    if not os.access(kernel_python, os.X_OK):
        raise ConfigError(f"NODE_KERNEL_PYTHON is not a program: {kernel_python}")
    memory_mb = _count(environment, "NODE_MEMORY_MB")
    reserve_mb = _count(environment, "NODE_DISK_RESERVE_MB")
    projects_root = Path(_needed(environment, "NODE_PROJECTS_ROOT")).absolute()
    if not projects_root.is_dir():
        raise ConfigError(f"NODE_PROJECTS_ROOT is not a folder: {projects_root}")
    return NodeConfig(
        node_id=NodeId(node_id),
        # Kernels in containers outlive their node: its next life is to get its lease back at once.
        holder=environment.get("NODE_HOLDER") or (f"node:{node_id}" if is_docker else secrets.token_hex(8)),
        redis_url=_secret(environment, "REDIS_URL"),
        projects_root=projects_root,
        run_dir=Path(_needed(environment, "NODE_RUN_DIR")).absolute(),
        kernel_python=kernel_python,
        kernel_path=[
            Path(part).absolute()
            for part in environment.get("NODE_KERNEL_PATH", "").split(os.pathsep)
            if part
        ],
        start_timeout_s=_seconds(environment, "NODE_START_TIMEOUT_S", 60.0),
        shutdown_s=_seconds(environment, "NODE_SHUTDOWN_S", 7.5),
        log_level=_log_level(environment.get("NODE_LOG_LEVEL") or "INFO"),
        output_limits=_output_limits(environment),
        provisioner=provisioner,
        containers=_container_settings(environment),
        metrics_host=environment.get("NODE_METRICS_HOST") or "127.0.0.1",
        metrics_port=_port(environment, "NODE_METRICS_PORT"),
        sandbox=_sandbox_settings(environment),
        control_group=Path(environment["NODE_CGROUP"]) if environment.get("NODE_CGROUP") else None,
        slot_count=_count(environment, "NODE_SLOTS") or 0,
        memory_bytes=None if memory_mb is None else memory_mb << 20,
        labels=_labels(environment.get("NODE_LABELS", "")),
        disk_reserve_bytes=None if reserve_mb is None else reserve_mb << 20,
        max_file_bytes=_max_file_bytes(environment),
        default_memory_bytes=_default_memory_bytes(environment),
    )


def _default_memory_bytes(environment: Mapping[str, str]) -> int:
    memory_mb, all_mb = _count(environment, "NODE_KERNEL_MEMORY_MB"), _count(environment, "NODE_MEMORY_MB")
    if memory_mb is not None:
        return memory_mb << 20
    # Kernels in containers of their own are not bounded by that of their node.
    is_docker = environment.get("NODE_PROVISIONER") == "docker"
    machine_bytes = physical_memory_bytes() if is_docker else machine_memory_bytes()
    return default_kernel_memory_bytes(None if all_mb is None else all_mb << 20, machine_bytes)


def _max_file_bytes(environment: Mapping[str, str]) -> int:
    file_mb = _count(environment, "NODE_MAX_FILE_MB")
    return MAX_FILE_BYTES if file_mb is None else file_mb << 20


def _sandbox_settings(environment: Mapping[str, str]) -> SandboxSettings:
    default = SandboxSettings()
    network = environment.get("NODE_SANDBOX_NETWORK") or default.network
    if network not in SANDBOX_NETWORKS:
        raise ConfigError(f"NODE_SANDBOX_NETWORK is one of {', '.join(SANDBOX_NETWORKS)}: {network}")
    readable = tuple(
        Path(part) for part in environment.get("NODE_SANDBOX_READABLE", "").split(os.pathsep) if part
    )
    for folder in readable:
        if not folder.is_absolute() or folder == Path("/"):
            raise ConfigError(f"NODE_SANDBOX_READABLE names folders by absolute paths: {folder}")
    tmp_mb = _count(environment, "NODE_KERNEL_TMP_MB")
    return SandboxSettings(
        network=network,
        readable=readable,
        tmp_bytes=default.tmp_bytes if tmp_mb is None else tmp_mb << 20,
        default_memory_bytes=_default_memory_bytes(environment),
        default_process_count=_count(environment, "NODE_KERNEL_PROCESSES") or default.default_process_count,
        max_file_bytes=_max_file_bytes(environment),
    )


def _labels(text: str) -> dict[str, str]:
    """`gpu=yes,zone=a`; a name alone is `yes`."""
    labels: dict[str, str] = {}
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        name, _, value = part.partition("=")
        if not _LABEL.match(name) or not _LABEL.match(value or "yes") or name in OWN_LABELS:
            raise ConfigError(f"NODE_LABELS is name=value,name=value: {part[:80]}")
        labels[name] = value or "yes"
    return labels


def _container_settings(environment: Mapping[str, str]) -> ContainerSettings:
    default = ContainerSettings()
    images = tuple(
        word for word in environment.get("NODE_KERNEL_IMAGES", "").replace(",", " ").split() if word
    )
    for image in images:
        if not _IMAGE.match(image):
            raise ConfigError(f"NODE_KERNEL_IMAGES names no image: {image[:80]}")
    network = environment.get("NODE_KERNEL_NETWORK") or default.network
    if network not in NETWORKS:
        raise ConfigError(f"NODE_KERNEL_NETWORK is one of {', '.join(NETWORKS)}: {network}")
    subnets = environment.get("NODE_KERNEL_SUBNETS") or default.subnets
    try:
        is_too_small = ipaddress.IPv4Network(subnets).prefixlen > 28
    except ValueError as error:
        raise ConfigError(f"NODE_KERNEL_SUBNETS is no IPv4 network: {subnets}") from error
    if is_too_small:
        raise ConfigError(f"NODE_KERNEL_SUBNETS has no room for a network of 16 addresses: {subnets}")
    user = environment.get("NODE_KERNEL_USER") or default.user
    if not _USER.match(user):
        raise ConfigError(f"NODE_KERNEL_USER is uid:gid, neither of them 0: {user}")
    tmp_mb = _count(environment, "NODE_KERNEL_TMP_MB")
    return ContainerSettings(
        images=images or default.images,
        network=network,
        subnets=subnets,
        user=user,
        orphan_s=_seconds(environment, "NODE_ORPHAN_S", default.orphan_s),
        tmp_bytes=default.tmp_bytes if tmp_mb is None else tmp_mb << 20,
        default_memory_bytes=_default_memory_bytes(environment),
        default_process_count=_count(environment, "NODE_KERNEL_PROCESSES") or default.default_process_count,
        max_file_bytes=_max_file_bytes(environment),
    )


def _port(environment: Mapping[str, str], name: str) -> int | None:
    port = _count(environment, name)
    if port is not None and port > 65535:
        raise ConfigError(f"{name} is no port: {port}")
    return port


def _count(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 1 << 31:
        raise ConfigError(f"{name} is not a whole number above zero: {text}")
    return int(text)


def _log_level(text: str) -> str:
    level = text.upper()
    if level not in logging.getLevelNamesMapping():
        raise ConfigError(f"NODE_LOG_LEVEL is none of Python's log levels: {text}")
    return level


def _output_limits(environment: Mapping[str, str]) -> FoldingLimits:
    """`NODE_OUTPUT_<FIELD>` for each field of FoldingLimits, whole numbers above zero."""
    changes: dict[str, int] = {}
    for field in FoldingLimits.__struct_fields__:
        name = f"NODE_OUTPUT_{field.upper()}"
        text = environment.get(name)
        if text:
            if not (text.isascii() and text.isdigit()) or int(text) == 0:
                raise ConfigError(f"{name} is not a whole number above zero: {text}")
            changes[field] = int(text)
    return FoldingLimits(**changes)


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise ConfigError(f"{name} is not set.")
    return value


def _secret(environment: Mapping[str, str], name: str) -> str:
    path = environment.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise ConfigError(f"{name}_FILE cannot be read: {error.strerror}") from error
    return _needed(environment, name)


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError as error:
        raise ConfigError(f"{name} is not a number of seconds: {text}") from error
    if not 0 < seconds < 86_400:
        raise ConfigError(f"{name} is out of range: {text}")
    return seconds
