"""Nothing unsettled leaves, and nobody waits for ever: answers and writes beside a unit that stays open."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import outlive
from outlive.errors import Conflict
from outlive.postgres.address import Address
from tests.stage import Stage, Task, request, tickets, until


@pytest.fixture(params=["thread", "loop"])
def stage(request: pytest.FixtureRequest, database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database, with one of the two drivers."""
    stage = Stage(request.param, database_address, tmp_path)
    yield stage
    stage.close()


def impatient(stage: Stage, phase: Any = "dual_read") -> tuple[outlive.Service, Any]:
    """A service with one store of tasks that waits for a moment only."""
    service = stage.service(OUTLIVE_UNSETTLED_WAIT_S="0.1", OUTLIVE_OPEN_UNIT_S="0.2")
    return service, outlive.mapping("tasks", Task, key="id", service=service, phase=phase)


def test_what_is_not_settled_in_time_does_not_leave(stage: Stage) -> None:
    """The answer is 503 with Retry-After, naming store, unit and call site; once the unit has ended, it leaves."""
    service, tasks = impatient(stage)

    async def schedule() -> None:
        async def read() -> str:
            return str(tasks[1].title)

        async with service.unit("import"):
            tasks[1] = Task(1, "first")
            answer = await request(service, read, method="GET")
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) > 0
            detail = json.loads(answer.body)["detail"]
            assert detail.startswith("tasks: ")
            assert f"import at {__file__}:" in detail
        assert (await request(service, read, method="GET")).body == b"first"

    stage.play(schedule)


def test_a_route_may_opt_out(stage: Stage) -> None:
    """A route that says so answers at once, whatever is open."""
    service, tasks = impatient(stage)

    async def schedule() -> None:
        async def health() -> str:
            outlive.show_unsettled()
            return "ok"

        async with service.unit():
            tasks[1] = Task(1)
            answer = await request(service, health, method="GET")
            assert (answer.status, answer.body) == (200, b"ok")

    outlive.show_unsettled()  # outside a request there is nothing to say it to
    stage.play(schedule)


def test_a_write_is_kept_although_its_answer_does_not_leave(stage: Stage) -> None:
    """The 503 of a request that wrote itself says that its own change is durable, and it is."""
    service, tasks = impatient(stage)

    async def schedule() -> None:
        wrote = asyncio.Event()
        go_on = asyncio.Event()

        async def long() -> None:
            tasks[1] = Task(1)
            wrote.set()
            await go_on.wait()

        async def short() -> None:
            tasks[2] = Task(2, "kept")

        running = request(service, long)
        await wrote.wait()
        answer = await request(service, short)
        assert answer.status == 503
        assert b"is kept" in answer.body
        assert stage.row(2) == ("kept", False, [])
        go_on.set()
        assert (await running).status == 200

    stage.play(schedule)


def test_a_blocking_application_waits_likewise(stage: Stage) -> None:
    """WSGI: 503 with Retry-After while the unit is open, and at once for a route that opted out."""
    service, tasks = impatient(stage)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/health":
            outlive.show_unsettled()
        start_response("200 OK", [])
        return [b"ok"]

    wrapped = outlive.install(app, service=service)

    def get(path: str) -> list[Any]:
        seen: list[Any] = []
        body = wrapped({"REQUEST_METHOD": "GET", "PATH_INFO": path}, lambda *args: seen.extend(args[:2]))
        return [*seen, b"".join(body)]

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1)
            status, headers, _ = await asyncio.to_thread(get, "/")
            assert status.startswith("503 ")
            assert "retry-after" in dict(headers)
            assert (await asyncio.to_thread(get, "/health"))[0] == "200 OK"

    stage.play(schedule)


@pytest.mark.parametrize("block", [False, True])
def test_a_thread_that_an_open_unit_waits_for_is_refused_in_time(stage: Stage, block: bool) -> None:
    """The thread gets a Conflict with store and call site, its change is undone, and the open unit lands."""
    service, tasks = impatient(stage, "dual_write")
    failures: list[BaseException] = []

    def change() -> None:
        try:
            if block:
                with service.unit():
                    tasks[1].title = "thread"
            else:
                tasks[1].title = "thread"
        except Conflict as error:
            failures.append(error)

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")
        async with service.unit("import"):
            tasks[1].title = "open"
            thread = threading.Thread(target=change)
            thread.start()
            await asyncio.to_thread(thread.join)
            assert tasks[1].title == "open"
        (error,) = failures
        assert isinstance(error, Conflict)
        assert error.store == "tasks"
        assert f"import at {__file__}:" in error.reason
        assert stage.row(1) == ("open", False, [])
        assert tasks[1] == Task(1, "open")

    stage.play(schedule)


def test_a_request_that_an_open_unit_waits_for_is_refused_in_time(stage: Stage) -> None:
    """409 for the request that built on the open unit; what built on that one goes with it, the open unit lands."""
    service, tasks = impatient(stage, "dual_write")

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")

        async def act() -> None:
            tasks[1].tags.append("request")

        async with service.unit("import"):
            tasks[1].tags.append("open")
            running = [request(service, act), request(service, act)]
            await until(lambda: len(tickets(service)) == 2)
            assert [answer.status for answer in await asyncio.gather(*running)] == [409, 409]
            assert tasks[1].tags == ["open"]
        assert stage.row(1) == ("first", False, ["open"])

    stage.play(schedule)


def test_a_slow_postgresql_is_waited_for(stage: Stage) -> None:
    """Only an open unit is given up on: a commit that takes longer than that limit is waited for."""
    service, tasks = impatient(stage, "dual_write")

    async def schedule() -> None:
        async with stage.held(service):

            async def write() -> None:
                async with service.unit():
                    tasks[1] = Task(1, "first")

            writing = asyncio.create_task(write())
            await stage.blocked(service)
            unit = tickets(service)[0]
            service.units.give_up(unit)
            assert not unit.settled
        await writing
        assert stage.row(1) == ("first", False, [])

    stage.play(schedule)
