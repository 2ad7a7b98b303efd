"""What an operator asks a running member for: verify, rehearse the way back, refill, flush."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from outlive.errors import OutliveError
from outlive.runtime import switching
from outlive.transfer.verify import verify

if TYPE_CHECKING:
    from outlive.runtime.watch import Watcher

_TAKE = """
UPDATE outlive.request SET member = %s, taken_at = now()
WHERE id = (SELECT id FROM outlive.request
            WHERE service = %s AND taken_at IS NULL AND (member IS NULL OR member = %s)
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, store, kind, args, asked_by
"""
_DONE = "UPDATE outlive.request SET done_at = now(), result = %s WHERE id = %s"
_VERIFICATION = """
INSERT INTO outlive.verification (service, store, mode, requested_by, member, started_at, finished_at, epoch,
                                  compared, different, missing, extra, planted_found, result)
VALUES (%s, %s, %s, %s, %s, to_timestamp(%s), now(),
        (SELECT epoch FROM outlive.phase WHERE service = %s AND store = %s), %s, %s, %s, %s, %s, %s)
RETURNING id
"""


def serve(watcher: Watcher) -> None:
    """Answer every request that waits for this member."""
    conn, me = watcher.conn, watcher.service.committer.member
    while conn is not None and me is not None:
        rows = conn.execute(_TAKE, (me.id, watcher.service.service, me.id)).fetchall()
        if not rows:
            return
        number, store, kind, args, asked_by = rows[0]
        try:
            result = _answer(watcher, conn, store, kind, args or {}, asked_by)
        except (OutliveError, psycopg.DataError) as error:
            result = {"error": str(error)}
        conn.execute(_DONE, (Jsonb(result), number))


def _answer(
    watcher: Watcher, conn: psycopg.Connection[Any], name: str, kind: str, args: dict[str, Any], asked_by: str
) -> dict[str, Any]:
    if name in watcher.service.counters:
        return _counter_answer(watcher, conn, name, kind, asked_by)
    store = watcher.service.stores.get(name)
    if store is None or store.table is None:
        return {"error": f"this member has no store {name}"}
    if kind == "verify":
        return _verify(watcher, conn, store, args.get("mode", "full"), asked_by)
    if kind in ("rehearse", "refill"):
        return _rehearse(watcher, conn, store)
    if kind == "flush":
        switching.settle(watcher.service)
        watcher.write_behind(at_once=True)
        return {"flushed": True}
    return {"error": f"unknown request {kind}"}


def _rehearse(watcher: Watcher, conn: psycopg.Connection[Any], store: Any) -> dict[str, Any]:
    """The way back, measured: every record read into memory, and compared with the image where there is one."""
    took = switching.refill(watcher.service, store, conn)
    watcher.refill_ms[store.name] = took
    matches = True
    if store.phase in ("dual_write", "dual_read"):
        matches = verify(store, conn, settle=lambda: switching.settle(watcher.service)).equal
    return {"refill_ms": took, "records": switching.count_rows(conn, store), "matches": matches}


def _verify(watcher: Watcher, conn: psycopg.Connection[Any], store: Any, mode: str, asked_by: str) -> dict[str, Any]:
    began = time.time()
    if store.phase in ("legacy", "database"):
        return {"error": f"in phase {store.phase} there is one side only; nothing to compare"}
    watcher.scrub()
    parity = verify(store, conn, settle=lambda: switching.settle(watcher.service))
    me = watcher.service.committer.member
    values = (
        watcher.service.service, store.name, "full", asked_by, me.id if me is not None else None, began,
        watcher.service.service, store.name, parity.compared, parity.different, parity.missing, parity.extra,
        parity.planted_found, Jsonb(parity.facts()),
    )  # fmt: skip
    (number,) = conn.execute(_VERIFICATION, values).fetchall()[0]
    return {"verification": number, "equal": parity.equal, "mode": mode}


def _counter_answer(
    watcher: Watcher, conn: psycopg.Connection[Any], name: str, kind: str, asked_by: str
) -> dict[str, Any]:
    """A counter has one value; it agrees when nobody has drawn above what is stored."""
    if kind != "verify":
        return {"refill_ms": 0.0, "records": 1, "matches": True}
    service, counter = watcher.service, watcher.service.counters[name]
    rows = conn.execute(
        "SELECT value FROM outlive.counter WHERE service = %s AND store = %s", (service.service, name)
    ).fetchall()
    behind = int(not rows or rows[0][0] < counter.last)
    me = service.committer.member
    values = (
        service.service, name, "full", asked_by, me.id if me is not None else None, time.time(), service.service, name,
        1, behind, 0, 0, True, Jsonb({"examples": []}),
    )  # fmt: skip
    (number,) = conn.execute(_VERIFICATION, values).fetchall()[0]
    return {"verification": number, "equal": not behind}
