"""`outlive.counter`: numbers that are drawn once.

`next_id()` draws from a block that this process has leased: unique over all members, with gaps after a restart.
`take()` is gapless: the number is written in the transaction of the unit that took it, under a lock held until that
unit has settled; a unit that is refused gives its number back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Literal

import psycopg

from outlive.errors import Unavailable
from outlive.postgres.drive import Ask, Step, drive
from outlive.stores.store import Host, Phase

BLOCK = 100

_READ = "SELECT value FROM outlive.counter WHERE service = %s AND store = %s"
_LEASE = """
INSERT INTO outlive.counter (service, store, value, updated_at) VALUES (%s, %s, %s, now())
ON CONFLICT (service, store) DO UPDATE
SET value = greatest(outlive.counter.value, excluded.value - %s) + %s, updated_at = now()
RETURNING value
"""
_LOCK = "SELECT pg_advisory_lock(hashtextextended(%s, 1))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended(%s, 1))"


class Counter:
    """`next_id()` or `next(next_id)` gives the next number; `next_id.take()` one without gaps."""

    kind = "counter"

    def __init__(
        self, host: Host, name: str, start: int = 1, *, when_away: Literal["journal", "refuse"] | None = None,
        default_phase: Phase = "legacy",
    ) -> None:  # fmt: skip
        self.host = host
        self.name = name
        self.start = start
        self.phase: Phase = default_phase
        self.default_phase: Phase = default_phase
        self.last = start - 1
        self._declared_away = when_away
        self._leased_upto = start - 1
        self._lock = threading.Lock()

    @property
    def when_away(self) -> Literal["journal", "refuse"]:
        wish = self._declared_away or ("journal" if self.phase in ("legacy", "dual_write") else "refuse")
        return "refuse" if self.host.journal_dies else wish

    @property
    def strict(self) -> bool:
        return self.phase in ("dual_read", "database")

    def __call__(self) -> int:
        """The next number. Raises Unavailable when no leased number is left and PostgreSQL is away."""
        with self._lock:
            if self.phase != "legacy" and self.last >= self._leased_upto:
                self._lease()
            self.last += 1
            return self.last

    def __next__(self) -> int:
        return self()

    def __iter__(self) -> Iterator[int]:
        return self

    def _lease(self) -> None:
        with self.host.session() as conn:
            upto = drive(self.lease(), conn)
        self.last = max(self.last, upto - BLOCK)
        self._leased_upto = upto

    def lease(self) -> Step[int]:
        """The end of a new block; its numbers are above every one drawn so far, here or elsewhere."""
        rows = yield Ask(_LEASE, (self.host.service, self.name, self.last + BLOCK, BLOCK, BLOCK))
        return int(rows[0][0])

    def carry_over(self) -> Step[None]:
        """What memory has drawn is written down, so that nobody draws it again."""
        with self._lock:
            yield Ask(_LEASE, (self.host.service, self.name, self.last, 0, 0))
            self._leased_upto = self.last

    def stored(self) -> Step[int]:
        """The highest number that was leased or taken anywhere."""
        rows = yield Ask(_READ, (self.host.service, self.name))
        return int(rows[0][0]) if rows else self.start - 1

    def image_size(self) -> int:
        """A counter is one record."""
        return 1

    def raise_to(self, value: int) -> None:
        """Draw above `value` from now on."""
        with self._lock:
            self.last = max(self.last, value)

    def take(self) -> int:
        """The next number without a gap, part of the current unit; call it from a thread or a sync endpoint.

        Raises Unavailable while PostgreSQL is away (the number must not be guessed); a unit that took one is never
        journalled, and is refused with Conflict if its lock was lost and another has the number.
        """
        if self.phase == "legacy":
            return self()
        with self.host.units.joining() as unit:
            root = unit.root()
            if self in root.draws:
                taken = root.draws[self]
                root.draws[self] = range(taken.start, taken.stop + 1)
                return taken.stop
        name = f"outlive:take:{self.host.service}/{self.name}"
        context: AbstractContextManager[Any] = self.host.session()
        conn = context.__enter__()
        try:
            conn.execute(_LOCK, (name,))
            rows = conn.execute(_READ, (self.host.service, self.name)).fetchall()
        except BaseException as error:
            context.__exit__(type(error), error, None)
            raise Unavailable(store=self.name, reason=str(error)) from error
        value = max(int(rows[0][0]) if rows else self.start - 1, self.start - 1) + 1
        root.draws[self] = range(value, value + 1)

        def release(_: Any) -> None:
            try:
                conn.execute(_UNLOCK, (name,))
            except psycopg.Error:
                pass  # the connection is gone, and the lock with it
            finally:
                context.__exit__(None, None, None)

        root.ticket.add_done_callback(release)
        self.raise_to(value)
        return value
