"""Rows about requests: written behind, many at once, and never in a request's way."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from outlive.errors import Unavailable
from outlive.postgres.address import Address
from tests.contracts.facts import facts
from tests.contracts.facts.facts import ask, create, new_id
from tests.contracts.farm.conftest import PHASES, Opened, in_every_phase, in_forms, open_service
from tests.contracts.farm.running import Running

PACKAGE = "services.facts"
ENVIRONMENT = facts.ENVIRONMENT
in_database = in_forms(PHASES[-1])


def auditor(http: Running) -> Any:
    """The running middleware."""
    layer = http.app.middleware_stack
    while type(layer).__name__ != "Audit":
        layer = layer.app
    return layer


def rows(opened: Opened, **filters: Any) -> list[Any]:
    """The rows that are written now, the oldest first."""
    repository = opened.module("stores").requests.repository

    async def written() -> Any:
        assert await auditor(opened.http).flush()
        return await repository.find(order_by="created_at", **filters)

    found: list[Any] = opened.http.run(written())
    return found


@in_every_phase
def test_each_request_has_a_row(http: Running, opened: Opened) -> None:
    """With its path, method, answer, duration, time, client and program; whatever the answer was."""
    agent = f"test/{uuid.uuid4().hex}"
    asked = [("GET", "/health", 200), ("POST", "/validate", 422), ("GET", "/facts/nobody", 404), ("PUT", "/", 405)]
    for method, path, status in asked:
        assert ask(http, method, path, headers={"User-Agent": agent}).status_code == status
    http.get("/facts", headers={"User-Agent": agent})
    found = rows(opened, user_agent=agent)
    assert [(row.method, row.endpoint, row.response_code) for row in found] == [*asked, ("GET", "/facts", 401)]
    assert all(0 <= row.duration_ms < 60_000 and row.ip_address == "127.0.0.1" for row in found)
    assert [row.created_at for row in found] == sorted(row.created_at for row in found)
    assert found[0].created_at.utcoffset().total_seconds() == 0


@in_database
def test_rows_are_the_tables(http: Running, opened: Opened) -> None:
    """SQL finds them; what PostgreSQL cannot hold is replaced."""
    agent = f"\xe9{uuid.uuid4().hex}"
    ask(http, "GET", "/facts/a%00b", headers={"User-Agent": agent.encode("latin-1")})
    rows(opened)
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        statement = "SELECT endpoint, method, response_code FROM api_requests WHERE user_agent = %s"
        assert conn.execute(statement, [agent]).fetchall() == [("/facts/a\ufffdb", "GET", 404)]


@in_database
def test_many_rows_are_one_write(http: Running, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came meanwhile is written together, without being asked, within seconds."""
    repository = opened.module("stores").requests.repository
    rows(opened)
    sizes = []
    put = type(repository).bulk_put
    monkeypatch.setattr(
        type(repository), "bulk_put", lambda self, records: sizes.append(len(records)) or put(self, records)
    )
    http.together(*[("GET", "/health", {})] * 100)
    ends = time.monotonic() + 20
    while auditor(http).waiting and time.monotonic() < ends:
        time.sleep(0.05)
    assert sum(sizes) == 100
    assert len(sizes) < 10


@in_database
def test_no_request_fails_or_waits_for_its_row(http: Running, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that cannot be written wait, the oldest go when there are too many, and requests are answered."""
    audit = auditor(http)
    rows(opened)
    repository = opened.module("stores").requests.repository

    def refused(self: Any, records: Any) -> Any:
        raise Unavailable(store="api_requests", reason="a test")

    with monkeypatch.context() as patch:
        patch.setattr(type(repository), "bulk_put", refused)
        made = create(http)
        assert http.run(audit.flush()) is False
        assert ask(http, "GET", f"/facts/{made['id']}").json() == made
        assert [row.endpoint for row in audit.waiting] == ["/facts", f"/facts/{made['id']}"]
    assert audit.waiting.maxlen == 10_000
    assert [row.response_code for row in rows(opened)[-2:]] == [201, 200]
    assert not audit.waiting


@in_database
def test_old_rows_go(http: Running, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of more than thirty days are deleted, looked for every ten minutes."""
    module = opened.module("audit")
    agent = f"test/{uuid.uuid4().hex}"
    later = module.clock.now() + module.KEPT + dt.timedelta(minutes=1)
    ask(http, "GET", "/health", headers={"User-Agent": agent})
    assert len(rows(opened, user_agent=agent)) == 1
    monkeypatch.setattr(module.clock, "now", lambda: later)
    monkeypatch.setattr(auditor(http), "_kept_up", -1e9)
    ask(http, "GET", "/health", headers={"User-Agent": agent})
    assert [row.created_at for row in rows(opened, user_agent=agent)] == [later]


@in_forms(*PHASES[:3])
def test_rows_in_memory_are_not_many(http: Running, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before `database` the newest 10,000 stay."""
    module = opened.module("audit")
    assert module.IN_MEMORY == 10_000
    rows(opened)
    monkeypatch.setattr(module, "IN_MEMORY", 3)
    monkeypatch.setattr(module, "OFTEN", 1)
    for number in range(5):
        ask(http, "GET", f"/facts/{number}")
    assert [row.endpoint for row in rows(opened)] == ["/facts/2", "/facts/3", "/facts/4"]


@pytest.fixture
def serve(new_database: Callable[..., Address], tmp_path: Path) -> Callable[[], Any]:
    """Opens the service in `database`, each time on the same tables."""
    address = new_database()
    return lambda: open_service(PACKAGE, PHASES[-1], address, tmp_path, ENVIRONMENT)


def test_the_last_rows_are_written_at_the_end(serve: Callable[[], Any]) -> None:
    """A service that is ended leaves the rows of its last requests."""
    fact_id = new_id()
    with serve() as first:
        ask(first.http, "GET", f"/facts/{fact_id}")
    with serve() as second:
        assert [row.endpoint for row in rows(second, endpoint=f"/facts/{fact_id}")] == [f"/facts/{fact_id}"]
