"""Health without a database, with one that hangs, and the start without any."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.contracts.home_budget.conftest import OURS
from tests.contracts.home_budget.process import Service, free_port


def test_a_database_that_is_away(tmp_path: Path) -> None:
    """In legacy the service starts and serves without PostgreSQL, and health says disconnected."""
    away = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    service = Service(OURS, tmp_path, {"DATABASE_URL": away}).start()
    try:
        health = httpx.get(f"{service.url}/api/v1/health")
        assert (health.status_code, health.json()) == (200, {"status": "ok", "database": "disconnected"})
        assert len(httpx.get(f"{service.url}/api/v1/expense").json()) == 2
    finally:
        service.stop()


def test_a_database_that_hangs(tmp_path: Path) -> None:
    """A server that takes the connection and says nothing does not hold health up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        service = Service(OURS, tmp_path, {"DATABASE_URL": url}).start()
        try:
            begin = time.monotonic()
            assert httpx.get(f"{service.url}/health").json()["database"] == "disconnected"
            assert time.monotonic() - begin < 3
        finally:
            service.stop()


@pytest.mark.smoke
@pytest.mark.parametrize("form", ["dual_read"], indirect=True, scope="session")
def test_smoke(client: httpx.Client) -> None:
    """The service answers, reaches its database, and creates, reads, changes and deletes a record."""
    assert client.get("/health").json() == {"status": "ok", "database": "connected"}
    sent = {"date": "2026-01-02", "category": "Food", "amount": 12.5, "account": "Cash"}
    made = client.post("/api/v1/expense", json=sent).json()["expense"]
    one = f"/api/v1/expense/{made['id']}"
    assert client.get(one).json() == made
    assert client.patch(one, json={"field": "amount", "value": 9.75}).json()["expense"]["amount"] == 9.75
    assert client.delete(one).json() == {"status": "deleted", "id": made["id"]}
    assert client.get("/api/v1/expense").json() == []
