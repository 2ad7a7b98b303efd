"""Stores on their way through the phases and back, on real PostgreSQL, in one process."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import outlive
from outlive.commit import failpoints
from outlive.errors import MappingRetired, OutliveError, PhaseRefused, Unholdable
from outlive.phases.changes import Order
from outlive.phases.control import advance, rollback
from outlive.phases.flow import run
from outlive.stores import tracking
from outlive.transfer.verify import verify

Make = Callable[..., outlive.Service]
SKIP = frozenset({"query_p95", "connection_budget"})


@dataclasses.dataclass
class Job:
    id: str
    n: int = 0


@pytest.fixture
def make(database_url: str, tmp_path: Path) -> Iterator[Make]:
    """Builds services on the test's database; closes what a test leaves open."""
    made: list[outlive.Service] = []

    def build(name: str = "shop", **env: str) -> outlive.Service:
        base = {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path / "home"), "OUTLIVE_POLL_S": "0.02"}
        service = outlive.Service(name, env={**base, **env})
        made.append(service)
        return service

    yield build
    for service in made:
        service.close()


def go(service: outlive.Service, store: str, phase: str, **options: Any) -> None:
    """What the command line does: advance or roll back, and wait for the acknowledgement."""
    order = Order(service=service.service, store=store, actor="test", skip=SKIP, wait_s=20, poll_s=0.02, **options)
    assert service.database is not None
    ranks = ["legacy", "dual_write", "dual_read", "database"]
    move = advance if ranks.index(phase) > ranks.index(service.stores[store].phase) else rollback
    with service.database.connect() as conn:
        run(move(order, phase), conn)  # type: ignore[arg-type]
    assert service.stores[store].phase == phase


def service_connection(make: Make) -> Any:
    """A connection to the test's database."""
    from outlive.postgres.connect import Database

    return Database.from_settings(make().settings).connect()


def rows_of(service: outlive.Service, store: str) -> list[Any]:
    """What PostgreSQL holds, in order, seen through a connection of its own."""
    from outlive.records import parse
    from outlive.transfer.fill import read_rows

    assert service.database is not None
    with service.database.connect() as conn:
        return [(key, parse(encoded)) for key, encoded, _, _ in read_rows(conn, service.stores[store])]


def test_a_mapping_goes_to_the_database_and_back(make: Make, until: Callable[..., Any]) -> None:
    """Every phase holds what was written in all phases before it, forward and back, deletes included."""
    service = make()
    tasks = outlive.mapping("tasks", dict, key="id", service=service)
    tasks["a"] = {"id": "a", "n": 1}
    tasks["b"] = {"id": "b", "n": 2}
    with service.open():
        until(lambda: service.committer.connected)
        tasks["c"] = {"id": "c", "n": [1]}
        go(service, "tasks", "dual_write")
        tasks["c"]["n"].append(2)
        del tasks["a"]
        until(lambda: service.watcher.backfills["tasks"].get("done"))
        assert [key for key, _ in rows_of(service, "tasks")] == ["b", "c"]
        go(service, "tasks", "dual_read")
        tasks["d"] = {"id": "d"}
        assert [r["id"] for r in tasks.repository.find().result()] == ["b", "c", "d"]
        go(service, "tasks", "database", force=True, reason="the mapping was used just now")
        with pytest.raises(MappingRetired):
            tasks["b"]
        tasks.repository.put({"id": "e", "n": 5}).result()
        tasks.repository.patch("b", n=20).result()
        assert tasks.repository.delete("d").result() is True
        go(service, "tasks", "legacy", force=True, reason="back")
        assert list(tasks) == ["b", "c", "e"]
        assert tasks["b"] == {"id": "b", "n": 20}
        del tasks["e"]
        tasks["b"]["n"] = 21
        tasks["f"] = {"id": "f"}
        go(service, "tasks", "dual_write")
        until(lambda: service.watcher.backfills["tasks"].get("done"))
        assert [key for key, _ in rows_of(service, "tasks")] == ["b", "c", "f"]
        assert dict(rows_of(service, "tasks"))["b"] == {"id": "b", "n": 21}


