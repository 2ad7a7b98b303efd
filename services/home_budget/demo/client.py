"""One keep-alive connection that tells what is known about a request's outcome."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any

from services.home_budget.demo.entries import Outcome

LIMIT_S = 20.0


@dataclass(slots=True)
class Answer:
    """What came back: when the request began, its duration, its outcome, status (0 without one) and JSON body."""

    at: float
    ms: float
    outcome: Outcome
    status: int = 0
    body: Any = None


class Client:
    """Requests to one server, one at a time; a broken connection is made anew for the next request."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Send one request; never raises for what the network or the server does."""
        at, began = time.time(), time.perf_counter()
        outcome, status, told = self._exchange(method, path, body)
        return Answer(at, round((time.perf_counter() - began) * 1000, 3), outcome, status, told)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _exchange(self, method: str, path: str, body: Any) -> tuple[Outcome, int, Any]:
        try:
            connection = self._connected()
        except OSError:
            return "unsent", 0, None
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            response = connection.getresponse()
            told = json.loads(response.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return "unknown", 0, None
        return _outcome(response.status), response.status, told

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
            connection.connect()
            self._connection = connection
        return self._connection


def _outcome(status: int) -> Outcome:
    if status < 400:
        return "acked"
    return "refused" if status < 500 else "unknown"
