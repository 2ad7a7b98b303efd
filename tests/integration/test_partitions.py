"""Tables that are partitioned by time: a key stands once in all of them, whatever moves and whoever writes."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import outlive
from outlive.cli.app import run as run_cli
from outlive.errors import BadSetting, KeyTaken, SchemaMismatch
from outlive.postgres import partitions
from outlive.postgres.address import Address
from outlive.postgres.tables import SystemColumns
from outlive.runtime import upkeep
from outlive.transfer.verify import verify
from tests.integration.test_phases import go
from tests.stage import Stage, lined
from tests.stage import until as settled

Declared = Callable[..., tuple[outlive.Service, Any]]
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
OLD = dt.datetime(2020, 5, 1, tzinfo=dt.UTC)


class Base(DeclarativeBase):
    pass


class AlertRow(SystemColumns, Base):
    __tablename__ = "own_alerts"
    __table_args__ = {"postgresql_partition_by": "RANGE (created_at)"}
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[dt.datetime] = mapped_column(sa.DateTime(timezone=True), primary_key=True)
    title: Mapped[str | None]


@dataclasses.dataclass
class Alert:
    id: int
    created_at: dt.datetime
    title: str | None = None


class Op:
    """Alembic's `op`, as far as a migration needs it here."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self.conn = conn

    def execute(self, text: str) -> None:
        self.conn.execute(text.encode())