def test_a_store_that_went_back_forgets_its_records(make: Make, until: Callable[..., Any]) -> None:
    """In `legacy` nothing is known of a record by its address: another object that gets it is not taken for it."""
    service = make()
    tasks = outlive.mapping("tasks", Job, key="id", service=service)
    with service.open():
        tasks["a"] = Job("a")
        go(service, "tasks", "dual_write")
        until(lambda: service.watcher.backfills["tasks"].get("done"))
        tasks["a"].n = 2
        assert owned_by(service.stores["tasks"]) == 1
        go(service, "tasks", "legacy", force=True, reason="back")
        assert owned_by(service.stores["tasks"]) == 0
        tasks["a"].n = 3
        go(service, "tasks", "dual_write")
        until(lambda: service.watcher.backfills["tasks"].get("done"))
        tasks["a"].n += 1
        assert dict(rows_of(service, "tasks"))["a"] == {"id": "a", "n": 4}


def owned_by(store: Any) -> int:
    """How many objects are known as records of a store."""
    return sum(place.store is store for places in tracking.instances.values() for place in places)


def test_a_json_file_goes_to_the_database_and_back(make: Make, tmp_path: Path, until: Callable[..., Any]) -> None:
    """The file is rewritten behind, archived on entering `database`, and complete again before reads come back."""
    path = tmp_path / "items.json"
    path.write_text(json.dumps([{"id": 1, "name": "één"}, {"id": 2, "name": "ב"}], indent=4) + "\n")
    service = make()
    items = outlive.json_file(path, service=service)
    with service.open():
        until(lambda: service.committer.connected)
        rows = items.load()
        rows.append({"id": 3, "name": "z"})
        items.save(rows)
        assert json.loads(path.read_text())[-1] == {"id": 3, "name": "z"}
        assert path.read_text().startswith('[\n    {\n        "id": 1')
        assert path.read_text().endswith("]\n")
        go(service, "items", "dual_read")
        with items as held:
            del held[0]
            held[0]["name"] = "changed"
        until(lambda: [row["id"] for row in json.loads(path.read_text())] == [2, 3])
        assert dict(rows_of(service, "items"))[2]["name"] == "changed"
        go(service, "items", "database", force=True, reason="used just now")
        assert not path.exists()
        assert len(list((tmp_path / "archive").iterdir())) == 1
        items.repository.insert({"id": 9, "name": "nine"}).result()
        go(service, "items", "dual_write")
        assert [row["id"] for row in json.loads(path.read_text())] == [2, 3, 9]
        go(service, "items", "legacy")
        items.save([*items.load(), {"id": 10, "name": "ten"}])
        assert [row["id"] for row in json.loads(path.read_text())] == [2, 3, 9, 10]


def test_a_crash_between_commit_and_file_loses_nothing(make: Make, tmp_path: Path, until: Callable[..., Any]) -> None:
    """In `dual_write` PostgreSQL's state wins over a file that a crash left behind, and the file is brought up."""
    path = tmp_path / "items.json"
    service = make(OUTLIVE_POLL_S="30")
    items = outlive.json_file(path, service=service, phase="dual_write", default=[{"id": 1}])
    service.start()
    items.repository.insert({"id": 2}).result()
    service.crash()
    service = make()
    items = outlive.json_file(path, service=service, phase="dual_write")
    with service.open():
        assert items.load() == [{"id": 1}, {"id": 2}]
        until(lambda: path.exists() and len(json.loads(path.read_text())) == 2)


def test_a_foreign_edit_between_two_starts_is_taken_in(make: Make, tmp_path: Path, until: Callable[..., Any]) -> None:
    """In `dual_write` an edit of the file by another hand is taken in; from `dual_read` on it is kept aside."""
    path = tmp_path / "items.json"
    service = make()
    items = outlive.json_file(path, service=service, phase="dual_write", default=[{"id": 1}, {"id": 2}])
    with service.open():
        until(path.exists)
    path.write_text(json.dumps([{"id": 2, "by": "hand"}, {"id": 3}]))
    service = make()
    items = outlive.json_file(path, service=service)
    with service.open():
        assert items.load() == [{"id": 2, "by": "hand"}, {"id": 3}]
        service.flush_blocking()
        assert rows_of(service, "items") == [(2, {"id": 2, "by": "hand"}), (3, {"id": 3})]
        go(service, "items", "dual_read")
    path.write_text("[]")
    service = make()
    items = outlive.json_file(path, service=service)
    with service.open():
        assert len(items.load()) == 2
        assert len(list(tmp_path.glob("items.edited-*"))) == 1


