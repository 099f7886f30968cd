"""A network cable between browser and hub that can be pulled: a browser's own offline mode keeps open sockets alive."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Cable:
    """`url` leads to the hub's port until `pull`: then every connection breaks and none is taken until `plug_in`."""

    def __init__(self, hub_port: int) -> None:
        self._hub_port = hub_port
        self._is_pulled = False
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def pull(self) -> None:
        with self._lock:
            self._is_pulled = True
            for end in self._ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def plug_in(self) -> None:
        self._is_pulled = False

    def close(self) -> None:
        self.pull()
        # A blocked accept() is ended by shutting the listener down, not by closing it.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = None
            with self._lock, contextlib.suppress(OSError):
                if not self._is_pulled:
                    far = socket.create_connection(("127.0.0.1", self._hub_port))
                    self._ends |= {near, far}
            if far is None:
                near.close()
                continue
            threads = [
                threading.Thread(target=self._carry, args=ends, daemon=True)
                for ends in ((near, far), (far, near))
            ]
            for thread in threads:
                thread.start()
            threading.Thread(target=self._finish, args=(near, far, threads), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _finish(self, near: socket.socket, far: socket.socket, threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join()
        with self._lock:
            self._ends -= {near, far}
        near.close()
        far.close()


@contextlib.contextmanager
def cable(hub_port: int) -> Iterator[Cable]:
    made = Cable(hub_port)
    try:
        yield made
    finally:
        made.close()
