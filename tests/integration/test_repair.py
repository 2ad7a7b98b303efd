"""Verification by digests, and repairs: what was changed by hand is found in both modes, and put right one way only."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

import outlive
from outlive.cli.app import run
from outlive.commit.unit import Kept
from outlive.errors import Refused
from outlive.records import canonical, inline, key_text
from outlive.runtime import scrub
from outlive.stores.store import Store
from outlive.transfer import quick as digests
from outlive.transfer import repair, values
from outlive.transfer.learned import Learned, forget, learned
from outlive.transfer.proofs import Proofs
from outlive.transfer.quick import bucket_count, finds_planted, quick, unequal
from outlive.transfer.rows import Rows
from outlive.transfer.verify import Parity, verify

Conn = psycopg.Connection[Any]
Cli = Callable[..., tuple[int, str]]
RECORDS = 300
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Task:
    task_id: str
    title: str
    hours: float
    tags: list[str]


@pytest.fixture
def cli(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line on the test's database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)

    def call(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        read, told = capsys.readouterr()
        return status, read + told

    return call


@pytest.fixture
def farm(database_url: str, tmp_path: Path) -> Iterator[outlive.Service]:
    """A running service whose `tasks` holds records in memory and table."""
    env = {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path / "home"), "OUTLIVE_POLL_S": "0.02"}
    service = outlive.Service("farm", env=env)
    tasks = outlive.mapping("tasks", Task, key="task_id", service=service, phase="dual_write")
    service.start()
    with service.unit():
        for n in range(RECORDS):
            tasks[f"t{n}"] = Task(f"t{n}", f"ploughing\t{n}\\" if n % 3 else "حرث", n / 7, [])
    yield service
    service.close()


@pytest.fixture
def conn(farm: outlive.Service) -> Iterator[Conn]:
    """A connection of the test's own."""
    assert farm.database is not None
    with farm.database.connect() as opened:
        yield opened


def tasks_of(service: outlive.Service) -> Store:
    """The store."""
    return service.stores["tasks"]


def look(service: outlive.Service, conn: Conn, mode: Callable[..., Parity]) -> Parity:
    """One verification with little patience."""
    return mode(tasks_of(service), conn, settle=service.flush_blocking, tries=2, pause_s=0.0)


MODES = pytest.mark.parametrize("mode", [quick, verify])


@MODES
def test_a_field_changed_by_hand_is_found(farm: outlive.Service, conn: Conn, mode: Any) -> None:
    """A field of one row, changed in SQL without its version, is found whatever is known of the row, and named."""
    for again in range(3):
        assert look(farm, conn, mode).equal
        conn.execute("UPDATE farm.tasks SET hours = hours + 1e-12 WHERE task_id = 't7'")
        parity = look(farm, conn, mode)
        assert (parity.different, parity.missing, parity.extra, parity.planted_found) == (1, 0, 0, True)
        group = parity.facts()["groups"][0]
        assert (group["kind"], group["field"], group["count"]) == ("different", "hours", 1)
        conn.execute("UPDATE farm.tasks SET hours = %s WHERE task_id = 't7'", (1.0,))
        assert parity.keys == {"t7": "different"}, again


@MODES
def test_rows_that_came_or_went_are_found(farm: outlive.Service, conn: Conn, mode: Any) -> None:
    """A deleted and an added row are found, before and after digests are known, and so is a position's neighbour."""
    look(farm, conn, mode)
    conn.execute("DELETE FROM farm.tasks WHERE task_id = 't8'")
    conn.execute("UPDATE farm.tasks SET task_id = 'other' WHERE task_id = 't9'")
    parity = look(farm, conn, mode)
    assert parity.keys == {"t8": "missing", "t9": "missing", "other": "extra"}
    assert (parity.missing, parity.extra) == (2, 1)
    forget(tasks_of(farm))
    assert look(farm, conn, mode).keys == parity.keys


@MODES
def test_live_writes_are_no_differences(farm: outlive.Service, conn: Conn, mode: Any) -> None:
    """Records that were written since the last look are proven anew, and what a unit is writing is waited for."""
    tasks = tasks_of(farm).proxy
    assert look(farm, conn, mode).equal
    tasks["t1"].hours = 9.5
    tasks["t2"].tags.append("wet")
    del tasks["t3"]
    tasks["new"] = Task("new", "sowing", 1.0, ["a"])
    assert look(farm, conn, mode).equal
    with farm.unit():
        tasks["t4"].title = "late"
        block = look(farm, conn, mode)
        assert block.settled_late
        assert set(block.keys) <= {"t4"}
    assert look(farm, conn, mode).equal


