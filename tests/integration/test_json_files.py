"""A JSON file that code loads and saves, in each phase, on real PostgreSQL: merges, keys, and what is refused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import outlive
from outlive.errors import FileMalformed, KeyTaken, MappingRetired, Unholdable
from outlive.runtime import switching
from outlive.stores.backing import Backing
from outlive.stores.files import Sidecar

Make = Callable[..., outlive.Service]
PHASES = ["legacy", "dual_write", "dual_read", "database"]


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
    for service in made:
        service.close()


def in_table(service: outlive.Service, store: str) -> list[tuple[Any, Any]]:
    """Key and document of each row in PostgreSQL, in order, seen through a connection of its own."""
    from outlive.records import parse
    from outlive.transfer.fill import read_rows

    service.flush_blocking()
    assert service.database is not None
    with service.database.connect() as conn:
        return [(key, parse(encoded)) for key, encoded, _, _ in read_rows(conn, service.stores[store])]


@pytest.mark.parametrize("phase", PHASES[:3])
def test_a_json_file_is_written_by_repository_too(make: Make, tmp_path: Path, phase: Any) -> None:
    """Insert, put, patch, move and delete reach the file, in order; a record taken twice is refused."""
    path = tmp_path / "items.json"
    service = make()
    items = outlive.json_file(path, service=service, phase=phase, default=lambda: [{"id": 1}, {"id": 2}, {"id": 3}])
    at = items.repository
    with service.open():
        assert (items.path, items.phase) == (path, phase)
        assert repr(items) == f"<outlive json_file {path} in {phase}>"
        at.insert({"id": 4, "deep": [{"x": [1]}]}).result()
        at.put({"id": 2, "n": 2}).result()
        assert at.patch(2, n=3).result() == {"id": 2, "n": 3}
        assert at.patch(1, id=9).result() == {"id": 9}
        assert at.patch(404, n=3).result() is None
        assert at.delete(3).result() is True
        with pytest.raises(KeyTaken):
            at.insert({"id": 2}).result()
        with pytest.raises(KeyTaken):
            Backing(service.stores["items"]).unit_put(2, {"id": 2}, insert=True)
        with service.unit():
            at.insert({"id": 5}).result()
            at.delete(5).result()
        with pytest.raises(ZeroDivisionError), service.unit():
            items.save([])
            raise ZeroDivisionError
        wanted = [{"id": 9}, {"id": 2, "n": 3}, {"id": 4, "deep": [{"x": [1]}]}]
        assert items.load() == wanted
    assert json.loads(path.read_text()) == wanted


def test_an_exception_inside_with_saves_nothing(make: Make, tmp_path: Path) -> None:
    """`with items as rows` saves at its end, and nothing if the block fails."""
    service = make()
    items = outlive.json_file(tmp_path / "items.json", service=service, default=[{"id": 1}])
    with service.open():
        with pytest.raises(ZeroDivisionError), items as rows:
            rows.clear()
            raise ZeroDivisionError
        assert items.load() == [{"id": 1}]
        with items as rows:
            rows.append({"id": 2})
        assert items.load() == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("phase", PHASES[:3])
def test_a_row_saved_again_changes_no_other(make: Make, tmp_path: Path, phase: Any) -> None:
    """A unit that deletes a row and saves one of its key again writes that row alone, so no other call waits for it."""
    service = make()
    ten = [{"id": n} for n in range(10)]
    items = outlive.json_file(tmp_path / "items.json", service=service, phase=phase, default=ten)
    with service.open():
        with service.unit() as unit:
            items.save(ten[:3] + ten[4:])
            items.save(ten[:3] + ten[4:] + [{"id": 3}])
            assert [key for _, key in unit.changes] == [3]
            other = threading.Thread(target=items.repository.patch(5, n=1).result)
            other.start()
            other.join(20)
            assert not other.is_alive()
        assert [row["id"] for row in items.load()] == [0, 1, 2, 4, 5, 6, 7, 8, 9, 3]


@pytest.mark.parametrize("phase", PHASES[:3])
def test_a_loaded_list_is_saved_over_what_others_did_since(make: Make, tmp_path: Path, phase: Any) -> None:
    """Only what the caller did to the list counts: others' records stay, their deletes and changes too, mine win."""
    service = make()
    items = outlive.json_file(
        tmp_path / "items.json", service=service, phase=phase, default=[{"id": n, "n": 0} for n in range(6)]
    )
    with service.open():
        mine = items.load()
        theirs = items.load()
        theirs[0]["n"] = theirs[1]["n"] = 1
        del theirs[2]
        theirs.append({"id": 7})
        items.save(theirs)
        items.repository.patch(5, n=9).result()
        mine[1]["n"] = 2
        del mine[3]
        mine.insert(0, {"id": 8})
        items.save(mine)
        wanted = [{"id": 8}, {"id": 0, "n": 1}, {"id": 1, "n": 2}, {"id": 4, "n": 0}, {"id": 5, "n": 9}, {"id": 7}]
        assert items.load() == wanted
        del mine[0]
        items.save(mine)
        assert items.load() == wanted[1:]
        items.save([row for row in items.load() if row["id"] != 4])
        assert [row["id"] for row in items.load()] == [0, 1, 5, 7]