def test_a_delete_before_its_record_is_copied_takes_the_old_row(make: Make, until: Callable[..., Any]) -> None:
    """On the way back into `dual_write` a record deleted before the back-fill reached it stays deleted everywhere."""
    service = make()
    tasks = outlive.mapping("tasks", dict, service=service, phase="dual_write")
    with service.open():
        tasks.update({number: {"n": number} for number in range(600)})
        go(service, "tasks", "legacy", force=True, reason="back")
        tasks[599]["n"] = "changed in legacy"
        paused = threading.Event()
        deleted = threading.Event()

        def pause() -> None:
            paused.set()
            deleted.wait(20)

        failpoints.arm("backfill.chunk", pause, 1)
        go(service, "tasks", "dual_write")
        assert paused.wait(20)
        del tasks[598]
        deleted.set()
        until(lambda: service.watcher.backfills["tasks"].get("done"))
        failpoints.disarm()
        assert 598 not in tasks
        assert [key for key, _ in rows_of(service, "tasks")] == [n for n in range(600) if n != 598]


def test_a_backfill_that_a_crash_cut_short_is_resumed(make: Make, tmp_path: Path) -> None:
    """A start resumes: what is in the table comes first, deletes stay deleted, the rest comes from the file."""
    path = tmp_path / "items.json"
    path.write_text(json.dumps([{"id": n} for n in range(1000)]))
    service = make(OUTLIVE_PHASE="dual_write")
    outlive.json_file(path, service=service)
    failpoints.arm("backfill.chunk", "raise", 2)
    with pytest.raises(OutliveError), service.open():
        pass
    failpoints.disarm()
    service = make()
    items = outlive.json_file(path, service=service)
    with service.open():
        assert [row["id"] for row in items.load()] == list(range(1000))
        items.repository.delete(5).result()
        assert [key for key, _ in rows_of(service, "items")] == [n for n in range(1000) if n != 5]


def test_a_delete_that_the_file_missed_stays_deleted(make: Make, tmp_path: Path, until: Callable[..., Any]) -> None:
    """After a crash and a time in `legacy` the file's old copy of a deleted record does not bring it back."""
    path = tmp_path / "items.json"
    service = make(OUTLIVE_PHASE="dual_write")
    items = outlive.json_file(path, service=service, default=[{"id": 1}, {"id": 2}])
    service.start()
    until(path.exists)
    service.watcher.stop()
    items.repository.delete(2).result()
    service.crash()
    assert len(json.loads(path.read_text())) == 2
    with service_connection(make) as conn:
        conn.execute("UPDATE outlive.phase SET phase = 'legacy', backfill = NULL")
    service = make()
    items = outlive.json_file(path, service=service)
    with service.open():
        assert len(items.load()) == 2
        until(lambda: service.committer.connected)
        go(service, "items", "dual_write")
        until(lambda: service.watcher.backfills["items"].get("done"))
        assert items.load() == [{"id": 1}]
        assert [key for key, _ in rows_of(service, "items")] == [1]


def test_an_edit_of_the_file_in_dual_read_is_kept_aside(make: Make, tmp_path: Path, until: Callable[..., Any]) -> None:
    """From `dual_read` on a foreign edit is never overwritten unseen: a copy stays beside the file."""
    path = tmp_path / "items.json"
    service = make(OUTLIVE_PHASE="dual_read")
    items = outlive.json_file(path, service=service, default=[{"id": 1}])
    with service.open():
        until(path.exists)
        path.write_text('[{"id": 7}]')
        items.repository.insert({"id": 2}).result()
        until(lambda: [row["id"] for row in json.loads(path.read_text())] == [1, 2])
        assert [json.loads(p.read_text()) for p in tmp_path.glob("items.edited-*")] == [[{"id": 7}]]


def test_sampled_reads_are_compared_with_postgresql(make: Make, until: Callable[..., Any]) -> None:
    """In `dual_write` a share of the reads from memory is compared by version, and a difference is counted."""
    service = make(OUTLIVE_SHADOW_SHARE="1")
    tasks = outlive.mapping("tasks", dict, key="id", service=service, phase="dual_write")
    with service.open():
        tasks["a"] = {"id": "a"}
        stats = service.stores["tasks"].stats
        assert tasks.repository.find().result() == [{"id": "a"}]
        until(lambda: stats["shadowed"] > 0)
        assert stats["shadow_differences"] == 0
        assert service.database is not None
        with service.database.connect() as conn:
            conn.execute("UPDATE shop.tasks SET outlive_version = outlive_version + 1")
        tasks.repository.get("a").result()
        until(lambda: stats["shadow_differences"] == 1)


