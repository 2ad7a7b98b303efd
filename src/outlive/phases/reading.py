"""Steps that read the control tables: stores, members, and all figures of one store at one moment.

Each step is one transaction and sees one consistent picture; ages are computed by PostgreSQL's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from outlive.errors import UnknownStore
from outlive.phases.figures import Connections, Figures, Limits, Member, Parity, Rehearsal, Relation
from outlive.phases.machine import Phase, parse_phase
from outlive.postgres.drive import Ask, Row, Step

STORES = "SELECT service, store, phase FROM outlive.phase ORDER BY service, store"
PHASE = """
SELECT p.phase, p.epoch, greatest(coalesce(s.epoch, p.epoch), p.epoch), coalesce(p.changed_at, to_timestamp(0)),
       extract(epoch FROM now() - p.changed_at)::float8, p.changed_by, p.reason, p.pins_overridden, p.backfill,
       p.rehearsal
FROM outlive.phase AS p LEFT JOIN outlive.service AS s USING (service)
WHERE p.service = %s AND p.store = %s
"""
# A member that ended counts while its last report may tell of the time since the last phase change.
MEMBERS = """
SELECT id, host, pid, epoch, report, left_at IS NOT NULL, written_off_at IS NOT NULL,
       extract(epoch FROM now() - seen_at)::float8,
       (left_at IS NULL AND written_off_at IS NULL
        AND seen_at + coalesce(lease_s, 10) * 2 * interval '1 second' > now())
FROM outlive.member
WHERE service = %s AND ((left_at IS NULL AND written_off_at IS NULL) OR coalesce(left_at, written_off_at) >= %s)
ORDER BY id
"""
UNLANDED = "SELECT count(*) FROM outlive.unlanded WHERE service = %s AND store = %s AND settled_at IS NULL"
# A full verification counts before a quick one, whatever their ages.
PARITY = """
SELECT mode, coalesce(epoch, 0), coalesce(started_at, requested_at), extract(epoch FROM now() - finished_at)::float8,
       compared, coalesce(different, 0), coalesce(missing, 0), coalesce(extra, 0), coalesce(planted_found, false)
FROM outlive.verification
WHERE service = %s AND store = %s AND finished_at IS NOT NULL AND compared IS NOT NULL
ORDER BY (mode = 'full') DESC, finished_at DESC, id DESC LIMIT 1
"""
CONNECTIONS = """
SELECT coalesce(sum(coalesce((report->>'connections')::int, %s)), 0)::int,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true), '0')::int
FROM outlive.member
WHERE left_at IS NULL AND written_off_at IS NULL AND seen_at + coalesce(lease_s, 10) * 2 * interval '1 second' > now()
"""
RELATED = """
SELECT store, phase, coalesce((backfill->>'done')::bool, false) FROM outlive.phase
WHERE service = %s AND store = ANY(%s) ORDER BY store
"""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoreName:
    """A store's identity with the phase of its row."""

    service: str
    store: str
    phase: Phase

    def __str__(self) -> str:
        return f"{self.service}/{self.store}"


def read_stores() -> Step[list[StoreName]]:
    """Every store that has a row, by service and name."""
    rows = yield Ask(STORES)
    return [StoreName(service, store, parse_phase(phase)) for service, store, phase in rows]


