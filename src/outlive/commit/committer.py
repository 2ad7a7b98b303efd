"""The one writer of a process, as logic that does no I/O (design.md, section 5).

`Committer.run` is a generator: it yields actions (`Transact`, `Append`, `WriteFiles`, `Connect`, `Idle`, `ReadFrames`,
`MarkDrained`) and a driver performs them (drivers.py: a thread, or a task on the application's loop). Here it is
decided which units form a group, in which order, what is split when PostgreSQL refuses, when the journal takes over,
and who is told what.

States of the way to PostgreSQL: `connected` or not; `backlog` (units in the journal that have not drained). While there
is a backlog later units queue behind it, in the journal; units that may not be journalled are refused.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg

from outlive.commit import failpoints
from outlive.commit import group as groups
from outlive.commit.actions import Action, Append, Connect, Idle, MarkDrained, ReadFrames, Transact, Turn, WriteFiles
from outlive.commit.clusters import closed, clusters
from outlive.commit.group import Fenced, Outcome
from outlive.commit.related import broken
from outlive.commit.unit import Unit
from outlive.commit.verdicts import CONTENDED, is_busy, is_refusal, is_refusal_or_foreign
from outlive.commit.writes import UnitsRefused, Write, fold, landing, writes_of
from outlive.errors import Conflict, JournalFull, OutliveError, Unavailable, Unholdable
from outlive.postgres.drive import Ask, Step

log = logging.getLogger("outlive")


class CommitHost(Protocol):
    """What the committer needs of its service."""

    def finish(self, units: list[Unit], error: BaseException | None) -> None: ...

    def landed(self, units: list[Unit], outcome: Outcome) -> None: ...

    def reread(self, units: list[Unit], *, doubtful: bool = False) -> None: ...

    def joined(self) -> Step[None]: ...

    def journal_units(self) -> int: ...

    def find_store(self, name: str) -> Any: ...

    def key_of(self, text: str) -> Any: ...

    def connection_changed(self, connected: bool) -> None: ...


@dataclass(slots=True)
class Member:
    """This process's row in outlive.member, as its writes need it."""

    id: int
    epoch: int
    applied: int = 0


@dataclass(slots=True)
class Figures:
    """Counts since the start, for status and metrics."""

    groups: int = 0
    units: int = 0
    journalled: int = 0
    drained: int = 0
    refused: int = 0
    bisections: int = 0
    unknown_outcomes: int = 0
    reconnects: int = 0
    commit_s: deque[float] = field(default_factory=lambda: deque(maxlen=1000))


AWAY = "PostgreSQL is away"
DOUBT = "; it went while these changes were committed, so their outcome is unknown until it is back"
MAX_GROUP = 512
RETRY_S = (0.05, 0.1, 0.25, 0.5, 1.0)
MAX_TRIES = 5


class Committer:
    """Takes ended units, makes them durable in order, settles them. One a process; nothing else writes."""

    def __init__(self, host: CommitHost, *, wake: Callable[[], None] = lambda: None) -> None:
        self.host = host
        self.wake = wake
        self.member: Member | None = None
        self.connected = False
        self.wanted = False  # whether this process has stores that live in PostgreSQL
        self.closing = False
        self.paused = False
        self._in_flight: list[Unit] = []
        self.idle = threading.Event()
        self.figures = Figures()
        self.queue: deque[Unit] = deque()
        self._held: list[Unit] = []
        self._asides: deque[tuple[Step[Any], Future[Any]]] = deque()
        self._lock = threading.Lock()
        self._retry_at = 0.0
        self._failures = 0
        self._doubtful: list[Unit] = []  # refused, though their commit may have landed
        self._stubborn_drains = 0
        self._durable_s = 0.0  # how long the last group took to become durable
        self._unit_s = 0.0  # how long those run who are told of a unit, until they write again, on average
        self.away_since: float | None = None

    # -- in and out --------------------------------------------------------------------------------------------

    def submit(self, unit: Unit) -> None:
        """Queue an ended unit."""
        with self._lock:
            if self.idle.is_set():
                self.idle.clear()
            self.queue.append(unit)
        self.wake()

    def aside(self, step: Step[Any]) -> Future[Any]:
        """Run a step between two groups, on the committer's connection; its result or error in the future."""
        done: Future[Any] = Future()
        with self._lock:
            self._asides.append((step, done))
        self.wake()
        return done

    def withdraw(self, unit: Unit, error: OutliveError) -> bool:
        """Refuse a queued unit that waits for others; False if it is on its way already."""
        with self._lock:
            if unit not in self._held and unit not in self.queue:
                return False
            self._held = [each for each in self._held if each is not unit]
            self.queue = deque(each for each in self.queue if each is not unit)
        self._refuse([unit], error, [unit])
        return True

    def pending(self) -> list[Unit]:
        """Ended units whose outcome is open."""
        with self._lock:
            return [unit for unit in (*self._in_flight, *self._held, *self.queue) if not unit.settled]

    @property
    def busy(self) -> bool:
        """Whether units are on their way right now."""
        return bool(self._in_flight)

    def failed(self, error: BaseException) -> None:
        """The logic itself failed: units on their way are refused (they may have landed), the rest goes on."""
        log.error("outlive: the committer failed and goes on", exc_info=error)
        units, self._in_flight = self._in_flight, []
        self.connected = False
        reason = f"the committer failed: {error}; the outcome is unknown"
        open_units = [unit for unit in units if not unit.settled]
        self._refuse(open_units, Unavailable(store=_names(units), reason=reason), open_units)
        self._doubtful += units

    def close(self) -> None:
        """Finish what is queued, then stop."""
        self.closing = True
        self.wake()

    def _take(self) -> list[Unit]:
        """Units that may go now, oldest first: all that they depend on has been settled or goes with them."""
        with self._lock:
            waiting = [*self._held, *self.queue]
            self.queue.clear()
            if len(waiting) <= MAX_GROUP and not any(unit.depends for unit in waiting):
                self._held, self._in_flight = [], waiting
                return waiting
            ready = set(waiting)
            while True:
                stuck = {u for u in ready if any(not d.settled and d not in ready for d in u.depends)}
                if not stuck or self.closing:
                    break
                ready -= stuck
            chosen = [unit for unit in waiting if unit in ready]
            if len(chosen) > MAX_GROUP:
                chosen = closed(chosen[:MAX_GROUP], chosen)
            taken = set(chosen)
            self._held = [unit for unit in waiting if unit not in taken]
            self._in_flight = chosen
            return chosen

    def run(self) -> Generator[Action, Any, None]:
        """The committer's life; see the module."""
        while True:
            if self._asides:
                yield from self._run_asides()
            units = [] if self.paused else self._take()
            if units:
                yield from self._handle(units)
                self._in_flight = []
            elif self.closing and not self.queue and not self._held:
                return
            elif self.wanted and not self.connected and self._due():
                yield from self._reconnect()
            elif self.connected and self.host.journal_units() and not self.paused:
                yield from self._drain()
            else:
                with self._lock:
                    if not self.queue and not self._held:
                        self.idle.set()
                yield Idle(self._pause_s())

    def _run_asides(self) -> Generator[Action, Any, None]:
        while self._asides:
            step, done = self._asides.popleft()
            if not done.set_running_or_notify_cancel():
                continue
            try:
                if not self.connected:
                    raise psycopg.OperationalError("not connected")
                done.set_result((yield Transact(step)))
            except Exception as error:  # noqa: BLE001  whatever it is, whoever waits for it is told
                if isinstance(error, (psycopg.Error, OSError)) and not is_refusal_or_foreign(error):
                    self._lost(error)
                done.set_exception(error)

    def _due(self) -> bool:
        return time.monotonic() >= self._retry_at

    def _pause_s(self) -> float:
        if self.wanted and not self.connected:
            return max(0.01, min(1.0, self._retry_at - time.monotonic()))
        return 0.05 if self._held else 1.0

    # -- one batch of units ------------------------------------------------------------------------------------

    def _handle(self, units: list[Unit]) -> Generator[Action, Any, None]:
        units = self._without_orphans(units)
        files = sorted({store for unit in units for store in unit.files}, key=lambda store: store.name)
        if files:
            try:
                yield WriteFiles(files)
            except (OSError, OutliveError) as error:
                units = self._refuse([u for u in units if u.files], _file_error(error), units)
        durable: list[Unit] = []
        done: list[Unit] = []
        for unit in units:
            (durable if _waits(unit) else done).append(unit)
        self.host.finish(done, None)
        if durable:
            yield from self._make_durable(durable)

    def _make_durable(self, units: list[Unit]) -> Generator[Action, Any, None]:
        if not self.connected and self._due():
            yield from self._reconnect()
        yield from self._on(units)

    def _on(self, units: list[Unit], tries: int = 0) -> Generator[Action, Any, None]:
        """To PostgreSQL where the way is free, else to the journal."""
        if self.connected and not self.host.journal_units():
            yield from self._land(units, tries)
        elif self.connected:
            yield from self._behind_backlog(units)
        else:
            yield from self._journal(units)

    def _behind_backlog(self, units: list[Unit]) -> Generator[Action, Any, None]:
        """Units that may be journalled go to the journal's end; for those that may not, the backlog drains first."""
        if all(_journals(unit) for unit in units):
            yield from self._journal(units)
            return
        while self.connected and self.host.journal_units():
            yield from self._drain()
        if self.connected:
            yield from self._land(units)
        else:
            yield from self._journal(units)

    def _without_orphans(self, units: list[Unit]) -> list[Unit]:
        """Drops, refused, the units that hold changes of a unit that was refused or undone."""
        bad = [unit for unit in units if unit.doomed is not None or (unit.depends and any(map(_failed, unit.depends)))]
        if not bad:
            return units
        refusal = bad[0].doomed or Conflict(store="?", reason="it holds changes of a write that was refused")
        return self._refuse(bad, refusal, units)

    # -- PostgreSQL --------------------------------------------------------------------------------------------

    def _land(self, units: list[Unit], tries: int = 0) -> Generator[Action, Any, None]:
        assert self.member is not None
        seq = self.member.applied + 1
        began = time.perf_counter()
        try:
            stores = fold(write for unit in units for write in writes_of(unit))
            groups.prepare(stores)
            outcome = yield Transact(groups.land(stores, units, self.member.id, self.member.epoch, seq))
        except UnitsRefused as refused:
            yield from self._again(self._refuse(list(refused.units), refused.error, units))
        except Fenced:
            yield from self._rejoin(units, tries)
        except (psycopg.Error, OSError) as error:
            yield from self._failed(units, error, seq, tries)
        else:
            self._durable_s = time.perf_counter() - began
            self.figures.commit_s.append(self._durable_s)
            yield from self._landed(units, outcome, seq)

    def _landed(self, units: list[Unit], outcome: Outcome, seq: int) -> Generator[Action, Any, None]:
        assert self.member is not None
        failpoints.hit("commit.after")
        self.member.applied = seq
        self.figures.groups += 1
        self.figures.units += len(units)
        self.host.landed(units, outcome)
        yield from self._acknowledge(units)

    def _acknowledge(self, units: list[Unit]) -> Generator[Action, Any, None]:
        """Tell durable units, and let those run who waited for them, so that what they write next goes together.

        Where running them takes longer than a commit, only the first half runs before the next group leaves: then
        this process and PostgreSQL work at the same time and not by turns.
        """
        failpoints.hit("ack.before")
        number = len(units)
        by_halves = number > 1 and self._durable_s < number * self._unit_s
        if not by_halves or not self.queue:
            first = number // 2 if by_halves else number
            self.host.finish(units[:first], None)
            began = time.perf_counter()
            yield Turn()
            self._unit_s += (time.perf_counter() - began - first * self._unit_s) / (8 * first)
            units = units[first:]
        self.host.finish(units, None)
        failpoints.hit("ack.after")

    def _again(self, units: list[Unit], tries: int = 0) -> Generator[Action, Any, None]:
        units = self._without_orphans(units)
        if units:
            yield from self._on(units, tries)

    def _failed(self, units: list[Unit], error: Exception, seq: int, tries: int) -> Generator[Action, Any, None]:
        if isinstance(error, psycopg.Error) and (is_refusal(error) or _stubborn(error, tries)):
            yield from self._split(units, error)
        else:
            yield from self._broke_off(units, error, seq, tries)

    def _broke_off(self, units: list[Unit], error: Exception, seq: int, tries: int) -> Generator[Action, Any, None]:
        """A commit that PostgreSQL neither took nor refused, as far as is known: what became of it decides."""
        retry = is_busy(error)
        unknown = None if self.member is None or retry else (self.member.id, seq)
        if not retry:
            self._lost(error)
            self.figures.unknown_outcomes += 1
            yield from self._reconnect()
        if self.connected and self.member is not None and self.member.applied >= seq and not retry:
            yield from self._landed(units, Outcome(), seq)
        elif self.connected and tries < MAX_TRIES:
            yield from self._again(units, tries + 1)
        elif self.connected:
            yield from self._journal(units)
        else:
            self.member = None  # its row stays as that commit left it, whatever this process writes from now on
            yield from self._journal(units, unknown)

    def _split(self, units: list[Unit], error: psycopg.Error) -> Generator[Action, Any, None]:
        """Bisection: one bad unit never fails its neighbours. Units that hang together stay together."""
        self.figures.bisections += 1
        found = clusters(units)
        if len(found) > 1:
            middle = len(found) // 2
            for half in (found[:middle], found[middle:]):
                members = {unit for cluster in half for unit in cluster}
                rest = [unit for unit in units if unit in members and not unit.settled]
                yield from self._again(rest)
        elif all(_stands(unit) for unit in units):
            yield from self._one_by_one(units)
        else:
            self._refuse(units, _refusal(units, error), units)

    def _one_by_one(self, units: list[Unit]) -> Generator[Action, Any, None]:
        assert self.member is not None
        stores = fold(write for unit in units for write in writes_of(unit))
        groups.prepare(stores)
        seq = self.member.applied + 1
        try:
            step = groups.one_by_one(stores, units, self.member.id, self.member.epoch, seq)
            outcome = yield Transact(step)
        except UnitsRefused as refused:  # its record came, or a column went, since the group was refused
            yield from self._again(self._refuse(list(refused.units), refused.error, units))
        except Fenced:
            yield from self._rejoin(units, 0)
        except (psycopg.Error, OSError) as error:
            yield from self._broke_off(units, error, seq, MAX_TRIES)
        else:
            yield from self._landed(units, outcome, seq)

    def _rejoin(self, units: list[Unit], tries: int) -> Generator[Action, Any, None]:
        """The member's row is not ours any more: take a new number, then land; the old one wrote nothing."""
        log.warning("outlive: this process was fenced; joining again")
        self.member = None
        yield from self._reconnect()
        if self.connected and tries < MAX_TRIES:
            yield from self._again(units, tries + 1)
        else:
            yield from self._journal(units)

    def _lost(self, error: BaseException) -> None:
        if self.connected:
            log.warning("outlive: PostgreSQL is away: %s", str(error).strip().splitlines()[:1])
        self.connected = False
        self.away_since = self.away_since or time.time()
        self._retry_at = 0.0

    def _reconnect(self) -> Generator[Action, Any, None]:
        try:
            yield Connect()
            yield Transact(self.host.joined())
        except (psycopg.Error, OSError, OutliveError) as error:
            self._lost(error)
            self._retry_at = time.monotonic() + RETRY_S[min(self._failures, len(RETRY_S) - 1)]
            self._failures += 1
            self.host.connection_changed(False)
        else:
            self.figures.reconnects += 1
            self._failures = 0
            self.connected = True
            self.away_since = None
            doubtful, self._doubtful = self._doubtful, []
            self.host.reread(doubtful, doubtful=True)  # joining has waited for what was still on its way
            self.host.connection_changed(True)

    # -- the journal -------------------------------------------------------------------------------------------

    def _journal(self, units: list[Unit], unknown: tuple[int, int] | None = None) -> Generator[Action, Any, None]:
        """Keep units in the journal; `unknown` is the commit (member, seq) that may have landed just these already."""
        doubt = "" if unknown is None else DOUBT
        refused = [unit for unit in units if not _journals(unit)]
        if refused:
            kept = self._refuse(refused, Unavailable(store=_names(refused), reason=AWAY + doubt), units)
            if unknown is not None:
                self._doubtful += [unit for unit in units if unit not in kept]
            units = kept
        units = self._without_orphans(units)
        if not units:
            return
        began = time.perf_counter()
        try:
            yield Append([groups.to_payload(unit, unknown) for unit in units])
        except (JournalFull, OSError) as error:
            self._refuse(units, Unavailable(store=_names(units), reason=str(error) + doubt), units)
            if unknown is not None:
                self._doubtful += units
            return
        self._durable_s = time.perf_counter() - began
        self.figures.journalled += len(units)
        yield from self._acknowledge(units)

    def _drain(self) -> Generator[Action, Any, None]:
        """Replay the journal's oldest frames in one transaction."""
        assert self.member is not None
        frames = yield ReadFrames(MAX_GROUP)
        if not frames:
            return
        try:
            done = yield from self._settle_unknown(frames)
        except (psycopg.Error, OSError) as error:
            self._lost(error)
            return
        writes = []
        for seq, payload in frames:
            if seq not in done:
                writes += groups.from_payload(payload, self.host.find_store, self.host.key_of)
        applied = self.member.applied + 1
        try:
            outcome = yield from self._replay(writes, applied)
        except Fenced:
            self.member = None
            yield from self._reconnect()
        except (psycopg.Error, OSError) as error:
            self._stubborn_drains += is_busy(error)
            self._lost(error)
            self._retry_at = time.monotonic() + RETRY_S[0]
        else:
            self._stubborn_drains = 0
            self.member.applied = applied
            self.figures.drained += len(frames)
            failpoints.hit("drain.before_mark")
            yield MarkDrained(frames[-1][0])
            self.host.landed([], outcome)

    def _replay(self, writes: list[Write], applied: int) -> Generator[Action, Any, Outcome]:
        assert self.member is not None
        member = self.member.id, self.member.epoch, applied
        try:
            outcome: Outcome = yield Transact(groups.replay(writes, *member))
        except psycopg.Error as error:
            if not is_refusal(error) and not _stubborn(error, self._stubborn_drains):
                raise
            self.figures.bisections += 1
            outcome = yield Transact(groups.replay(writes, *member, apart=True))
        return outcome

    def _settle_unknown(self, frames: list[tuple[int, bytes]]) -> Generator[Action, Any, set[int]]:
        """Frames whose units had landed after all, when their commit's outcome was unknown."""
        suspects = {seq: g for seq, payload in frames if (g := groups.payload_group(payload)) is not None}
        if not suspects:
            return set()
        applied: dict[int, int] = yield Transact(_applied({member for member, _ in suspects.values()}))
        return {seq for seq, (member, number) in suspects.items() if applied.get(member, 0) >= number}

    # -- outcomes ----------------------------------------------------------------------------------------------

    def _refuse(self, bad: Iterable[Unit], error: OutliveError, among: list[Unit]) -> list[Unit]:
        """Undo and refuse units and all that depend on them; returns the others."""
        lost = set(bad)
        while True:
            more = {u for u in (*among, *self.pending()) if u not in lost and not lost.isdisjoint(u.depends)}
            if not more:
                break
            lost |= more
        with self._lock:
            self._held = [unit for unit in self._held if unit not in lost]
            self.queue = deque(unit for unit in self.queue if unit not in lost)
        self._finish_refused(sorted(lost, key=_last_stamp), error)
        return [unit for unit in among if unit not in lost]

    def _finish_refused(self, units: list[Unit], error: OutliveError) -> None:
        self.figures.refused += len(units)
        self.host.finish(units[::-1], error)
        if not isinstance(error, Unavailable):
            self.host.reread(units)


