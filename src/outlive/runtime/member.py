"""This process's row in `outlive.member`: joining, heartbeat and report, acknowledging an epoch, leaving."""

from __future__ import annotations

import datetime
import os
import secrets
import socket
import statistics
import time
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from outlive.commit.committer import Member
from outlive.phases import flags
from outlive.postgres.drive import Ask, Step

if TYPE_CHECKING:
    from outlive.runtime.service import Service

LEASE_S = 5.0

_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_EPOCH = """
INSERT INTO outlive.service (service) VALUES (%s)
ON CONFLICT (service) DO UPDATE SET service = excluded.service RETURNING epoch
"""
_JOIN = """
INSERT INTO outlive.member (service, host, pid, boot, started_at, seen_at, lease_s, epoch)
VALUES (%s, %s, %s, %s, now(), now(), %s, %s) RETURNING id
"""
_FORMER = "UPDATE outlive.member SET left_at = now(), fenced = true WHERE boot = %s AND left_at IS NULL"
_KNOWN = "SELECT applied, epoch, fenced FROM outlive.member WHERE id = %s FOR UPDATE"
_SEEN = "UPDATE outlive.member SET seen_at = now(), report = %s WHERE id = %s"
_ACKNOWLEDGE = "UPDATE outlive.member SET epoch = %s, seen_at = now() WHERE id = %s AND NOT fenced RETURNING id"
_LEAVE = "UPDATE outlive.member SET left_at = now(), report = %s WHERE id = %s"
_DEAD = """
SELECT id, pid, boot FROM outlive.member
WHERE service = %s AND host = %s AND left_at IS NULL AND written_off_at IS NULL AND id <> %s
"""
_BURY = "UPDATE outlive.member SET left_at = now(), fenced = true WHERE id = ANY(%s) AND left_at IS NULL"


def boot_token() -> str:
    """A name for this process start, unused by any other."""
    return f"{os.getpid()}-{secrets.token_hex(6)}"


def join(service: Service) -> Step[None]:
    """Find this process's row again after a connection was lost, or take a new number."""
    (now_ms,) = (yield Ask(_NOW))[0]
    service.clock.set_offset_ms(0)
    service.clock.set_offset_ms(now_ms - service.clock.wall_ms())
    known = service.committer.member
    if known is not None:
        rows = yield Ask(_KNOWN, (known.id,))
        if rows and not rows[0][2]:
            known.applied, known.epoch = rows[0][0], rows[0][1]
            return
    yield Ask(_FORMER, (service.started,))  # waits for a commit of this process that is still on its way
    (epoch,) = (yield Ask(_EPOCH, (service.service,)))[0]
    values = (service.service, socket.gethostname(), os.getpid(), service.started, LEASE_S, epoch)
    (number,) = (yield Ask(_JOIN, values))[0]
    service.committer.member = Member(number, epoch)
    service.clock.rename(number)


def acknowledge(service: Service, epoch: int) -> Step[None]:
    """Tell that this process stands where `epoch` wants it; runs between two groups, on the committer's connection."""
    member = service.committer.member
    if member is not None:
        rows = yield Ask(_ACKNOWLEDGE, (epoch, member.id))
        if rows:
            member.epoch = epoch


def seen(service: Service) -> Step[None]:
    """Heartbeat and report."""
    member = service.committer.member
    if member is not None:
        yield Ask(_SEEN, (Jsonb(report(service)), member.id))


def leave(service: Service) -> Step[None]:
    """The row says that this process ended in order."""
    member = service.committer.member
    if member is not None:
        yield Ask(_LEAVE, (Jsonb(report(service)), member.id))


def bury(service: Service) -> Step[None]:
    """Rows of processes of this machine that are dead, and whose journals have been drained, count as left."""
    me = service.committer.member
    rows = yield Ask(_DEAD, (service.service, socket.gethostname(), me.id if me is not None else 0))
    claimed = {orphan.token for orphan in service.resources.orphans if orphan.pending()}
    dead = [number for number, pid, boot in rows if boot not in claimed and not _alive(pid, boot, service)]
    if dead:
        yield Ask(_BURY, (dead,))


def _alive(pid: int, boot: str, service: Service) -> bool:
    if pid == os.getpid():
        return boot in {other.started for other in _peers()}
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _peers() -> list[Service]:
    from outlive.runtime.service import _services

    return [service for service in _services if service.state != "closed"]


def report(service: Service) -> dict[str, Any]:
    """What this process tells about itself, as outlive.member.report holds it."""
    database = service.database
    return {
        "stores": {name: _store(service, store) for name, store in list(service.stores.items())},
        "journal_units": service.resources.journal_units(),
        "pool_use": database.pool_use() if database is not None else None,
        "connections": (database.settings.connections + 2) if database is not None else 0,
        "query_p95_ms": p95(service.query_ms),
        "request_p95_ms": p95(service.request_ms),
        "open_units": [unit.label for unit in service.units.unsettled() if _old(unit, service)],
        "commit_p95_ms": p95([s * 1000 for s in list(service.committer.figures.commit_s)]),
        "figures": _figures(service),
        "refill_ms": dict(service.watcher.refill_ms) if service.watcher is not None else {},
        "scrub_age_s": service.watcher.scrub_age_s() if service.watcher is not None else None,
        "degraded": service.degraded,
        "journal_dies": service.journal_dies or None,
    }


def _old(unit: Any, service: Service) -> bool:
    return bool(time.monotonic() - unit.opened_at > service.settings.open_unit_s)


def _figures(service: Service) -> dict[str, int]:
    figures = service.committer.figures
    names = ("groups", "units", "journalled", "drained", "refused", "bisections", "unknown_outcomes", "reconnects")
    return {name: getattr(figures, name) for name in names}


def _store(service: Service, store: Any) -> dict[str, Any]:
    pinned = flags.pin(service.environment, store.name)
    used = None if store.used_at is None else datetime.datetime.fromtimestamp(store.used_at, datetime.UTC).isoformat()
    return {
        "phase": store.phase,
        "pin": pinned[0] if pinned is not None else None,
        "kind": store.kind,
        "when_away": store.when_away,
        "records": store.image_size(),
        "image_bytes": store.gauge.image_bytes(store),
        "record_bytes": store.gauge.record_bytes(store),
        "journal": service.resources.journal_units(),
        "unlanded": store.stats["unlanded"],
        "mapping_used_at": used,
        "mapping_call_site": store.used_by,
        "error_rate": service.failures / service.requests if service.requests else 0.0,
        "backfill": service.watcher.backfills.get(store.name, {}) if service.watcher is not None else {},
        "stats": dict(store.stats),
        "parents": sorted(store.table.parents) if store.table is not None else [],
        "unscoped": store.tenant is not None and not store.retired,
    }


def p95(values: Any) -> float | None:
    """The 95th percentile, None without values."""
    held: list[float] = list(values)
    if len(held) < 2:
        return held[0] if held else None
    return round(statistics.quantiles(held, n=20)[-1], 3)