def read_figures(
    service: str, store: str, *, limits: Limits | None = None, connections_per_member: int = 16
) -> Step[Figures]:
    """All figures of one store; `connections_per_member` stands in for members that do not report their own.

    Raises UnknownStore when the store has no row.
    """
    found = yield Ask(PHASE, (service, store))
    if not found:
        raise UnknownStore(name=f"{service}/{store}")
    phase, epoch, service_epoch, changed_at, changed_age_s, *rest = found[0]
    changed_by, reason, overridden, backfill, rehearsal = rest
    members = yield Ask(MEMBERS, (service, changed_at))
    unlanded = yield Ask(UNLANDED, (service, store))
    parity = yield Ask(PARITY, (service, store))
    relations = yield from _relations(service, store, [row[4] for row in members])
    needed, available = (yield Ask(CONNECTIONS, (connections_per_member,)))[0]
    return Figures(
        service=service,
        store=store,
        phase=parse_phase(phase),
        epoch=epoch,
        service_epoch=service_epoch,
        changed_at=changed_at,
        changed_age_s=max(changed_age_s or 0.0, 0.0),
        changed_by=changed_by or "",
        reason=reason or "",
        pins_overridden=bool(overridden),
        members=tuple(_member(row, store) for row in members),
        backfill=backfill,
        unlanded=unlanded[0][0],
        parity=_parity(parity[0]) if parity else None,
        rehearsal=_rehearsal(rehearsal),
        connections=Connections(needed=needed, available=available),
        limits=limits or Limits(),
        relations=relations,
    )


def _relations(service: str, store: str, reports: list[Any]) -> Step[tuple[Relation, ...]]:
    """The stores that this one refers to, and those that refer to it, as members report them."""
    parents: set[str] = set()
    children: set[str] = set()
    for report in reports:
        for name, own in _table(_table(report).get("stores")).items():
            named = _table(own).get("parents") or ()
            if name == store:
                parents.update(named)
            elif store in named:
                children.add(name)
    if not parents and not children:
        return ()
    rows = yield Ask(RELATED, (service, sorted(parents | children)))
    return tuple(
        Relation(store=name, parent=name in parents, phase=parse_phase(phase), copied=copied)
        for name, phase, copied in rows
    )


def _member(row: Row, store: str) -> Member:
    id_, host, pid, epoch, report, left, written_off, seen_age_s, live = row
    own = _table(_table(report.get("stores")).get(store))
    return Member(
        id=id_,
        host=host or "",
        pid=pid or 0,
        epoch=epoch,
        live=live,
        left=left,
        written_off=written_off,
        seen_age_s=max(seen_age_s or 0.0, 0.0),
        phase=own.get("phase"),
        pin=own.get("pin"),
        records=own.get("records"),
        image_bytes=own.get("image_bytes"),
        record_bytes=own.get("record_bytes"),
        journal_units=int(report.get("journal_units") or own.get("journal") or 0),
        unlanded=int(own.get("unlanded") or 0),
        open_units=tuple(report.get("open_units") or ()),
        pool_use=report.get("pool_use"),
        query_p95_ms=report.get("query_p95_ms"),
        request_p95_ms=report.get("request_p95_ms"),
        error_rate=own.get("error_rate"),
        connections=report.get("connections"),
        backfill=_table(own.get("backfill")),
        refill_ms=_table(report.get("refill_ms")).get(store),
        mapping_used_at=moment(own.get("mapping_used_at")),
        mapping_call_site=own.get("mapping_call_site"),
        unscoped=bool(own.get("unscoped")),
        scrub_age_s=report.get("scrub_age_s"),
        when_away=own.get("when_away"),
        journal_dies=report.get("journal_dies"),
    )


def _table(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _parity(row: Row) -> Parity:
    mode, epoch, started_at, age_s, compared, different, missing, extra, planted_found = row
    return Parity(
        mode=mode,
        epoch=epoch,
        started_at=started_at,
        age_s=max(age_s, 0.0),
        compared=compared,
        different=different,
        missing=missing,
        extra=extra,
        planted_found=planted_found,
    )


def _rehearsal(value: Any) -> Rehearsal | None:
    if not isinstance(value, Mapping) or value.get("refill_ms") is None:
        return None
    at = moment(value.get("at")) or _NEVER
    return Rehearsal(
        refill_ms=float(value["refill_ms"]), at=at, records=value.get("records"), matches=value.get("matches", True)
    )


def moment(value: Any) -> datetime | None:
    """An aware time from ISO text or seconds since 1970, None for None; a naive one is UTC. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    parsed = datetime.fromisoformat(str(value))
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
