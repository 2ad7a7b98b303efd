"""Requests of blocking applications, plain WSGI and Flask: each is one unit, durable before its first byte."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import flask
import pytest

import outlive
from outlive.postgres.address import Address
from tests.stage import Stage, Task, lined


@pytest.fixture
def stage(database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage whose services are opened by their first request."""
    stage = Stage("thread", database_address, tmp_path)
    yield stage
    for service in stage.services:
        service.close()
    stage.close()


class Client:
    """A WSGI server of one request; `seen` is called where the first byte, the status line, would leave."""

    def __init__(self, app: Any, seen: Callable[[], Any] = lambda: None) -> None:
        self.app = app
        self.seen = seen
        self.status = ""
        self.headers: dict[str, str] = {}
        self.noted: list[Any] = []
        self.chunks: list[tuple[bytes, Any]] = []

    def call(self, path: str = "/", method: str = "POST") -> Client:
        """One request, the body read to its end and closed."""
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "test",
            "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.version": (1, 0),
            "wsgi.errors": None, "wsgi.input": None, "wsgi.multithread": True, "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }  # fmt: skip
        body: Any = self.app(environ, self._start)
        try:
            for chunk in body:
                self.chunks.append((chunk, self.seen()))
        finally:
            if hasattr(body, "close"):
                body.close()
        return self

    def _start(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self.status, self.headers = status, {name.lower(): value for name, value in headers}
        self.noted.append(self.seen())
        return lambda data: pytest.fail("the middleware never writes")

    @property
    def body(self) -> bytes:
        """All chunks."""
        return b"".join(chunk for chunk, _ in self.chunks)


def plain(act: Callable[[], Any], status: str = "200 OK") -> Any:
    """A plain WSGI application whose only endpoint is `act`."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        body = str(act()).encode()
        start_response(status, [("Content-Length", str(len(body)))])
        return [body]

    return app


def test_a_plain_application(stage: Stage) -> None:
    """A write is in PostgreSQL before the status line leaves."""
    service, tasks = stage.tasks()
    app = outlive.install(plain(lambda: tasks.__setitem__(1, Task(1, "first"))), service=service)
    client = Client(app, lambda: stage.row(1)).call()
    assert client.status == "200 OK"
    assert client.body == b"None"
    assert client.noted == [("first", False, [])]


def test_flask(stage: Stage) -> None:
    """The same for Flask, with the application object kept; a 500 commits what the dicts hold."""
    service, tasks = stage.tasks()
    app = flask.Flask("test")

    @app.post("/tasks/<int:number>")
    def create(number: int) -> Any:
        tasks[number] = Task(number, "first")
        if number == 2:
            raise ZeroDivisionError
        return {"id": number}

    assert outlive.install(app, service=service) is app
    client = Client(app, lambda: stage.row(1)).call("/tasks/1")
    assert (client.status, client.body.strip()) == ("200 OK", b'{"id":1}')
    assert client.noted == [("first", False, [])]
    client = Client(app, lambda: stage.row(2)).call("/tasks/2")
    assert client.status.startswith("500")
    assert client.noted == [("first", False, [])]


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "raises"])
def test_on_error_discard(stage: Stage, status: str) -> None:
    """`on_error="discard"` undoes what an error's request wrote, whether it answered or raised."""
    service, tasks = stage.tasks()

    def act() -> None:
        tasks[1] = Task(1)
        if status == "raises":
            raise ZeroDivisionError

    client = Client(outlive.install(plain(act, status), service=service, on_error="discard"))
    if status == "raises":
        with pytest.raises(ZeroDivisionError):
            client.call()
    else:
        assert client.call().status == status
    assert not tasks
    assert stage.row(1) is None


def test_an_application_that_raises_commits(stage: Stage) -> None:
    """Without that, what a raising request wrote is in PostgreSQL when the exception reaches the server."""
    service, tasks = stage.tasks()

    def act() -> None:
        tasks[1] = Task(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Client(outlive.install(plain(act), service=service)).call()
    assert stage.row(1) is not None


def test_a_refused_request(stage: Stage) -> None:
    """A unit that PostgreSQL refuses is answered with 422, one that cannot reach it with 503 and Retry-After."""
    with lined(stage.address) as line:
        service, tasks = stage.tasks("dual_read", address=line.address)
        titles = iter(enumerate(["good", "bad", "away"], 1))
        closed: list[bool] = []

        class Body(list[bytes]):
            def close(self) -> None:
                closed.append(True)

        def app(environ: Any, start_response: Any) -> Any:
            number, title = next(titles)
            tasks[number] = Task(number, title)
            start_response("200 OK", [])
            return Body([b"done"])

        installed = outlive.install(app, service=service)
        assert Client(installed).call().status == "200 OK"
        stage.refuse()
        assert Client(installed).call().status.startswith("422")
        line.cut()
        client = Client(installed).call()
        assert client.status.startswith("503")
        assert int(client.headers["retry-after"]) > 0
        assert list(tasks) == [1]
        assert len(closed) == 3
        service.crash()


def test_a_streamed_body(stage: Stage) -> None:
    """What a stream writes is a second unit, in PostgreSQL before the last chunk leaves."""
    service, tasks = stage.tasks()

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        tasks[1] = Task(1, "first")
        start_response("200 OK", [])
        yield b"a"
        tasks[1].title = "second"
        yield b"b"
        tasks[1].done = True
        yield b"c"

    client = Client(outlive.install(app, service=service), lambda: stage.row(1)).call()
    assert client.body == b"abc"
    assert client.noted == [("first", False, [])]
    assert client.chunks[-1] == (b"c", ("second", True, []))


def test_the_write_callable(stage: Stage) -> None:
    """Bytes given to WSGI's old `write` come before the body, after the commit."""
    service, tasks = stage.tasks()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        write(b"a")
        tasks[1] = Task(1)
        write(b"b")
        return [b"c", b"d"]

    client = Client(outlive.install(app, service=service), lambda: stage.row(1)).call()
    assert client.body == b"abcd"
    assert client.noted == [("", False, [])]


def test_a_reader_waits_for_what_it_may_have_seen(stage: Stage) -> None:
    """From dual_read on a response leaves only when another request's change that it may show is settled."""
    service, tasks = stage.tasks("dual_read")
    wrote, ends, read = threading.Event(), threading.Event(), threading.Event()

    def write() -> None:
        tasks[1] = Task(1, "first")
        wrote.set()
        ends.wait(20)

    def see() -> str:
        read.set()
        return str(tasks[1].title)

    service.start()
    writer = Client(outlive.install(plain(write), service=service))
    reader = Client(outlive.install(plain(see), service=service), lambda: stage.row(1))
    threads = [threading.Thread(target=client.call) for client in (writer, reader)]
    threads[0].start()
    assert wrote.wait(20)
    threads[1].start()
    assert read.wait(20)
    assert not reader.noted
    ends.set()
    for thread in threads:
        thread.join(20)
    assert reader.body == b"first"
    assert reader.noted == [("first", False, [])]