def test_a_change_past_the_tracking_is_seen_in_full_alone(farm: outlive.Service, conn: Conn) -> None:
    """What changes behind the tracking is found by a full verification however much is known, and not by digests."""
    tasks = tasks_of(farm).proxy
    assert look(farm, conn, verify).equal
    assert look(farm, conn, quick).equal
    assert scrub.scrub(farm) == 0
    tasks["t5"].__dict__["hours"] = -0.0
    assert look(farm, conn, quick).equal
    assert look(farm, conn, verify).keys == {"t5": "different"}
    assert scrub.scrub(farm) == 1
    assert look(farm, conn, verify).equal


def test_buckets_see_planted_differences() -> None:
    """One digest, one number, or one bucket more or less is unequal; equal ones are not."""
    assert finds_planted({})
    assert finds_planted({3: (2, 17), 4: (1, 1)})
    assert unequal({1: (1, 5)}, {1: (1, 5)}) == []
    assert (bucket_count(0), bucket_count(1_000_000), bucket_count(10**9)) == (16, 8192, 65_536)


def test_a_blind_comparison_counts_for_nothing(
    farm: outlive.Service, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison that does not find the planted difference is no parity, in either mode."""
    assert look(farm, conn, verify).equal
    monkeypatch.setattr(Rows, "sees_a_change", lambda rows: False)
    assert not look(farm, conn, quick).equal
    monkeypatch.setattr(Learned, "same_row", lambda *known: True)
    assert not look(farm, conn, verify).planted_found
    monkeypatch.setattr(digests, "unequal", lambda mine, theirs: [])
    assert not finds_planted({})


def test_digests_of_keys_of_every_kind(farm: outlive.Service, database_url: str, tmp_path: Path) -> None:
    """Whatever a key's type, both modes prove the records and find one that was changed."""
    assert farm.database is not None
    keys = {"text": ["a\\b", "ح"], "mixed": [1, "1", (1, 2), None], "number": [1, 2**40]}
    env = {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path / "other"), "OUTLIVE_POLL_S": "0.02"}
    service = outlive.Service("keys", env=env)
    for name in keys:
        outlive.mapping(name, dict, service=service, phase="dual_write")
    service.start()
    try:
        with farm.database.connect() as own:
            for name, held in keys.items():
                store = service.stores[name]
                store.proxy.update({key: {"n": 1} for key in held})
                for mode in (quick, verify, quick):
                    assert mode(store, own, settle=service.flush_blocking).equal
                table = psycopg.sql.Identifier("keys", name)
                own.execute(psycopg.sql.SQL("UPDATE {} SET document = '{{}}'").format(table))
                for mode in (quick, verify):
                    assert mode(store, own, settle=service.flush_blocking, tries=1).different == len(held)
    finally:
        service.close()


# -- repairs -------------------------------------------------------------------------------------------------------


def damage(conn: Conn) -> None:
    """A field changed, a row gone, and a row that nobody knows."""
    conn.execute("UPDATE farm.tasks SET title = 'by hand' WHERE task_id = 't7'")
    conn.execute("DELETE FROM farm.tasks WHERE task_id = 't8'")
    conn.execute("UPDATE farm.tasks SET task_id = 'other' WHERE task_id = 't9'")


def test_a_repair_shows_then_writes_what_memory_holds(cli: Cli, farm: outlive.Service, conn: Conn) -> None:
    """In dual_write a repair is shown first; applied, the table holds memory's records again, and the log what was."""
    damage(conn)
    status, told = cli("verify", "tasks")
    assert (status, "by hand" in told, "NOT EQUAL" in told) == (3, True, True)
    assert cli("verify", "tasks", "--quick")[0] == 3
    status, told = cli("repair", "tasks")
    assert (status, "write the record to the table" in told, "nothing was changed" in told) == (3, True, True)
    assert conn.execute("SELECT title FROM farm.tasks WHERE task_id = 't7'").fetchone() == ("by hand",)
    assert cli("repair", "tasks", "--apply", "--dry-run")[0] == 2
    status, told = cli("repair", "tasks", "--apply", "--reason", "trial")
    assert (status, "equal now" in told) == (0, True), told
    assert cli("repair", "tasks")[0] == 0
    assert "no difference seen" in cli("verify", "tasks", "--quick")[1]
    assert cli("verify", "tasks")[0] == 0
    assert conn.execute("SELECT count(*) FROM farm.tasks WHERE task_id = 'other'").fetchone() == (0,)
    details = dict(conn.execute("SELECT kind, detail FROM outlive.event WHERE kind ^@ 'repair'").fetchall())
    assert details["repair"]["reason"] == "trial"
    by_key = {fix["key"]: fix for fix in details["repaired"]["keys"]}
    seven = by_key[key_text("t7")]
    assert json.loads(seven["row"])["title"] == "by hand"
    assert seven["version"] > seven["row_version"]
    assert "verification" not in details["repair"]


