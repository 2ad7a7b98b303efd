"""Writes of many records, writes of what changed alone, pages beside writers, and the indexes of derived tables."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import outlive
from outlive.errors import BadQuery, BadSetting, Conflict, Unholdable
from outlive.postgres.address import Address

Open = Callable[..., Any]
PHASES = ["legacy", "dual_write", "dual_read", "database"]


@dataclasses.dataclass
class Task:
    id: int
    title: str = ""
    hours: int = 0
    tags: list[str] = dataclasses.field(default_factory=list)
    lat: float | None = None
    lon: float | None = None


class Tasks(outlive.Repository):
    """A repository with methods of its own."""

    async def long_ones(self, least: int) -> list[Any]:
        """Titles of tasks of many hours."""
        return [task.title for task in await self.find(hours__gte=least, order_by="title")]


@pytest.fixture
def opened(database_address: Address, tmp_path: Path) -> Iterator[Open]:
    """Opens a service with a store of tasks."""
    services: list[outlive.Service] = []

    def open_in(phase: str, **options: Any) -> Any:
        home = tmp_path / f"home{len(services)}"
        env = {"DATABASE_URL": database_address.libpq_url(), "OUTLIVE_HOME": str(home)}
        service = outlive.Service("bulk", env={**env, "OUTLIVE_JOURNAL_MAY_BE_LOST": "true"})
        tasks = outlive.mapping("tasks", Task, key="id", service=service, phase=phase, **options)  # type: ignore[arg-type]
        services.append(service)
        service.start()
        return tasks

    yield open_in
    for service in reversed(services):
        service.close()


@pytest.mark.parametrize("phase", PHASES)
def test_bulk_writes_are_one_write(opened: Open, phase: str) -> None:
    """All records are there, or none of them; the last of one key counts; a bulk in a unit goes with the unit."""
    repository = opened(phase).repository
    assert repository.bulk_put(Task(n, f"t{n}") for n in [*range(50), 7]).result() == 50
    assert repository.count().result() == 50
    assert repository.bulk_delete([1, 2, 2, 99]).result() == 2
    assert repository.delete_many([3]).result() == 1
    if phase in {"dual_read", "database"}:
        with pytest.raises(Unholdable):
            repository.bulk_put([Task(100), Task(101, "\x00"), Task(102)]).result()
    with pytest.raises(ZeroDivisionError), outlive.unit(service=repository._backing.store.host):
        repository.bulk_put([Task(200), Task(201)]).result()
        assert repository.count(id__gte=200).result() == 2
        repository.bulk_delete(range(10, 20)).result()
        raise ZeroDivisionError
    assert repository.keys(id__gte=100).result() == []
    assert repository.count().result() == 47


def test_a_patch_of_what_is_there_already_writes_nothing(opened: Open, database_address: Address) -> None:
    """Only a field that differs is written: the row's version stays where nothing does, and another's change too."""
    repository = opened("database").repository
    repository.insert(Task(1, "a", 3, ["x"])).result()
    with psycopg.connect(database_address.conninfo(), autocommit=True) as conn:
        row = "SELECT outlive_version, xmin::text FROM bulk.tasks"
        before = conn.execute(row).fetchone()
        assert repository.patch(1, title="a", tags=["x"]).result() == Task(1, "a", 3, ["x"])
        assert conn.execute(row).fetchone() == before
        assert repository.patch(1, title="b", hours=3).result() == Task(1, "b", 3, ["x"])
        assert conn.execute(row).fetchone() != before


def test_patches_of_other_fields_merge_and_of_the_same_field_conflict(opened: Open, database_address: Address) -> None:
    """A patch owns the fields that it changes: what another writer changed beside it stays."""
    repository = opened("database").repository
    repository.insert(Task(1, "a", 3)).result()
    other = "UPDATE bulk.tasks SET hours = 9, outlive_version = outlive_version + 1"
    with psycopg.connect(database_address.conninfo(), autocommit=True) as conn:
        with outlive.unit(service=repository._backing.store.host):
            repository.patch(1, title="b", hours=3).result()
            conn.execute(other)
        assert repository.get(1).result() == Task(1, "b", 9)
        with pytest.raises(Conflict), outlive.unit(service=repository._backing.store.host):
            repository.patch(1, hours=1).result()
            conn.execute("UPDATE bulk.tasks SET hours = 5, outlive_version = outlive_version + 1")
    assert repository.get(1).result() == Task(1, "b", 5)


@pytest.mark.parametrize("phase", PHASES)
def test_pages_stay_in_step_beside_writers(opened: Open, phase: str) -> None:
    """What comes and goes before the cursor shifts nothing, what comes behind it is seen; ties and None included."""
    repository = opened(phase).repository
    for n in range(10):
        repository.insert(Task(n, "ab"[n % 2], n // 4, lat=None if n % 3 else float(n))).result()
    first = repository.page(order_by=("title", "-lat"), limit=4).result()
    assert [task.id for task in first.records] == [2, 4, 8, 6]
    repository.bulk_delete([2, 4]).result()
    repository.insert(Task(20, "a", lat=99.0)).result()
    repository.insert(Task(21, "b", lat=99.0)).result()
    second = repository.page(order_by=("title", "-lat"), limit=4, after=first.next).result()
    assert [task.id for task in second.records] == [0, 1, 5, 7]
    third = repository.page(order_by=("title", "-lat"), limit=4, after=second.next).result()
    assert ([task.id for task in third.records], third.next) == ([21, 9, 3], None)
    with pytest.raises(BadQuery, match="belongs to order_by"):
        repository.page(order_by="title", after=first.next)
    with pytest.raises(BadQuery, match="at least one"):
        repository.page(limit=0)


def test_a_subclass_adds_methods(database_address: Address, tmp_path: Path) -> None:
    """A store answers with the repository that it was declared with, scoped or not, in async code too."""
    env = {"DATABASE_URL": database_address.libpq_url(), "OUTLIVE_HOME": str(tmp_path)}
    service = outlive.Service("bulk", env={**env, "OUTLIVE_JOURNAL_MAY_BE_LOST": "true"})
    tasks = outlive.mapping("tasks", Task, key="id", repository=Tasks, service=service, phase="dual_read")

    async def run() -> list[str]:
        async with outlive.open(service):
            await tasks.repository.bulk_put([Task(1, "b", 5), Task(2, "a", 7), Task(3, "c", 1)])
            found: list[str] = await tasks.repository.long_ones(5)
            return found

    assert asyncio.run(run()) == ["a", "b"]


def test_derived_tables_have_the_indexes_that_were_declared(opened: Open, database_address: Address) -> None:
    """Composite, descending, unique, partial and GIN indexes are made once; a duplicate is refused by PostgreSQL."""
    options: dict[str, Any] = {
        "place": ("lat", "lon"),
        "indexes": ["hours", ("title", "-hours"), outlive.Index("tags", using="gin")],
        "unique": [outlive.Index("title", where="hours > 100")],
    }
    tasks = opened("database", **options)
    with psycopg.connect(database_address.conninfo()) as conn:
        rows = conn.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'bulk' ORDER BY indexname").fetchall()
    found = "\n".join(row[0].partition(" USING ")[2] for row in rows)
    for part in (
        "btree (outlive_position, id)", "btree (outlive_position) WHERE (outlive_extra IS NOT NULL)",
        "btree (hours)", "btree (title, hours DESC)", "gin (tags)", "gist ((\nCASE",
        "btree (title) WHERE (hours > 100)",
    ):  # fmt: skip
        assert part in found
    tasks.repository.bulk_put([Task(1, "a", 101), Task(2, "a", 1)]).result()
    with pytest.raises(Exception, match="ix_tasks_unique_title"):
        tasks.repository.patch(2, hours=500).result()
    tasks._store.host.close()
    opened("database", **options)
    with psycopg.connect(database_address.conninfo()) as conn:
        assert conn.execute("SELECT count(*) FROM pg_indexes WHERE schemaname = 'bulk'").fetchone() == (len(rows),)


def test_an_index_over_no_field_is_refused(opened: Open) -> None:
    """A misspelt field of an index is named before anything is made."""
    with pytest.raises(BadSetting, match="titel"):
        opened("database", indexes=["titel"])
