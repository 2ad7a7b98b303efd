"""Records that refer to records of other stores: foreign keys of derived tables and of a service's own models.

The child's store (`checks`) comes before its parent's (`machines`) by name, so that an order by names would fail.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import outlive
from outlive.cli.app import run as run_cli
from outlive.errors import BadSetting, Conflict, GateClosed, MigrationFailed, Unholdable
from outlive.postgres.address import Address
from outlive.postgres.tables import SystemColumns
from outlive.transfer import backfill
from tests.integration.test_phases import go
from tests.stage import Stage, lined, request, tickets
from tests.stage import until as settled

# Kept alive: the tracking still knows records that were deleted in `legacy` by their ids.
deleted_in_legacy: list[Any] = []
Declared = Callable[..., tuple[outlive.Service, Any, Any]]


class Base(DeclarativeBase):
    pass


class MachineRow(SystemColumns, Base):
    __tablename__ = "own_machines"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]


class CheckRow(SystemColumns, Base):
    __tablename__ = "own_checks"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    machine_id: Mapped[str | None] = mapped_column(sa.ForeignKey("own_machines.id", ondelete="RESTRICT"))
    note: Mapped[str | None]


@dataclasses.dataclass
class Machine:
    id: str
    name: str | None = None


@dataclasses.dataclass
class Check:
    id: int
    machine_id: str | None = None
    note: str | None = None


@dataclasses.dataclass
class Node:
    id: int
    parent_id: int | None = None


@pytest.fixture
def stage(database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database."""
    stage = Stage("thread", database_address, tmp_path)
    yield stage
    stage.close()


@pytest.fixture(params=["derived", "model"])
def declared(request: pytest.FixtureRequest, stage: Stage) -> Declared:
    """A closed service with checks of machines, in derived tables or those of models."""

    def declare(phase: str = "dual_write", address: Address | None = None) -> tuple[outlive.Service, Any, Any]:
        service = stage.service("plant", address=address)
        options: dict[str, Any] = {"key": "id", "service": service, "phase": phase}
        if request.param == "derived":
            machines = outlive.mapping("machines", Machine, **options)
            return service, machines, outlive.mapping("checks", Check, references={"machine_id": machines}, **options)
        engine = sa.create_engine(stage.address.url())
        Base.metadata.create_all(engine)
        engine.dispose()
        machines = outlive.mapping("machines", Machine, model=MachineRow, **options)
        return service, machines, outlive.mapping("checks", Check, model=CheckRow, **options)

    return declare


def rows(stage: Stage) -> tuple[list[Any], list[Any]]:
    """Keys of machines; (id, machine_id) of checks, as PostgreSQL holds them."""
    derived = stage.sql("SELECT to_regclass('plant.checks') IS NOT NULL")[0][0]
    machines, checks = ("plant.machines", "plant.checks") if derived else ("own_machines", "own_checks")
    return (
        [key for (key,) in stage.sql(f"SELECT id FROM {machines} ORDER BY id")],  # noqa: S608
        stage.sql(f"SELECT id, machine_id FROM {checks} ORDER BY id"),  # noqa: S608
    )


def open_entries(stage: Stage) -> list[Any]:
    """(store, key, field, reason) of what is unlanded."""
    return stage.sql("SELECT store, key, field, reason FROM outlive.unlanded WHERE settled_at IS NULL ORDER BY id")


@pytest.mark.parametrize("phase", ["dual_write", "dual_read", "database"])
def test_a_unit_may_come_in_any_order(stage: Stage, declared: Declared, phase: str) -> None:
    """Parents are put before children and deleted after them, and a parent goes once its children refer elsewhere."""
    service, machines, checks = declared(phase)
    machines, checks = machines.repository, checks.repository

    async def schedule() -> None:
        async with service.unit():
            await checks.put(Check(1, "m1"))
            await machines.put(Machine("m1"))
        async with service.unit():
            await machines.delete("m1")
            await checks.patch(1, machine_id="m2")
            await machines.put(Machine("m2"))
        assert rows(stage) == (["m2"], [(1, "m2")])
        async with service.unit():
            await machines.delete("m2")
            await checks.delete(1)
        assert rows(stage) == ([], [])
        assert open_entries(stage) == []

    stage.play(schedule)
    assert service.committer.figures.bisections == 0


