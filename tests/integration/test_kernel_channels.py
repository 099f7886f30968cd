"""The channels socket of a running hub with ipykernel: whole, once, to whom it is for, whatever happens."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.channel_client import ChannelClient, Closed, Message
from tests.integration.web_processes import Balancer
from tests.live_hub import LiveHub, wait_for

pytestmark = pytest.mark.integration
FORMS = pytest.mark.parametrize("is_v1", [True, False], ids=["v1", "json"])
LINE_COUNT = 50_000
STALL_S = 10.0
# As `print(…, flush=True)`, each time of which the kernel works for a third of a millisecond.
A_MESSAGE_A_LINE = """
kernel = get_ipython().kernel
for i in range({line_count}):
    kernel.send_response(kernel.iopub_socket, "stream", {{"name": "stdout", "text": f"{{i}}\\n"}})
"""


class Server:
    """The Jupyter-compatible server of a new project, at the hub's own port or another that leads to it."""

    balancer: Balancer | None = None  # if one is before it

    def __init__(self, hub: LiveHub, port: int | None = None) -> None:
        self.token = hub.token()
        with hub.client() as client:
            project = client.post("projects", json={"name": "Channels"}).json()
        self.project_id = str(project["id"])
        self.url = str(project["jupyter_url"]).replace(f":{hub.port}/", f":{port or hub.port}/")
        # A connection a request: a balancer gives each to another process.
        limits = httpx.Limits(max_keepalive_connections=0 if port else None)
        self.http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"token {self.token}"}, timeout=60, limits=limits
        )
        wait_for("python3 is offered", lambda: self.http.get("api/kernelspecs/python3").is_success)

    def start(self) -> str:
        answer = self.http.post("api/kernels", json={"name": "python3"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def connect(self, kernel_id: str, session_id: str | None = None, *, is_v1: bool = True) -> ChannelClient:
        return ChannelClient(
            f"{self.url}api/kernels/{kernel_id}/channels",
            token=self.token,
            session_id=session_id,
            is_v1=is_v1,
            timeout_s=120,
        )


@pytest.fixture(scope="module")
def server(hub: LiveHub) -> Server:
    return Server(hub)


@pytest.fixture
def kernel_id(server: Server) -> Iterator[str]:
    started = server.start()
    yield started
    server.http.delete(f"api/kernels/{started}")


def streamed(messages: list[Message]) -> str:
    return "".join(message.content["text"] for message in messages if message.type == "stream")


def wait_until(client: ChannelClient, is_it: Callable[[Message], bool]) -> Message:
    while True:
        message = client.receive()
        if is_it(message):
            return message


class Conversation:
    """One request's messages, gathered over any number of connections of one client."""

    def __init__(self, msg_id: str) -> None:
        self.msg_id = msg_id
        self.messages: list[Message] = []
        self._left = {"execute_reply", "idle"}  # in any order: they come on different channels of the kernel

    def read(self, client: ChannelClient, enough: Callable[[], bool] = lambda: False) -> None:
        """Until all has come, or enough."""
        while self._left and not enough():
            message = client.receive()
            if message.parent_id == self.msg_id:
                self.messages.append(message)
                is_status = message.type == "status"
                self._left.discard(message.content["execution_state"] if is_status else message.type)

    @property
    def ids(self) -> list[str]:
        return [str(message.header["msg_id"]) for message in self.messages]


@FORMS
def test_a_reader_that_stalls_and_returns_gets_the_same_bytes_once(
    server: Server, kernel_id: str, is_v1: bool
) -> None:
    stall_and_return(server, kernel_id, is_v1=is_v1, line_count=LINE_COUNT, stall_s=STALL_S)


def stall_and_return(
    server: Server, kernel_id: str, *, is_v1: bool, line_count: int, stall_s: float = 0.0
) -> None:
    first = server.connect(kernel_id, is_v1=is_v1)
    first.replies_to(first.execute("1"))
    talk = Conversation(first.execute(A_MESSAGE_A_LINE.format(line_count=line_count)))
    # On a machine so slow that this is no flood, who leaves within a batch gets the rest of that batch twice.
    talk.read(first, lambda: len(talk.messages) >= line_count // 10 and first.is_last_known)
    time.sleep(stall_s)  # the stall itself: nothing is read, and nothing is waited for
    first.close()
    with server.connect(kernel_id, first.session_id, is_v1=is_v1) as second:
        talk.read(second)
    assert streamed(talk.messages) == "".join(f"{i}\n" for i in range(line_count))
    assert len(set(talk.ids)) == len(talk.ids)


@FORMS
@pytest.mark.parametrize("size", [5_000_000, 100_000_000])
def test_a_large_output_arrives_whole(server: Server, kernel_id: str, is_v1: bool, size: int) -> None:
    large_output_arrives(server, kernel_id, is_v1=is_v1, size=size)


def large_output_arrives(server: Server, kernel_id: str, *, is_v1: bool, size: int) -> None:
    code = (
        "import hashlib, random\nfrom IPython.display import display\n"
        f"data = random.randbytes({size} // 2).hex()\n"
        "display({'text/plain': data}, raw=True)\nprint(hashlib.sha256(data.encode()).hexdigest())"
    )
    with server.connect(kernel_id, is_v1=is_v1) as client:
        messages = client.replies_to(client.execute(code))
    [data] = [m.content["data"]["text/plain"] for m in messages if m.type == "display_data"]
    assert len(data) == size
    assert hashlib.sha256(data.encode()).hexdigest() == streamed(messages).strip()


def test_a_frame_over_the_limit_ends_that_socket_only(server: Server, kernel_id: str) -> None:
    with server.connect(kernel_id) as greedy, server.connect(kernel_id) as modest:
        with pytest.raises((Closed, OSError)):
            send_too_much(greedy)
        assert streamed(modest.replies_to(modest.execute("print('here')"))) == "here\n"


def send_too_much(client: ChannelClient) -> None:
    client.send_frame(0x2, bytes(17 * 1024 * 1024))
    while True:
        client.receive()


def test_what_is_no_message_ends_that_socket_with_a_reason(server: Server, kernel_id: str) -> None:
    for is_v1, opcode, nonsense in [
        (True, 2, b"x" * 30),
        (True, 1, b"text"),
        (False, 1, b"{}"),
        (False, 2, b""),
    ]:
        with server.connect(kernel_id, is_v1=is_v1) as client:
            client.send_frame(opcode, nonsense)
            with pytest.raises(Closed) as closed:
                wait_until(client, lambda message: False)
            assert closed.value.code == 4400


def test_kill_of_the_web_process_loses_nothing(hub: LiveHub, server: Server) -> None:
    count = 600
    kernels = [server.start() for _ in range(3)]
    clients = [server.connect(kernel_id, is_v1=index % 2 == 0) for index, kernel_id in enumerate(kernels)]
    for client in clients:
        client.replies_to(client.execute("import time"))
    talks = [
        Conversation(client.execute(f"for i in range({count}):\n    print(i, flush=True); time.sleep(0.005)"))
        for client in clients
    ]
    for talk, client in zip(talks, clients, strict=True):
        talk.read(client, lambda talk=talk: len(talk.messages) > 100)  # type: ignore[misc]
    os.kill(hub.pid_of("web"), signal.SIGKILL)
    for talk, client, kernel_id in zip(talks, clients, kernels, strict=True):
        with contextlib.suppress(Closed, OSError):
            talk.read(client)  # what was on its way still arrives
        again = reconnected(server, kernel_id, client)
        talk.read(again)
        again.abandon()
        whole = {str(m.header["msg_id"]): m for m in talk.messages}
        assert streamed(list(whole.values())) == "".join(f"{i}\n" for i in range(count))
        server.http.delete(f"api/kernels/{kernel_id}")


def reconnected(server: Server, kernel_id: str, client: ChannelClient) -> ChannelClient:
    def attempt() -> ChannelClient | None:
        with contextlib.suppress(Closed, OSError):
            return server.connect(kernel_id, client.session_id, is_v1=client.is_v1)
        return None

    return wait_for("the hub answers again", attempt, timeout_s=30)


def test_input_is_asked_of_who_ran_the_code_and_output_is_for_all(server: Server, kernel_id: str) -> None:
    with server.connect(kernel_id) as asker, server.connect(kernel_id, is_v1=False) as other:
        other.replies_to(other.execute("1"))
        msg_id = asker.execute("print('Hello ' + input('Name? '))", allow_stdin=True)
        question = wait_until(asker, lambda message: message.type == "input_request")
        assert (question.channel, question.content["prompt"]) == ("stdin", "Name? ")
        asker.send(
            "input_reply",
            {"value": "Ada", "status": "ok"},
            channel="stdin",
            parent_header=question.header,
        )
        assert streamed(asker.replies_to(msg_id)) == "Hello Ada\n"
        seen: list[Message] = []
        while not seen or (seen[-1].parent_id, seen[-1].content.get("execution_state")) != (msg_id, "idle"):
            seen.append(other.receive())
        assert "Hello Ada\n" in streamed(seen)
        assert {m.channel for m in seen if m.parent_id == msg_id} == {"iopub"}


def test_comm_messages_pass_with_their_buffers_both_ways(server: Server, kernel_id: str) -> None:
    code = (
        "from ipykernel.comm import Comm\n"
        "comm = Comm(target_name='t', data={'a': 1}, buffers=[b'xyz', memoryview(b'12')])\n"
        "@comm.on_msg\n"
        "def answer(message):\n"
        "    comm.send({'got': [bytes(b).decode() for b in message['buffers']]}, buffers=[b'back'])"
    )
    with server.connect(kernel_id) as one, server.connect(kernel_id, is_v1=False) as two:
        # An open socket is not yet at the kernel, and two sockets may be at two web processes.
        two.replies_to(two.send("kernel_info_request", {}))
        messages = one.replies_to(one.execute(code))
        [opened] = [message for message in messages if message.type == "comm_open"]
        assert opened.buffers == [b"xyz", b"12"]
        for client, words in ((one, [b"one", b"two"]), (two, [b"three"])):
            client.send("comm_msg", {"comm_id": opened.content["comm_id"], "data": {}}, buffers=words)
            for listener in (one, two):
                heard = wait_until(listener, lambda message: message.type == "comm_msg")
                assert heard.content["data"] == {"got": [word.decode() for word in words]}
                assert heard.buffers == [b"back"]


def test_connecting_does_not_wait_for_a_busy_kernel(server: Server, kernel_id: str) -> None:
    with server.connect(kernel_id) as busy:
        msg_id = busy.execute("import time; time.sleep(600)")
        wait_until(busy, lambda message: message.type == "execute_input")
        with server.connect(kernel_id) as late:
            control = late.send("kernel_info_request", {}, channel="control")
            answer = wait_until(late, lambda message: message.parent_id == control)
            while answer.channel != "control":
                answer = wait_until(late, lambda message: message.parent_id == control)
            assert answer.type == "kernel_info_reply"
        assert server.http.post(f"api/kernels/{kernel_id}/interrupt").status_code == 204
        assert any(message.type == "error" for message in busy.replies_to(msg_id))


def test_a_restart_keeps_the_socket_and_forgets_the_state(server: Server, kernel_id: str) -> None:
    with server.connect(kernel_id) as client:
        client.replies_to(client.execute("x = 1"))
        assert server.http.post(f"api/kernels/{kernel_id}/restart").status_code == 200
        assert streamed(client.replies_to(client.execute("print('x' in dir())"))) == "False\n"


def test_the_end_of_a_kernel_is_told_and_closes_the_socket(server: Server) -> None:
    kernel_id = server.start()
    with server.connect(kernel_id) as client:
        client.replies_to(client.execute("1"))
        assert server.http.delete(f"api/kernels/{kernel_id}").status_code == 204
        wait_until(client, lambda message: message.content.get("execution_state") == "dead")
        with pytest.raises(Closed) as closed:
            client.receive()
        assert closed.value.code == 1000
    assert server.http.get(f"api/kernels/{kernel_id}").status_code == 404
    with pytest.raises(Closed) as refused:
        server.connect(kernel_id)
    assert refused.value.code in (403, 404)


def test_the_rest_answers_as_jupyter_does(server: Server, kernel_id: str) -> None:
    path = urlsplit(server.url).path
    wanted = str(uuid4())
    made = server.http.post("api/kernels", json={"name": "python3", "id": wanted})
    assert (made.status_code, made.headers["location"]) == (201, f"{path}api/kernels/{wanted}")
    assert set(made.json()) == {"id", "name", "last_activity", "execution_state", "connections"}
    made = server.http.post(
        "api/sessions",
        json={"path": "a/b.ipynb", "name": "b", "type": "notebook", "kernel": {"id": kernel_id}},
    )
    assert made.status_code == 201
    session = made.json()
    assert (session["kernel"]["id"], session["notebook"]["path"]) == (kernel_id, "a/b.ipynb")
    again = server.http.post("api/sessions", json={"path": "a/b.ipynb", "type": "notebook"}).json()
    assert (again["id"], again["kernel"]["id"]) == (session["id"], kernel_id)
    changed = server.http.patch(
        f"api/sessions/{session['id']}", json={"path": "c.ipynb", "kernel": {"id": wanted}}
    )
    assert (changed.json()["path"], changed.json()["kernel"]["id"]) == ("c.ipynb", wanted)
    # The old kernel belonged to nothing any more.
    wait_for("it is gone", lambda: server.http.get(f"api/kernels/{kernel_id}").status_code == 404)
    assert [item["id"] for item in server.http.get("api/sessions").json()] == [session["id"]]
    assert server.http.delete(f"api/sessions/{session['id']}").status_code == 204
    for method, address, body, status in [
        ("GET", "api/kernels/nonsense", None, 404),
        ("POST", "api/kernels", {"name": "no-such-kernel"}, 400),
        ("POST", "api/kernels", {"id": "not a uuid"}, 400),
        ("POST", "api/sessions", {}, 400),
        ("GET", f"api/sessions/{wanted}", None, 404),
    ]:
        answer = server.http.request(method, address, json=body)
        assert (answer.status_code, set(answer.json())) == (status, {"message", "reason"}), address


def test_code_runs_by_rest_without_a_socket(server: Server, kernel_id: str) -> None:
    def result(code: str) -> httpx.Response:
        posted = server.http.post(f"api/kernels/{kernel_id}/execute", json={"code": code, "metadata": {}})
        assert posted.status_code == 202

        def done() -> httpx.Response | None:
            assert posted.headers["location"].startswith(f"{server.url}api/kernels/{kernel_id}/requests/")
            answer = server.http.get(posted.headers["location"])
            return None if answer.status_code == 202 else answer

        return wait_for("it has run", done)

    answer = result("print('a'); print('b'); 6 * 7")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert '"text": "a\\nb\\n"' in answer.json()["outputs"]
    assert '"42"' in answer.json()["outputs"]
    assert result("1/0").json()["status"] == "error"
    waiting = result("input('Name? ')")
    assert (waiting.status_code, waiting.json()["input_request"]["prompt"]) == (300, "Name? ")
    assert waiting.json()["parent_header"]["msg_type"] == "input_request"
    assert waiting.headers["location"] == f"{server.url}api/kernels/{kernel_id}/input"
    assert server.http.post(f"api/kernels/{kernel_id}/input", json={"input": "Ada"}).status_code == 201
    assert server.http.post(f"api/kernels/{kernel_id}/execute", json={}).status_code == 400