def test_the_table_in_charge_is_read_into_memory(cli: Cli, farm: outlive.Service, conn: Conn, until: Any) -> None:
    """In dual_read memory follows the table: fields into the same objects, rows that came, records that went."""
    tasks = tasks_of(farm).proxy
    assert cli("advance", "tasks", "--to", "dual_read", "--force", "--reason", "t", "--wait", 30)[0] == 0
    until(lambda: tasks_of(farm).phase == "dual_read")
    damage(conn)
    seven = tasks["t7"]
    found = json.loads(cli("repair", "tasks", "--json")[1])
    assert {fix["action"] for fix in found["members"][0]["fixes"]} == {"take_row", "drop_record"}
    status, told = cli("repair", "tasks", "--apply", "--json")
    assert status == 0, told
    assert (seven.title, tasks["t7"] is seven, "t8" in tasks, tasks["other"].title) == (
        "by hand",
        True,
        False,
        tasks["other"].title,
    )
    assert "t9" not in tasks


def test_what_cannot_be_known_is_left_alone(farm: outlive.Service, conn: Conn) -> None:
    """A newer row, a record whose delete is buried, and an unlanded change are left, each with its reason."""
    store = tasks_of(farm)
    conn.execute("UPDATE farm.tasks SET title = 'newer', outlive_version = 2^62 WHERE task_id = 't1'")
    conn.execute("DELETE FROM farm.tasks WHERE task_id IN ('t2', 't3')")
    conn.execute("INSERT INTO outlive.tombstone VALUES ('farm', 'tasks', 't2', %s)", (2**62,))
    store.outside.add("t3")
    parity = look(farm, conn, verify)
    fixes = {fix.key: fix for fix in repair.plan(store, conn, parity)}
    assert {fix.action for fix in fixes.values()} == {"leave"}
    assert "newer" in fixes["t1"].why
    assert "delete stays" in fixes["t2"].why
    assert "unlanded" in fixes["t3"].why
    unit, before = repair.write(store, list(fixes.values()))
    assert (before, unit.ticket.done()) == ({}, True)


def test_a_repair_that_is_refused_leaves_memory_as_it_was(farm: outlive.Service, conn: Conn) -> None:
    """When the unit of a repair fails, what is kept of each record is what it was, and nothing is noted as done."""
    store = tasks_of(farm)
    damage(conn)
    fixes = repair.plan(store, conn, look(farm, conn, verify))
    before = {fix.key: store.kept.get(fix.key) for fix in fixes}
    with farm.units.lock:
        unit = farm.units.begin("doomed")
        unit.doomed = Refused(store="tasks", reason="a test")
        farm.units.end(unit)
    with pytest.raises(Refused):
        repair.settle(store, fixes, unit, {key: kept or None for key, kept in before.items()})
    assert {fix.key: store.kept.get(fix.key) for fix in fixes} == before
    assert not any(fix.done for fix in fixes)
    store.kept["t7"] = Kept(canonical({}), 5, 5)
    assert "t7" not in repair.write(store, fixes)[1]


def test_where_there_is_one_side_nothing_is_repaired(cli: Cli, farm: outlive.Service, conn: Conn) -> None:
    """In legacy and database, and in dual_read without a member, a repair is refused with the reason."""
    farm.close()
    for phase in ("legacy", "database", "dual_read"):
        conn.execute("UPDATE outlive.phase SET phase = %s", (phase,))
        status, told = cli("repair", "tasks")
        assert (status, "nothing to repair" in told) == (3, True)
    conn.execute("UPDATE outlive.phase SET phase = 'dual_write'")
    assert cli("repair", "tasks", "--wait", 0)[0] == 3
    insert = (
        "INSERT INTO outlive.member (service, host, pid, epoch, report) SELECT 'farm', 'h', n, 1, %s"
        " FROM generate_series(1, 2) AS n"
    )
    conn.execute(insert, (json.dumps({"stores": {"tasks": {"records": 1, "phase": "dual_write"}}}),))
    assert "nobody knows which is right" in cli("repair", "tasks")[1]


