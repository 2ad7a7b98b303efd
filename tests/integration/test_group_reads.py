"""Reads of single keys: many at a time are one statement, and many clients share few connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest

import outlive
from outlive.errors import Unavailable
from outlive.postgres.address import Address
from outlive.stores.group_reads import MOST
from tests.stage import Stage, Task, call, lined, until


@pytest.fixture
def stage(database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database."""
    stage = Stage("loop", database_address, tmp_path)
    yield stage
    stage.close()


class Heard:
    """A service's database that counts the statements of the running loop's lane and of its pooled connections."""

    def __init__(self, service: outlive.Service) -> None:
        assert service.database is not None
        self.database = service.database
        self.statements: list[Any] = []
        self._session, self._read = self.database.session, self.database.lane().read
        self.database.session = self.session  # type: ignore[method-assign]
        self.database.lane().read = self.read  # type: ignore[method-assign]

    @contextmanager
    def session(self) -> Iterator[Any]:
        """A connection that is listened to."""
        with self._session() as conn:
            yield Listened(conn, self.statements)

    def read(self, query: Any, values: Any, *others: Any) -> None:
        """Notes and passes on."""
        self.statements.append((query, values))
        self._read(query, values, *others)


class Listened:
    """A connection whose statements are noted."""

    def __init__(self, conn: Any, statements: list[Any]) -> None:
        self._conn = conn
        self._statements = statements

    def execute(self, statement: Any, values: Any = None, **options: Any) -> Any:
        """Notes and passes on."""
        self._statements.append((statement, values))
        return self._conn.execute(statement, values, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)


async def filled(tasks: Any, count: int) -> None:
    """Tasks 0 to count - 1, stored."""
    async with outlive.unit(service=tasks._store.host):
        for number in range(count):
            await tasks.repository.put(Task(number, f"t{number}"))


def test_gets_of_one_turn_are_one_statement(stage: Stage) -> None:
    """100 gets at once are one statement; each caller has its own record or None, and an open unit sees its own."""
    service, tasks = stage.tasks("database")

    async def schedule() -> None:
        await filled(tasks, 50)
        heard = Heard(service)
        keys: list[Any] = [*range(60), *range(39), "no key"]
        found = await asyncio.gather(*(tasks.repository.get(key) for key in keys))
        assert len(heard.statements) == 1
        assert [None if task is None else task.id for task in found] == [
            key if isinstance(key, int) and key < 50 else None for key in keys
        ]
        assert found[0] == found[60]
        assert found[0] is not found[60]
        async with outlive.unit(service=service):
            await tasks.repository.patch(1, title="mine")
            await tasks.repository.delete(2)
            heard.statements.clear()
            mine = await asyncio.gather(*(tasks.repository.get(key) for key in (1, 2, 3)))
            assert [None if task is None else task.title for task in mine] == ["mine", None, "t3"]
            assert [values for _, values in heard.statements] == [[b"3"]]

    stage.play(schedule)


