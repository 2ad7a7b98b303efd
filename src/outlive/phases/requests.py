"""Steps by which an operator asks a running member for something, and reads what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from outlive.postgres.drive import Ask, Step

Kind = Literal["verify", "repair", "rehearse", "refill", "flush"]
REQUEST = """
INSERT INTO outlive.request (service, store, kind, asked_by, args, member) VALUES (%s, %s, %s, %s, %s, %s) RETURNING id
"""
ANSWER = """
SELECT r.member, r.taken_at IS NOT NULL, r.done_at IS NOT NULL, r.result,
       coalesce(m.left_at IS NULL AND m.written_off_at IS NULL
                AND m.seen_at + coalesce(m.lease_s, 10) * 2 * interval '1 second' > now(), false)
FROM outlive.request AS r LEFT JOIN outlive.member AS m ON m.id = r.member WHERE r.id = %s
"""
WITHDRAW = "DELETE FROM outlive.request WHERE id = %s AND taken_at IS NULL RETURNING id"
REHEARSED = """
UPDATE outlive.phase AS p SET rehearsal = %s || jsonb_build_object('at', r.done_at)
FROM outlive.request AS r WHERE r.id = %s AND p.service = r.service AND p.store = r.store
"""
VERIFICATION = """
SELECT id, service, store, mode, requested_at, requested_by, member, started_at, finished_at, epoch, compared,
       different, missing, extra, planted_found, result
FROM outlive.verification WHERE service = %s AND store = %s AND (%s::bigint IS NULL OR id = %s)
ORDER BY finished_at DESC NULLS LAST, id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """Where a request stands; `alive` says whether the member that took it still reports."""

    member: int | None
    taken: bool
    done: bool
    result: Any
    alive: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """One verification, finished or not; `result` holds examples of what differs."""

    id: int
    service: str
    store: str
    mode: str
    requested_at: datetime
    requested_by: str | None
    member: int | None
    started_at: datetime | None
    finished_at: datetime | None
    epoch: int | None
    compared: int | None
    different: int | None
    missing: int | None
    extra: int | None
    planted_found: bool | None
    result: Any

    @property
    def equal(self) -> bool:
        """Whether it finished, found its planted difference and nothing else."""
        counts = (self.different, self.missing, self.extra)
        return (
            self.finished_at is not None and self.compared is not None and bool(self.planted_found) and not any(counts)
        )

    def facts(self) -> dict[str, Any]:
        """The verification as plain values for `--json`."""
        return asdict(self) | {"equal": self.equal}


def ask(
    service: str,
    store: str,
    kind: Kind,
    actor: str,
    args: Mapping[str, Any] | None = None,
    member: int | None = None,
) -> Step[int]:
    """The number of a new request; `member` addresses it to one member, otherwise any live one takes it."""
    rows = yield Ask(REQUEST, (service, store, kind, actor, Jsonb(dict(args or {})), member))
    number: int = rows[0][0]
    return number


def read_answer(request: int) -> Step[Answer]:
    """Where a request stands; a request that is gone counts as taken by nobody."""
    rows = yield Ask(ANSWER, (request,))
    return Answer(*rows[0]) if rows else Answer(None, False, False, None, False)


def withdraw(request: int) -> Step[bool]:
    """Whether the request was still untaken and is deleted now."""
    return bool((yield Ask(WITHDRAW, (request,))))


def keep_rehearsal(request: int, result: Mapping[str, Any]) -> Step[None]:
    """The result of a rehearsal, kept in the store's row with the time at which it was done."""
    kept = {name: result[name] for name in ("refill_ms", "records", "matches") if name in result}
    yield Ask(REHEARSED, (Jsonb(kept), request))


def read_verification(service: str, store: str, number: int | None = None) -> Step[Verification | None]:
    """The verification of that number, or the one finished last; None if there is none."""
    rows = yield Ask(VERIFICATION, (service, store, number, number))
    return Verification(*rows[0]) if rows else None
