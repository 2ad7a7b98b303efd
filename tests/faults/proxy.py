"""A TCP proxy before PostgreSQL that can be away, and that cuts a connection around its COMMIT.

The protocol is only looked at for the bytes of COMMIT from the client: psycopg sends it as a message of its own.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections import deque
from typing import Literal

Cut = Literal["before", "race", "after"]
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards from `port` to a server, in a thread of its own, until `close`.

    `cut(where)` breaks the next committing connection: before its COMMIT is forwarded, at once after it was, or after
    the server has answered it and before the client hears of that; `then_down` refuses all connections from then on.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        self._down = False
        self._cut: tuple[Cut, bool] | None = None
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._doomed: tuple[socket.socket, bool] | None = None
        self._orders: deque[object] = deque()
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="faults-proxy", daemon=True)
        self._thread.start()

    def down(self) -> None:
        """PostgreSQL is away: break what is connected, refuse what comes."""
        self._order("down")

    def up(self) -> None:
        """PostgreSQL is there; no cut is planned any more."""
        self._order("up")

    def cut(self, where: Cut, *, then_down: bool) -> None:
        """Break the next connection that commits."""
        self._order((where, then_down))

    def close(self) -> None:
        """Stop and break everything."""
        self._stopped = True
        self._wake.send(b"x")
        self._thread.join(10)
        for end in (*self._pairs, self._listener, self._wake, self._woken):
            end.close()
        self._selector.close()

    def _order(self, order: object) -> None:
        done = threading.Event()
        self._orders.append((order, done))
        self._wake.send(b"x")
        done.wait(10)

    def _run(self) -> None:
        while not self._stopped:
            for key, _ in self._selector.select(1.0):
                end = key.fileobj
                assert isinstance(end, socket.socket)
                if end is self._woken:
                    end.recv(1024)
                    self._obey()
                elif end is self._listener:
                    self._accept()
                elif end in self._pairs:
                    self._forward(end)

    def _obey(self) -> None:
        while self._orders:
            order, done = self._orders.popleft()  # type: ignore[misc]
            if order == "down":
                self._go_down()
            elif order == "up":
                self._down, self._cut = False, None
            else:
                self._cut = order
            done.set()

    def _go_down(self) -> None:
        self._down, self._cut, self._doomed = True, None, None
        for client in list(self._clients):
            self._break(client)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self._down:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
            return
        try:
            server = socket.create_connection(self.target, timeout=2)
        except OSError:
            client.close()
            return
        for end, other in ((client, server), (server, client)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(10)
            self._pairs[end] = other
            self._selector.register(end, selectors.EVENT_READ)
        self._clients.add(client)

    def _forward(self, end: socket.socket) -> None:
        try:
            data = end.recv(1 << 16)
            if not data:
                self._break(end)
            elif self._doomed is not None and end is self._pairs.get(self._doomed[0]):
                self._sever(*self._doomed)
            elif self._cut is not None and end in self._clients and b"COMMIT\0" in data:
                self._cut_around(end, data)
            else:
                self._pairs[end].sendall(data)
        except OSError:
            self._break(end)

    def _cut_around(self, client: socket.socket, data: bytes) -> None:
        assert self._cut is not None
        (where, then_down), self._cut = self._cut, None
        if where != "before":
            self._pairs[client].sendall(data)
        if where == "after":
            self._doomed = (client, then_down)
        else:
            self._sever(client, then_down)

    def _sever(self, client: socket.socket, then_down: bool) -> None:
        self.cuts += 1
        self._doomed = None
        self._break(client)
        if then_down:
            self._go_down()

    def _break(self, end: socket.socket) -> None:
        for one in (end, self._pairs.get(end)):
            if one is not None and self._pairs.pop(one, None) is not None:
                self._selector.unregister(one)
                self._clients.discard(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                one.close()