def test_a_second_process_on_one_file_is_refused(make: Make, tmp_path: Path) -> None:
    """Before `dual_read` a file has one writer; the second is told the holder's pid."""
    import os

    path = tmp_path / "items.json"
    first, second = make(), make("other")
    outlive.json_file(path, service=first)
    outlive.json_file(path, service=second)
    with first.open(), pytest.raises(OutliveError, match=str(os.getpid())), second.open():
        pass


def test_a_start_in_a_far_phase_walks_over_existing_data(make: Make, tmp_path: Path) -> None:
    """An environment that asks for `database` over a file with records walks there; no row is missing."""
    path = tmp_path / "items.json"
    path.write_text(json.dumps([{"id": n} for n in range(300)]))
    service = make(OUTLIVE_PHASE="dual_read")
    items = outlive.json_file(path, service=service)
    with service.open():
        assert items.phase == "dual_read"
        assert [row["id"] for row in items.repository.find().result()] == list(range(300))


def test_unlanded_changes_of_a_walk_refuse_the_start(make: Make, tmp_path: Path) -> None:
    """A start whose environment jumps ahead over records that cannot be held refuses and names the gate."""
    path = tmp_path / "items.json"
    path.write_text(json.dumps([{"id": 1, "t": "nul\x00"}]))
    service = make(OUTLIVE_PHASE="dual_read")
    outlive.json_file(path, service=service)
    with pytest.raises(PhaseRefused, match="unlanded"), service.open():
        pass


def test_unholdable_values_by_phase(make: Make, until: Callable[..., Any]) -> None:
    """NUL in text stands in `dual_write` as unlanded with key and field, and is refused from `dual_read` on."""
    service = make()
    tasks = outlive.mapping("tasks", dict, service=service, phase="dual_write")
    with service.open():
        tasks["a"] = {"t": "x\x00y", "ok": 1}
        assert tasks["a"]["t"] == "x\x00y"
        assert service.database is not None
        with service.database.connect() as conn:
            found = conn.execute("SELECT store, key, field, reason FROM outlive.unlanded").fetchall()
        assert found[0][:3] == ("tasks", '"a"', "t")
        service.crash()
        service = make()
        tasks = outlive.mapping("tasks", dict, service=service)
        service.start()
        assert tasks["a"] == {"t": "x\x00y", "ok": 1}
        tasks["a"]["t"] = "fine"
        assert service.database is not None
        with service.database.connect() as conn:
            until(lambda: not conn.execute("SELECT 1 FROM outlive.unlanded WHERE settled_at IS NULL").fetchall())
        go(service, "tasks", "dual_read")
        with pytest.raises(Unholdable) as refused:
            tasks["a"]["t"] = "x\x00"
        assert (refused.value.store, refused.value.key, refused.value.field) == ("tasks", '"a"', "t")
        with pytest.raises(Unholdable):
            tasks["b"] = {"t": ["\ud800"]}
        assert dict(tasks) == {"a": {"t": "fine", "ok": 1}}
        service.close()


def test_backfill_runs_under_live_writes(make: Make, until: Callable[..., Any]) -> None:
    """While 5,000 records are copied, live changes and deletes win, and image and table are equal at the end."""
    service = make()
    tasks = outlive.mapping("tasks", dict, service=service)
    for number in range(5000):
        tasks[number] = {"n": number, "tags": []}
    with service.open():
        until(lambda: service.committer.connected)
        stop = threading.Event()

        def write() -> None:
            step = 0
            while not stop.wait(0.0005):
                step += 1
                if step % 5000 in tasks:
                    tasks[step % 5000]["tags"].append(step)
                tasks.pop((step * 7) % 5000, None)
                tasks[10_000 + step] = {"n": step}

        writer = threading.Thread(target=write)
        writer.start()
        go(service, "tasks", "dual_write")
        until(lambda: service.watcher.backfills["tasks"].get("done"), 60)
        stop.set()
        writer.join()
        assert service.database is not None
        with service.database.connect() as conn:
            parity = verify(service.stores["tasks"], conn, settle=service.flush_blocking)
        assert parity.equal, parity.facts()
        assert [key for key, _ in rows_of(service, "tasks")] == list(tasks)
