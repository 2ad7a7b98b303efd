"""When units begin, join, nest, end and fail, over a store that only notes what it is told."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Hashable
from typing import Any

import pytest

from outlive.commit.committer import Committer
from outlive.commit.unit import WHOLE, Change, Scope, Unit, current, current_unit, tick
from outlive.commit.units import UnitBlock, Units
from outlive.errors import Conflict, Unholdable


class Notes:
    """A store whose changes are seen, not made."""

    name = "notes"

    def __init__(self) -> None:
        self.told: list[tuple[str, Hashable]] = []
        self.broken: BaseException | None = None

    def seal(self, change: Change) -> None:
        """See Home."""
        if self.broken is not None:
            raise self.broken
        self.told.append(("seal", change.key))

    def undo(self, change: Change) -> None:
        """See Home."""
        self.told.append(("undo", change.key))

    def undone(self) -> None:
        """See Home."""

    def settled(self, change: Change) -> None:
        """See Home."""
        self.told.append(("settled", change.key))

    def write(self, unit: Unit, key: Hashable, field: str | None = WHOLE) -> Change:
        """A change of the unit."""
        change = unit.change(self, key)
        if change is None:
            change = unit.changes[(id(self), key)] = Change(unit, self, key)
        change.stamps[field] = tick()
        if field is not None:
            change.before_values.setdefault(field, f"before {key}")
        return change


class Desk:
    """Units whose ended ones are kept, or settled at once where `lands`."""

    def __init__(self, lands: bool = False) -> None:
        self.submitted: list[Unit] = []
        self.lands = lands
        self.notes = Notes()
        self.units = Units(self._submit, lambda: None)

    def _submit(self, unit: Unit) -> None:
        self.submitted.append(unit)
        if self.lands:
            self.units.finish(unit)


@pytest.fixture
def desk() -> Desk:
    """Units that wait to be settled."""
    return Desk()


def test_an_ended_unit_is_sealed_and_submitted_once(desk: Desk) -> None:
    """Ending seals every change in order and submits the unit; ending it again does nothing."""
    unit = desk.units.begin("one")
    for key in (2, 1):
        desk.notes.write(unit, key)
    desk.units.end(unit)
    desk.units.end(unit)
    assert desk.notes.told == [("seal", 2), ("seal", 1)]
    assert desk.submitted == [unit]
    assert not unit.settled
    assert desk.units.unsettled() == []


def test_a_unit_without_changes_settles_by_itself(desk: Desk) -> None:
    """Nothing to write: its ticket is done and nobody is asked."""
    unit = desk.units.begin()
    desk.units.end(unit)
    assert unit.ticket.done()
    assert desk.submitted == []


def test_a_settled_unit_leaves_nothing_to_the_garbage_collector() -> None:
    """Once nobody refers to it, a unit and its changes are gone at once."""
    desk = Desk(lands=True)
    held = gc.isenabled()
    gc.disable()
    try:
        before = _alive()
        for key in range(3):
            desk.notes.write(unit := desk.units.begin(), key)
            desk.units.end(unit)
        assert unit.settled
        del unit
        desk.submitted.clear()
        assert _alive() == before
    finally:
        if held:
            gc.enable()


def _alive() -> int:
    return sum(isinstance(each, (Unit, Change)) for each in gc.get_objects())


def test_a_unit_that_cannot_be_encoded_is_undone(desk: Desk) -> None:
    """The error is the unit's outcome; its changes go back, last first."""
    unit = desk.units.begin()
    desk.notes.write(unit, 1)
    desk.notes.write(unit, 2)
    desk.notes.broken = Unholdable(store="notes")
    desk.units.end(unit)
    assert desk.notes.told[:2] == [("undo", 2), ("undo", 1)]
    assert isinstance(unit.ticket.exception(), Unholdable)
    assert desk.submitted == []


def test_a_doomed_unit_is_undone_at_its_end(desk: Desk) -> None:
    """A unit that built on what was undone never reaches the committer."""
    unit = desk.units.begin()
    desk.notes.write(unit, 1)
    unit.doomed = Conflict(store="notes", key="1", reason="gone")
    desk.units.end(unit)
    assert unit.ticket.exception() is unit.doomed
    assert desk.submitted == []
    assert ("undo", 1) in desk.notes.told


def test_released_savepoints_belong_to_their_parent(desk: Desk) -> None:
    """The parent's own before-values stay, the child's new ones join, and only the parent is submitted."""
    with UnitBlock(desk.units) as inner_most:
        pass
    assert inner_most.settled
    parent = desk.units.begin()
    token = current.set(Scope(parent))
    try:
        desk.notes.write(parent, 1, "a").before_values["a"] = "first"
        with UnitBlock(desk.units) as child:
            assert child.root() is parent
            desk.notes.write(child, 1, "a").before_values["a"] = "second"
            desk.notes.write(child, 1, "b")
            desk.notes.write(child, 2, "c")
    finally:
        current.reset(token)
    change = parent.change(desk.notes, 1)
    assert change is not None
    assert change.before_values == {"a": "first", "b": "before 1"}
    moved = parent.change(desk.notes, 2)
    assert moved is not None
    assert moved.unit is parent
    assert child.ticket.done()
    desk.units.end(parent)
    assert desk.submitted == [parent]


def test_a_block_that_raises_is_undone(desk: Desk) -> None:
    """Only the block's own changes go back; the error goes on."""
    with pytest.raises(ZeroDivisionError), UnitBlock(desk.units) as unit:
        desk.notes.write(unit, 1)
        raise ZeroDivisionError
    assert desk.notes.told == [("undo", 1), ("settled", 1)]
    assert desk.submitted == []
    assert current_unit() is None