def test_a_row_that_is_back_is_not_deleted_by_its_old_tombstone(make: Make, tmp_path: Path) -> None:
    """While a back-fill looks for late deletes, a row that was deleted and saved again since stays, landed or not."""
    path = tmp_path / "items.json"
    service = make()
    items = outlive.json_file(path, service=service, phase="dual_write", default=[{"id": 1}, {"id": 2}, {"id": 3}])
    store: Any = service.stores["items"]
    with service.open():
        for key in (1, 2, 3):
            items.repository.delete(key).result()
        items.repository.put({"id": 1, "n": 1}).result()
        service.committer.paused = True
        thread = threading.Thread(target=items.repository.put({"id": 2, "n": 2}).result)
        thread.start()
        ends = time.monotonic() + 20
        while not service.committer.pending() and time.monotonic() < ends:
            time.sleep(0.001)
        store.image[3] = {"id": 3, "out of": "a stale file"}
        Sidecar.path_of(path).unlink(missing_ok=True)
        assert service.database is not None
        with service.database.connect() as conn:
            switching.stay_deleted(service, store, conn)
            rows = conn.execute("SELECT key FROM outlive.unlanded").fetchall()
        service.committer.paused = False
        service.committer.wake()
        thread.join(20)
        assert items.load() == [{"id": 1, "n": 1}, {"id": 2, "n": 2}]
        assert rows == [("3",)]


def test_two_blocks_at_once_save_their_own_rows(make: Make, tmp_path: Path) -> None:
    """`with items as rows` in two threads, one inside the other in time, loses neither's row."""
    service = make()
    items = outlive.json_file(tmp_path / "items.json", service=service, default=[{"id": 1}])
    inside, go_on = threading.Event(), threading.Event()

    def other() -> None:
        with items as rows:
            rows.append({"id": 2})
            inside.set()
            go_on.wait(20)

    with service.open():
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait(20)
        with items as rows:
            rows.append({"id": 3})
            go_on.set()
            thread.join(20)
        assert items.load() == [{"id": 1}, {"id": 2}, {"id": 3}]


def test_a_retired_file_names_the_repository(make: Make, tmp_path: Path) -> None:
    """In `database` load, save and `with` raise MappingRetired, and the use is noted with its caller."""
    service = make()
    items = outlive.json_file(tmp_path / "items.json", service=service, phase="database")
    with service.open():
        for use in (items.load, lambda: items.save([]), items.__enter__):
            with pytest.raises(MappingRetired, match=r"items\.repository"):
                use()
        assert __file__ in str(service.stores["items"].used_by)


def test_rows_without_a_key(make: Make, tmp_path: Path) -> None:
    """Rows without a key, or with a repeated one, are kept in dual_write, and an equal row keeps its own key."""
    path = tmp_path / "items.json"
    service = make()
    items = outlive.json_file(path, service=service, phase="dual_write")
    rows = [{"id": 1}, {"id": 1, "again": True}, {"name": "none"}, {"id": [2]}]
    with service.open():
        items.save(rows)
        assert items.load() == rows
        before = in_table(service, "items")
        items.save([*rows, {"id": 7}])
        assert in_table(service, "items")[:4] == before
        with pytest.raises(FileMalformed, match="list of records"):
            service.stores["items"]._keys({"id": 1})  # type: ignore[attr-defined]
    assert json.loads(path.read_text()) == [*rows, {"id": 7}]


def test_dual_read_refuses_rows_without_a_key(make: Make, tmp_path: Path) -> None:
    """From dual_read on a save with a row that has no key, a taken one or NUL in it changes nothing at all."""
    service = make()
    items = outlive.json_file(tmp_path / "items.json", service=service, phase="dual_read", default=[{"id": 1}])
    at = items.repository
    with service.open():
        for bad in ({"name": "none"}, {"id": None}, {"id": 2, "t": "\x00"}):
            with pytest.raises(Unholdable):
                items.save([{"id": 1, "n": 1}, bad])
        with pytest.raises(KeyTaken):
            items.save([{"id": 1, "n": 1}, {"id": 1}])
        at.insert({"id": 2}).result()
        with pytest.raises(KeyTaken):
            at.patch(2, id=1).result()
        with pytest.raises(Unholdable):
            at.patch(2, id=None).result()
        with pytest.raises(Unholdable):
            at.put({"id": 3, "t": "\x00"}).result()
        assert items.load() == [{"id": 1}, {"id": 2}]
        assert in_table(service, "items") == [(1, {"id": 1}), (2, {"id": 2})]


@pytest.mark.parametrize("phase", ["legacy", "dual_write"])
def test_an_edit_by_another_hand_is_taken_in_while_running(
    make: Make, tmp_path: Path, phase: Any, until: Callable[..., Any]
) -> None:
    """Up to dual_write a load sees what another program wrote into the file; a change of the format alone is none."""
    path = tmp_path / "items.json"
    path.write_text('[{"id": 1}, {"id": 2}]')
    service = make()
    items = outlive.json_file(path, service=service, phase=phase)
    with service.open():
        store: Any = service.stores["items"]
        until(lambda: phase == "legacy" or store.written_at)  # the first write behind is over
        path.write_text(json.dumps([{"id": 1}, {"id": 2}], indent=8))
        assert items.load() == [{"id": 1}, {"id": 2}]
        assert store.taken_in == 0
        path.write_text('[{"id": 2, "by": "hand"}, {"id": 3}]')
        until(lambda: items.repository.get(3).result() == {"id": 3})  # the watcher may be taking it in just now
        assert store.taken_in == 3
        assert items.repository.find(order_by="id").result() == [{"id": 2, "by": "hand"}, {"id": 3}]
        path.unlink()
        assert len(items.load()) == 2
    assert sorted(row["id"] for row in store.image.values()) == [2, 3]
