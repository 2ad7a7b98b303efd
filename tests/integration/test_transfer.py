"""Records between image and table: back-fills that meet rows from before, starts, and what a verification finds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

import outlive
from outlive.commit import failpoints
from outlive.errors import PhaseRefused
from outlive.phases.changes import Order
from outlive.phases.control import advance, rollback
from outlive.phases.flow import run
from outlive.records import canonical, key_name, key_text
from outlive.stores.store import Store
from outlive.transfer import backfill, fill
from outlive.transfer.verify import EXAMPLES, Parity, differing, finds_planted, snapshot, verify

Make = Callable[..., outlive.Service]
Until = Callable[..., Any]
SKIP = frozenset({"query_p95", "connection_budget"})


@pytest.fixture
def make(database_url: str, tmp_path: Path) -> Iterator[Make]:
    """Builds services on the test's database; closes what a test leaves open."""
    made: list[outlive.Service] = []

    def build(**env: str) -> outlive.Service:
        base = {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path / "home"), "OUTLIVE_POLL_S": "0.02"}
        service = outlive.Service("shop", env={**base, **env})
        made.append(service)
        return service

    yield build
    failpoints.disarm()
    for service in made:
        service.close()


def go(service: outlive.Service, phase: str) -> None:
    """Advance or roll back `tasks`, and wait for the acknowledgement."""
    order = Order(
        service=service.service, store="tasks", actor="test", skip=SKIP, wait_s=20, poll_s=0.02, force=True, reason="t"
    )
    move = rollback if phase == "legacy" else advance
    with connection(service) as conn:
        run(move(order, phase), conn)  # type: ignore[arg-type]


def connection(service: outlive.Service) -> psycopg.Connection[Any]:
    """A connection of its own to the service's database."""
    assert service.database is not None
    return service.database.connect()


def keys_of(service: outlive.Service) -> list[Any]:
    """Keys of the table's rows, in order."""
    with connection(service) as conn:
        return [row[0] for row in fill.read_rows(conn, service.stores["tasks"])]


def documents(service: outlive.Service) -> dict[Any, bytes]:
    """The table's documents by key."""
    with connection(service) as conn:
        return {row[0]: row[1] for row in fill.read_rows(conn, service.stores["tasks"])}


