"""Several web processes for one hub: two behind a balancer, one under another ASGI server, one that is killed."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from websockets.sync.client import connect

from tests.channel_client import ChannelClient, Closed
from tests.integration.test_kernel_channels import (
    FORMS,
    LINE_COUNT,
    STALL_S,
    Conversation,
    Server,
    kernel_id,
    large_output_arrives,
    stall_and_return,
    streamed,
    test_a_frame_over_the_limit_ends_that_socket_only,
    test_a_restart_keeps_the_socket_and_forgets_the_state,
    test_code_runs_by_rest_without_a_socket,
    test_comm_messages_pass_with_their_buffers_both_ways,
    test_connecting_does_not_wait_for_a_busy_kernel,
    test_input_is_asked_of_who_ran_the_code_and_output_is_for_all,
    test_the_end_of_a_kernel_is_told_and_closes_the_socket,
    test_the_rest_answers_as_jupyter_does,
    test_what_is_no_message_ends_that_socket_with_a_reason,
)
from tests.integration.web_processes import Balancer, daphne, impatient, uvicorn, web_process
from tests.live_hub import LiveHub, free_port, wait_for

__all__ = [
    "kernel_id",
    "test_a_frame_over_the_limit_ends_that_socket_only",
    "test_a_restart_keeps_the_socket_and_forgets_the_state",
    "test_code_runs_by_rest_without_a_socket",
    "test_comm_messages_pass_with_their_buffers_both_ways",
    "test_connecting_does_not_wait_for_a_busy_kernel",
    "test_input_is_asked_of_who_ran_the_code_and_output_is_for_all",
    "test_the_end_of_a_kernel_is_told_and_closes_the_socket",
    "test_the_rest_answers_as_jupyter_does",
    "test_what_is_no_message_ends_that_socket_with_a_reason",
]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", params=["two behind a balancer", "uvicorn"])
def server(request: pytest.FixtureRequest, hub: LiveHub) -> Iterator[Server]:
    port = free_port()
    if request.param == "uvicorn":
        with web_process(hub, uvicorn(port), port):
            yield Server(hub, port)
    else:
        with web_process(hub, daphne(port), port), Balancer([hub.port, port]).running() as balancer:
            made = Server(hub, balancer.port)
            made.balancer = balancer
            yield made
            assert abs(balancer.taken.count(hub.port) - balancer.taken.count(port)) <= 1, (
                "both were asked, in turn"
            )


def test_documents_and_runs_have_their_sockets_here_too(hub: LiveHub, server: Server) -> None:
    api = httpx.Client(
        base_url=server.url.partition("/jupyter/")[0] + "/api/hub/v1/",
        headers={"Authorization": f"token {server.token}"},
        timeout=30,
    )
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "cells": [
            {
                "cell_type": "code",
                "id": "one",
                "source": "",
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
        ],
    }
    path = f"projects/{server.project_id}"
    assert api.put(f"{path}/files/sockets.ipynb", content=json.dumps(notebook)).is_success
    document_id = api.post(f"{path}/documents", json={"path": "sockets.ipynb"}).json()["id"]
    sockets = str(api.base_url).replace("http", "ws", 1).removesuffix("/api/hub/v1/") + "/ws"
    token = {"Authorization": f"token {server.token}"}
    with connect(f"{sockets}/documents/{document_id}", additional_headers=token) as socket:
        assert isinstance(socket.recv(10), bytes), "the hello"
    with connect(f"{sockets}/runs/{document_id}", additional_headers=token) as socket:
        socket.send(json.dumps({"type": "resume", "seq": 0}))
        cell = {"cell_id": "one", "source": "print('by a socket')"}
        socket.send(json.dumps({"type": "run", "request_id": uuid4().hex, "cells": [cell]}))
        operations: list[dict[str, object]] = []
        while not any(operation["op"] == "finished" for operation in operations):
            message = json.loads(socket.recv(30))
            if message["type"] == "ping":
                socket.send(json.dumps({"type": "pong", "number": message["number"]}))
            operations += message.get("ops", [])
        assert "by a socket" in json.dumps(operations)


def test_tries_of_links_are_counted_over_all_processes(hub: LiveHub, server: Server) -> None:
    here = str(server.http.base_url).partition("/jupyter/")[0]
    addresses = itertools.cycle([here, f"http://127.0.0.1:{hub.port}"])
    with httpx.Client(timeout=30) as browser:
        page = browser.get(f"{here}/accounts/login/").text
        [proof] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[:1]
        form = {"csrfmiddlewaretoken": proof}
        for _ in range(200):
            answer = browser.post(f"{next(addresses)}/accounts/join/there-is-no-such-link/", data=form)
            if answer.status_code == 429:
                break
            assert answer.status_code == 404, answer.text
        for address in (next(addresses), next(addresses)):
            answer = browser.post(f"{address}/accounts/join/there-is-no-such-link/", data=form)
            assert answer.status_code == 429, "who was refused by one is refused by the other"


@FORMS
def test_who_leaves_in_the_middle_and_comes_back_to_any_process_gets_the_same_bytes_once(
    server: Server, kernel_id: str, is_v1: bool
) -> None:
    """The whole of it behind the balancer, where who comes back is given to the process they were not at."""
    is_whole = server.balancer is not None and is_v1
    line_count, stall_s = (LINE_COUNT, STALL_S) if is_whole else (3_000, 0.0)
    stall_and_return(server, kernel_id, is_v1=is_v1, line_count=line_count, stall_s=stall_s)
    if server.balancer is not None:
        *_, first, second = server.balancer.taken
        assert first != second


@FORMS
def test_a_large_output_arrives_whole_here_too(server: Server, kernel_id: str, is_v1: bool) -> None:
    size = 100_000_000 if server.balancer is not None and not is_v1 else 5_000_000
    large_output_arrives(server, kernel_id, is_v1=is_v1, size=size)


@pytest.fixture(scope="module")
def impatient_server(hub: LiveHub) -> Iterator[Server]:
    port = free_port()
    with web_process(hub, impatient(port, slow_s=1.0), port):
        yield Server(hub, port)


@FORMS
def test_who_never_reads_is_told_and_goes_on_from_where_it_was(
    hub: LiveHub, impatient_server: Server, is_v1: bool
) -> None:
    server, count = impatient_server, 400
    kernel = server.start()
    slow = ChannelClient(
        f"{server.url}api/kernels/{kernel}/channels",
        token=server.token,
        is_v1=is_v1,
        timeout_s=60,
        receive_buffer_bytes=64 * 1024,
    )
    slow.replies_to(slow.execute("1"))
    talk = Conversation(slow.execute(f"for i in range({count}): print(f'{{i:5}}' * 8_000, flush=True)"))
    with server.connect(kernel) as other:
        marked = other.execute("print('the other')")
        assert streamed(other.replies_to(marked)) == "the other\n", "nobody else waits"
    log_path = hub.data_dir / "logs" / f"web-{server.http.base_url.port}.log"
    told = f"channels_client_too_slow' kernel_id='{kernel}'"
    wait_for("it is told", lambda: told in log_path.read_text(), timeout_s=60)
    with pytest.raises(Closed) as closed:
        talk.read(slow)
    assert closed.value.code == 4408
    assert len(talk.messages) < count, "there was more than it was told of"
    with server.connect(kernel, slow.session_id, is_v1=is_v1) as again:
        talk.read(again)
    assert streamed(talk.messages) == "".join(f"{i:5}" * 8_000 + "\n" for i in range(count))
    assert len(set(talk.ids)) == len(talk.ids)
    server.http.delete(f"api/kernels/{kernel}")


def test_who_was_at_a_killed_web_process_misses_nothing_at_another(hub: LiveHub) -> None:
    port, count = free_port(), 400
    with web_process(hub, daphne(port), port) as process:
        doomed, other = Server(hub, port), hub.port
        kernels = [doomed.start() for _ in range(2)]
        clients = [doomed.connect(one, is_v1=index == 0) for index, one in enumerate(kernels)]
        for client in clients:
            client.replies_to(client.execute("import time"))
        talks = [
            Conversation(
                client.execute(f"for i in range({count}):\n    print(i, flush=True); time.sleep(0.005)")
            )
            for client in clients
        ]
        for talk, client in zip(talks, clients, strict=True):
            talk.read(client, lambda talk=talk: len(talk.messages) > 60)  # type: ignore[misc]
        process.kill()
        process.wait(10)
        doomed.url = doomed.url.replace(f":{port}/", f":{other}/")
        doomed.http.base_url = doomed.url
        for talk, client, one in zip(talks, clients, kernels, strict=True):
            with contextlib.suppress(Closed, OSError):
                talk.read(client)  # what was on its way still arrives
            with doomed.connect(one, client.session_id, is_v1=client.is_v1) as again:
                talk.read(again)
            whole = {str(message.header["msg_id"]): message for message in talk.messages}
            assert streamed(list(whole.values())) == "".join(f"{i}\n" for i in range(count))
            doomed.http.delete(f"api/kernels/{one}")