@pytest.mark.parametrize("phase", ["dual_read", "database"])
def test_a_broken_reference_is_refused(stage: Stage, declared: Declared, phase: str) -> None:
    """A missing parent refuses its own request alone and names store, key and field; a needed parent stays."""
    service, machines, checks = declared(phase)

    async def schedule() -> None:
        await machines.repository.put(Machine("m1"))

        def writing(number: int) -> Any:
            async def act() -> None:
                await checks.repository.put(Check(number, "m9" if number == 2 else "m1"))

            return act

        async with stage.held(service):
            running = [request(service, writing(0))]
            await stage.blocked(service)
            running += [request(service, writing(number)) for number in (1, 2, 3)]
            await settled(lambda: len(tickets(service)) == 4)
        answers = await asyncio.gather(*running)
        assert [answer.status for answer in answers] == [200, 200, 422, 200]
        with pytest.raises(Unholdable, match=r"checks\[2\]\.machine_id: machines has no record m9"):
            await checks.repository.put(Check(2, "m9"))
        with pytest.raises(Conflict, match=r'machines\["m1"\].* records of .*checks refer to it'):
            await machines.repository.delete("m1")
        assert rows(stage) == (["m1"], [(0, "m1"), (1, "m1"), (3, "m1")])
        assert await machines.repository.get("m1") == Machine("m1")

    stage.play(schedule)


def test_in_dual_write_what_dangles_is_unlanded(stage: Stage, declared: Declared) -> None:
    """The request stands, its other changes land, and the reason is plain; what is put right lands."""
    service, machines, checks = declared()

    async def schedule() -> None:
        async with service.unit():
            checks[1], checks[2], machines["m1"] = Check(1, "m1"), Check(2, "m9"), Machine("m1")
        async with service.unit():
            del machines["m1"]
        found = open_entries(stage)
        assert found[0] == ("checks", "2", "machine_id", "machines has no record m9")
        assert found[1][:3] == ("machines", '"m1"', None)
        assert "checks refer to it" in found[1][3]
        assert rows(stage) == (["m1"], [(1, "m1")])
        async with service.unit():
            machines["m9"] = Machine("m9")
            checks[2].note = "again"
        async with service.unit():
            machines["m1"] = Machine("m1", "back")
        await settled(lambda: not open_entries(stage))
        assert rows(stage) == (["m1", "m9"], [(1, "m1"), (2, "m9")])

    stage.play(schedule)


def test_a_journal_replays_in_the_same_order(stage: Stage, declared: Declared) -> None:
    """Children that were journalled before their parents land behind them, deletes before; it may come twice (I4)."""
    with lined(stage.address) as line:
        service, machines, checks = declared(address=line.address)

        async def schedule() -> None:
            async with service.unit():
                checks[1], machines["m1"] = Check(1, "m1"), Machine("m1")
            line.cut()
            async with service.unit():
                checks[2] = Check(2, "m2")
            async with service.unit():
                machines["m2"] = Machine("m2")
            async with service.unit():
                del machines["m1"]
            async with service.unit():
                del checks[1]
            async with service.unit():
                checks[3] = Check(3, "m9")
            line.mend()
            await settled(lambda: not service.journal_units())
            assert rows(stage) == (["m2"], [(2, "m2")])
            assert open_entries(stage) == [("checks", "3", "machine_id", "machines has no record m9")]

        stage.play(schedule)


def test_the_parent_goes_first_and_comes_back_last(stage: Stage, declared: Declared, until: Callable[..., Any]) -> None:
    """`advance` and `rollback` name the store to move first; back-fills land whole; a restart finds it all."""
    service, machines, checks = declared("legacy")
    for number in range(300):
        checks[number] = Check(number, f"m{number}")
        machines[f"m{number}"] = Machine(f"m{number}")
    with service.open():
        service.watcher.tick()
        with pytest.raises(GateClosed) as refused:
            go(service, "checks", "dual_write")
        assert "outlive advance plant/machines --to dual_write first" in refused.value.reason
        for phase in ("dual_write", "dual_read"):
            go(service, "machines", phase)
            go(service, "checks", phase)
        go(service, "checks", "database", force=True, reason="the mapping was used just now")
        assert open_entries(stage) == []
        assert len(rows(stage)[1]) == 300
        with pytest.raises(GateClosed) as refused:
            go(service, "machines", "dual_write")
        assert "outlive rollback plant/checks --to dual_write first" in refused.value.reason
        go(service, "checks", "legacy")
        go(service, "machines", "legacy")
        assert (len(machines), len(checks)) == (300, 300)
        deleted_in_legacy.extend((checks.pop(7), machines.pop("m7")))
        for name in ("machines", "checks"):
            go(service, name, "dual_write")
        until(lambda: service.watcher.backfills["checks"].get("done"))
        assert [entry[:2] for entry in open_entries(stage)] == [("machines", '"m7"')]  # its check was still there
        machines["m7"] = Machine("m7")
        del machines["m7"]
        until(lambda: not open_entries(stage))
        assert [len(each) for each in rows(stage)] == [299, 299]


