"""A stage for schedules: services on one database, opened with either driver, and the ways to hold or cut them.

Nothing here sleeps to get an order: a held member row keeps a commit in flight for as long as a block lasts, a `Line`
between a service and PostgreSQL cuts the connection at a named moment, and `call` runs one request of an ASGI
application by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

import outlive
from outlive.commit.unit import Unit
from outlive.postgres.address import Address

LIMIT_S = 20.0


@dataclasses.dataclass
class Task:
    id: int
    title: str = ""
    done: bool = False
    tags: list[str] = dataclasses.field(default_factory=list)


class Stage:
    """One test's services and a second pair of eyes on their database."""

    def __init__(self, driver: str, address: Address, home: Path) -> None:
        self.driver = driver
        self.address = address
        self.home = home
        self.services: list[outlive.Service] = []
        self.conn = psycopg.connect(address.conninfo(), autocommit=True)

    def service(self, name: str = "stage", address: Address | None = None, **env: str) -> outlive.Service:
        """A closed service; every one has a home of its own, as if it were on another machine."""
        home = self.home / f"home-{len(self.services)}"
        url = (address or self.address).libpq_url()
        given = {"DATABASE_URL": url, "OUTLIVE_HOME": str(home), "OUTLIVE_POLL_S": "0.02", "OUTLIVE_SCRUB_S": "3600"}
        service = outlive.Service(name, env={**given, "DATABASE_CONNECT_TIMEOUT": "2", **env})
        self.services.append(service)
        return service

    def tasks(
        self, phase: str = "dual_write", address: Address | None = None, **options: Any
    ) -> tuple[outlive.Service, Any]:
        """A closed service with one store of tasks."""
        service = self.service(address=address)
        return service, outlive.mapping("tasks", Task, key="id", service=service, phase=phase, **options)  # type: ignore[arg-type]

    async def open(self, service: outlive.Service) -> None:
        """Open with this stage's driver, and wait until it has its connection."""
        if self.driver == "loop":
            await service.start_async()
        else:
            await asyncio.to_thread(service.start)
        await until(lambda: service.committer.connected)

    def play(self, schedule: Callable[[], Awaitable[None]], *services: outlive.Service) -> None:
        """Run the schedule on a loop with the services open (all of the stage's, unless named) and close them."""

        async def run() -> None:
            async with asyncio.timeout(LIMIT_S):
                for service in services or tuple(self.services):
                    await self.open(service)
                try:
                    await schedule()
                finally:
                    for service in self.services:
                        await service.close_async()

        asyncio.run(run())

    def close(self) -> None:
        """Give up what a failed test left open."""
        for service in self.services:
            if service.state != "closed":
                service.crash()
        self.conn.close()

    # -- what PostgreSQL holds ---------------------------------------------------------------------------------

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Rows of one statement on a connection of the test's own."""
        cursor = self.conn.execute(statement, values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []

    def row(self, key: int) -> tuple[Any, ...] | None:
        """(title, done, tags) of a stored task."""
        rows = self.sql("SELECT title, done, tags FROM stage.tasks WHERE id = %s", key)
        return rows[0] if rows else None

    def refuse(self, title: str = "bad") -> None:
        """Let PostgreSQL refuse tasks of that title for good."""
        self.sql(f"ALTER TABLE stage.tasks ADD CONSTRAINT no_{title} CHECK (title <> '{title}')")

    @contextlib.asynccontextmanager
    async def held(self, service: outlive.Service) -> AsyncIterator[None]:
        """No write transaction of the service gets further than its first statement inside the block."""
        assert service.committer.member is not None
        async with await psycopg.AsyncConnection.connect(self.address.conninfo()) as conn:
            await conn.execute("SELECT FROM outlive.member WHERE id = %s FOR UPDATE", (service.committer.member.id,))
            yield

    async def blocked(self, service: outlive.Service) -> None:
        """Until a write transaction waits in its first statement."""
        query = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        await until(lambda: any("SET applied" in text for (text,) in self.sql(query)))


async def until(condition: Callable[[], Any]) -> Any:
    """The first true answer; the schedule's time limit ends the wait."""
    while not (answer := condition()):  # noqa: ASYNC110  what it waits for is in PostgreSQL
        await asyncio.sleep(0.005)
    return answer


# -- requests ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Answer:
    """What a client got."""

    messages: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def status(self) -> int | None:
        """The status, None if no response began."""
        return next((m["status"] for m in self.messages if m["type"] == "http.response.start"), None)

    @property
    def headers(self) -> dict[str, str]:
        """Header names in lower case."""
        start = next(m for m in self.messages if m["type"] == "http.response.start")
        return {name.decode().lower(): value.decode() for name, value in start["headers"]}

    @property
    def body(self) -> bytes:
        """All chunks."""
        return b"".join(m.get("body", b"") for m in self.messages if m["type"] == "http.response.body")


async def call(
    app: Any, path: str = "/", method: str = "POST", *, seen: Callable[[dict[str, Any]], None] | None = None,
    gone: asyncio.Event | None = None,
) -> Answer:  # fmt: skip
    """One request by hand. `seen` is called with each message as it leaves; `gone` set: the client disconnects."""
    answer = Answer()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if gone is not None and gone.is_set():
            raise OSError("the client is gone")
        if seen is not None:
            seen(message)
        answer.messages.append(dict(message))

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "root_path": "", "scheme": "http", "query_string": b"", "headers": [],
        "client": ("test", 1), "server": ("test", 80), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    return answer


def endpoint(act: Callable[[], Awaitable[Any]]) -> Any:
    """A plain ASGI application whose only endpoint is `act`; its answer is the body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = str(await act()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


def request(service: outlive.Service, act: Callable[[], Awaitable[Any]], **options: Any) -> asyncio.Task[Answer]:
    """A running request of a plain ASGI application whose endpoint is `act`."""
    app = outlive.install(endpoint(act), service=service)
    return asyncio.get_running_loop().create_task(call(app, **options))


def tickets(service: outlive.Service) -> list[Unit]:
    """Units that ended and are not settled."""
    return service.committer.pending()


# -- the line to PostgreSQL ---------------------------------------------------------------------------------------


class Line:
    """A TCP proxy in front of PostgreSQL. `cut` closes what goes through it and refuses what comes, `mend` ends that.

    `at_commit = "before"` cuts the committer's connection when it sends COMMIT, without passing it on; "after" passes
    it on, but nobody hears the answer. Either happens once, and leaves the line cut if `stay_cut`.
    """

    def __init__(self, address: Address) -> None:
        self._target = address
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.up = True
        self.at_commit: str | None = None
        self.stay_cut = False
        self.commits_cut = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> Address:
        """PostgreSQL's address by way of this line."""
        port = str(self._listener.getsockname()[1])
        return dataclasses.replace(
            self._target, options={**self._target.options, "host": "127.0.0.1", "port": port, "sslmode": "disable"}
        )

    def cut(self) -> None:
        """PostgreSQL is away."""
        with self._lock:
            self.up = False
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _close(*pair)

    def mend(self) -> None:
        """PostgreSQL is back."""
        self.at_commit = None
        self.up = True

    def close(self) -> None:
        """No way to PostgreSQL any more."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self.up:
                    near.close()
                    continue
                far = self._dial()
                with self._lock:
                    self._pairs.append((near, far))
                for args in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self._carry, args=args, daemon=True).start()

    def _dial(self) -> socket.socket:
        host, port = self._target.options.get("host", "localhost"), self._target.options.get("port", "5432")
        if host.startswith("/"):
            far = socket.socket(socket.AF_UNIX)
            far.connect(f"{host}/.s.PGSQL.{port}")
            return far
        return socket.create_connection((host, int(port)))

    def _carry(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        writes = False  # whether this is the committer's connection
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                writes = writes or b"SET applied" in data
                if to_server and writes and self.at_commit is not None and b"COMMIT" in data:
                    self._cut_commit(source, target, data)
                    return
                target.sendall(data)
        _close(source, target)

    def _cut_commit(self, near: socket.socket, far: socket.socket, data: bytes) -> None:
        when, self.at_commit = self.at_commit, None
        self.commits_cut += 1
        with self._lock:
            self._pairs = [pair for pair in self._pairs if pair[0] is not near]
        if self.stay_cut:
            self.cut()
        near.shutdown(socket.SHUT_RDWR)  # first, so that an answer reaches nobody
        if when == "after":
            far.sendall(data)
            self._landed(far)
        _close(near, far)

    def _landed(self, far: socket.socket) -> None:
        """The server works off what it was sent before it notices that nobody listens."""
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_WR)
            while far.recv(65536):
                pass


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextlib.contextmanager
def lined(address: Address) -> Iterator[Line]:
    """A line for the block."""
    line = Line(address)
    try:
        yield line
    finally:
        line.close()
