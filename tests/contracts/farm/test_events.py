"""What changed is told to NATS where there is one, and to nobody otherwise."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contracts.farm.conftest import PHASES, in_forms
from tests.contracts.farm.running import Running

PACKAGE = "services.farm.field_ops"
INFO = {"server_id": "x", "version": "2.10.0", "max_payload": 1048576, "proto": 1, "headers": False}


class Server:
    """As much of a NATS server as takes messages: their subjects and payloads."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Any]] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            link, _ = self.socket.accept()
        except OSError:
            return
        with link, link.makefile("rb") as lines:
            link.sendall(b"INFO " + json.dumps(INFO).encode() + b"\r\n")
            for line in lines:
                if line.startswith(b"PING"):
                    link.sendall(b"PONG\r\n")
                elif line.startswith(b"PUB"):
                    _, subject, size = line.split()
                    self.messages.append((subject.decode(), json.loads(lines.read(int(size)))))
                    lines.readline()


@pytest.fixture
def nats() -> Iterator[Server]:
    """A server that listens for the test."""
    server = Server()
    yield server
    server.socket.close()


@in_forms(PHASES[0], PHASES[-1])
def test_changes_are_told_once_they_are_durable(
    http: Running, tenant: str, nats: Server, monkeypatch: pytest.MonkeyPatch, until: Callable[..., Any]
) -> None:
    """A request that changed something is one message; reading and refused requests are none."""
    body = {"tenant_id": tenant, "name": "n", "area_hectares": 1}
    http.post("/fields", json=body)
    monkeypatch.setenv("NATS_URL", nats.url)
    field = http.post("/fields", json=body).json()["id"]
    http.get(f"/fields/{field}")
    http.delete("/fields/none")
    http.delete(f"/fields/{field}")
    until(lambda: len(nats.messages) == 2)
    assert nats.messages == [
        ("farm.field_ops.changed", {"method": "POST", "path": "/fields", "status": 200}),
        ("farm.field_ops.changed", {"method": "DELETE", "path": f"/fields/{field}", "status": 200}),
    ]


@in_forms(PHASES[0])
def test_a_server_that_is_away_costs_no_request(http: Running, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are answered as ever."""
    monkeypatch.setenv("NATS_URL", "nats://127.0.0.1:1")
    body = {"tenant_id": tenant, "name": "n", "area_hectares": 1}
    assert [http.post("/fields", json=body).status_code for _ in range(3)] == [200, 200, 200]
