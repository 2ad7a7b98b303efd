"""What PostgreSQL refuses at COMMIT (deferred constraints and triggers) is a refusal, not a lost connection."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.dialects.postgresql import JSONB

import outlive
from outlive.errors import Unholdable
from outlive.postgres.address import Address
from tests.stage import Stage, Task, lined, request, tickets, until


@pytest.fixture(params=["thread", "loop"])
def stage(request: pytest.FixtureRequest, database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database, with one of the two drivers."""
    stage = Stage(request.param, database_address, tmp_path)
    yield stage
    stage.close()


@dataclasses.dataclass
class Node:
    id: int
    friend: int | None = None


def table(name: str) -> sqlalchemy.Table:
    """A table of nodes."""
    return sqlalchemy.Table(
        name, sqlalchemy.MetaData(), sqlalchemy.Column("id", sqlalchemy.BigInteger, primary_key=True),
        sqlalchemy.Column("friend", sqlalchemy.BigInteger),
        sqlalchemy.Column("outlive_version", sqlalchemy.BigInteger, nullable=False),
        sqlalchemy.Column("outlive_position", sqlalchemy.Numeric, nullable=False),
        sqlalchemy.Column("outlive_extra", JSONB),
    )  # fmt: skip


def friends(stage: Stage, phase: str, address: Address | None = None) -> tuple[outlive.Service, Any, Any]:
    """A service with stores `a` and `b`, each of whose records may point to one of the other, checked at COMMIT."""
    tables = [table("a"), table("b")]
    engine = sqlalchemy.create_engine(stage.address.url())
    for each in tables:
        each.create(engine)
    engine.dispose()
    for name, other in (("a", "b"), ("b", "a")):
        stage.sql(
            f"ALTER TABLE {name} ADD CONSTRAINT {name}_friend FOREIGN KEY (friend) REFERENCES {other} (id)"
            " DEFERRABLE INITIALLY DEFERRED"
        )
    service = stage.service(address=address)
    options: dict[str, Any] = {"key": "id", "service": service, "phase": phase}
    a, b = (outlive.mapping(each.name, Node, model=each, **options) for each in tables)
    return service, a, b


def raising(stage: Stage, state: str) -> None:
    """Let COMMIT fail with that SQLSTATE for tasks whose title is bad."""
    stage.sql(
        "CREATE FUNCTION no_bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.title = 'bad' THEN"
        f" RAISE EXCEPTION 'no bad tasks' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$"
    )
    stage.sql(
        "CREATE CONSTRAINT TRIGGER no_bad AFTER INSERT OR UPDATE ON stage.tasks DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION no_bad()"
    )


def open_entries(stage: Stage) -> list[Any]:
    """(store, key, sqlstate) of what is unlanded."""
    return stage.sql("SELECT store, key, sqlstate FROM outlive.unlanded WHERE settled_at IS NULL ORDER BY store, key")


@pytest.mark.parametrize("phase", ["dual_write", "dual_read"])
@pytest.mark.parametrize("state", ["P0001", "23514", "40001", "TK999"])
def test_a_constraint_trigger_refuses_one_of_a_group(stage: Stage, phase: str, state: str) -> None:
    """Whatever SQLSTATE it raises, only its own request is told, or its change unlanded; the others land."""
    service, tasks = stage.tasks(phase)

    async def schedule() -> None:
        raising(stage, state)

        def writing(number: int) -> Any:
            async def act() -> None:
                tasks[number] = Task(number, "bad" if number == 2 else "good")

            return act

        async with stage.held(service):
            running = [request(service, writing(0))]
            await stage.blocked(service)
            running += [request(service, writing(number)) for number in (1, 2, 3)]
            await until(lambda: len(tickets(service)) == 4)
        status = [answer.status for answer in await asyncio.gather(*running)]
        strict = phase == "dual_read"
        assert status == [200, 200, (409 if state == "40001" else 422) if strict else 200, 200]
        assert stage.sql("SELECT id FROM stage.tasks ORDER BY id") == [(0,), (1,), (3,)]
        assert open_entries(stage) == ([] if strict else [("tasks", "2", state)])
        assert list(tasks) == ([0, 1, 3] if strict else [0, 1, 2, 3])
        assert service.committer.figures.unknown_outcomes == 0

    stage.play(schedule)


def test_a_dangling_reference_is_refused_with_its_unit(stage: Stage) -> None:
    """From dual_read on a unit whose deferred foreign key does not hold is refused, naming the constraint."""
    service, a, b = friends(stage, "dual_read")

    async def schedule() -> None:
        with pytest.raises(Unholdable) as refused:
            async with service.unit():
                b[1] = Node(1)
                a[1] = Node(1, friend=99)
        assert refused.value.field == "a_friend"
        assert (dict(a), dict(b)) == ({}, {})
        async with service.unit():
            a[1], b[1] = Node(1, friend=1), Node(1, friend=1)
        assert stage.sql("SELECT friend FROM a UNION ALL SELECT friend FROM b") == [(1,), (1,)]

    stage.play(schedule)


def test_only_what_dangles_is_unlanded(stage: Stage) -> None:
    """In dual_write a child that comes before its parent lands with it, a chain of them too; it can be made good."""
    service, a, b = friends(stage, "dual_write")

    async def schedule() -> None:
        async with service.unit():
            a[1], b[1] = Node(1, friend=1), Node(1, friend=2)
            a[2], a[3] = Node(2), Node(3, friend=99)
        assert open_entries(stage) == [("a", "3", "23503")]
        assert stage.sql("SELECT id, friend FROM a ORDER BY id") == [(1, 1), (2, None)]
        assert (list(a), list(b)) == ([1, 2, 3], [1])
        async with service.unit():
            b[99] = Node(99)
            a[3].friend = 99
        assert stage.sql("SELECT friend FROM a WHERE id = 3") == [(99,)]
        await until(lambda: not open_entries(stage))

    stage.play(schedule)


def test_what_needs_each_other_lands_together(stage: Stage) -> None:
    """A circle beside a row that no check lets in: the circle lands, only the other is unlanded."""
    service, a, b = friends(stage, "dual_write")

    async def schedule() -> None:
        stage.sql("ALTER TABLE a ADD CONSTRAINT small CHECK (id < 100)")
        async with service.unit():
            a[1], b[1] = Node(1, friend=1), Node(1, friend=1)
        async with service.unit():
            a[2], b[2], a[100] = Node(2, friend=2), Node(2, friend=2), Node(100)
        assert stage.sql("SELECT id FROM a ORDER BY id") == [(1,), (2,)]
        assert open_entries(stage) == [("a", "100", "23514")]

    stage.play(schedule)


def test_a_journalled_change_that_commit_refuses_holds_up_nothing(stage: Stage, database_address: Address) -> None:
    """When PostgreSQL is back the journal drains: what dangles is unlanded, what was journalled after it lands."""
    with lined(database_address) as line:
        service, a, b = friends(stage, "dual_write", address=line.address)

        async def schedule() -> None:
            line.cut()
            for key, friend in ((1, 99), (2, None), (3, 3)):
                async with service.unit():
                    a[key] = Node(key, friend=friend)
            async with service.unit():
                b[3] = Node(3)
            assert service.journal_units() == 4
            line.mend()
            await until(lambda: not service.journal_units())
            assert stage.sql("SELECT id, friend FROM a ORDER BY id") == [(2, None), (3, 3)]
            assert open_entries(stage) == [("a", "1", "23503")]

        stage.play(schedule)
