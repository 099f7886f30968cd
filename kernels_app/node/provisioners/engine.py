"""The Docker engine as a node uses it. With `docker.py` beside it the only importer of the Docker SDK.

Every call goes through a thread: the SDK blocks. One more thread reads the engine's events for all kernels.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import IPAMConfig, IPAMPool
from requests.exceptions import RequestException

from kernels_app.node.provisioners.container_settings import ContainerSettings

logger = logging.getLogger(__name__)

NODE_LABEL = "org.zasper.node"
KERNEL_LABEL = "org.zasper.kernel"
HUB_LABEL = "org.zasper.hub"
PROJECT_LABEL = "com.docker.compose.project"
NETWORK_LABEL = "org.zasper.network"
TIMEOUT_S = 30
# A project's network: room for the bridge and 13 kernels; more of them wait for an address in vain.
NETWORK_PREFIX = 28
RETRY_S = 1.0
EngineError = DockerException


class EngineAway(EngineError):
    """It does not answer, or not in time; what was asked for may have happened."""


class EngineClient(docker.APIClient):
    """The SDK's, which lets errors of the connection through as they are."""

    def request(self, *arguments: Any, **options: Any) -> Any:
        """Raises EngineError."""
        try:
            return super().request(*arguments, **options)
        except RequestException as error:
            raise EngineAway(f"The container engine does not answer: {error}") from error


class Engine:
    """One a node."""

    def __init__(self, settings: ContainerSettings, *, node_id: str, run_dir: Path) -> None:
        """Raises EngineError when there is no engine."""
        self.settings = settings
        self.node_id = node_id
        self.run_dir = run_dir
        self._client = EngineClient(version="auto", timeout=TIMEOUT_S)
        # Which hub of this machine: Compose's name of it.
        self.hub = ""
        self._mounts: dict[Path, Path] = {}
        self._watched: dict[str, Callable[[], None]] = {}
        self._loop = asyncio.get_running_loop()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._read_events, name="engine-events", daemon=True)
        self._events: Any = None
        self._networks_lock = threading.Lock()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._is_closed.set()
        with contextlib.suppress(Exception):
            if self._events is not None:
                self._events.close()
        self._client.close()

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """One call of the client. Raises EngineError."""
        return await asyncio.to_thread(getattr(self._client, method), *arguments, **options)

    def call_now(self, method: str, *arguments: Any, **options: Any) -> Any:
        """The same, holding up the caller: for what is rare and quick."""
        return getattr(self._client, method)(*arguments, **options)

    # Where this process is

    def find_mounts(self) -> None:
        """When the node itself is a container, its folders have other names on the engine's machine."""
        own = own_container(self._client)
        if own is not None:
            self.hub = labels_of(own).get(PROJECT_LABEL, "")
            self._mounts = {Path(mount["Destination"]): Path(mount["Source"]) for mount in own["Mounts"]}

    def host_path(self, path: Path) -> str:
        """The engine's name of a folder of ours. Raises ValueError when it cannot see it."""
        if not self._mounts:
            return str(path)
        for mine in (path, *path.parents):
            source = self._mounts.get(mine)
            if source is not None:
                return str(source / path.relative_to(mine))
        raise ValueError(f"the engine cannot see the folder {path.name}")

    # Kernelspecs

    def read_kernelspecs(self) -> dict[str, dict[str, Any]]:
        """What each allowed image says of its kernels: image to kernelspecs by name. Broken images are left out."""
        found: dict[str, dict[str, Any]] = {}
        for image in self.settings.images:
            try:
                found[image] = self._kernelspecs_of(image)
            except ImageNotFound:
                logger.warning("The image %s of NODE_KERNEL_IMAGES is not there.", image)
            except (EngineError, ValueError) as error:
                logger.warning("The kernelspecs of the image %s cannot be read: %s", image, error)
        return found

    def _kernelspecs_of(self, image: str) -> dict[str, Any]:
        client = self._client
        container = client.create_container(
            image,
            command=["--kernelspecs"],
            user=self.settings.user,
            labels={NODE_LABEL: self.node_id},
            host_config=client.create_host_config(
                network_mode="none", cap_drop=["ALL"], security_opt=["no-new-privileges"], read_only=True
            ),
        )["Id"]
        try:
            client.start(container)
            code = client.wait(container, timeout=TIMEOUT_S)["StatusCode"]
            text = client.logs(container, stdout=True, stderr=False)
            if code != 0:
                raise ValueError(f"exit code {code}")
            specs = json.loads(text)
            if not isinstance(specs, dict):
                raise ValueError("no object")
            return specs
        finally:
            client.remove_container(container, force=True)

    # Networks

    def project_network(self, project: str) -> str:
        """The network of a project's kernels; made when it is not there. Raises EngineError, ValueError."""
        settings = self.settings
        if settings.network == "none":
            return "none"
        name = f"zasper-{settings.network}-{project}"
        with self._networks_lock:
            if self._client.networks(names=[name]):
                return name
            self._make_network(name)
        return name

    def _make_network(self, name: str) -> None:
        is_internal = self.settings.network == "project"
        # Without an address of its own the bridge leads nowhere, not even to the machine it is on.
        options = {"com.docker.network.bridge.inhibit_ipv4": "true"} if is_internal else {}
        taken = self._taken_subnets()
        for subnet in ipaddress.ip_network(self.settings.subnets).subnets(new_prefix=NETWORK_PREFIX):
            if any(subnet.overlaps(other) for other in taken if other.version == subnet.version):
                continue
            try:
                self._client.create_network(
                    name,
                    driver="bridge",
                    internal=is_internal,
                    options=options,
                    check_duplicate=True,
                    ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))]),
                    labels={NETWORK_LABEL: "project"},
                )
            except APIError as error:
                if error.status_code == 409:
                    return  # another node has just made it
                if "overlap" in str(error.explanation):
                    continue
                raise
            return
        raise ValueError("there is no free network in NODE_KERNEL_SUBNETS")

    def _taken_subnets(self) -> list[Any]:
        taken = []
        for network in self._client.networks():
            for pool in (network.get("IPAM") or {}).get("Config") or []:
                with contextlib.suppress(ValueError, KeyError):
                    taken.append(ipaddress.ip_network(pool["Subnet"]))
        return taken

    def leave_network(self, name: str) -> None:
        """Removes a project's network when no kernel is on it any more."""
        if name.startswith("zasper-"):
            with self._networks_lock, contextlib.suppress(EngineError):
                self._client.remove_network(name)  # refused while something is on it

    # What is there

    def own_containers(self) -> list[dict[str, Any]]:
        """The kernels' containers of this node, also those that ended."""
        found: list[dict[str, Any]] = self._client.containers(
            all=True, filters={"label": [f"{NODE_LABEL}={self.node_id}"]}
        )
        return found

    def remove(self, container: str) -> None:
        with contextlib.suppress(NotFound):
            self._client.remove_container(container, force=True, v=True)

    def update(
        self, container: str | None, *, memory_bytes: int, cpu_cores: float, process_count: int
    ) -> None:
        """Other limits for a container that runs. Raises EngineError."""
        # The SDK's own method knows neither cores nor processes.
        client: Any = self._client
        answer = client._post_json(
            client._url("/containers/{0}/update", container),
            data={
                "Memory": memory_bytes,
                "MemorySwap": memory_bytes,
                "NanoCpus": int(cpu_cores * 1e9),
                "PidsLimit": process_count,
            },
        )
        client._result(answer, True)

    # Ends of containers

    def watch(self, container: str, on_end: Callable[[], None]) -> None:
        """`on_end` is called on the event loop when the container has ended, once or more often."""
        self._watched[container] = on_end

    def forget(self, container: str) -> None:
        self._watched.pop(container, None)

    def _read_events(self) -> None:
        filters = {"type": "container", "event": "die", "label": f"{NODE_LABEL}={self.node_id}"}
        while not self._is_closed.is_set():
            try:
                # No timeout of its own: a quiet engine is no dead one.
                client = EngineClient(version="auto", timeout=cast(int, None))
                self._events = client.events(decode=True, filters=filters)
                # What ended while nobody listened.
                for container in list(self._watched):
                    self._tell_if_ended(client, container)
                for event in self._events:
                    self._tell(str(event.get("id")))
            except Exception as error:
                if not self._is_closed.is_set():
                    logger.warning("The engine's events are interrupted: %s", error)
            if not self._is_closed.is_set():
                time.sleep(RETRY_S)

    def _tell_if_ended(self, client: Any, container: str) -> None:
        try:
            if not client.inspect_container(container)["State"]["Running"]:
                self._tell(container)
        except NotFound:
            self._tell(container)

    def _tell(self, container: str) -> None:
        on_end = self._watched.get(container)
        if on_end is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(on_end)