def filled(make: Make, phase: str = "dual_write", **env: str) -> tuple[outlive.Service, Any, Store]:
    """A running service whose `tasks` holds a, b and c in image and table."""
    service = make(**env)
    tasks = outlive.mapping("tasks", dict, service=service, phase=phase)
    service.start()
    tasks.update({"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}})
    return service, tasks, service.stores["tasks"]


def parity_of(service: outlive.Service, **options: Any) -> Parity:
    """A verification of `tasks`, with little patience."""
    with connection(service) as conn:
        given = {"settle": service.flush_blocking, "tries": 2, "pause_s": 0.0, **options}
        return verify(service.stores["tasks"], conn, **given)


def meeting(make: Make, **env: str) -> tuple[outlive.Service, Any, Store]:
    """A process in `legacy` that remembers nothing, over a table that holds a, b and c: a equal, b other, c unknown,
    and d in memory only."""
    before, _, _ = filled(make)
    with connection(before) as conn:
        conn.execute("UPDATE outlive.phase SET phase = 'legacy', backfill = NULL")
    before.close()
    service = make(**env)
    tasks = outlive.mapping("tasks", dict, service=service)
    tasks.update({"a": {"n": 1}, "b": {"n": "memory"}, "d": {"n": 4}})
    service.start()
    return service, tasks, service.stores["tasks"]


# -- back-fill over rows from before -------------------------------------------------------------------------------


def test_a_backfill_without_a_choice_is_refused_with_counts(make: Make, until: Until) -> None:
    """A process that remembers nothing leaves table and memory alone, and tells how they differ and what to declare."""
    service, tasks, _ = meeting(make)
    until(lambda: service.committer.connected)
    go(service, "dual_write")
    error = until(lambda: service.watcher.backfills["tasks"].get("error"))
    assert "only in table 1, only in memory 1, differing 1" in error
    assert "OUTLIVE_PREFER=memory or OUTLIVE_PREFER=table" in error
    assert tasks == {"a": {"n": 1}, "b": {"n": "memory"}, "d": {"n": 4}}
    assert {key: record for key, record in documents(service).items() if key == "b"} == {"b": canonical({"n": 2})}
    assert keys_of(service) == ["a", "b", "c"]


def test_prefer_memory_makes_the_table_what_memory_is(make: Make, until: Until) -> None:
    """With the choice memory, rows that differ are overwritten and rows that memory does not hold are deleted."""
    service, tasks, _ = meeting(make, OUTLIVE_PREFER="memory", OUTLIVE_BACKFILL_PAUSE_S="0.01")
    until(lambda: service.committer.connected)
    go(service, "dual_write")
    told = until(lambda: service.watcher.backfills["tasks"].get("done") and service.watcher.backfills["tasks"])
    assert tasks == {"a": {"n": 1}, "b": {"n": "memory"}, "d": {"n": 4}}
    assert documents(service) == {key: canonical(record) for key, record in tasks.items()}
    assert told["deleted"] == 1
    assert told["kept_rows"] == 0
    assert told["counts"] == {"only_table": 1, "only_memory": 1, "differing": 1, "equal": 1}
    assert parity_of(service).equal


def test_prefer_table_brings_the_rows_into_memory(make: Make, until: Until) -> None:
    """With the choice table, rows replace the records of their keys, and rows unknown to memory join the image."""
    service, tasks, _ = meeting(make, OUTLIVE_PREFER="table")
    until(lambda: service.committer.connected)
    go(service, "dual_write")
    told = until(lambda: service.watcher.backfills["tasks"].get("done") and service.watcher.backfills["tasks"])
    assert tasks == {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}, "d": {"n": 4}}
    assert told["kept_rows"] == 1
    assert told["deleted"] == 0
    tasks["c"]["n"] = "tracked"
    assert documents(service) == {key: canonical(record) for key, record in tasks.items()}
    assert list(tasks) == keys_of(service)
    assert parity_of(service).equal


def test_equal_rows_need_no_choice(make: Make, until: Until) -> None:
    """Where the table holds nothing that memory does not know alike, a back-fill goes on without a declared choice."""
    before, _, _ = filled(make)
    with connection(before) as conn:
        conn.execute("UPDATE outlive.phase SET phase = 'legacy', backfill = NULL")
    before.close()
    service = make()
    tasks = outlive.mapping("tasks", dict, service=service)
    tasks.update({"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}, "d": {"n": 4}})
    service.start()
    until(lambda: service.committer.connected)
    go(service, "dual_write")
    told = until(lambda: service.watcher.backfills["tasks"].get("done") and service.watcher.backfills["tasks"])
    assert told["counts"] == {"only_table": 0, "only_memory": 1, "differing": 0, "equal": 3}
    assert keys_of(service) == list(tasks)
    assert parity_of(service).equal


def test_what_memory_remembers_decides_on_the_way_back(make: Make, until: Until) -> None:
    """A row deleted in `legacy` is deleted, an untouched one is taken over as it is, an unknown one joins the image."""
    service, tasks, store = filled(make)
    go(service, "legacy")
    del tasks["a"]
    tasks["c"]["n"] = "changed"
    with connection(service) as conn:
        _copy_row(conn, store, "b", "x")
    version = _version(service, "b")
    go(service, "dual_write")
    told = until(lambda: service.watcher.backfills["tasks"].get("done") and service.watcher.backfills["tasks"])
    assert (told["deleted"], told["kept_rows"], told["equal"], told["copied"]) == (1, 1, 1, 1)
    assert dict(tasks) == {"b": {"n": 2}, "c": {"n": "changed"}, "x": {"n": 2}}
    assert documents(service) == {key: canonical(record) for key, record in tasks.items()}
    assert _version(service, "b") == version
    assert parity_of(service).equal


def _copy_row(conn: psycopg.Connection[Any], store: Store, key: str, fresh: str) -> None:
    """Another hand's row: a copy of one row under a key that no process here has seen."""
    assert store.table is not None
    held = {row[0]: row for row in fill.read_rows(conn, store)}[key]
    values = store.table.row(fresh, {"n": 2}, held[2], held[3] + 1)
    names = sql.SQL(", ").join(map(sql.Identifier, store.table.column_names))
    marks = sql.SQL(", ").join(sql.Placeholder() for _ in values)
    conn.execute(sql.SQL("INSERT INTO shop.tasks ({}) VALUES ({})").format(names, marks), values)


def _version(service: outlive.Service, key: Any) -> int:
    with connection(service) as conn:
        return {row[0]: row[2] for row in fill.read_rows(conn, service.stores["tasks"])}[key]


@pytest.mark.parametrize("choice", ["memory", "table"])
def test_live_changes_win_over_a_declared_choice(make: Make, until: Until, choice: str) -> None:
    """What the live path writes or deletes while a back-fill runs stands, whichever side was declared right."""
    service, tasks, _ = meeting(make, OUTLIVE_PREFER=choice)
    until(lambda: service.committer.connected)
    tasks.update({number: {"n": number} for number in range(300)})
    paused, written = threading.Event(), threading.Event()

    def pause() -> None:
        paused.set()
        written.wait(20)

    failpoints.arm("backfill.chunk", pause, 1)
    go(service, "dual_write")
    assert paused.wait(20)
    tasks["c"] = {"n": "live"}
    del tasks["b"]
    del tasks[299]
    written.set()
    until(lambda: service.watcher.backfills["tasks"].get("done"))
    assert tasks["c"] == {"n": "live"}
    assert "b" not in tasks
    assert 299 not in tasks
    assert documents(service) == {key: canonical(record) for key, record in tasks.items()}
    assert parity_of(service).equal


def test_a_refused_chunk_stops_the_backfill(make: Make) -> None:
    """A chunk whose unit fails is told as a refused phase that carries the reason."""
    service, _, store = filled(make)
    unit = service.units.begin("refused")
    service.units.discard(unit, PhaseRefused(store="tasks", reason="no room"))
    with pytest.raises(PhaseRefused, match="no room"):
        backfill._wait(unit)
    assert backfill.compare(store, {}, None) == {"only_table": 0, "only_memory": 3, "differing": 0, "equal": 0}


# -- starts --------------------------------------------------------------------------------------------------------


def _unland(conn: psycopg.Connection[Any], store: Store, key: str, op: str, version: int, document: Any) -> None:
    """An unlanded change as another life of the service left it."""
    conn.execute(
        "INSERT INTO outlive.unlanded (service, store, key, op, version, position, document, reason,"
        " member) VALUES (%s, %s, %s, %s, %s, 50, %s, 'test', 0)",
        (store.host.service, store.name, key, op, version, None if document is None else canonical(document)),
    )


def test_a_start_takes_unlanded_changes_by_their_versions(make: Make) -> None:
    """An unlanded put wins over an older row, loses to a newer one, a delete removes, and a buried put stays buried."""
    service, tasks, store = filled(make)
    del tasks["c"]
    tasks["d"] = {"n": 4}
    with connection(service) as conn:
        newest = service.clock.next()
        _unland(conn, store, key_text("a"), "put", newest, {"n": "unlanded"})
        _unland(conn, store, key_text("b"), "put", 1, {"n": "too old"})
        _unland(conn, store, key_text("c"), "put", 1, {"n": "buried"})
        _unland(conn, store, key_text("d"), "delete", newest + 1, None)
        _unland(conn, store, key_text("e"), "put", newest + 2, {"n": 5})
        _unland(conn, store, '{"$unheld":"object"}', "put", newest + 3, {"n": 6})
    service.crash()
    service = make()
    tasks = outlive.mapping("tasks", dict, service=service)
    service.start()
    assert dict(tasks) == {"b": {"n": 2}, "a": {"n": "unlanded"}, "e": {"n": 5}}
    assert service.stores["tasks"].outside == {"a", "b", "d", "e"}
    tasks["a"]["n"] = "landed"
    assert documents(service)["a"] == canonical({"n": "landed"})


def test_a_key_that_no_row_can_have_has_no_literal(make: Make) -> None:
    """The literal of a key that PostgreSQL cannot hold is empty, so no tombstone is taken for it."""
    service, _, store = filled(make)
    assert fill.literal(store, "a") == key_text("a")
    assert fill.literal(store, "nul\x00") == ""
    with connection(service) as conn:
        assert fill.tombstones(conn, store) == {}


@pytest.mark.parametrize("stored", [b'{"n":{"$decimal":"no number"}}', b'{"n":{"$date":"no date"}}'])
def test_a_document_that_cannot_be_read_back_is_told(
    make: Make, caplog: pytest.LogCaptureFixture, stored: bytes
) -> None:
    """A stored document that gives no record of the type is named by store and key before the error goes on."""
    service, _, store = filled(make)
    with pytest.raises((ValueError, ArithmeticError)):
        fill.build(store, "a", stored)
    assert "tasks['a'] cannot be read back" in caplog.text
    assert service.stores["tasks"].image_size() == 3


# -- verification --------------------------------------------------------------------------------------------------


def test_a_verification_explains_each_difference(make: Make) -> None:
    """A changed field, a row that is missing and a row that is extra are counted, and named by key and field."""
    service, tasks, store = filled(make)
    assert parity_of(service).equal
    with service.units.lock:
        dict.__setitem__(tasks["a"], "n", "unseen")
        dict.__setitem__(tasks["a"], "more", None)
        dict.__delitem__(tasks, "b")
    with connection(service) as conn:
        conn.execute(_delete(store), (key_text("c"),))
    parity = parity_of(service)
    assert not parity.equal
    assert parity.planted_found
    assert (parity.compared, parity.different, parity.missing, parity.extra) == (3, 1, 1, 1)
    told = {(example["kind"], example["key"], example["field"]): example for example in parity.facts()["examples"]}
    assert told[("different", key_text("a"), "n")]["image"] == "unseen"
    assert told[("different", key_text("a"), "n")]["table"] == 1
    assert ("missing", key_text("c"), "") in told
    assert ("extra", key_text("b"), "") in told


def _delete(store: Store) -> sql.Composed:
    assert store.table is not None
    column = sql.Identifier(store.table.column_names[0])
    return sql.SQL("DELETE FROM shop.tasks WHERE {} = %s").format(column)


def test_equal_bytes_of_different_versions_are_a_difference(make: Make) -> None:
    """A row whose version alone differs is explained by both versions."""
    service, _, store = filled(make)
    with connection(service) as conn:
        conn.execute(
            "UPDATE shop.tasks SET outlive_version = outlive_version + 1 WHERE outlive_position = %s",
            (store.kept["b"].position,),
        )
    parity = parity_of(service)
    version = store.kept["b"].version
    assert [example.facts() for example in parity.examples] == [
        {"key": key_text("b"), "kind": "version", "field": "outlive_version", "image": version, "table": version + 1}
    ]
    assert parity.different == 1


def test_fields_in_another_order_are_a_difference(make: Make) -> None:
    """Records that hold the same values in another order differ, and both orders are told."""
    service, tasks, _ = filled(make)
    tasks["z"] = {"p": 1, "q": 2}
    with service.units.lock:
        record = tasks["z"]
        dict.clear(record)
        dict.update(record, {"q": 2, "p": 1})
    parity = parity_of(service)
    assert [(example.image, example.table) for example in parity.examples] == [(["q", "p"], ["p", "q"])]


def test_examples_are_limited(make: Make) -> None:
    """However many records differ, all are counted and the first few are told."""
    service, tasks, _ = filled(make)
    with service.units.lock:
        for number in range(EXAMPLES + 5):
            dict.__setitem__(tasks, number, {"n": number})
    parity = parity_of(service)
    assert parity.missing == EXAMPLES + 5
    assert len(parity.examples) == EXAMPLES


def test_records_that_settle_late_are_compared_again(make: Make) -> None:
    """A record that a unit is writing is compared once more after it has landed, and is no difference then."""
    service, tasks, _ = filled(make)
    block = service.unit()
    block.__enter__()
    tasks["a"]["n"] = "late"
    settles = []

    def settle() -> None:
        settles.append(True)
        if len(settles) == 2:
            block.__exit__(None, None, None)

    parity = parity_of(service, settle=settle, tries=5)
    assert parity.equal
    assert parity.settled_late == 1
    assert parity.compared == 3


def test_a_record_that_stays_open_is_no_difference_when_its_sides_vanish(make: Make) -> None:
    """A record that an open unit added and took away again stands on neither side, so it is not counted."""
    service, tasks, _ = filled(make)
    block = service.unit()
    block.__enter__()
    tasks["new"] = {"n": 9}
    settles = []

    def settle() -> None:
        settles.append(True)
        if len(settles) == 2:
            del tasks["new"]

    parity = parity_of(service, settle=settle)
    block.__exit__(None, None, None)
    assert parity.equal
    assert parity.settled_late == 2


def test_what_cannot_be_held_is_compared_as_kept(make: Make) -> None:
    """A record or a key that PostgreSQL cannot hold is missing from the table, and the verification goes on."""
    service, tasks, store = filled(make)
    tasks["a"]["n"] = "nul\x00"
    tasks["key\x00"] = {"n": 1}
    with service.units.lock:
        dict.__setitem__(tasks, "untold", {"n": "\x00"})
    image, pending = snapshot(store)
    assert pending == set()
    assert image["a"][0] == store.kept["a"].encoded
    assert image["untold"] == (b"", 0)
    parity = parity_of(service)
    assert parity.missing == 2
    assert parity.different == 1
    assert {example.key for example in parity.examples if example.kind == "missing"} == {
        key_name("untold"),
        key_name("key\x00"),
    }


def test_the_planted_difference_is_found_over_an_empty_store(make: Make) -> None:
    """A verification of nothing still proves that its comparison sees a change, a lack and a surplus."""
    assert finds_planted({})
    assert finds_planted({"a": (b'{"n":1}', 1), "b": (b"{}", 2)})
    assert differing({"a": (b"{}", 1)}, {"a": (b"{}", 1)}) == []
    service = make()
    outlive.mapping("tasks", dict, service=service, phase="dual_write")
    service.start()
    parity = parity_of(service)
    assert parity.equal
    assert parity.compared == 0
