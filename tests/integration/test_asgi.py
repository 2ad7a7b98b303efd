"""Requests of asyncio applications, plain ASGI, Starlette and FastAPI: where their units begin and end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

import outlive
from outlive.errors import Unholdable
from outlive.postgres.address import Address
from tests.stage import Stage, Task, call, until


@pytest.fixture(params=["thread", "loop"])
def stage(request: pytest.FixtureRequest, database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database, with one of the two drivers."""
    stage = Stage(request.param, database_address, tmp_path)
    yield stage
    stage.close()


def first_byte(stage: Stage, number: int = 1) -> tuple[list[Any], Any]:
    """A list and what fills it: the task's row as another connection sees it, at each message that leaves."""
    rows: list[Any] = []
    return rows, lambda message: rows.append((message["type"].rpartition(".")[2], stage.row(number)))


LANDED = ("first", False, [])


def frameworks(tasks: Any) -> dict[str, Any]:
    """One endpoint that stores a task, in each framework."""

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        tasks[1] = Task(1, "first")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def starlette(request: Any) -> PlainTextResponse:
        tasks[1] = Task(1, "first")
        return PlainTextResponse("done")

    fast = fastapi.FastAPI()

    @fast.post("/")
    async def on_the_loop() -> str:
        tasks[1] = Task(1, "first")
        return "done"

    pooled = fastapi.FastAPI()

    @pooled.post("/")
    def in_the_threadpool() -> str:
        assert threading.current_thread() is not threading.main_thread()
        tasks[1] = Task(1, "first")
        return "done"

    routes = [Route("/", starlette, methods=["POST"])]
    return {"plain": plain, "starlette": Starlette(routes=routes), "fastapi": fast, "threadpool": pooled}


@pytest.mark.parametrize("framework", ["plain", "starlette", "fastapi", "threadpool"])
def test_the_first_byte_leaves_after_the_commit(stage: Stage, framework: str) -> None:
    """When the status line leaves, another connection sees the row; FastAPI and Starlette stay the same object."""
    service, tasks = stage.tasks()
    app = frameworks(tasks)[framework]
    installed = outlive.install(app, service=service)
    assert (installed is app) is (framework != "plain")

    async def schedule() -> None:
        rows, seen = first_byte(stage)
        answer = await call(installed, seen=seen)
        assert answer.status == 200
        assert rows[0] == ("start", LANDED)

    stage.play(schedule)


def test_a_server_without_lifespan(stage: Stage) -> None:
    """The first request opens the service, two at once open it once."""
    service, tasks = stage.tasks()
    app = outlive.install(frameworks(tasks)["plain"], service=service)

    async def run() -> None:
        answers = await asyncio.gather(call(app), call(app))
        assert [answer.status for answer in answers] == [200, 200]
        assert stage.row(1) == LANDED
        await service.close_async()

    asyncio.run(run())


