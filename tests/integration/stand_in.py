"""A member as the operator's side sees one: rows in `outlive`, a heartbeat, acknowledgements, answered requests.

It holds no records; what it reports and finds is what the test tells it. Everything goes through real PostgreSQL.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from outlive.postgres.address import Address


def wait_until(condition: Callable[[], Any], limit_s: float = 10.0) -> Any:
    """The first true result of `condition`; fails the test after `limit_s`."""
    ends = time.monotonic() + limit_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < ends, "the condition did not come true in time"
        time.sleep(0.01)


def plant(conn: psycopg.Connection[Any], service: str, store: str, phase: str = "legacy", epoch: int = 1) -> None:
    """A service with one store's row, as the runtime makes it when a store is first opened."""
    conn.execute("INSERT INTO outlive.service VALUES (%s, %s) ON CONFLICT DO NOTHING", (service, epoch))
    conn.execute(
        "INSERT INTO outlive.phase (service, store, phase, epoch, changed_at) VALUES (%s, %s, %s, %s, now())",
        (service, store, phase, epoch),
    )


class StandIn:
    """A live member of `service` from `with` to its end, in a thread with a connection of its own."""

    def __init__(self, address: Address, service: str, store: str = "tasks", **report: Any) -> None:
        self.service, self.store = service, store
        self.report: dict[str, Any] = {"journal_units": 0, "pool_use": 0.1, "query_p95_ms": 3.0, **report}
        self.own: dict[str, Any] = {"records": 7, "error_rate": 0.0}
        self.verdict: dict[str, Any] = {"compared": 7, "different": 0, "missing": 0, "extra": 0, "planted_found": True}
        self.result: dict[str, Any] = {}
        self.refill_ms = 12.0
        self.acknowledges = True
        self.stays_in: str | None = None
        self.answers = True
        self.served: list[str] = []
        self.phases: list[str] = []
        self._stop = threading.Event()
        self._conn = psycopg.connect(address.conninfo(), autocommit=True)
        self._thread = threading.Thread(target=self._live, daemon=True)
        self.id = self._register()

    def __enter__(self) -> StandIn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.vanish()
        self._conn.execute("UPDATE outlive.member SET left_at = now() WHERE id = %s", (self.id,))
        self._conn.close()

    def vanish(self) -> None:
        """Stops reporting without leaving, as a killed process does."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _register(self) -> int:
        row = self._conn.execute(
            "INSERT INTO outlive.member (service, host, pid, boot, lease_s, epoch, report)"
            " SELECT %s, 'here', 42, 'boot', 0.5, epoch, %s FROM outlive.service WHERE service = %s RETURNING id",
            (self.service, Jsonb(self._reported()), self.service),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _reported(self) -> dict[str, Any]:
        return self.report | {"stores": {self.store: self.own}}

    def _live(self) -> None:
        while not self._stop.is_set():
            self._beat()
            self._serve()
            self._stop.wait(0.02)

    def _beat(self) -> None:
        query = "SELECT p.phase, s.epoch FROM outlive.phase AS p JOIN outlive.service AS s USING (service)"
        rows = self._conn.execute(f"{query} WHERE service = %s", (self.service,)).fetchall()
        stays = self.stays_in is not None and rows[0][0] != self.stays_in
        self.own["phase"] = self.stays_in if stays else rows[0][0]
        if self.phases[-1:] != [rows[0][0]]:
            self.phases.append(rows[0][0])
        if rows[0][0] == "dual_write":
            self._conn.execute(
                "UPDATE outlive.phase SET backfill = %s WHERE service = %s AND backfill IS NULL",
                (Jsonb({"done": True, "copied": 7, "total": 7}), self.service),
            )
        self._conn.execute(
            "UPDATE outlive.member SET seen_at = now(), report = %s,"
            " epoch = CASE WHEN %s THEN %s ELSE epoch END WHERE id = %s",
            (Jsonb(self._reported()), self.acknowledges and not stays, rows[0][1], self.id),
        )

    def _serve(self) -> None:
        if not self.answers:
            return
        row = self._conn.execute(
            "UPDATE outlive.request SET taken_at = now(), member = %s WHERE id = (SELECT min(id) FROM outlive.request"
            " WHERE service = %s AND taken_at IS NULL AND (member IS NULL OR member = %s)) RETURNING id, kind, store",
            (self.id, self.service, self.id),
        ).fetchone()
        if row is None:
            return
        number, kind, store = row
        self.served.append(kind)
        result = self._verify(store) if kind == "verify" else {"refill_ms": self.refill_ms, "records": 7}
        self._conn.execute(
            "UPDATE outlive.request SET done_at = clock_timestamp(), result = %s WHERE id = %s", (Jsonb(result), number)
        )

    def _verify(self, store: str) -> dict[str, Any]:
        row = self._conn.execute(
            "INSERT INTO outlive.verification (service, store, mode, member, started_at, finished_at, epoch, compared,"
            " different, missing, extra, planted_found, result)"
            " SELECT %s, %s, 'full', %s, now(), clock_timestamp(), epoch, %s, %s, %s, %s, %s, %s FROM outlive.service"
            " WHERE service = %s RETURNING id",
            (self.service, store, self.id, *self.verdict.values(), Jsonb(self.result), self.service),
        ).fetchone()
        assert row is not None
        return {"verification": row[0]}


def moment() -> datetime:
    """Now, as reports carry it."""
    return datetime.now(UTC)
