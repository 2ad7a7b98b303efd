"""Steps on what must be remembered: the event log, and the changes that did not land."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from outlive.postgres.drive import Ask, Step

LOG_EVENT = "INSERT INTO outlive.event (service, store, kind, actor, detail) VALUES (%s, %s, %s, %s, %s)"
EVENTS = """
SELECT id, at, service, store, kind, coalesce(actor, ''), detail FROM outlive.event
WHERE (%s::text IS NULL OR service = %s) AND (%s::text IS NULL OR store = %s) ORDER BY id DESC LIMIT %s
"""
UNLANDED = """
SELECT id, service, store, key, version, op, document, field, reason, sqlstate, member, created_at, settled_at,
       settled_how
FROM outlive.unlanded WHERE service = %s AND store = %s AND (settled_at IS NULL OR %s) ORDER BY id LIMIT %s
"""
SETTLE = """
UPDATE outlive.unlanded SET settled_at = now(), settled_how = %s
WHERE service = %s AND store = %s AND id = ANY(%s) AND settled_at IS NULL RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the event log."""

    id: int
    at: datetime
    service: str | None
    store: str | None
    kind: str
    actor: str
    detail: Any


@dataclass(frozen=True, slots=True)
class UnlandedChange:
    """One change that PostgreSQL refused or that lost, with its bytes."""

    id: int
    service: str
    store: str
    key: str
    version: int | None
    op: str
    document: bytes | None
    field: str | None
    reason: str | None
    sqlstate: str | None
    member: int | None
    created_at: datetime
    settled_at: datetime | None
    settled_how: str | None


def log_event(service: str, store: str | None, kind: str, actor: str, detail: Any) -> Step[None]:
    """A line more in the event log."""
    yield Ask(LOG_EVENT, (service, store, kind, actor, Jsonb(detail)))


def read_events(service: str | None, store: str | None, limit: int) -> Step[list[Event]]:
    """The newest `limit` events, newest first, of everything, of a service, or of a store."""
    rows = yield Ask(EVENTS, (service, service, store, store, limit))
    return [Event(*row) for row in rows]


def read_unlanded(service: str, store: str, *, settled: bool = False, limit: int = 100) -> Step[list[UnlandedChange]]:
    """The oldest `limit` unlanded changes of a store; settled ones too on request."""
    rows = yield Ask(UNLANDED, (service, store, settled, limit))
    return [UnlandedChange(*row) for row in rows]


def settle(service: str, store: str, ids: Sequence[int], actor: str, how: str) -> Step[list[int]]:
    """The ids among `ids` that were open and are settled now; the bytes stay, the event log says who and why."""
    rows = yield Ask(SETTLE, (how, service, store, list(ids)))
    done = sorted(row[0] for row in rows)
    if done:
        yield from log_event(service, store, "settle", actor, {"ids": done, "how": how})
    return done
