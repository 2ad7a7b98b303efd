"""What the units of a group want written, one write a key: how changes of one record become one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from outlive.commit.unit import Change, Unit
from outlive.errors import Conflict, OutliveError
from outlive.records import MISSING, key_name

Key = Hashable
Document = dict[str, Any]


class UnitsRefused(Exception):
    """These units cannot land, and why; the rest of the group can try again without them."""

    def __init__(self, units: set[Unit], error: OutliveError) -> None:
        super().__init__(str(error))
        self.units = units
        self.error = error


@dataclass(slots=True)
class Write:
    """The folded change of one key: what the row shall be, and from where it began."""

    store: Any
    key: Key
    op: str
    document: Document | None
    version: int
    position: Decimal | int
    base: int
    before: dict[str, Any]
    fields: set[str]
    units: set[Unit]
    expect_absent: bool = False
    literals: tuple[str | None, ...] = ()
    error: OutliveError | None = None
    direct: bool = False  # made without an image: it knows of no other unit's change in its group
    cells: tuple[str | None, ...] = ()  # the document's columns, where they are known already
    keeps_place: bool = False  # a row that is there stays where it stands; `position` is for a new one


@dataclass(slots=True)
class Unlanded:
    """A change that will not be in its table, kept with its bytes."""

    store: Any
    key: Key
    op: str
    version: int
    position: Decimal | int
    document: Document | None
    reason: str
    field: str | None = None
    sqlstate: str | None = None


def landing(unit: Unit) -> Iterator[Change]:
    """The unit's changes that go to PostgreSQL."""
    for change in unit.changes.values():
        if change.op != "none" and not change.local:
            yield change


def writes_of(unit: Unit) -> Iterator[Write]:
    """What they want written."""
    for change in landing(unit):
        fields = {name for name in change.stamps if name is not None}
        yield Write(
            change.store, change.key, change.op, change.document, change.version, change.position, change.base,
            dict(change.before_values), fields, {unit}, change.expect_absent, (),
            change.error, change.direct, change.cells, change.keeps_place,
        )  # fmt: skip


def fold(writes: Iterable[Write], losers: list[Unlanded] | None = None) -> dict[str, dict[Key, Write]]:
    """One write a key, by store name; the last decides, the first tells from where it began.

    Changes made without an image are merged field by field. Where two of them changed one field, the later raises
    UnitsRefused; with `losers`, for writes that are acknowledged already, it wins and the earlier is noted there.
    """
    stores: dict[str, dict[Key, Write]] = {}
    for write in writes:
        known = stores.get(write.store.name)
        if known is None:
            known = stores[write.store.name] = {}
        earlier = known.pop(write.key, None)
        if earlier is None:
            known[write.key] = write
        elif write.direct and write.op == "patch":
            known[write.key] = _joined(earlier, _after(earlier, write, losers))
        else:
            known[write.key] = _joined(earlier, write)
    return stores


def _joined(first: Write, last: Write) -> Write:
    op = "put" if last.op == "patch" and first.op != "patch" else last.op
    placed = last.keeps_place and first.op != "delete"
    since = {name: value for name, value in last.before.items() if name not in first.fields}
    return Write(
        last.store, last.key, op, last.document, last.version, first.position if placed else last.position, first.base,
        {**since, **first.before}, first.fields | last.fields, first.units | last.units, first.expect_absent, (),
        last.error, last.direct, last.cells, placed and first.keeps_place,
    )  # fmt: skip


def _after(first: Write, last: Write, losers: list[Unlanded] | None) -> Write:
    """An in-place change that was made without knowledge of the one before it, as it stands after that."""
    if first.document is None:
        reason, clashing = "the record was deleted by another writer", [""]
    else:
        clashing = clashes(last, first.document)
        reason = f"another writer changed {', '.join(sorted(clashing))}"
    if clashing and losers is None:
        raise UnitsRefused(last.units, Conflict(store=last.store.name, key=key_name(last.key), reason=reason))
    if first.document is None:
        return last
    if clashing and losers is not None:
        losers.append(unlanded(first, f"overwritten by a newer change of {', '.join(sorted(clashing))}"))
    return replace(last, document=overlaid(first.document, last), cells=(), position=first.position)


def refused(write: Write) -> Unlanded:
    """A write that PostgreSQL cannot hold, as an entry of outlive.unlanded."""
    facts = write.error.facts() if write.error is not None else {}
    return unlanded(write, facts.get("reason", str(write.error)), facts.get("field"))


def unlanded(write: Write, reason: str, where: str | None = None, sqlstate: str | None = None) -> Unlanded:
    """The write as an entry of outlive.unlanded."""
    op = "delete" if write.op == "delete" else "put"
    return Unlanded(
        write.store, write.key, op, write.version, write.position, write.document, reason, where, sqlstate
    )  # fmt: skip


def clashes(write: Write, document: Document) -> list[str]:
    """The fields of an in-place change that somebody else has changed to another value."""
    assert write.document is not None
    clashing = []
    for name in write.fields:
        now = document.get(name, MISSING)
        if now != write.before.get(name, MISSING) and now != write.document.get(name, MISSING):
            clashing.append(name)
    return clashing


def overlaid(document: Document, write: Write) -> Document:
    """The document with the fields that the write changed."""
    merged = dict(document)
    for name in write.fields:
        value = (write.document or {}).get(name, MISSING)
        if value is MISSING:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged
