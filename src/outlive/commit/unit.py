"""The unit of work: the changes of one request, which land whole or not at all (I3).

A unit owns fields, not objects. When it first touches a field it keeps the field's before-value; at its end each
touched record is encoded with the fields of other open units at *their* before-values. Undo gives a field back only
if this unit was the last to write it. The order of writes is the service-wide `tick`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Hashable, Iterator
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, Literal, Protocol

from outlive.commit.ticket import Ticket
from outlive.errors import OutliveError

Document = dict[str, Any]
Key = Hashable
WHOLE = None  # the "field" that stands for the whole record
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT", "__slots__": ()})()
tick = itertools.count(1).__next__


class Kept:
    """What the image last agreed on for one record: its canonical bytes, version and position."""

    __slots__ = ("encoded", "position", "version")

    def __init__(self, encoded: bytes, version: int, position: Decimal | int) -> None:
        self.encoded = encoded
        self.version = version
        self.position = position


class Change:
    """One unit's changes of one record."""

    __slots__ = (
        "base", "before_kept", "before_position", "before_record", "before_values", "cells", "checked", "direct",
        "document", "encoded", "error", "expect_absent", "firsts", "keeps_place", "key", "local", "op", "position",
        "stamps", "store", "unit", "version",
    )  # fmt: skip

    def __init__(self, unit: Unit, store: Home, key: Key) -> None:
        self.unit = unit
        self.store = store
        self.key = key
        self.stamps: dict[str | None, int] = {}
        self.before_values: dict[str, Any] = {}
        self.firsts: dict[str, int] = {}
        self.before_record: Any = ABSENT
        self.before_kept: Kept | None = None
        self.before_position: Decimal | int | None = None
        self.expect_absent = False
        self.direct = False  # written without an image (phase database): document, op and base are given
        self.keeps_place = False  # put without an image: a row that is there stays where it stands
        self.local = False  # encoded while its store was in `legacy`: no part of PostgreSQL, whatever phase follows
        self.error: OutliveError | None = None
        self.op: Literal["put", "patch", "delete", "none"] = "none"
        self.document: Document | None = None
        self.encoded: bytes | None = None  # the document's canonical bytes, where they are known already
        self.cells: tuple[str | None, ...] = ()  # the document's columns, where they are known already
        self.checked: Any = None  # what the store made of the record when it checked it
        self.position: Decimal | int = 0
        self.version = 0
        self.base = 0

    @property
    def whole(self) -> bool:
        """Whether the unit replaced, added or removed the record as a whole."""
        return WHOLE in self.stamps

    def first(self, field: str) -> int:
        """When the unit first touched the field; 0 if no other unit had a hand in the record then."""
        return self.firsts.get(field, 0)

    def overlaps(self, other: Change) -> bool:
        """Whether both changes wrote a field in common."""
        return self.whole or other.whole or not self.stamps.keys().isdisjoint(other.stamps)


class Home(Protocol):
    """What a unit needs of the store that a change belongs to."""

    name: str

    def seal(self, change: Change) -> None:
        """Encode the change at its unit's end: sets op, document, version, base and position."""

    def undo(self, change: Change) -> None:
        """Give back what the change replaced, as far as its unit wrote it last."""

    def undone(self) -> None:
        """All changes of a unit have been undone."""

    def settled(self, change: Change) -> None:
        """Forget the change's before-values; its outcome is final."""


class Unit:
    """Changes in the order of their first touch. States: open, ended (encoded, on its way), settled."""

    __slots__ = (
        "changes", "depends", "doomed", "draws", "earlier", "ended", "files", "name", "opened_at", "parent", "place",
        "settled", "ticket",
    )  # fmt: skip

    def __init__(self, parent: Unit | None = None, name: str = "", place: tuple[str, int] | None = None) -> None:
        self.parent = parent
        self.name = name
        self.place = place  # file and line
        self.earlier: tuple[Unit, ...] = ()  # what it had done when it was split; it stands and falls with that
        self.changes: dict[tuple[int, Key], Change] = {}
        self.draws: dict[Any, range] = {}  # numbers without gaps that this unit took, by counter
        self.files: set[Any] = set()
        self.depends: set[Unit] = set()
        self.doomed: OutliveError | None = None  # it built on changes that have been undone
        self.ended = False
        self.settled = False
        self.opened_at = time.monotonic()
        self.ticket = Ticket()

    def __bool__(self) -> bool:
        return self.holds or bool(self.earlier)

    @property
    def holds(self) -> bool:
        """Whether it has changed anything itself."""
        return bool(self.changes or self.draws or self.files)

    def held_by(self) -> list[Unit]:
        """The open units that it cannot land without, directly or through others."""
        seen: set[Unit] = set()
        waiting = [self]
        while waiting:
            more = [d for d in list(waiting.pop().depends) if not d.settled and d not in seen]
            seen.update(more)
            waiting += [d for d in more if d.ended]
        return [d for d in seen if not d.ended]

    @property
    def site(self) -> str:
        """Where it was begun, if that is known."""
        return "" if self.place is None else f"{self.place[0]}:{self.place[1]}"

    @property
    def label(self) -> str:
        """What it is called, and where it was begun if that is known."""
        return " at ".join(part for part in (self.name or "a unit", self.site) if part)

    def root(self) -> Unit:
        """The outermost unit: the one that commits."""
        unit = self
        while unit.parent is not None:
            unit = unit.parent
        return unit

    def change(self, store: Home, key: Key) -> Change | None:
        """This unit's change of a record, if it has one."""
        return self.changes.get((id(store), key))

    def chain(self) -> Iterator[Unit]:
        """This unit and its parents, innermost first."""
        unit: Unit | None = self
        while unit is not None:
            yield unit
            unit = unit.parent

    def undo(self) -> None:
        """Set memory back to what it held before this unit, last change first."""
        for change in reversed(self.changes.values()):
            change.store.undo(change)
        for change in self.changes.values():
            change.store.undone()

    def settle(self, error: BaseException | None = None) -> None:
        """Make the outcome final and wake whoever waits for it; `error` tells why nothing of it remains."""
        if self.settled:
            return
        self.settled = True
        for change in self.changes.values():
            change.store.settled(change)
            del change.unit  # a circle would keep all of the unit in memory until the garbage collector comes
        if self.depends:
            self.depends.clear()
        self.ticket.tell(error)


class Scope:
    """The place of the current unit for one request and all tasks and threads that it starts.

    The middleware replaces `unit` when the first has ended (streams and background work get a second one), and closes
    the scope when the application returns; tasks that outlive their request find it closed.
    """

    __slots__ = ("closed", "shows_unsettled", "unit")

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.closed = False
        self.shows_unsettled = False  # the route said that its answer need not wait for others' changes


current: ContextVar[Scope | None] = ContextVar("outlive_scope", default=None)


def current_unit() -> Unit | None:
    """The open unit of the running code, or None."""
    scope = current.get()
    return None if scope is None or scope.closed else scope.unit
