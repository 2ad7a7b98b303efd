"""An edit of a JSON file by another hand between the last look and the rename."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import outlive
from outlive.commit import failpoints
from outlive.stores import swap as swapping
from outlive.stores.json_file import JsonFileStore
from outlive.stores.swap import Seen, swap

Until = Callable[..., Any]
START = [{"id": 1, "n": 1}, {"id": 2, "n": 2}]
EDITED = [{"id": 1, "n": 1}, {"id": 2, "n": 20}, {"id": 3, "n": 3}]


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    """No fail point outlives its test."""
    yield
    failpoints.disarm()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two records."""
    file = tmp_path / "items.json"
    file.write_text(json.dumps(START, indent=2))
    return file


def in_place(path: Path, rows: Any) -> None:
    """Edit as `open(path, "w")` does."""
    path.write_text(json.dumps(rows, indent=2))


def renamed(path: Path, rows: Any) -> None:
    """Edit as an editor does that writes a new file and renames it."""
    other = path.with_name("other.json")
    in_place(other, rows)
    os.replace(other, path)


def service_on(path: Path, **env: str) -> tuple[outlive.Service, Any]:
    """A closed service whose store is the file."""
    home = {"OUTLIVE_HOME": str(path.parent / "home"), "OUTLIVE_POLL_S": "0.02"}
    service = outlive.Service("race", env={**home, **env})
    return service, outlive.json_file(path, service=service)


def store_of(service: outlive.Service) -> JsonFileStore:
    """The file's store."""
    store = service.stores["items"]
    assert isinstance(store, JsonFileStore)
    return store


@pytest.mark.parametrize("edit", [in_place, renamed])
def test_an_edit_in_the_last_moment_is_taken_in(path: Path, edit: Callable[[Path, Any], None], until: Until) -> None:
    """What the exchange displaced is kept beside the file, and its changes join ours: nobody's write is lost."""
    service, items = service_on(path)
    with service.open():
        failpoints.arm("file.before_swap", lambda: edit(path, EDITED), times=1)
        items.repository.patch(1, n=100).result()
        wanted = [{"id": 1, "n": 100}, *EDITED[1:]]
        assert items.load() == wanted
        until(lambda: json.loads(path.read_text()) == wanted)
        (aside,) = store_of(service).set_aside
        assert json.loads(Path(aside).read_text()) == EDITED
        assert store_of(service).taken_in == 2


def test_an_edit_of_the_same_size_and_time_is_seen(path: Path, until: Until) -> None:
    """Bytes decide where the time cannot: an edit that leaves stamp and size as they were is found too."""
    service, items = service_on(path)
    with service.open():
        items.repository.patch(1, n=5).result()

        def edit() -> None:
            found = path.stat()
            path.write_text(path.read_text().replace('"n": 2', '"n": 7'))
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

        failpoints.arm("file.before_swap", edit, times=1)
        items.repository.patch(1, n=6).result()
        until(lambda: json.loads(path.read_text()) == [{"id": 1, "n": 6}, {"id": 2, "n": 7}])


def test_an_edit_before_the_last_look_needs_no_copy(path: Path, until: Until) -> None:
    """Noticed before the exchange it is merged at once: one write, nothing set aside."""
    service, items = service_on(path)
    with service.open():
        failpoints.arm("file.before_sync", lambda: renamed(path, EDITED), times=1)
        items.repository.patch(1, n=100).result()
        until(lambda: json.loads(path.read_text()) == [{"id": 1, "n": 100}, *EDITED[1:]])
        assert store_of(service).set_aside == []


def test_a_broken_edit_is_kept_and_not_taken_in(path: Path) -> None:
    """What is no JSON cannot join; it stays beside the file, and ours stands."""
    service, items = service_on(path)
    with service.open():
        failpoints.arm("file.before_swap", lambda: path.write_text("[{"), times=1)
        items.repository.patch(1, n=100).result()
        (aside,) = store_of(service).set_aside
        assert Path(aside).read_text() == "[{"
        assert json.loads(path.read_text()) == [{"id": 1, "n": 100}, START[1]]


def test_a_file_made_or_removed_in_the_last_moment(path: Path, until: Until) -> None:
    """A file that appears where there was none joins; one that is removed is written again."""
    service, items = service_on(path)
    path.unlink()
    with service.open():
        failpoints.arm("file.before_swap", lambda: in_place(path, START), times=1)
        items.repository.insert({"id": 9}).result()
        until(lambda: [row["id"] for row in json.loads(path.read_text())] == [9, 1, 2])
        failpoints.arm("file.before_swap", path.unlink, times=1)
        items.repository.delete(9).result()
        assert [row["id"] for row in json.loads(path.read_text())] == [1, 2]


def test_in_dual_read_it_is_kept_aside_and_reported(path: Path, database_url: str, until: Until) -> None:
    """While PostgreSQL is in charge the edit joins nothing; it is not lost either."""
    service, items = service_on(path, DATABASE_URL=database_url, OUTLIVE_PHASE="dual_read", OUTLIVE_SCRUB_S="3600")
    with service.open():
        until(lambda: not store_of(service).dirty)
        failpoints.arm("file.before_swap", lambda: renamed(path, EDITED), times=1)
        items.repository.insert({"id": 4}).result()
        until(lambda: [row["id"] for row in json.loads(path.read_text())] == [1, 2, 4])
        until(lambda: len(store_of(service).set_aside) == 1)
        assert json.loads(Path(store_of(service).set_aside[0]).read_text()) == EDITED
        assert [row["id"] for row in items.load()] == [1, 2, 4]


def test_without_the_exchange_a_rename_does(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system or file system without it the file is replaced as by any careful program."""
    monkeypatch.setattr(swapping, "_renameat2", lambda: None)
    done = swap(path, b"[]", Seen(swapping.files.stamp_of(path)))
    assert (done.done, done.displaced, path.read_text()) == (True, None, "[]")
    assert done.stamp == swapping.files.stamp_of(path)
    assert not swap(path, b"[1]", Seen((0, 0, 0))).done
    assert [each.name for each in path.parent.iterdir()] == ["items.json"]


def test_an_error_leaves_the_file_as_it_was(path: Path) -> None:
    """A write that fails before the exchange changes nothing and leaves nothing behind."""
    failpoints.arm("file.before_swap", "raise")
    with pytest.raises(outlive.errors.FailPointHit):
        swap(path, b"[]", Seen(swapping.files.stamp_of(path)))
    assert json.loads(path.read_text()) == START
    assert [each.name for each in path.parent.iterdir()] == ["items.json"]
