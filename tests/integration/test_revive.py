"""An embedded server that is killed while a service uses it: the service itself starts it again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import outlive
from outlive.postgres.embedded import EmbeddedServer
from outlive.runtime.revive import Reviver


@pytest.mark.parametrize("driver", ["thread", "loop"])
def test_a_killed_server_is_started_again_by_its_user(tmp_path: Path, until: Callable[..., Any], driver: str) -> None:
    """After kill -9 of every server process, and with nobody else about, writes land again and the event tells."""
    env = {"OUTLIVE_HOME": str(tmp_path), "OUTLIVE_POLL_S": "0.02", "OUTLIVE_REVIVE_S": "0.1"}
    service = outlive.Service("alone", env=env)
    notes = outlive.mapping("notes", str, service=service, phase="dual_write")
    others = EmbeddedServer(tmp_path)  # never started here: only kills

    def scene() -> None:
        assert service.database is not None
        address = service.database.address
        notes["a"] = "before"
        assert others.kill9()
        until(lambda: others.address is not None)
        assert others.address == address
        notes["b"] = "after"
        until(lambda: service.committer.connected and not service.journal_units())

        def events() -> list[Any]:
            with service.session() as conn:
                query = "SELECT store FROM outlive.event WHERE service = 'alone' AND kind = 'server_revived'"
                return list(conn.execute(query).fetchall())

        assert until(events) == [(None,)]
        with service.session() as conn:
            assert conn.execute("SELECT count(*) FROM alone.notes").fetchall() == [(2,)]

    async def looped() -> None:
        async with service.open_async():
            await asyncio.to_thread(scene)

    try:
        if driver == "loop":
            asyncio.run(looped())
        else:
            with service.open():
                scene()
    finally:
        others.stop(force=True)


def test_a_server_that_was_stopped_stays_so(tmp_path: Path) -> None:
    """Only a server that left its pid file behind has died; a running one and one that never was have not."""
    server = EmbeddedServer(tmp_path)
    assert not server.died()
    with server:
        assert not server.died()
        assert not server.revive()
        server.kill9()
        assert server.died()
        assert server.revive()
        server.stop(force=True)
        assert not server.died()
        assert not server.revive()
        assert server.address is None


def test_a_server_that_does_not_start_is_told_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A revival that fails is logged with the server's words and waits a while; a foreign server is left alone."""
    env = {"OUTLIVE_HOME": str(tmp_path), "OUTLIVE_REVIVE_S": "0.000001"}
    service = outlive.Service("alone", env=env)
    reviver = Reviver(service)
    assert not reviver.look()
    from outlive.postgres.connect import Database

    service.database = Database.from_settings(service.settings)
    try:
        server = service.database.server
        assert server is not None
        server.kill9()
        facts = server.folder / "server.json"
        kept = facts.read_text()
        facts.write_text("{")
        assert not reviver.look()
        assert not reviver.look()
        assert "does not start" in caplog.text
        assert not reviver.look()
        facts.write_text(kept)
    finally:
        service.database.dispose()
