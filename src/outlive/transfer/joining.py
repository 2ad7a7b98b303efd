"""A bulk load as a member: its row in `outlive.member`, its place in `outlive.request`, and when it must not write.

The request is taken by the load itself. Its `args` say what is loaded, its `result` how far that is, written in the
transaction of each chunk, so that a load that was killed goes on exactly behind what landed.
"""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from outlive.commit.group import Fenced, begin
from outlive.errors import PhaseRefused
from outlive.phases.ledger import log_event
from outlive.postgres.drive import drive
from outlive.records.versions import EPOCH_MS

LEASE_S = 30.0
_TICK_BITS = 22
_EPOCH = """
INSERT INTO outlive.service (service) VALUES (%s)
ON CONFLICT (service) DO UPDATE SET service = excluded.service RETURNING epoch
"""
_JOIN = """
INSERT INTO outlive.member (service, host, pid, boot, started_at, seen_at, lease_s, epoch, report)
VALUES (%s, %s, %s, %s, now(), now(), %s, %s, %s) RETURNING id
"""
_LEAVE = "UPDATE outlive.member SET left_at = now() WHERE id = %s AND left_at IS NULL"
_FENCE = "UPDATE outlive.member SET left_at = now(), fenced = true WHERE id = %s AND left_at IS NULL"
_ROW = """
INSERT INTO outlive.phase (service, store, phase, epoch, changed_at, changed_by, reason, seeded_at, backfill)
VALUES (%s, %s, %s, 1, now(), 'load', 'first loaded', now(), '{"done": true}') ON CONFLICT (service, store) DO NOTHING
"""
_STATE = """
SELECT p.phase, s.epoch FROM outlive.phase AS p JOIN outlive.service AS s USING (service)
WHERE p.service = %s AND p.store = %s
"""
_HOLDERS = """
SELECT id, host, pid FROM outlive.member
WHERE service = %s AND id <> %s AND left_at IS NULL AND written_off_at IS NULL AND report->>'load' IS NULL
      AND seen_at + coalesce(lease_s, 10) * 2 * interval '1 second' > now() ORDER BY id
"""
_ACKNOWLEDGE = "UPDATE outlive.member SET epoch = %s WHERE id = %s"
_OPEN = """
SELECT id, args, result, member FROM outlive.request
WHERE service = %s AND store = %s AND kind = 'load' AND done_at IS NULL ORDER BY id DESC LIMIT 1 FOR UPDATE
"""
_LATEST = """
SELECT args FROM outlive.request WHERE service = %s AND store = %s AND kind = 'load' ORDER BY id DESC LIMIT 1
"""
_TAKE = """
INSERT INTO outlive.request (service, store, kind, asked_by, args, member, taken_at, result)
VALUES (%s, %s, 'load', %s, %s, %s, now(), %s) RETURNING id
"""
_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_SHARED = "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))"
_GO_ON = "UPDATE outlive.request SET member = %s WHERE id = %s"
_POSITION = "UPDATE outlive.request SET result = %s WHERE id = %s"
_DONE = "UPDATE outlive.request SET result = %s, done_at = now() WHERE id = %s"
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"


@dataclass(slots=True)
class Counts:
    """How far a load is: where its file is read on, and what became of the records before."""

    offset: int = 0
    ordinal: int = 0
    line: int = 0
    landed: int = 0
    equal: int = 0
    newer: int = 0
    deleted: int = 0
    rejected: int = 0
    rejects_bytes: int = 0
    checksum: str = ""  # SHA-256 of the file's bytes up to `offset`

    @property
    def records(self) -> int:
        """Records read."""
        return self.ordinal


