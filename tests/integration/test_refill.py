"""Back from `database`: a snapshot under writes, then what has changed since; nothing is lost, nothing comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import outlive
from outlive.phases.changes import Order
from outlive.phases.control import walk
from outlive.phases.flow import run
from outlive.postgres.address import Address
from outlive.transfer.refill import Copy, measured
from outlive.transfer.verify import verify
from tests.stage import LIMIT_S, Stage, Task, request, tickets, until

SKIP = frozenset({"query_p95", "connection_budget", "mapping_unused", "parity", "way_back"})
COUNT = 450  # more than two slices


@pytest.fixture(params=["thread", "loop"])
def stage(request: pytest.FixtureRequest, database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database, with one of the two drivers."""
    stage = Stage(request.param, database_address, tmp_path)
    yield stage
    stage.close()


class Halt:
    """A place in the copy where the watcher stops until the test lets it go on."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.go_on = threading.Event()

    def __call__(self) -> None:
        """Reached by the watcher."""
        self.there.set()
        assert self.go_on.wait(LIMIT_S)


@pytest.fixture
def halts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], None]]:
    """What to do after the snapshot, after the first catch-up, and after the last one (the committer rests)."""
    acts: dict[str, Callable[[], None]] = {}
    snapshot, catch_up = Copy.snapshot, Copy.catch_up
    rounds: dict[int, int] = {}

    def copied(copy: Copy, *args: Any) -> None:
        snapshot(copy, *args)
        if copy.tracked:
            acts.get("copied", bool)()

    def caught_up(copy: Copy, conn: Any) -> int:
        found = catch_up(copy, conn)
        if copy.tracked:
            rounds[id(copy)] = rounds.get(id(copy), 0) + 1
            acts.get("caught up" if rounds[id(copy)] == 1 else "resting", bool)()
        return found

    monkeypatch.setattr(Copy, "snapshot", copied)
    monkeypatch.setattr(Copy, "catch_up", caught_up)
    return acts


async def fill(service: outlive.Service) -> Any:
    """The store's repository, over a table of tasks."""
    repository = service.stores["tasks"].repository
    async with service.unit():
        for number in range(COUNT):
            await repository.put(Task(number, f"t{number}"))
    return repository


def go_back(service: outlive.Service) -> asyncio.Task[None]:
    """The command line's rollback to dual_read, under way."""
    order = Order(service=service.service, store="tasks", actor="test", skip=SKIP, wait_s=15, poll_s=0.01)

    def move() -> None:
        assert service.database is not None
        with service.database.connect() as conn:
            run(walk(order, "dual_read"), conn)

    return asyncio.create_task(asyncio.to_thread(move))


def equal(service: outlive.Service) -> bool:
    """Whether image and table are the same, record by record."""
    assert service.database is not None
    with service.database.connect() as conn:
        return verify(service.stores["tasks"], conn, settle=lambda: None).equal


@pytest.mark.parametrize("where", ["copied", "caught up"])
def test_what_is_written_during_the_copy_is_taken_in(stage: Stage, halts: dict[str, Any], where: str) -> None:
    """Puts, patches and deletes are acknowledged while the copy runs; then memory is what the table is."""
    service, tasks = stage.tasks("database")
    halt = halts[where] = Halt()

    async def schedule() -> None:
        repository = await fill(service)
        going = go_back(service)
        await until(halt.there.is_set)
        async with service.unit():
            await repository.delete(3)
            await repository.patch(4, title="patched")
            await repository.put(Task(5, "put again"))
            await repository.put(Task(COUNT, "new"))
        async with service.unit():
            await repository.delete(6)
        async with service.unit():
            await repository.put(Task(6, "back"))
        async with service.unit():
            await repository.put(Task(COUNT + 1))
        async with service.unit():
            await repository.delete(COUNT + 1)
        assert stage.row(3) is None
        halt.go_on.set()
        await going
        assert 3 not in tasks
        assert COUNT + 1 not in tasks
        assert [tasks[key].title for key in (4, 5, 6, COUNT)] == ["patched", "put again", "back", "new"]
        assert len(tasks) == COUNT
        assert await asyncio.to_thread(equal, service)
        tasks[4].done = True
        await service.flush()
        assert stage.row(4) == ("patched", True, [])

    stage.play(schedule)