def test_learned_is_exact() -> None:
    """Only the very same unchanging objects, under the same names, in a record of the same class, are the same."""
    known = Learned()
    task, encoded = Task("a", "t", 0.0, []), b"{}"
    known.note_record("a", task, encoded)
    assert not known.same_record("a", task, encoded)
    record = {"n": 1.5, "s": "text"}
    known.note_record("b", record, encoded)
    assert known.same_record("b", record, encoded)
    assert not known.same_record("b", record, b" {}"[1:])
    record["n"] = float("1.5")
    assert not known.same_record("b", record, encoded)
    known.note_record("b", record, encoded)
    record["more"] = None
    assert not known.same_record("b", record, encoded)
    known.note_record("c", 5, encoded)
    assert not known.same_record("c", 5, encoded)
    known.note_row("b", encoded, 1, 7)
    assert known.same_row("b", encoded, 1, 7)
    assert not known.same_row("b", encoded, 2, 7)
    for number in range(300):
        known.note_row(number, encoded, 1, 1)
    known.prune({"b"})
    assert set(known.entries) == {"b"}


def test_learned_belongs_to_a_store(farm: outlive.Service) -> None:
    """What is known of a store is found again, and forgotten with its phase."""
    store = tasks_of(farm)
    known = learned(store)
    assert learned(store) is known
    forget(store)
    assert learned(store) is not known


