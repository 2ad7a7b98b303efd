"""When a unit begins and ends (design.md, section 5), in one place for requests, threads and loose loop code."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable
from contextvars import Token
from types import TracebackType

from outlive.commit.ticket import Ticket, all_told_async
from outlive.commit.unit import Scope, Unit, current, current_unit
from outlive.errors import Conflict, OutliveError, Refused

log = logging.getLogger("outlive")


class Units:
    """Opens, joins and ends units; `submit` takes each ended unit that holds changes to the committer.

    `lock` guards memory: every operation that changes an image holds it, nothing that waits does.
    `active` is the unit of the operation that holds the lock.
    """

    def __init__(self, submit: Callable[[Unit], None], before_end: Callable[[], None]) -> None:
        self.lock = threading.RLock()
        self.active: Unit | None = None
        self.open: set[Unit] = set()
        self.withdraw: Callable[[Unit, OutliveError], bool] = lambda unit, error: False
        self.hold_s = 30.0  # how long an ended unit waits for an open one that it built on
        self._submit = submit
        self._before_end = before_end
        self._turns: dict[asyncio.AbstractEventLoop, Unit] = {}

    def begin(self, name: str = "", parent: Unit | None = None, site: tuple[str, int] | None = None) -> Unit:
        """A new open unit."""
        unit = Unit(parent, name, site)
        self.open.add(unit)
        return unit

    def joining(self) -> Joining:
        """The context of one operation: the current unit, or one of its own."""
        return Joining(self)

    def end(self, unit: Unit) -> None:
        """Encode the unit's changes and hand them over; its ticket tells the outcome. Never waits.

        A unit whose changes cannot be encoded is undone, and its ticket carries the error.
        """
        with self.lock:
            if unit.ended:
                return
            previous, self.active = self.active, unit
            try:
                if unit.doomed is not None:
                    raise unit.doomed
                self._before_end()
                for change in list(unit.changes.values()):
                    change.store.seal(change)
            except BaseException as error:  # noqa: BLE001  whatever it is, it is the unit's outcome
                unit.ended = True
                try:
                    unit.undo()
                finally:  # a key whose own hash fails breaks the undo too; nobody may wait for this unit for ever
                    self.finish(unit, error)
                return
            finally:
                self.active = previous
            unit.ended = True
            self.open.discard(unit)
            if unit.earlier:
                unit.depends.update(first for first in unit.earlier if not first.settled)
            if not unit.holds and not unit.depends:
                unit.settle()
            else:
                self._submit(unit)

    def discard(self, unit: Unit, error: BaseException | None = None) -> None:
        """Undo an open unit: memory is what it was before it."""
        with self.lock:
            unit.ended = True
            unit.undo()
            self.finish(unit, error)

    def finish(self, unit: Unit, error: BaseException | None = None) -> None:
        """Settle a unit."""
        with self.lock:
            self.open.discard(unit)
            unit.settle(error)

    def absorb(self, unit: Unit) -> bool:
        """Make a nested unit's changes its parent's: releasing a savepoint. False if the parent has ended before."""
        parent = unit.parent
        assert parent is not None
        with self.lock:
            if parent.ended:
                unit.parent = None
                return False
            _take_changes(parent, unit)
            parent.draws.update(unit.draws)
            parent.files |= unit.files
            unit.ended = unit.settled = True
            self.open.discard(unit)
            unit.ticket.tell()
            return True

    def outcome(self, unit: Unit) -> None:
        """Block until an ended unit is settled. Raises what refused it: Conflict when an open unit holds it up for
        `hold_s`, which may itself be waiting for this very thread."""
        while not unit.ticket.done():
            try:
                unit.ticket.result(self.hold_s)
            except TimeoutError:
                self.give_up(unit)
        unit.ticket.result()

    def give_up(self, unit: Unit) -> None:
        """Refuse a unit that only open units hold up."""
        holders = unit.held_by()
        if not holders or unit.ticket.done():
            return  # PostgreSQL is slow: its answer comes
        holder = max(holders, key=lambda each: time.monotonic() - each.opened_at)
        self.withdraw(unit, _held_up(unit, holder))

    def split(self, unit: Unit) -> Unit:
        """What an open unit and the ones nested in it have done so far, ended as a unit of its own.

        The open ones go on, empty: what undoes them later undoes only what follows. They are durable when both parts
        are, and refused when the first one is.
        """
        with self.lock:
            root = unit.root()
            first = Unit(name=root.name, place=root.place)
            first.opened_at, first.doomed = root.opened_at, root.doomed
            family = [root, *sorted((u for u in self.held() if u is not root and u.root() is root), key=_depth)]
            for each in family:
                _take_changes(first, each)
                first.draws.update(each.draws)  # the open part keeps them too: a number stays taken for its whole life
                first.files |= each.files
                each.files = set()
                each.earlier = (*each.earlier, first)
            first.earlier = tuple(part for part in root.earlier if part is not first)
            self.end(first)
        first.ticket.add_done_callback(lambda done: self._doom(family, done.exception()))
        return first

    def _doom(self, family: list[Unit], error: BaseException | None) -> None:
        if error is not None:
            with self.lock:
                for unit in family:
                    unit.doomed = unit.doomed or _told(error)

    def turn(self, loop: asyncio.AbstractEventLoop) -> Unit:
        """The unit of this turn of the loop: loose writes, acknowledged to nobody."""
        unit = self._turns.get(loop)
        if unit is None:
            unit = self._turns[loop] = self.begin("loop turn")
            loop.call_soon(self._end_turn, loop)
        return unit

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        unit = self._turns.pop(loop)
        self.end(unit)
        unit.ticket.add_done_callback(_report_loose)

    def held(self) -> list[Unit]:
        """The open units; others may begin meanwhile."""
        return list(self.open)

    def unsettled(self) -> list[Unit]:
        """Open units that hold changes; what a reader may have seen of them is not settled."""
        with self.lock:
            # what `holds` asks, asked here: each response asks it of every request that is open
            return [unit for unit in self.held() if unit.changes or unit.draws or unit.files]


async def durable(unit: Unit, units: Units) -> None:
    """Wait for an ended unit's outcome, as `Units.outcome` does, without blocking the loop. Raises what refused it; a
    wait that is cancelled changes nothing of the unit."""
    while unit.depends and not await all_told_async([unit.ticket], units.hold_s):
        units.give_up(unit)
    if not unit.ticket.done():
        await unit.ticket.future()
    unit.ticket.result()


def _held_up(unit: Unit, holder: Unit) -> Conflict:
    stores = sorted({change.store.name for change in unit.changes.values()})
    age_s = time.monotonic() - holder.opened_at
    reason = f"it builds on changes of {holder.label}, which has been open for {age_s:.1f} s"
    return Conflict(store=", ".join(stores), key="?", reason=reason)


def _take_changes(into: Unit, unit: Unit) -> None:
    """Make a unit's changes another's, on top of what that one has changed."""
    for key, change in unit.changes.items():
        known = into.changes.get(key)
        if known is None:
            change.unit = into
            into.changes[key] = change
            continue
        known.stamps.update(change.stamps)
        known.expect_absent = known.expect_absent or change.expect_absent
        for field, value in change.before_values.items():
            known.before_values.setdefault(field, value)
        if change.direct:  # nothing else holds what it wrote
            known.op = "put" if change.op == "patch" and known.op == "put" else change.op
            known.document, known.cells = change.document, change.cells
        change.store.settled(change)
    unit.changes = {}


def _told(error: BaseException) -> OutliveError:
    """The error as those are told who stand and fall with the unit that it refused."""
    if isinstance(error, OutliveError):
        return error
    return Refused(store="?", reason=f"what its unit did before a phase change could not be kept: {error}")


def _depth(unit: Unit) -> int:
    return sum(1 for _ in unit.chain())


def _report_loose(ticket: Ticket) -> None:
    error = ticket.exception()
    if error is not None:
        log.error("a write outside any unit was refused: %s", error)


class Joining:
    """One operation inside the current unit. Without one: a unit of its own that blocks until durable (threads), or
    the unit of the loop's turn (code on an event loop)."""

    __slots__ = ("_units", "previous", "token", "unit")

    def __init__(self, units: Units) -> None:
        self._units = units
        self.token: Token[Scope | None] | None = None

    def __enter__(self) -> Unit:
        self._units.lock.acquire()
        unit = self._units.active
        if unit is None:  # an empty unit is false, and is the active one all the same
            unit = current_unit()
        if unit is None or unit.ended:
            unit = self._own()
        self.previous, self._units.active = self._units.active, unit
        self.unit = unit
        return unit

    def _own(self) -> Unit:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            unit = self._units.begin("call")
            self.token = current.set(Scope(unit))
            return unit
        return self._units.turn(loop)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._units.active = self.previous
        if self.token is None:
            self._units.lock.release()
            return
        current.reset(self.token)
        if error is not None:
            self._units.discard(self.unit)
        else:
            self._units.end(self.unit)
        self._units.lock.release()
        if error is None:
            self._units.outcome(self.unit)


class UnitBlock:
    """`with outlive.unit():` and `async with outlive.unit():`.

    The block is one unit, durable when it is left; an exception undoes it. Inside another unit it is a savepoint.
    Left synchronously on a running event loop it cannot wait: `await outlive.flush()` does.
    """

    def __init__(self, units: Units, name: str = "") -> None:
        self._units = units
        self._name = name
        self._token: Token[Scope | None] | None = None
        self.unit: Unit | None = None

    def __enter__(self, depth: int = 1) -> Unit:
        parent = current_unit()
        if parent is not None and parent.ended:
            parent = None
        self.unit = self._units.begin(self._name, parent, _site(depth + 1))
        self._token = current.set(Scope(self.unit))
        return self.unit

    def _leave(self, error: BaseException | None) -> Unit | None:
        assert self._token is not None
        assert self.unit is not None
        unit = self.unit
        current.reset(self._token)
        if error is not None:
            self._units.discard(unit)
        elif unit.parent is None or not self._units.absorb(unit):
            self._units.end(unit)
            return unit
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        unit = self._leave(error)
        if unit is not None and not _on_loop():
            self._units.outcome(unit)

    async def __aenter__(self) -> Unit:
        return self.__enter__(2)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        unit = self._leave(error)
        if unit is not None:
            await durable(unit, self._units)


def _site(depth: int) -> tuple[str, int]:
    """File and line of the code that opens a unit."""
    frame = sys._getframe(depth)
    return frame.f_code.co_filename, frame.f_lineno


def _on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