@dataclass(slots=True)
class Joined:
    """A load that has joined: its numbers, what it set out with, and how far it is."""

    conn: psycopg.Connection[Any]
    service: str
    store: str
    number: int
    member: int
    epoch: int
    args: dict[str, Any]
    counts: Counts = field(default_factory=Counts)
    resumed: bool = False
    forced: bool = False
    applied: int = 0

    @property
    def version(self) -> int:
        """The one version of all records of this load."""
        return int(self.args["version"])

    def step(self, *, alone: bool) -> None:
        """What every chunk's transaction begins with; `alone`: no other may write to the store meanwhile.

        Raises PhaseRefused when the load must not write any more.
        """
        try:
            drive(begin(self.member, self.epoch, self.applied + 1), self.conn)
        except Fenced:
            reason = "another load of this store took over, or an operator fenced this one"
            raise PhaseRefused(store=f"{self.service}/{self.store}", reason=reason) from None
        self.applied += 1
        phase, epoch = self.conn.execute(_STATE, (self.service, self.store)).fetchall()[0]
        if not self.forced:
            refuse_unseen(self.conn, self.service, self.store, phase, self.member)
        if epoch != self.epoch:
            self.conn.execute(_ACKNOWLEDGE, (epoch, self.member))
            self.epoch = epoch
        self.conn.execute(_ALONE if alone else _SHARED, (f"outlive:{self.service}/{self.store}",))

    def stand(self) -> None:
        """Write down how far the load is, in the chunk's transaction."""
        self.conn.execute(_POSITION, (Jsonb(asdict(self.counts)), self.number))

    def finish(self, actor: str, detail: dict[str, Any]) -> None:
        """The load is complete; the event log says so."""
        with self.conn.transaction():
            self.conn.execute(_DONE, (Jsonb({**asdict(self.counts), **detail}), self.number))
            drive(log_event(self.service, self.store, "load", actor, {**detail, **asdict(self.counts)}), self.conn)

    def leave(self) -> None:
        """The member row says that this load has ended in order."""
        if not self.conn.closed:
            self.conn.execute(_LEAVE, (self.member,))


def refuse_unseen(conn: psycopg.Connection[Any], service: str, store: str, phase: str, me: int = 0) -> None:
    """Raises PhaseRefused when a live member holds the store in memory, where it would not see what is loaded."""
    if phase == "database":
        return
    holders = conn.execute(_HOLDERS, (service, me)).fetchall()
    if holders:
        names = ", ".join(f"member {number} ({host}:{pid})" for number, host, pid in holders)
        reason = (
            f"in phase {phase} {names} holds its records in memory and would not see what is loaded; "
            "stop it first, or use --force --reason TEXT"
        )
        raise PhaseRefused(store=f"{service}/{store}", reason=reason)


def join(
    conn: psycopg.Connection[Any], service: str, store: str, actor: str, wanted: dict[str, Any], *,
    phase: str, restart: bool, force: bool,
) -> Joined:  # fmt: skip
    """This process as the member that loads `store`: a new load, or the one that was cut short.

    `wanted` says what is loaded; an unfinished load of the same goes on. Raises PhaseRefused when the load would not
    be seen, or an unfinished one is of something else.
    """
    with conn.transaction():
        conn.execute(_ROW, (service, store, phase))
        (epoch,) = conn.execute(_EPOCH, (service,)).fetchall()[0]
        held = conn.execute(_STATE, (service, store)).fetchall()[0][0]
        if not force:
            refuse_unseen(conn, service, store, held)
        report = Jsonb({"load": store, "stores": {}, "journal_units": 0})
        values = (service, socket.gethostname(), os.getpid(), f"load-{os.getpid()}", LEASE_S, epoch, report)
        (member,) = conn.execute(_JOIN, values).fetchall()[0]
        found = conn.execute(_OPEN, (service, store)).fetchone()
        if found is not None:
            conn.execute(_FENCE, (found[3],))
        if found is not None and not restart:
            number, args, result, _ = found
            _refuse_other(service, store, args, wanted)
            conn.execute(_GO_ON, (member, number))
            return Joined(conn, service, store, number, member, epoch, args, Counts(**result), True, force)
        if found is not None:
            conn.execute(_DONE, (Jsonb({**found[2], "abandoned": True}), found[0]))
        (now_ms,) = conn.execute(_NOW).fetchall()[0]
        args = {**wanted, "version": (now_ms - EPOCH_MS) << _TICK_BITS | member & 1023}
        values_ = (service, store, actor, Jsonb(args), member, Jsonb(asdict(Counts())))
        (number,) = conn.execute(_TAKE, values_).fetchall()[0]
        return Joined(conn, service, store, number, member, epoch, args, Counts(), False, force)


def _refuse_other(service: str, store: str, args: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name in ("source", "size", "head", "kinds", "key"):
        if args.get(name) != wanted.get(name):
            was = args.get("source")
            reason = f"an unfinished load of {was} differs in its {name}; finish that one, or use --restart"
            raise PhaseRefused(store=f"{service}/{store}", reason=reason)


def unfinished(conn: psycopg.Connection[Any], service: str, store: str) -> dict[str, Any] | None:
    """What the unfinished load of a store set out with; None if there is none."""
    row = conn.execute(_OPEN.replace(" FOR UPDATE", ""), (service, store)).fetchone()
    return None if row is None else row[1]


def remembered(conn: psycopg.Connection[Any], service: str, store: str) -> dict[str, Any] | None:
    """What the latest load of a store set out with: its layout and, where they were deduced, its columns."""
    row = conn.execute(_LATEST, (service, store)).fetchone()
    return None if row is None else row[0]
