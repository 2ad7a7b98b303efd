"""What an operator asks a running member for: verify, repair, rehearse the way back, refill, flush."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from outlive.errors import OutliveError
from outlive.postgres.drive import drive
from outlive.runtime import member, switching
from outlive.transfer import refill, repair
from outlive.transfer.quick import quick
from outlive.transfer.verify import Parity, verify

if TYPE_CHECKING:
    from outlive.runtime.watch import Watcher

log = logging.getLogger("outlive")
_TAKE = """
UPDATE outlive.request SET member = %s, taken_at = now()
WHERE id = (SELECT id FROM outlive.request
            WHERE service = %s AND taken_at IS NULL AND (member IS NULL OR member = %s)
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, store, kind, args, asked_by
"""
_EVENT = "INSERT INTO outlive.event (service, store, kind, actor, detail) VALUES (%s, %s, %s, %s, %s)"
EVENT_KEYS, SHOWN_FIXES = 100, 100
BEAT_S = 1.0
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
            with _heard(watcher):
                result = _answer(watcher, conn, store, kind, args or {}, asked_by)
        except (OutliveError, psycopg.DataError) as error:
            result = {"error": str(error)}
        conn.execute(_DONE, (Jsonb(result), number))


@contextmanager
def _heard(watcher: Watcher) -> Iterator[None]:
    """Heartbeats while the watcher is busy with a request: one that takes long must not look like a member's end."""
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(watcher, done), name="outlive-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _beat(watcher: Watcher, done: threading.Event) -> None:
    database = watcher.service.database
    while database is not None and not done.wait(BEAT_S):
        try:
            with database.connect() as conn:
                while not done.is_set():
                    drive(member.seen(watcher.service), conn)
                    done.wait(BEAT_S)
        except (psycopg.Error, OutliveError, OSError) as error:
            log.debug("outlive: heartbeat: %s", error)


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
    if kind == "repair":
        return _repair(watcher, conn, store, args, asked_by)
    if kind in ("rehearse", "refill"):
        return _rehearse(watcher, conn, store)
    if kind == "flush":
        switching.settle(watcher.service)
        watcher.write_behind(at_once=True)
        return {"flushed": True}
    return {"error": f"unknown request {kind}"}


def _rehearse(watcher: Watcher, conn: psycopg.Connection[Any], store: Any) -> dict[str, Any]:
    """The way back, measured: every record read into memory, and compared with the image where there is one."""
    took = refill.measured(store, conn)
    watcher.refill_ms[store.name] = took
    matches = True
    if store.phase in ("dual_write", "dual_read"):
        matches = verify(store, conn, settle=lambda: switching.settle(watcher.service)).equal
    return {"refill_ms": took, "records": switching.count_rows(conn, store), "matches": matches}


def _verify(watcher: Watcher, conn: psycopg.Connection[Any], store: Any, mode: str, asked_by: str) -> dict[str, Any]:
    began = time.time()
    if store.phase in ("legacy", "database"):
        return {"error": f"in phase {store.phase} there is one side only; nothing to compare"}
    parity = _compared(watcher, conn, store, mode)
    return {"verification": _record(watcher, conn, store, parity, asked_by, began), "equal": parity.equal, "mode": mode}


def _compared(watcher: Watcher, conn: psycopg.Connection[Any], store: Any, mode: str = "full") -> Parity:
    if mode == "quick":
        return quick(store, conn, settle=lambda: switching.settle(watcher.service))
    watcher.scrub()
    return verify(store, conn, settle=lambda: switching.settle(watcher.service))


def _record(
    watcher: Watcher, conn: psycopg.Connection[Any], store: Any, parity: Parity, asked_by: str, began: float
) -> int:
    """The number of the verification as it is kept."""
    me = watcher.service.committer.member
    values = (
        watcher.service.service, store.name, parity.mode, asked_by, me.id if me is not None else None, began,
        watcher.service.service, store.name, parity.compared, parity.different, parity.missing, parity.extra,
        parity.planted_found, Jsonb(parity.facts()),
    )  # fmt: skip
    (number,) = conn.execute(_VERIFICATION, values).fetchall()[0]
    return int(number)


def _repair(
    watcher: Watcher, conn: psycopg.Connection[Any], store: Any, args: dict[str, Any], asked_by: str
) -> dict[str, Any]:
    """What a repair would do, or has done; every record that it touches is in the event log with what it was."""
    direction = repair.direction_of(store.phase)
    if direction is None:
        return {"error": f"in phase {store.phase} there is one side only; there is nothing to repair it from"}
    service = watcher.service
    fixes = repair.plan(store, conn, _compared(watcher, conn, store))
    if args.get("apply"):
        about = {"direction": direction, "reason": args.get("reason", "")}
        _log_fixes(watcher, conn, store, "repair", asked_by, about, fixes)
        if direction == "to_table":
            unit, before = service.at_home(lambda: repair.write(store, fixes))
            repair.settle(store, fixes, unit, before)
        else:
            repair.take(store, fixes, lambda key: watcher._read_again(store, key))
        _log_fixes(watcher, conn, store, "repaired", asked_by, about, [fix for fix in fixes if fix.done])
    began = time.time()
    after = _compared(watcher, conn, store)
    number = _record(watcher, conn, store, after, asked_by, began)
    return {
        "direction": direction,
        "applied": bool(args.get("apply")),
        "records": len(fixes),
        "done": sum(fix.done for fix in fixes),
        "left": sum(fix.action == "leave" for fix in fixes),
        "fixes": [fix.facts() for fix in fixes[:SHOWN_FIXES]],
        "verification": number,
        "equal": after.equal,
    }


def _log_fixes(
    watcher: Watcher,
    conn: psycopg.Connection[Any],
    store: Any,
    kind: str,
    actor: str,
    about: dict[str, Any],
    fixes: Any,
) -> None:
    """Each record of a repair in the event log: before anything is written, and again with the version it has then."""
    for start in range(0, len(fixes), EVENT_KEYS):
        detail = Jsonb({**about, "keys": [fix.facts() for fix in fixes[start : start + EVENT_KEYS]]})
        conn.execute(_EVENT, (watcher.service.service, store.name, kind, actor, detail))


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
