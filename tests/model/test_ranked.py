"""An order by a list of values: one result from memory, PostgreSQL and Python's own sort."""

from __future__ import annotations

import dataclasses
import enum
import operator
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import outlive
from outlive.errors import BadQuery
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.derive import ensure_derived
from outlive.postgres.tables import StoreTable
from outlive.records import RecordType
from outlive.settings import Settings
from outlive.stores.repository import Repository
from tests.shelf import Shelf


class Priority(enum.StrEnum):
    LOW = "low"
    HIGH = "high"
    URGENT = "urgent"


@dataclasses.dataclass
class Job:
    id: int
    priority: Priority | None = None
    due: int | None = None
    note: str | None = None


RANKS = ("urgent", "high", "\u0639\u0627\u062c\u0644")
JOBS = st.lists(
    st.builds(Job, st.just(0), st.none() | st.sampled_from(Priority), st.none() | st.integers(0, 2)), max_size=8
)
ORDER = st.sampled_from([outlive.Ranked("priority", *RANKS), outlive.Ranked("-priority", *Priority), "due", "-due"])


@pytest.fixture(scope="module")
def shelf(pg_server: Address) -> Iterator[Shelf]:
    """A store of jobs in a database of its own."""
    import psycopg

    name = "outlive_ranked"
    with psycopg.connect(pg_server.conninfo(), autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]
        conn.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    database = Database(pg_server.with_database(name), Settings(service="test"))
    table = StoreTable.derive("ranked", "jobs", RecordType.of(Job), "id")
    ensure_derived(database, [table])
    yield Shelf(table, database, operator.attrgetter("id"))
    database.dispose()


def spot(job: Job, order: Any) -> tuple[bool, int]:
    """Where Python would put a job by one item of `order_by`."""
    ranks = list(getattr(order, "ranks", ()))
    value: Any = job.due
    if ranks and job.priority is not None:
        value = ranks.index(job.priority) if job.priority in ranks else len(ranks)
    elif ranks:
        value = None
    return value is None, value or 0


def test_memory_sql_and_python_agree(shelf: Shelf) -> None:
    """Listed values come in the list's order, others after them, None last, ties as before; pages cut that."""

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(JOBS, st.lists(ORDER, max_size=2), st.none() | st.integers(0, 3))
    def agree(jobs: list[Job], order: list[Any], limit: int | None) -> None:
        jobs = [dataclasses.replace(job, id=number) for number, job in enumerate(jobs)]
        shelf.fill(jobs)
        wanted = list(jobs)
        for each in reversed(order):
            name = each if isinstance(each, str) else each.field
            wanted.sort(key=lambda job: spot(job, each), reverse=name.startswith("-"))
        for shelf.by_sql in (False, True):
            repository = Repository(shelf)
            assert repository.find(order_by=order, limit=limit).result() == wanted[:limit]
            answer = repository.find_json(order_by=order, limit=limit).result()
            assert [int(part.split(b",")[0]) for part in answer.split(b'"id":')[1:]] == [j.id for j in wanted[:limit]]

    agree()


def test_one_rank_alone_and_an_index(shelf: Shelf) -> None:
    """A Ranked needs no list around it, and an index over its field never decides its order."""
    shelf.fill([Job(n, priority) for n, priority in enumerate(Priority)])
    ranked = outlive.Ranked("priority", Priority.HIGH, Priority.LOW)
    for shelf.by_sql in (False, True):
        found = Repository(shelf).find(order_by=ranked, limit=2).result()
        assert [each.priority for each in found] == ["high", "low"]


@pytest.mark.parametrize("order", [outlive.Ranked("priority"), outlive.Ranked("due", 1, 2), outlive.Ranked("", "a")])
def test_ranks_are_texts(shelf: Shelf, order: Any) -> None:
    """Without ranks, with ranks that are no text, or without a field, the order has no meaning."""
    with pytest.raises(BadQuery):
        Repository(shelf).find(order_by=order).result()


def test_a_cursor_is_not_ranked(shelf: Shelf) -> None:
    """Pages by cursor refuse ranks and say what to use instead."""
    with pytest.raises(BadQuery, match="offset"):
        Repository(shelf).page(order_by=outlive.Ranked("priority", "high")).result()