def test_lifespan(stage: Stage) -> None:
    """The service is open before the application's own start-up runs, and closes after its shut-down."""
    service, tasks = stage.tasks()
    states: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for name in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{name}"
            states.append(service.state)
            tasks[len(states)] = Task(len(states))
            await send({"type": f"lifespan.{name}.complete"})

    async def run() -> None:
        received = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
        sent: list[str] = []

        async def receive() -> Any:
            return next(received)

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await outlive.install(app, service=service)({"type": "lifespan"}, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    asyncio.run(run())
    assert states == ["open", "open"]
    assert service.state == "closed"
    assert stage.row(1) is not None
    assert stage.row(2) is not None


def test_a_500_is_committed_before_it_leaves(stage: Stage) -> None:
    """An endpoint that raises: the row is there when the server's 500 leaves."""
    service, tasks = stage.tasks()
    app = fastapi.FastAPI()

    @app.post("/")
    async def fail() -> None:
        tasks[1] = Task(1, "first")
        raise ZeroDivisionError

    outlive.install(app, service=service)

    async def schedule() -> None:
        rows, seen = first_byte(stage)
        with pytest.raises(ZeroDivisionError):
            await call(app, seen=seen)
        assert rows[0] == ("start", LANDED)

    stage.play(schedule)


def test_a_stream(stage: Stage) -> None:
    """What the endpoint wrote lands before the first byte, what its stream wrote before the last chunk."""
    service, tasks = stage.tasks()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        tasks[1].title = "second"
        yield b"b"
        tasks[1].done = True

    async def endpoint(request: Any) -> StreamingResponse:
        tasks[1] = Task(1, "first")
        return StreamingResponse(chunks())

    app = Starlette(routes=[Route("/", endpoint, methods=["POST"])])
    outlive.install(app, service=service)

    async def schedule() -> None:
        rows, seen = first_byte(stage)
        assert (await call(app, seen=seen)).body == b"ab"
        assert rows[0] == ("start", LANDED)
        assert rows[2] == ("body", LANDED)
        assert rows[-1] == ("body", ("second", True, []))

    stage.play(schedule)


def test_a_file_that_the_server_sends_itself(stage: Stage) -> None:
    """A body by `pathsend` waits for the commit, and the status line goes out before it."""
    service, tasks = stage.tasks()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        tasks[1] = Task(1, "first")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/dev/null"})

    async def schedule() -> None:
        rows, seen = first_byte(stage)
        await call(outlive.install(app, service=service), seen=seen)
        assert rows == [("start", LANDED), ("pathsend", LANDED)]

    stage.play(schedule)


def test_a_background_task(stage: Stage) -> None:
    """What it writes is a second unit, durable when the application returns; it holds no client up."""
    service, tasks = stage.tasks()
    go_on = asyncio.Event()

    async def later() -> None:
        await go_on.wait()
        tasks[1].title = "second"
        tasks[2] = Task(2)

    async def endpoint(request: Any) -> PlainTextResponse:
        tasks[1] = Task(1, "first")
        return PlainTextResponse("done", background=BackgroundTask(later))

    app = Starlette(routes=[Route("/", endpoint, methods=["POST"])])
    outlive.install(app, service=service)

    async def schedule() -> None:
        rows, seen = first_byte(stage)
        running = asyncio.create_task(call(app, seen=seen))
        await until(lambda: len(rows) == 2)
        assert rows == [("start", LANDED), ("body", LANDED)]
        assert not running.done()
        go_on.set()
        await running
        assert stage.row(1) == ("second", False, [])
        assert stage.row(2) is not None

    stage.play(schedule)


def test_the_teardown_of_a_dependency(stage: Stage) -> None:
    """What a FastAPI dependency writes after its `yield` is durable when the application returns."""
    service, tasks = stage.tasks()
    app = fastapi.FastAPI()

    async def session() -> AsyncIterator[str]:
        tasks[1] = Task(1)
        yield "session"
        tasks[1].tags.append("closed")

    @app.post("/")
    async def endpoint(given: str = fastapi.Depends(session)) -> str:
        tasks[1].title = "first"
        return given

    outlive.install(app, service=service)

    async def schedule() -> None:
        rows, seen = first_byte(stage)
        assert (await call(app, seen=seen)).status == 200
        assert rows[0][1][0] == "first"
        assert stage.row(1) == ("first", False, ["closed"])

    stage.play(schedule)


def test_a_late_write_that_is_refused(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """A background task's refused write is set back and logged by request; what was answered before stands."""
    service, tasks = stage.tasks("dual_read")

    async def later() -> None:
        tasks[1].title = "bad"

    async def endpoint(request: Any) -> PlainTextResponse:
        tasks[1] = Task(1, "first")
        return PlainTextResponse("done", background=BackgroundTask(later))

    app = Starlette(routes=[Route("/", endpoint, methods=["POST"])])
    outlive.install(app, service=service)

    async def schedule() -> None:
        stage.refuse()
        assert (await call(app)).status == 200
        assert tasks[1] == Task(1, "first")
        assert stage.row(1) == LANDED
        assert "a late write of POST / was refused" in caplog.text

    stage.play(schedule)


def websocket(app: Any, messages: list[str]) -> tuple[list[Any], Any]:
    """One WebSocket that receives the messages and disconnects; `sent` has each message with what `seen` says."""
    sent: list[Any] = []
    received = iter([{"type": "websocket.connect"}, *({"type": "websocket.receive", "text": m} for m in messages)])

    async def run(seen: Any) -> None:
        async def receive() -> Any:
            return next(received, {"type": "websocket.disconnect", "code": 1000})

        async def send(message: Any) -> None:
            sent.append((message["type"].rpartition(".")[2], seen()))

        scope = {
            "type": "websocket", "path": "/", "raw_path": b"/", "root_path": "", "query_string": b"", "headers": [],
            "scheme": "ws", "subprotocols": [], "asgi": {"version": "3.0"}, "client": None, "server": None, "state": {},
        }  # fmt: skip
        await app(scope, receive, send)

    return sent, run


def test_a_websocket(stage: Stage) -> None:
    """One unit a received message, durable before the next send; what follows the last send lands at the end."""
    service, tasks = stage.tasks()

    async def endpoint(socket: WebSocket) -> None:
        tasks[1] = Task(1)
        await socket.accept()
        async for text in socket.iter_text():
            tasks[1].title = text
            tasks[1].tags.append(text)
            await socket.send_text("done")
        tasks[1].done = True

    app = Starlette(routes=[WebSocketRoute("/", endpoint)])
    outlive.install(app, service=service)

    async def schedule() -> None:
        sent, run = websocket(app, ["a", "b"])
        await run(lambda: stage.row(1))
        assert sent == [
            ("accept", ("", False, [])), ("send", ("a", False, ["a"])), ("send", ("b", False, ["a", "b"])),
        ]  # fmt: skip
        assert stage.row(1) == ("b", True, ["a", "b"])
        assert stage.sql("SELECT max(applied) FROM outlive.member") == [(4,)]

    stage.play(schedule)


def test_a_websocket_message_that_is_refused(stage: Stage) -> None:
    """The error surfaces at the next send, before anything leaves; the message's writes are set back."""
    service, tasks = stage.tasks("dual_read")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        tasks[1] = Task(1, "first")
        await send({"type": "websocket.accept"})
        await receive()
        tasks[1].title = "bad"
        await send({"type": "websocket.send", "text": "done"})

    async def schedule() -> None:
        stage.refuse()
        sent, run = websocket(outlive.install(app, service=service), ["bad"])
        with pytest.raises(Unholdable):
            await run(lambda: stage.row(1))
        assert sent == [("accept", LANDED)]
        assert tasks[1] == Task(1, "first")

    stage.play(schedule)


def test_a_long_commit_does_not_hold_the_loop(stage: Stage) -> None:
    """While one request waits for its commit, others are answered by the same loop."""
    service, tasks = stage.tasks()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            tasks[1] = Task(1, "first")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(len(tasks)).encode()})

    installed = outlive.install(app, service=service)

    async def schedule() -> None:
        async with stage.held(service):
            writing = asyncio.create_task(call(installed))
            await stage.blocked(service)
            for _ in range(50):
                assert (await call(installed, method="GET")).body == b"1"
            assert not writing.done()
        assert (await writing).status == 200

    stage.play(schedule)
