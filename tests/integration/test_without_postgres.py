"""Starts and writes while PostgreSQL is away, and what happens when it is back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import outlive
from outlive.errors import FileStale, Unavailable, Unreachable
from outlive.postgres.embedded import EmbeddedServer

Until = Callable[..., Any]


class Site:
    """One service on a server of its own, with a JSON file; every start is a new `Service`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = EmbeddedServer(folder / "server")
        self.url = self.server.start().libpq_url()
        self.path = folder / "items.json"
        self.services: list[outlive.Service] = []

    def service(self, **env: str) -> tuple[outlive.Service, outlive.runtime.declare.JsonFile]:
        base = {"DATABASE_URL": self.url, "OUTLIVE_HOME": str(self.folder / "home"), "OUTLIVE_POLL_S": "0.02"}
        service = outlive.Service("site", env={**base, "DATABASE_CONNECT_TIMEOUT": "1", **env})
        self.services.append(service)
        return service, outlive.json_file(self.path, service=service, default=[{"id": 1}])

    def rows(self) -> list[Any]:
        import psycopg

        with psycopg.connect(self.url) as conn:
            return [
                row[0]
                for row in conn.execute("SELECT outlive_key::int FROM site.items ORDER BY outlive_position").fetchall()
            ]

    def phase(self) -> str:
        import psycopg

        with psycopg.connect(self.url) as conn:
            return str(conn.execute("SELECT phase FROM outlive.phase").fetchall()[0][0])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose server and services end with the test."""
    made = Site(tmp_path)
    yield made
    for service in made.services:
        service.crash()
    made.server.stop(force=True)


def test_writes_of_an_outage_survive_a_kill_and_a_start_without_postgresql(site: Site, until: Until) -> None:
    """Journal and file hold every acknowledged write; the way through `legacy` and back to `dual_write` loses none."""
    service, items = site.service(OUTLIVE_PHASE="dual_write")
    service.start()
    items.repository.insert({"id": 2}).result()
    until(lambda: site.path.exists() and len(json.loads(site.path.read_text())) == 2)
    site.server.kill9()
    items.repository.insert({"id": 3}).result()
    items.repository.delete(1).result()
    assert service.journal_units() == 2
    service.crash()

    service, items = site.service(FF_USE_DATABASE_STORAGE="false")
    service.start()
    assert items.phase == "legacy"
    assert items.load() == [{"id": 2}, {"id": 3}]
    items.save([{"id": 2, "edited": True}, {"id": 3, "edited": True}, {"id": 4}])
    assert [row["id"] for row in json.loads(site.path.read_text())] == [2, 3, 4]
    site.server.restart()
    until(lambda: service.degraded is None and service.journal_units() == 0)
    assert site.phase() == "legacy"
    service.close()

    service, items = site.service(OUTLIVE_PHASE="dual_write")
    with service.open():
        assert items.load() == [{"id": 2, "edited": True}, {"id": 3, "edited": True}, {"id": 4}]
        until(lambda: site.rows() == [2, 3, 4])


def test_rows_that_a_crash_kept_from_the_file_come_back(site: Site, until: Until) -> None:
    """A write that is in PostgreSQL and not in the file is not lost by a start from the file, nor by the way back."""
    service, items = site.service(OUTLIVE_PHASE="dual_write")
    service.start()
    until(site.path.exists)
    service.watcher.stop()
    items.repository.insert({"id": 2}).result()
    service.crash()
    site.server.kill9()
    service, items = site.service(FF_USE_DATABASE_STORAGE="false")
    service.start()
    assert items.load() == [{"id": 1}]
    items.save([{"id": 1, "edited": True}])
    service.close()
    site.server.restart()
    service, items = site.service(OUTLIVE_PHASE="dual_write")
    with service.open():
        assert items.load() == [{"id": 1, "edited": True}, {"id": 2}]


def test_from_database_a_start_without_postgresql_is_refused(site: Site) -> None:
    """From `database` the start shows how old the file is and refuses, unless a stale file is accepted."""
    service, items = site.service(OUTLIVE_PHASE="database")
    with service.open():
        items.repository.insert({"id": 2}).result()
    site.server.kill9()
    service, items = site.service(FF_USE_DATABASE_STORAGE="false")
    with pytest.raises(FileStale, match="ago"), service.open():
        pass
    service, items = site.service(FF_USE_DATABASE_STORAGE="false", OUTLIVE_ACCEPT_STALE="1")
    with service.open():
        assert items.load() == [{"id": 1}]


def test_a_database_store_does_not_start_without_postgresql(site: Site) -> None:
    """A store whose reads are SQL never serves from memory instead: the start fails and says what is away."""
    site.server.kill9()
    service, _ = site.service(OUTLIVE_PHASE="database")
    with pytest.raises(Unreachable), service.open():
        pass


def test_dual_read_refuses_writes_and_reads_memory_during_an_outage(site: Site, until: Until) -> None:
    """From `dual_read` on a write during an outage is refused and undone; reads fall back; all heals by itself."""
    service, items = site.service(OUTLIVE_PHASE="dual_read")
    service.start()
    site.server.kill9()
    with pytest.raises(Unavailable):
        items.repository.insert({"id": 2}).result()
    assert items.repository.find().result() == [{"id": 1}]
    site.server.restart()
    until(lambda: service.committer.connected)
    items.repository.insert({"id": 2}).result()
    assert items.repository.find().result() == [{"id": 1}, {"id": 2}]


def test_legacy_needs_no_database(tmp_path: Path) -> None:
    """A store in `legacy` opens and serves although the address leads nowhere, and starts no embedded server."""
    for env in ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, {}):
        service = outlive.Service("alone", env={"OUTLIVE_HOME": str(tmp_path / "home"), **env})
        tasks = outlive.mapping("tasks", dict, service=service)
        with service.open():
            tasks["a"] = {"n": 1}
            assert tasks.phase == "legacy"
            assert tasks.repository.get("a").result() == {"n": 1}
    assert not (tmp_path / "home" / "postgres").exists()