@pytest.fixture
def stage(database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database."""
    stage = Stage("thread", database_address, tmp_path)
    yield stage
    stage.close()


@pytest.fixture(params=["derived", "model"])
def declared(request: pytest.FixtureRequest, stage: Stage) -> Declared:
    """A closed service with alerts by quarter, in a derived table or that of a model and its migration."""

    def declare(phase: str = "dual_write", address: Address | None = None) -> tuple[outlive.Service, Any]:
        service = stage.service("farm", address=address)
        options: dict[str, Any] = {"key": "id", "service": service, "phase": phase}
        if request.param == "derived":
            return service, outlive.mapping("alerts", Alert, partition_by=("created_at", "quarter"), **options)
        if not stage.sql("SELECT to_regclass('own_alerts') IS NOT NULL")[0][0]:
            engine = sa.create_engine(stage.address.url())
            Base.metadata.create_all(engine)
            engine.dispose()
            partitions.create_ahead(Op(stage.conn), "own_alerts", "quarter", before=1, ahead=1)
        return service, outlive.mapping("alerts", Alert, model=AlertRow, **options)

    return declare


def held(stage: Stage) -> list[tuple[int, dt.datetime, str]]:
    """(id, created_at, partition) of every row."""
    derived = stage.sql("SELECT to_regclass('farm.alerts') IS NOT NULL")[0][0]
    name = "farm.alerts" if derived else "own_alerts"
    return stage.sql(f"SELECT id, created_at, tableoid::regclass::text FROM {name} ORDER BY id, created_at")  # noqa: S608


@pytest.mark.parametrize("phase", ["dual_write", "dual_read", "database"])
def test_a_record_that_changes_its_time_moves_and_stays_one(stage: Stage, declared: Declared, phase: str) -> None:
    """Put, patch, delete and insert reach the row by its key in whatever partition it is; it keeps its place."""
    _, alerts = declared(phase)
    repository = alerts.repository

    async def schedule() -> None:
        for key in (1, 2, 3):
            await repository.insert(Alert(key, NOW, "new"))
        assert {name.rpartition("_q")[2] for _, _, name in held(stage)} == {str((NOW.month + 2) // 3)}
        await repository.patch(1, created_at=OLD)
        await repository.put(Alert(2, OLD, "replaced"))
        rows = held(stage)
        assert [(key, at) for key, at, _ in rows] == [(1, OLD), (2, OLD), (3, NOW)]
        assert rows[0][2] == rows[1][2] != rows[2][2]
        assert [alert.id for alert in await repository.find()] == [1, 2, 3]
        assert await repository.find(created_at__lt=NOW, order_by="id") == [
            Alert(1, OLD, "new"),
            Alert(2, OLD, "replaced"),
        ]
        with pytest.raises(KeyTaken):
            await repository.insert(Alert(1, NOW))
        await repository.patch(1, created_at=NOW)
        assert await repository.delete(2) is True
        assert [(key, at) for key, at, _ in held(stage)] == [(1, NOW), (3, NOW)]
        await repository.put(Alert(2, OLD, "again"))
        assert [key for key, _, _ in held(stage)] == [1, 2, 3]

    stage.play(schedule)


@pytest.mark.parametrize("phase", ["dual_read", "database"])
def test_two_members_at_once_leave_one_row_a_key(stage: Stage, declared: Declared, phase: str) -> None:
    """Puts and moves of the same new keys by two processes end in one row each, and deletes in none."""
    first, mine = declared(phase)
    second, theirs = declared(phase)

    async def schedule() -> None:
        async def write(repository: Any, at: dt.datetime) -> None:
            for key in range(30):
                await repository.put(Alert(key, at))
                await repository.put(Alert(key, OLD if at is NOW else NOW))

        await asyncio.gather(write(mine.repository, NOW), write(theirs.repository, OLD))
        assert [key for key, _, _ in held(stage)] == list(range(30))
        inserted = await asyncio.gather(
            *(each.repository.insert(Alert(99, at)) for each, at in ((mine, NOW), (theirs, OLD))),
            return_exceptions=True,
        )
        if phase == "database":
            assert sorted(isinstance(one, KeyTaken) for one in inserted) == [False, True]
        assert [key for key, _, _ in held(stage)][30:] == [99]
        await asyncio.gather(*(mine.repository.delete(key) for key in range(30)), write(theirs.repository, NOW))
        keys = [key for key, _, _ in held(stage)]
        assert keys == sorted(set(keys))

    stage.play(schedule, first, second)


def test_a_journal_that_moves_rows_replays_once(stage: Stage, declared: Declared) -> None:
    """Moves and deletes that were journalled land; a tombstone outlasts a late replay whatever partition it names."""
    with lined(stage.address) as line:
        service, alerts = declared(address=line.address)

        async def schedule() -> None:
            async with service.unit():
                alerts[1], alerts[2] = Alert(1, NOW), Alert(2, NOW)
            line.cut()
            async with service.unit():
                alerts[1].created_at = OLD
            async with service.unit():
                alerts[3] = Alert(3, OLD)
            async with service.unit():
                alerts[3] = Alert(3, NOW)
            async with service.unit():
                del alerts[2]
            line.mend()
            await settled(lambda: not service.journal_units())
            assert [(key, at) for key, at, _ in held(stage)] == [(1, OLD), (3, NOW)]
            assert stage.sql("SELECT count(*) FROM outlive.unlanded") == [(0,)]

        stage.play(schedule)


def test_it_goes_through_every_phase_and_a_restart(stage: Stage, declared: Declared) -> None:
    """Back-fill, full parity with its planted difference, refill and a restart find every record in order."""
    service, alerts = declared("legacy")
    times = [NOW, OLD, NOW - dt.timedelta(days=80)]
    for key in range(300):
        alerts[key] = Alert(key, times[key % 3], f"a{key}")
    with service.open():
        for phase in ("dual_write", "dual_read"):
            go(service, "alerts", phase)
        alerts[5].created_at = NOW
        alerts[6].title = "moved"
        with service.database.connect() as conn:
            parity = verify(service.stores["alerts"], conn, settle=service.flush_blocking)
            assert (parity.equal, parity.planted_found, parity.compared) == (True, True, 300)
        go(service, "alerts", "database", force=True, reason="the mapping was used just now")
        alerts.repository.patch(7, created_at=OLD).result()
        go(service, "alerts", "dual_write", force=True, reason="back")
        assert list(alerts) == list(range(300))
        assert (alerts[7].created_at, alerts[5].created_at) == (OLD, NOW)
    again, later = declared("dual_write")
    with again.open():
        assert list(later) == list(range(300))
        assert later[6] == Alert(6, NOW, "moved")


def test_a_read_beside_a_move_finds_every_row(stage: Stage, until: Callable[..., Any]) -> None:
    """Rows that go from DEFAULT to a partition of their own are in one of the two for every reader."""
    service = stage.service("farm")
    alerts = outlive.mapping(
        "alerts", Alert, key="id", service=service, phase="dual_write", partition_by=("created_at", "day")
    )
    seen: list[Any] = []

    def read() -> None:
        with psycopg.connect(stage.address.conninfo(), autocommit=True) as conn:
            seen.extend(conn.execute("SELECT count(*) FROM farm.alerts").fetchall())

    with service.open():
        service.watcher.stop()
        table = service.stores["alerts"].table
        assert table is not None
        alerts.update({key: Alert(key, OLD + dt.timedelta(days=key % 12)) for key in range(36)})
        reader = threading.Thread(target=read)
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND starts_with(query, 'SELECT count')"
        with service.database.connect() as conn, conn.transaction():
            partitions.keep_ahead(conn, table)
            reader.start()
            until(lambda: stage.sql(waits))
        reader.join()
        assert seen == [(36,)]
        assert not any(name.endswith("_default") for _, _, name in held(stage))


@pytest.mark.parametrize("every", partitions.EVERY)
def test_the_partitions_that_come_are_made(stage: Stage, every: Any) -> None:
    """A running member makes them; rows that DEFAULT holds go to the partition of their period, none is lost."""
    service = stage.service("farm")
    alerts = outlive.mapping(
        "alerts", Alert, key="id", service=service, phase="dual_write", partition_by=("created_at", every)
    )
    with service.open():
        far = NOW + dt.timedelta(days=800)
        alerts[1], alerts[2], alerts[3] = Alert(1, NOW), Alert(2, far), Alert(3, OLD)
        table = service.stores["alerts"].table
        assert table is not None
        with service.database.connect() as conn:
            upkeep.partitions(conn, [table])  # the member may have done it by itself
            assert upkeep.partitions(conn, [table]) == []
            before = [name.endswith("_default") for _, _, name in held(stage)]
            made = partitions.keep_ahead(conn, table, far.date())
        assert before == [False, True, False]
        assert f"farm.alerts_{partitions.span(OLD.date(), every).suffix}" in [name for _, _, name in held(stage)]
        assert f"alerts_{partitions.span(far.date(), every).suffix}" in made
        assert [(key, at, name.endswith("_default")) for key, at, name in held(stage)] == [
            (1, NOW, False), (2, far, False), (3, OLD, False),
        ]  # fmt: skip
        alerts[2].created_at = NOW
        assert [key for key, _, _ in held(stage)] == [1, 2, 3]


@given(st.dates(dt.date(1971, 1, 1), dt.date(2200, 1, 1)), st.sampled_from(partitions.EVERY))
@settings(max_examples=200)
def test_periods_lie_side_by_side(day: dt.date, every: Any) -> None:
    """Every day lies in one period; the periods around it leave no gap and have names of their own."""
    found = partitions.spans(every, day, 3, 3)
    assert [one.end for one in found[:-1]] == [one.start for one in found[1:]]
    assert found[3].start <= day < found[3].end
    assert len({one.suffix for one in found}) == 7


def test_values_without_a_time_stand_in_default(stage: Stage) -> None:
    """A record whose field is empty or no time at all is kept in a derived table, and comes back as it was."""
    service = stage.service("farm")
    options: dict[str, Any] = {"service": service, "phase": "dual_write"}
    alerts = outlive.mapping("alerts", Alert, key="id", partition_by=("created_at", "day"), **options)
    given = [Alert(1, None), Alert(2, dt.datetime(2020, 1, 1)), Alert(3, "soon"), Alert(4, dt.datetime.max)]  # type: ignore[arg-type]
    with service.open():
        alerts.update({alert.id: alert for alert in given})
        assert all(name.endswith("_default") for _, _, name in held(stage))
    again = stage.service("farm")
    later = outlive.mapping("alerts", Alert, key="id", partition_by=("created_at", "day"), service=again)
    with again.open():
        assert list(later.values()) == given


REFUSED = [
    ({"partition_by": ("other", "day")}, "a date or time field"),
    ({"partition_by": ("created_at", "week")}, "one of day, month, quarter, year"),
    ({"partition_by": ("title", "day")}, "no date or time"),
    ({"partition_by": ("created_at", "day"), "unique": ["title"]}, "nothing unique over partitions"),
]


@pytest.mark.parametrize(("options", "reason"), REFUSED)
def test_what_cannot_be_partitioned_is_refused(stage: Stage, options: Any, reason: str) -> None:
    """The field must be a date or time of the record, the period a known one, and nothing else unique."""
    service = stage.service("farm")
    with pytest.raises(BadSetting, match=reason):
        outlive.mapping("alerts", Alert, key="id", service=service, **options)
        service.start()


def test_a_table_that_is_there_is_not_made_over(stage: Stage) -> None:
    """partition_by= over a table without partitions keeps the service closed and says so."""
    service, _ = stage.service("farm"), None
    outlive.mapping("alerts", Alert, key="id", service=service, phase="dual_write")
    with service.open():
        pass
    again = stage.service("farm")
    outlive.mapping("alerts", Alert, key="id", service=again, partition_by=("created_at", "month"))
    with pytest.raises(SchemaMismatch, match="no partitioned table"):
        again.start()


APP = """
import dataclasses, datetime, outlive
@dataclasses.dataclass
class Alert:
    id: int
    created_at: datetime.datetime
    title: str | None = None
service = outlive.Service("farm")
alerts = outlive.mapping("alerts", Alert, key="id", partition_by=("created_at", "quarter"), service=service)
"""


def test_files_are_loaded_into_partitions_and_come_back(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key that stands twice is rejected although its times differ; a second load moves what changed; doctor warns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", stage.address.libpq_url())
    (tmp_path / "partitions_app.py").write_text(APP)
    file = tmp_path / "alerts.jsonl"

    def load(*records: tuple[int, dt.datetime]) -> dict[str, Any]:
        file.write_text("".join(json.dumps({"id": key, "created_at": at.isoformat()}) + "\n" for key, at in records))
        assert run_cli(["load", str(file), "--app", "partitions_app:service", "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)["loads"][0]
        return found

    found = load((1, NOW), (2, OLD), (1, OLD))
    assert (found["landed"], found["rejected"]) == (2, 1)
    found = load((1, OLD), (2, OLD), (3, NOW))
    assert (found["landed"], found["equal"]) == (2, 1)
    assert [(key, at) for key, at, _ in held(stage)] == [(1, OLD), (2, OLD), (3, NOW)]
    run_cli(["doctor", "--json"])
    out = capsys.readouterr().out
    checks = json.loads(out)["checks"]
    assert [one["level"] for one in checks if "alerts_default" in one["figure"]] == ["warn"]


def test_a_model_with_a_period_gets_its_partitions_too(stage: Stage) -> None:
    """partition_by= beside model= says the period; a model that is partitioned by something else is refused."""
    engine = sa.create_engine(stage.address.url())
    Base.metadata.create_all(engine)
    engine.dispose()
    service = stage.service("farm")
    options: dict[str, Any] = {"key": "id", "model": AlertRow, "service": service, "phase": "dual_write"}
    alerts = outlive.mapping("alerts", Alert, partition_by=("created_at", "month"), **options)
    with service.open():
        alerts[1] = Alert(1, NOW)
        assert held(stage) == [(1, NOW, f"own_alerts_{NOW:%Y_%m}")]
    wrong = stage.service("farm")
    outlive.mapping("alerts", Alert, partition_by=("title", "month"), **{**options, "service": wrong})
    with pytest.raises(BadSetting, match="partitioned by RANGE"):
        wrong.start()
