"""Phase changes and open units: a change waits for them, then splits them, with both drivers on real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import outlive
from outlive.phases.changes import Order
from outlive.phases.control import walk
from outlive.phases.flow import run
from outlive.postgres.address import Address
from tests.stage import Stage, Task, request, until

SKIP = frozenset({"query_p95", "connection_budget", "mapping_unused", "parity", "way_back"})
NEIGHBOURS = [
    ("legacy", "dual_write"), ("dual_write", "dual_read"), ("dual_read", "database"),
    ("dual_read", "dual_write"), ("dual_write", "legacy"),
]  # fmt: skip


@pytest.fixture(params=["thread", "loop"])
def stage(request: pytest.FixtureRequest, database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database, with one of the two drivers."""
    stage = Stage(request.param, database_address, tmp_path)
    yield stage
    stage.close()


def shop(stage: Stage, phase: str, limit_s: float, **options: Any) -> tuple[outlive.Service, Any, Any]:
    """A service with a mapping and a JSON file, whose phase changes wait that long for open units."""
    service = stage.service(OUTLIVE_OPEN_UNIT_S=str(limit_s))
    tasks = outlive.mapping("tasks", Task, key="id", service=service, phase=phase, **options)  # type: ignore[arg-type]
    path = stage.home / "notes.json"
    notes = outlive.json_file(path, service=service, phase=phase)  # type: ignore[arg-type]
    return service, tasks, notes


async def to(service: outlive.Service, store: str, phase: Any) -> None:
    """What the command line does, in a thread of its own."""
    order = Order(
        service=service.service, store=store, actor="test", reason="test", force=True, skip=SKIP, wait_s=15, poll_s=0.01
    )

    def move() -> None:
        assert service.database is not None
        with service.database.connect() as conn:
            run(walk(order, phase), conn)

    await asyncio.to_thread(move)
    assert service.stores[store].phase == phase


def splits(stage: Stage) -> list[dict[str, Any]]:
    """What the event log says of units that were split."""
    return [row[0] for row in stage.sql("SELECT detail FROM outlive.event WHERE kind = 'unit_split' ORDER BY id")]


def held(service: outlive.Service, store: str) -> Any:
    """The store's records as every phase shows them."""
    return service.stores[store].repository.find(order_by="id")


@pytest.mark.parametrize("move", [("dual_write", "dual_read"), ("dual_read", "database"), ("dual_write", "legacy")])
def test_a_phase_change_waits_for_an_open_unit(stage: Stage, move: tuple[str, str]) -> None:
    """Within the limit the unit ends whole under the old phase, and then the phase changes; nothing is split."""
    service, tasks, _ = shop(stage, move[0], 60)

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")
            changing = asyncio.create_task(to(service, "tasks", move[1]))
            await until(lambda: stage.sql("SELECT 1 FROM outlive.phase WHERE store = 'tasks' AND phase = %s", move[1]))
            beats = stage.sql("SELECT seen_at FROM outlive.member")
            await until(lambda: stage.sql("SELECT seen_at FROM outlive.member") != beats)
            assert service.stores["tasks"].phase == move[0]
            tasks[1].title = "second"
        await changing
        assert stage.row(1) == ("second", False, [])
        assert splits(stage) == []

    stage.play(schedule)


def test_a_unit_that_ended_before_the_way_back_lands(stage: Stage) -> None:
    """What was on its way to PostgreSQL when its store went back to `legacy` is there once it is acknowledged."""
    service, tasks, _ = shop(stage, "dual_write", 60)

    async def schedule() -> None:
        service.committer.paused = True
        writing = asyncio.create_task(asyncio.to_thread(tasks.__setitem__, 1, Task(1, "first")))
        await until(lambda: bool(service.committer.pending()))
        changing = asyncio.create_task(to(service, "tasks", "legacy"))
        await until(lambda: service.stores["tasks"].phase == "legacy")
        service.committer.paused = False
        service.committer.wake()
        await writing
        await changing
        assert stage.row(1) == ("first", False, [])

    stage.play(schedule)