def test_a_block_whose_parent_has_ended_stands_alone() -> None:
    """It is submitted by itself: an ended parent takes no more changes."""
    desk = Desk(lands=True)
    parent = desk.units.begin()
    token = current.set(Scope(parent))
    block = UnitBlock(desk.units)
    with block as child:
        desk.notes.write(child, 1)
        desk.units.end(parent)
    current.reset(token)
    assert desk.submitted == [child]
    assert child.parent is None


def test_a_thread_without_a_unit_waits(desk: Desk) -> None:
    """The call returns once its unit is settled, and raises what refused it."""
    outcomes: list[Any] = []

    def work() -> None:
        for key in (1, 2):
            try:
                with desk.units.joining() as unit:
                    desk.notes.write(unit, key)
            except Conflict as refused:
                outcomes.append(refused)
            else:
                outcomes.append("landed")

    submitted = threading.Semaphore(0)
    plain = desk._submit
    desk.units._submit = lambda unit: (plain(unit), submitted.release())  # type: ignore[assignment,func-returns-value]
    thread = threading.Thread(target=work)
    thread.start()
    assert submitted.acquire(timeout=20)
    assert outcomes == []
    desk.units.finish(desk.submitted[0])
    assert submitted.acquire(timeout=20)
    assert outcomes == ["landed"]
    refusal = Conflict(store="notes", key="2", reason="no")
    desk.units.finish(desk.submitted[1], refusal)
    thread.join(20)
    assert outcomes == ["landed", refusal]


def test_an_operation_that_raises_is_no_unit(desk: Desk) -> None:
    """Without a unit of its own caller, a failing call leaves nothing behind."""
    with pytest.raises(KeyError), desk.units.joining() as unit:
        desk.notes.write(unit, 1)
        raise KeyError(1)
    assert desk.submitted == []
    assert ("undo", 1) in desk.notes.told
    assert current_unit() is None


def test_operations_inside_operations_join(desk: Desk) -> None:
    """An operation that calls another shares its unit, which ends with the outer one."""
    desk.lands = True
    with desk.units.joining() as outer:
        desk.notes.write(outer, 1)
        with desk.units.joining() as inner:
            desk.notes.write(inner, 2)
        assert desk.submitted == []
    assert inner is outer
    assert desk.submitted == [outer]


def test_one_turn_of_the_loop_is_one_unit(desk: Desk) -> None:
    """Loose writes of one turn share a unit; the next turn has another."""

    async def run() -> None:
        with desk.units.joining() as first:
            desk.notes.write(first, 1)
        with desk.units.joining() as second:
            desk.notes.write(second, 2)
        assert first is second
        assert desk.submitted == []
        await asyncio.sleep(0)
        assert desk.submitted == [first]
        with desk.units.joining() as third:
            desk.notes.write(third, 3)
        assert third is not first
        await asyncio.sleep(0)

    asyncio.run(run())


def test_a_closed_scope_has_no_unit(desk: Desk) -> None:
    """A task that outlives its request is no part of it."""
    scope = Scope(desk.units.begin())
    token = current.set(scope)
    assert current_unit() is scope.unit
    scope.closed = True
    assert current_unit() is None
    current.reset(token)


# -- which units go together -----------------------------------------------------------------------------------------


def ended(*depends: Unit) -> Unit:
    """An ended unit that depends on others."""
    unit = Unit()
    unit.depends.update(depends)
    unit.ended = True
    return unit


def test_a_unit_waits_for_what_it_depends_on() -> None:
    """It is taken with or after it, and so is what depends on it in turn; others go ahead."""
    committer = Committer(None)  # type: ignore[arg-type]
    open_unit = Unit()
    waiting = ended(open_unit)
    behind = ended(waiting)
    free = ended()
    for unit in (waiting, behind, free):
        committer.submit(unit)
    assert committer._take() == [free]
    assert committer.pending() == [free, waiting, behind]
    committer.submit(open_unit)
    assert committer._take() == [waiting, behind, open_unit]


def test_units_that_need_each_other_go_together() -> None:
    """A circle of dependencies is one group."""
    committer = Committer(None)  # type: ignore[arg-type]
    one, two = Unit(), Unit()
    one.depends.add(two)
    two.depends.add(one)
    committer.submit(one)
    assert committer._take() == []
    committer.submit(two)
    assert committer._take() == [one, two]


def test_a_block_inside_an_ended_unit_is_on_its_own() -> None:
    """Code that outlives its unit opens a block without a parent."""
    desk = Desk(lands=True)
    ended = desk.units.begin()
    desk.units.end(ended)
    token = current.set(Scope(ended))
    try:
        with UnitBlock(desk.units) as unit:
            desk.notes.write(unit, 1)
    finally:
        current.reset(token)
    assert unit.parent is None
    assert desk.submitted == [unit]


def test_a_refused_write_of_loose_code_is_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for a turn of the loop, so its refusal is told in the log; a synchronous block there never waits."""

    async def run() -> None:
        with desk.units.joining() as unit:
            desk.notes.write(unit, 1)
        with UnitBlock(desk.units) as block:
            desk.notes.write(block, 2)
        await asyncio.sleep(0)
        assert not block.settled
        desk.units.finish(unit, Conflict(store="notes", reason="mine"))

    asyncio.run(run())
    assert "outside any unit was refused" in caplog.text