def test_the_million_in_small(database_url: str, tmp_path: Path) -> None:
    """20,000 records are loaded, verified, damaged by hand, found in both modes, repaired and verified by commands."""
    env = {**os.environ, "DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "benchmarks.million", "--rows", "20000"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("found in both modes, repaired, verified\n")


def test_a_key_that_only_a_whole_row_tells(farm: outlive.Service, conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows whose key cell cannot be read alone are taken apart each time, and compared as well."""
    monkeypatch.setattr("outlive.transfer.rows._key_reader", lambda table: None)
    for mode in (verify, quick, verify):
        assert look(farm, conn, mode).equal
    conn.execute("UPDATE farm.tasks SET title = 'by hand' WHERE task_id = 't7'")
    assert look(farm, conn, verify).keys == {"t7": "different"}


def test_memory_takes_only_what_the_repair_says(farm: outlive.Service, conn: Conn) -> None:
    """A repair towards memory leaves what is to be left; a key that no row can have is never written."""
    store = tasks_of(farm)
    read: list[Any] = []
    left = repair.Fix("t1", "different", "leave")
    taken = repair.Fix("t2", "different", "take_row")
    repair.take(store, [left, taken], read.append)
    assert (read, left.done, taken.done) == (["t2"], False, True)
    nul = repair.Fix("nul\x00", "missing", "leave")
    store.image_put("nul\x00", Task("nul\x00", "", 0.0, []))
    repair._to_table(store, nul, 0)
    assert (nul.action, "cannot hold its key" in nul.why) == ("leave", True)
    gone = repair.Fix("gone", "extra", "leave")
    repair._to_table(store, gone, 0)
    assert gone.action == "leave"
    store.image_drop("nul\x00")


@dataclass
class Plain:
    key: str
    n: int
    hours: float
    done: bool
    at: dt.datetime
    note: str | None = None


@pytest.fixture
def plain(database_url: str, tmp_path: Path) -> Iterator[Any]:
    """A mapping of records of plain values."""
    env = {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path / "home"), "OUTLIVE_POLL_S": "0.02"}
    service = outlive.Service("farm", env=env)
    held = outlive.mapping("plain", Plain, key="key", service=service, phase="dual_write")
    service.start()
    with service.unit():
        for n in range(30):
            at = dt.datetime(2024, 1, 1, 6, 0, n, tzinfo=dt.UTC)
            held[f"k{n}"] = Plain(f"k{n}", n, n / 7, n % 2 == 0, at, None if n % 3 else f"ש\t{n}")
    yield held
    service.close()


def test_values_are_compared_by_their_very_types(plain: Any, database_url: str) -> None:
    """What Python calls equal and a document does not is a difference: True for 1, -0.0 for 0.0, another zone; so is an
    attribute too many or too few."""
    store = plain._store
    straight = values.Values.of(store.table)
    assert straight is not None

    def found(mode: Any = verify) -> list[Any]:
        with psycopg.connect(database_url, autocommit=True) as conn:
            return [*mode(store, conn, settle=plain._store.host.flush_blocking, tries=2, pause_s=0.0).keys]

    assert found() == []
    london = dt.timezone(dt.timedelta(0), "London")
    odd: list[tuple[str, Any]] = [
        ("hours", -0.0), ("hours", 0), ("n", False), ("done", 1), ("more", 1), ("hours", None), ("note", "ש"),
        ("at", plain["k0"].at.replace(tzinfo=None)), ("at", plain["k0"].at.replace(tzinfo=london)), ("key", "k1"),
    ]  # fmt: skip
    for name, value in odd:
        before = dict(plain["k0"].__dict__)
        plain["k0"].__dict__[name] = value
        assert found() == ["k0"], (name, value)
        plain["k0"].__dict__.clear()
        plain["k0"].__dict__.update(before)
        assert found() == []
    hours = plain["k1"].__dict__.pop("hours")
    assert found() == ["k1"]
    plain["k1"].__dict__["hours"] = hours


def test_a_filled_image_has_no_dicts_and_is_compared_by_value(database_url: str, tmp_path: Path) -> None:
    """Records of a class that was never made before are filled without a dict each, and compare by their values."""
    for start in range(2):

        @dataclass
        class Row:
            key: str
            n: int
            hours: float
            note: str | None = None

        env = {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path / "home")}
        service = outlive.Service("farm", env=env)
        rows: Any = outlive.mapping("plain", Row, key="key", service=service, phase="dual_write")
        with service.open(), psycopg.connect(database_url, autocommit=True) as conn:
            if not start:
                with service.unit():
                    rows.update({f"k{n}": Row(f"k{n}", n, n / 7) for n in range(60)})
            straight = values.Values.of(rows._store.table)
            assert straight is not None
            assert all(inline.held(record) is not None for _, record in rows._store.image_items())
            service.flush_blocking()
            with conn.transaction():
                pairs, _ = values.pair(rows._store, conn, straight)
            assert (pairs.live, pairs.keys, pairs.rows) == (60, {}, {})


@MODES
def test_plain_records_are_told_from_their_rows(plain: Any, database_url: str, mode: Any) -> None:
    """Of records of plain values too, what was changed, removed or added by hand is found in both modes."""
    store = plain._store
    with psycopg.connect(database_url, autocommit=True) as conn:

        def found() -> dict[Any, str]:
            parity = mode(store, conn, settle=store.host.flush_blocking, tries=2, pause_s=0.0)
            assert parity.planted_found
            return dict(parity.keys)

        assert found() == {}
        plain["k5"].n = 77
        store.host.flush_blocking()
        assert found() == {}
        for change in ("hours = '-0'", "note = ''", "at = at + interval '1 microsecond'", "outlive_version = 1"):
            conn.execute("CREATE TABLE farm.held AS SELECT * FROM farm.plain WHERE key = 'k0'")
            conn.execute(f"UPDATE farm.plain SET {change} WHERE key = 'k0'")  # noqa: S608
            assert found() == {"k0": "different"}, change
            conn.execute("DELETE FROM farm.plain WHERE key = 'k0'")
            assert found() == {"k0": "missing"}
            conn.execute("INSERT INTO farm.plain SELECT * FROM farm.held")
            conn.execute("DROP TABLE farm.held")
            assert found() == {}
        conn.execute("INSERT INTO farm.plain (key, n, outlive_version, outlive_position) VALUES ('new', 1, 1, 0)")
        assert found() == {"new": "extra"}


def test_proofs_hold_while_what_is_kept_is_the_same() -> None:
    """A proof is dropped with its key, with another version, and with what was kept; buckets follow."""
    kept = {n: Kept(b"", n, n) for n in range(300)}
    proofs = Proofs()
    assert proofs.unproven([*kept], [*kept.values()]) == [*kept]
    for n, held in kept.items():
        proofs.add(n, held, n * 7, n * 3)
    assert proofs.unproven([*kept], [*kept.values()]) == []
    before = proofs.buckets(16)
    assert sum(number for number, _ in before.values()) == 300
    kept[5].version = 1000
    kept[6] = Kept(b"", 6, 6)
    del kept[7]
    assert proofs.unproven([*kept], [*kept.values()]) == [5, 6]
    assert 5 not in {key for key, _ in proofs.within(set(range(16)), 16)}
    proofs.add(5, kept[5], 35, 15)
    proofs.add(6, kept[6], 42, 18)
    kept[7] = Kept(b"", 7, 7)
    proofs.add(7, kept[7], 49, 21)
    assert proofs.buckets(16) == before
    for n in range(150):
        del kept[n]
    assert proofs.unproven([*kept], [*kept.values()]) == []
    assert proofs.unproven([*kept], [*kept.values()]) == []
    proofs.drop([200])
    assert proofs.unproven([*kept], [*kept.values()]) == [200]
    assert sum(number for number, _ in proofs.buckets(32).values()) == 149