def test_what_is_written_while_the_committer_rests_is_taken_over(stage: Stage, halts: dict[str, Any]) -> None:
    """A request that ends in that moment waits for its acknowledgement; its put, patch and delete are in the image."""
    service, tasks = stage.tasks("database")
    halt = halts["resting"] = Halt()

    async def schedule() -> None:
        repository = await fill(service)
        going = go_back(service)
        await until(halt.there.is_set)

        async def act() -> None:
            await repository.delete(3)
            await repository.patch(4, title="patched")
            await repository.put(Task(COUNT, "new"))

        writing = request(service, act)
        await until(lambda: tickets(service))
        assert stage.row(3) is not None
        halt.go_on.set()
        assert (await writing).status == 200
        await going
        assert 3 not in tasks
        assert (tasks[4].title, tasks[COUNT].title) == ("patched", "new")
        assert await asyncio.to_thread(equal, service)

    stage.play(schedule)


def test_a_connection_lost_during_the_copy_begins_it_anew(stage: Stage, halts: dict[str, Any]) -> None:
    """The store stays in `database` and serves; the next try goes on to the end, and nothing of the first is left."""
    service, tasks = stage.tasks("database")
    cut: list[int] = []

    def act() -> None:
        if not cut:
            cut.append(service.stores["tasks"].image_size())
            statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%outlive_refill%'"
            stage.sql(statement + " AND pid <> pg_backend_pid()")

    halts["copied"] = act

    async def schedule() -> None:
        await fill(service)
        await go_back(service)
        assert cut == [0]
        assert len(tasks) == COUNT
        assert await asyncio.to_thread(equal, service)
        assert not service.committer.paused

    stage.play(schedule)


def test_closing_during_the_copy_does_not_wait_for_it(stage: Stage, halts: dict[str, Any]) -> None:
    """A process that ends gives the copy up; the next one starts where the row says, from the table."""
    service, _ = stage.tasks("database")

    def ending() -> None:
        service.watcher._stop.set()
        service.watcher.breathe()

    halts["copied"] = ending

    async def schedule() -> None:
        await fill(service)
        going = go_back(service)
        await until(lambda: service.watcher._stop.is_set())
        await service.close_async()
        assert service.stores["tasks"].image_size() == 0
        await going

    stage.play(schedule)
    again, held = stage.tasks("database")

    async def look() -> None:
        assert again.stores["tasks"].phase == "dual_read"
        assert len(held) == COUNT

    stage.play(look, again)


KILLED = """
import os, signal, sys
import outlive
from outlive.phases.changes import Order
from outlive.phases.control import walk
from outlive.phases.flow import run
from outlive.transfer.refill import Copy
from tests.integration.test_refill import COUNT, SKIP
from tests.stage import Task

service = outlive.Service("stage")
tasks = outlive.mapping("tasks", Task, key="id", service=service, phase="database")
take = Copy._take

def taken(copy, rows):
    take(copy, rows)
    if copy.tracked and copy.rows:
        with service.unit():
            tasks.repository.delete(7).result()
            tasks.repository.patch(8, title="acknowledged").result()
        print("acknowledged", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

with service.open():
    with service.unit():
        for number in range(COUNT):
            tasks.repository.put(Task(number, f"t{number}")).result()
    Copy._take = taken
    with service.database.connect() as conn:
        order = Order(service="stage", store="tasks", actor="test", skip=SKIP, wait_s=15, poll_s=0.01)
        run(walk(order, "dual_read"), conn)
"""


def test_a_kill_in_the_middle_of_the_copy_loses_nothing(stage: Stage) -> None:
    """What was acknowledged during the copy is there at the next start, the delete too."""
    env = {
        **os.environ, "DATABASE_URL": stage.address.libpq_url(), "OUTLIVE_HOME": str(stage.home / "killed"),
        "OUTLIVE_POLL_S": "0.02", "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", KILLED], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout == "acknowledged\n"
    service, tasks = stage.tasks("database")

    async def schedule() -> None:
        assert service.stores["tasks"].phase == "dual_read"
        assert 7 not in tasks
        assert tasks[8].title == "acknowledged"
        assert len(tasks) == COUNT - 1

    stage.play(schedule)


def test_the_way_back_is_measured_as_it_is_made(stage: Stage, halts: dict[str, Any]) -> None:
    """The measurement reads snapshot and versions, makes every record, and leaves image and tracking alone."""
    service, tasks = stage.tasks("dual_read")

    async def schedule() -> None:
        async with service.unit():
            for number in range(10):
                tasks[number] = Task(number)
        before = list(tasks.values())

        def measure() -> float:
            assert service.database is not None
            with service.database.connect() as conn:
                return measured(service.stores["tasks"], conn)

        assert await asyncio.to_thread(measure) > 0
        assert all(a is b for a, b in zip(before, tasks.values(), strict=True))

    stage.play(schedule)