def test_records_may_refer_to_their_own_store(stage: Stage, until: Callable[..., Any]) -> None:
    """Chains, circles and records that refer to themselves land in one unit, in a back-fill, and go in one unit."""
    service = stage.service("plant")
    nodes = outlive.mapping("nodes", Node, key="id", references={"parent_id": "nodes"}, service=service)
    for number in range(500):
        nodes[number] = Node(number, number + 1 if number < 499 else None)
    nodes[500], nodes[501], nodes[502] = Node(500, 501), Node(501, 500), Node(502, 502)
    with service.open():
        go(service, "nodes", "dual_write")
        until(lambda: service.watcher.backfills["nodes"].get("done"))
        assert open_entries(stage) == []
        assert stage.sql("SELECT count(*) FROM plant.nodes")[0][0] == 503
        assert [record.id for record in nodes.repository.find(limit=3).result()] == [0, 1, 2]
        go(service, "nodes", "dual_read")
        with outlive.unit(service=service):
            nodes[600], nodes[601] = Node(600, 601), Node(601)
            nodes[0].parent_id = 601
        with pytest.raises(Unholdable, match="nodes has no record 777"):
            nodes[700] = Node(700, 777)
        with pytest.raises(Conflict, match="refer to it"):
            del nodes[601]
        with outlive.unit(service=service):
            del nodes[601], nodes[600]
            nodes[0].parent_id = None
        assert stage.sql("SELECT count(*) FROM plant.nodes")[0][0] == 503
    assert list(nodes)[:2] == [0, 1]


def test_keys_of_one_store_are_ordered_by_who_refers(stage: Stage) -> None:
    """A back-fill of chunks never needs a later chunk but where records refer to each other in a circle."""
    service = stage.service("plant")
    nodes = outlive.mapping("nodes", Node, key="id", references={"parent_id": "nodes"}, service=service)
    nodes.update({0: Node(0, 2), 1: Node(1, 0), 2: Node(2, 9), 3: Node(3, 4), 4: Node(4, 3)})
    with service.open():
        assert backfill.own_parents_first(service.stores["nodes"], list(nodes)) == [2, 0, 1, 4, 3]


REFUSED = [
    ({"references": {"other": "machines"}}, "no such field"),
    ({"references": {"machine_id": "cars"}}, "cars is no store of this service"),
    ({"references": {"machine_id": {}}}, "a store of the same service"),
    ({"references": {"machine_id": "plain"}}, "have no column"),
    ({"model": CheckRow, "references": {"machine_id": "machines"}}, "ForeignKey columns"),
]


@pytest.mark.parametrize(("options", "reason"), REFUSED)
def test_what_cannot_be_kept_is_refused_before_it_opens(stage: Stage, options: Any, reason: str) -> None:
    """A reference names a field of the record and a store whose keys have a column."""
    service = stage.service("plant")
    with pytest.raises(BadSetting, match=reason):
        outlive.mapping("machines", Machine, key="id", service=service)
        outlive.mapping("plain", dict, service=service)
        outlive.mapping("checks", Check, key="id", service=service, **options)
        service.start()


def test_circles_of_stores_are_refused(stage: Stage) -> None:
    """Of two stores that refer to each other neither could be filled first."""
    service = stage.service("plant")
    outlive.mapping("a", Node, key="id", references={"parent_id": "b"}, service=service)
    outlive.mapping("b", Node, key="id", references={"parent_id": "a"}, service=service)
    with pytest.raises(BadSetting, match="a -> b -> a"):
        service.start()