async def inspected_state(engine: Engine, container: str | None) -> dict[str, Any] | None:
    """The container's state, as soon as the engine tells it; None when there is none any more."""
    while True:
        try:
            state: dict[str, Any] = (await engine.call("inspect_container", container))["State"]
            return state
        except NotFound:
            return None
        except EngineError as error:
            logger.warning("The state of a container cannot be read yet: %s", error)
        await asyncio.sleep(RETRY_S)


def labels_of(container: dict[str, Any] | None) -> dict[str, str]:
    return ((container or {}).get("Config") or {}).get("Labels") or {}


def own_container(client: Any) -> dict[str, Any] | None:
    """What the engine knows of the container this process is in; None when it is in none of it."""
    if not Path("/.dockerenv").exists():
        return None
    try:
        found: dict[str, Any] = client.inspect_container(os.uname().nodename)
    except EngineError:
        return None
    return found


def name_of_node() -> str | None:
    """A name that stays when the node's container is made anew: the engine's machine and Compose's number.

    None without an engine, or outside Compose.
    """
    try:
        client = EngineClient(version="auto", timeout=TIMEOUT_S)
    except EngineError:
        return None
    try:
        own = own_container(client)
        labels = labels_of(own)
        number = labels.get("com.docker.compose.container-number")
        if not number:
            return None
        # Several hubs may be on one machine, and one hub's nodes on several.
        name = "-".join((labels.get(PROJECT_LABEL) or "hub", str(client.info()["Name"]) or "host", number))
        return "".join(
            letter for letter in name if letter.isascii() and (letter.isalnum() or letter in ".-_")
        )[-64:]
    except EngineError:
        return None
    finally:
        client.close()