def test_more_keys_than_one_statement_takes(stage: Stage) -> None:
    """What does not fit into one statement goes with the next one; a cancelled caller takes nothing from the others."""
    service, tasks = stage.tasks("database")

    async def schedule() -> None:
        await filled(tasks, 3)
        heard = Heard(service)
        reads = [asyncio.ensure_future(tasks.repository.get(key % 4)) for key in range(MOST + 5)]
        await asyncio.sleep(0)
        reads[0].cancel()
        found = await asyncio.gather(*reads, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert [task and task.id for task in found[1:9]] == [1, 2, None, 0, 1, 2, None, 0]
        assert [values[0].count(b",") + 1 for _, values in heard.statements] == [MOST, 5]
        assert await tasks.repository.get(1) == Task(1, "t1")

    stage.play(schedule)


def test_gets_of_threads_travel_together(stage: Stage) -> None:
    """While one thread's statement is under way, the others wait and are read by the next one, all at once."""
    stage.driver = "thread"
    service, tasks = stage.tasks("database")
    found: dict[int, Any] = {}

    async def schedule() -> None:
        await filled(tasks, 20)
        heard = Heard(service)
        reads = tasks.repository._reads

        def read(key: int) -> None:
            found[key] = tasks.repository.get(key).result()

        threads = [threading.Thread(target=read, args=(key,)) for key in range(21)]
        with reads._turn:
            reads._busy = True  # as if a statement were under way
        for thread in threads:
            thread.start()
        await until(lambda: len(reads._calls) == 21)
        with reads._turn:
            reads._busy = False
            reads._turn.notify()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert len(heard.statements) == 1
        assert [found[key] and found[key].id for key in range(21)] == [*range(20), None]

    stage.play(schedule)


def test_every_caller_hears_of_the_failure(stage: Stage, database_address: Address) -> None:
    """When PostgreSQL goes away each of the callers gets the error, blocking ones too; afterwards reads go on."""
    with lined(database_address) as line:
        _service, tasks = stage.tasks("database", line.address)

        async def schedule() -> None:
            await filled(tasks, 2)
            line.cut()
            found = await asyncio.gather(*(tasks.repository.get(1) for _ in range(5)), return_exceptions=True)
            assert [type(error) for error in found] == [Unavailable] * 5
            with pytest.raises(Unavailable):
                await asyncio.to_thread(lambda: tasks.repository.get(1).result())
            line.mend()
            assert await tasks.repository.get(1) == Task(1, "t1")
            assert await asyncio.to_thread(lambda: tasks.repository.get(0).result()) == Task(0, "t0")

        stage.play(schedule)
        line.close()


CLIENTS = 200


def shop(stage: Stage, **env: str) -> tuple[outlive.Service, Any, fastapi.FastAPI]:
    """A service in `database` with one store, and an application with a list."""
    service = stage.service(DATABASE_POOL_SIZE="5", DATABASE_MAX_OVERFLOW="10", **env)
    tasks: Any = outlive.mapping("tasks", Task, key="id", service=service, phase="database")
    app = fastapi.FastAPI()

    @app.get("/tasks")
    async def some() -> list[int]:
        return [task.id for task in await tasks.repository.find(done=False, limit=3)]

    return service, tasks, outlive.install(app, service=service)


async def ask_all(app: Any) -> list[httpx.Response]:
    """The answers to 200 clients that ask at the same time."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return await asyncio.gather(*(client.get("/tasks") for _ in range(CLIENTS)))


def lent(service: outlive.Service) -> int:
    """Connections that the service's pools have lent."""
    assert service.database is not None
    return round(service.database.pool_use() * service.database.limit)


def test_two_hundred_clients_queue_for_fifteen_connections(stage: Stage) -> None:
    """All of them are answered; the waits are counted, no connection stays lent, and no more than 15 are open."""
    service, tasks, app = shop(stage)

    async def schedule() -> None:
        await filled(tasks, 5)
        with stage.conn.transaction():  # until all of them have asked
            stage.sql("LOCK TABLE stage.tasks IN ACCESS EXCLUSIVE MODE")
            asking = asyncio.ensure_future(ask_all(app))
            await until(lambda: service.database is not None and service.database.waits >= CLIENTS - 15)
        answers = await asking
        assert {answer.status_code for answer in answers} == {200}
        assert all(answer.json() == [0, 1, 2] for answer in answers)
        await until(lambda: lent(service) == 0)
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'outlive:%%' AND state IS NOT NULL"
        assert stage.sql(count)[0][0] <= 15 + 3  # and committer, watcher

    stage.play(schedule)


def test_clients_that_cannot_be_served_in_time_are_told_so(stage: Stage) -> None:
    """Once the pool's time-out is over the answer is 503 with Retry-After; when connections are free again, 200."""
    service, tasks, app = shop(stage, DATABASE_POOL_TIMEOUT="1")

    async def schedule() -> None:
        await filled(tasks, 5)
        async with asyncio.timeout(60):
            await _hold(stage, app)
        answers = await ask_all(app)
        assert {answer.status_code for answer in answers} <= {200, 503}
        assert (await call(app, "/tasks", "GET")).status == 200
        await until(lambda: lent(service) == 0)

    stage.play(schedule)


async def _hold(stage: Stage, app: Any) -> None:
    """While the table is locked 15 clients wait in PostgreSQL, and the others are told to come again."""
    with stage.conn.transaction():
        stage.sql("LOCK TABLE stage.tasks IN ACCESS EXCLUSIVE MODE")
        first = [asyncio.ensure_future(call(app, "/tasks", "GET")) for _ in range(15)]
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'stage.tasks'::regclass"
        await until(lambda: stage.sql(waiting)[0][0] == 15)
        late = await asyncio.gather(*(call(app, "/tasks", "GET") for _ in range(20)))
    assert {answer.status for answer in late} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 and b"no free connection" in answer.body for answer in late)
    assert {answer.status for answer in await asyncio.gather(*first)} == {200}