@pytest.mark.parametrize(
    ("rule", "reason"),
    [({"ondelete": "CASCADE"}, "CASCADE changes rows"), ({"ondelete": "RESTRICT"}, "deferrable=True")],
)
def test_a_model_that_would_write_by_itself_is_refused(stage: Stage, rule: dict[str, Any], reason: str) -> None:
    """A foreign key that deletes rows behind the records' back, or orders one store's own rows, is named."""
    metadata = sa.MetaData()
    target = "own_nodes.id" if "RESTRICT" in rule.values() else "own_tops.id"
    table = sa.Table(
        "own_nodes", metadata, sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("parent_id", sa.BigInteger, sa.ForeignKey(target, **rule)),
        sa.Column("outlive_version", sa.BigInteger), sa.Column("outlive_position", sa.Numeric),
    )  # fmt: skip
    top = sa.Table(
        "own_tops", metadata, sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("parent_id", sa.BigInteger), sa.Column("outlive_version", sa.BigInteger),
        sa.Column("outlive_position", sa.Numeric),
    )  # fmt: skip
    service = stage.service("plant")
    outlive.mapping("nodes", Node, key="id", model=table, service=service)
    outlive.mapping("tops", Node, key="id", model=top, service=service)
    with pytest.raises(BadSetting, match=reason):
        service.start()


def test_a_reference_over_rows_that_dangle_is_not_made(stage: Stage) -> None:
    """A declaration that the rows contradict keeps the service closed and names the value."""
    service = stage.service("plant")
    outlive.mapping("machines", Machine, key="id", service=service, phase="dual_write")
    checks = outlive.mapping("checks", Check, key="id", service=service, phase="dual_write")
    with service.open():
        checks[1] = Check(1, "m9")
    again = stage.service("plant")
    machines = outlive.mapping("machines", Machine, key="id", service=again, phase="dual_write")
    checks = outlive.mapping("checks", Check, key="id", references={"machine_id": machines}, service=again)
    with pytest.raises(MigrationFailed, match=r"\(machine_id\)=\(m9\)"):
        again.start()


APP = """
import dataclasses, outlive
@dataclasses.dataclass
class Machine:
    id: str
    name: str | None = None
@dataclasses.dataclass
class Check:
    id: int
    machine_id: str | None = None
service = outlive.Service("plant")
machines = outlive.mapping("machines", Machine, key="id", service=service)
checks = outlive.mapping("checks", Check, key="id", references={"machine_id": machines}, service=service)
"""


@dataclasses.dataclass
class Part:
    id: uuid.UUID
    whole_id: uuid.UUID | None = None


def test_the_missing_parent_is_named_whatever_its_key_is(stage: Stage) -> None:
    """Keys that a record does not hold as plain text are told from each other too."""
    service = stage.service("plant")
    options: dict[str, Any] = {"key": "id", "service": service, "phase": "database"}
    parts = outlive.mapping("parts", Part, references={"whole_id": "parts"}, **options).repository
    whole, part, missing = (uuid.UUID(int=number) for number in (1, 2, 3))
    with service.open():
        parts.bulk_put([Part(part, whole), Part(whole)]).result()
        with pytest.raises(Unholdable, match=f"whole_id: parts has no record {missing}"):
            parts.put(Part(uuid.UUID(int=4), missing)).result()


def test_a_folder_is_loaded_parents_first(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files land in the order of their references; a record that dangles is rejected with its reason."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", stage.address.libpq_url())
    (tmp_path / "plant_app.py").write_text(APP)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "checks.json").write_text(json.dumps([{"id": n, "machine_id": f"m{n}"} for n in range(5)]))
    (folder / "machines.json").write_text(json.dumps([{"id": f"m{n}", "name": "x"} for n in range(4)]))
    assert run_cli(["load", str(folder), "--app", "plant_app:service", "--json"]) == 0
    loads = json.loads(capsys.readouterr().out)["loads"]
    assert [(one["store"], one["landed"], one["rejected"]) for one in loads] == [
        ("plant/machines", 4, 0),
        ("plant/checks", 4, 1),
    ]
    assert (
        "(machine_id)=(m4)" in loads[1]["examples"][0]["reason"] or "foreign key" in loads[1]["examples"][0]["reason"]
    )
    assert rows(stage)[1] == [(n, f"m{n}") for n in range(4)]