def _applied(members: set[int]) -> Step[dict[int, int]]:
    rows = yield Ask("SELECT id, applied FROM outlive.member WHERE id = ANY(%s)", (sorted(members),))
    return {row[0]: row[1] for row in rows}


def _waits(unit: Unit) -> bool:
    """Whether the unit's outcome is PostgreSQL's: of its own writes, or of a unit that it goes with."""
    if unit.draws or next(landing(unit), None) is not None:
        return True
    return any(not d.settled for d in unit.depends)


def _failed(unit: Unit) -> bool:
    return unit.settled and unit.ticket.exception() is not None


def _stubborn(error: psycopg.Error, tries: int) -> bool:
    """Whether a serialization failure has come so often that it is a verdict: of a constraint trigger, say."""
    return error.sqlstate == CONTENDED and tries >= MAX_TRIES


def _last_stamp(unit: Unit) -> int:
    return max((max(change.stamps.values()) for change in unit.changes.values()), default=0)


def _journals(unit: Unit) -> bool:
    """Whether every store that the unit changes takes the journal for an answer. Numbers without gaps never do: others
    may take them while PostgreSQL is away from here."""
    return not unit.draws and all(store.when_away == "journal" for store in _stores([unit]))


def _stands(unit: Unit) -> bool:
    """Whether the request stands although PostgreSQL refuses a change: all of its stores are in dual_write."""
    return not any(store.strict for store in _stores([unit]))


def _names(units: list[Unit]) -> str:
    return ", ".join(sorted({store.name for store in _stores(units)}))


def _stores(units: list[Unit]) -> set[Any]:
    return {change.store for unit in units for change in landing(unit)}


def _refusal(units: list[Unit], error: psycopg.Error) -> OutliveError:
    known = broken((write for unit in units for write in writes_of(unit)), error)
    if known is not None:
        return known.error()
    reason = error.diag.message_primary or str(error)
    field_name = error.diag.column_name or error.diag.constraint_name or ""
    if (error.sqlstate or "") in ("23505", CONTENDED):
        return Conflict(store=_names(units), key=error.diag.constraint_name or "?", reason=reason)
    return Unholdable(store=_names(units), key="?", field=field_name, reason=reason)


def _file_error(error: Exception) -> OutliveError:
    if isinstance(error, OutliveError):
        return error
    return Unavailable(store="file", reason=str(error))