@pytest.mark.parametrize("move", NEIGHBOURS)
def test_a_unit_that_stays_open_is_split(stage: Stage, move: tuple[str, str]) -> None:
    """Both parts of it land, each under its phase and each once, and the event names unit, age, site and stores."""
    service, tasks, notes = shop(stage, move[0], 0.2)

    async def schedule() -> None:
        async with service.unit("import"):
            if move[0] != "legacy":
                tasks[1] = Task(1, "first")
            notes.save([{"id": 1, "text": "a"}])
            await to(service, "notes", move[1])
            await to(service, "tasks", move[1])
            if move[1] == "database":
                await service.stores["tasks"].repository.put(Task(2, "second"))
                await service.stores["notes"].repository.put({"id": 2, "text": "b"})
            else:
                tasks[2] = Task(2, "second")
                notes.save([*notes.load(), {"id": 2, "text": "b"}])
        (first, *_) = splits(stage)
        assert (first["unit"], first["from"], first["to"]) == ("import", *move)
        assert "notes" in first["stores"]
        assert first["site"].startswith(__file__)
        assert first["age_s"] >= 0.2
        assert "only what it did after" in first["undo"]
        assert [note["text"] for note in await held(service, "notes")] == ["a", "b"]
        if move[1] == "legacy":
            assert [note["text"] for note in json.loads((stage.home / "notes.json").read_text())] == ["a", "b"]
        else:
            assert stage.sql("SELECT count(*) FROM stage.notes") == [(2,)]
            assert stage.row(2) == ("second", False, [])
        if move[0] != "legacy":
            assert stage.row(1) == ("first", False, [])

    stage.play(schedule)


def test_going_back_from_the_database_splits_too(stage: Stage) -> None:
    """What a unit put by the repository stands in the image that is there again, and what it does then joins it."""
    service, tasks, _ = shop(stage, "database", 0.2)

    async def schedule() -> None:
        async with service.unit():
            await service.stores["tasks"].repository.put(Task(1, "first"))
            await to(service, "tasks", "dual_read")
            assert tasks[1] == Task(1, "first")
            tasks[1].done = True
        assert len(splits(stage)) == 1
        assert stage.row(1) == ("first", True, [])
        assert tasks[1] == Task(1, "first", True)

    stage.play(schedule)


def test_an_error_after_the_split_undoes_only_the_second_part(stage: Stage) -> None:
    """What a unit had done before the switch is durable; what it did afterwards, nested units included, goes back."""
    service, tasks, _ = shop(stage, "dual_write", 0.2)

    async def schedule() -> None:
        with pytest.raises(ZeroDivisionError):
            async with service.unit():
                tasks[1] = Task(1, "first")
                async with service.unit():
                    tasks[1].tags.append("nested")
                    tasks[2] = Task(2, "nested")
                    await to(service, "tasks", "dual_read")
                    tasks[2].title = "gone"
                tasks[1].title = "gone"
                tasks[3] = Task(3)
                raise ZeroDivisionError
        await service.flush()
        assert list(tasks.values()) == [Task(1, "first", tags=["nested"]), Task(2, "nested")]
        assert stage.sql("SELECT id, title FROM stage.tasks ORDER BY id") == [(1, "first"), (2, "nested")]

    stage.play(schedule)


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_request_falls_with_the_first_part_of_its_unit(stage: Stage, goes_on: bool) -> None:
    """When PostgreSQL refuses what a request had done before the switch, the request is told and nothing remains."""
    service, tasks, notes = shop(stage, "dual_read", 0.2)

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")
        stage.refuse()

        async def act() -> None:
            tasks[1].title = "bad"
            notes.save([{"id": 1, "text": "a"}])
            await to(service, "notes", "dual_write")
            if goes_on:
                tasks[1].done = True
                tasks[2] = Task(2)

        assert (await request(service, act)).status == 422
        assert len(splits(stage)) == 1
        assert dict(tasks) == {1: Task(1, "first")}
        assert notes.load() == []
        assert stage.sql("SELECT id, title, done FROM stage.tasks") == [(1, "first", False)]
        assert stage.sql("SELECT count(*) FROM stage.notes") == [(0,)]

    stage.play(schedule)


def test_a_unit_that_waits_for_the_open_one_lands_with_its_first_part(stage: Stage) -> None:
    """A unit that built on an open one is held by it no longer than until the split, and is not failed by its end."""
    service, tasks, _ = shop(stage, "dual_write", 0.2)

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")
        with pytest.raises(ZeroDivisionError):
            async with service.unit():
                tasks[1].tags.append("open")

                async def act() -> None:
                    tasks[1].tags.append("built on it")

                service.units.hold_s = 60
                building = request(service, act)
                await until(lambda: service.committer.pending())
                await to(service, "tasks", "dual_read")
                assert (await building).status == 200
                tasks[1].tags.append("after")
                raise ZeroDivisionError
        assert stage.row(1) == ("first", False, ["open", "built on it"])
        assert tasks[1].tags == ["open", "built on it"]

    stage.play(schedule)


def test_an_open_unit_is_named_in_the_status(stage: Stage) -> None:
    """A unit that is open for longer than a phase change waits stands in the member's report with its call site."""
    service, tasks, _ = shop(stage, "dual_write", 0.05)

    async def schedule() -> None:
        async with service.unit("import"):
            tasks[1] = Task(1)
            query = "SELECT report -> 'open_units' FROM outlive.member WHERE left_at IS NULL"
            await until(lambda: stage.sql(query)[0][0])
            ((units,),) = stage.sql(query)
            assert units[0].startswith(f"import at {__file__}:")

    stage.play(schedule)
