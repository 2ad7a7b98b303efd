"""The ledger of a fault run, and the checker that holds what was found against it.

A line is written before each unit ("intent", with its operations) and after its outcome is known ("ack", "refused",
"unknown"). An owner (a thread or a client) has one unit on its way at a time and changes only what is its own, so what
it must find is known: the state after its last acknowledged unit, or that state with the one open unit on top, whole.

An operation is a list:

    ["put", store, key, value]         insert or replace a record
    ["set", store, key, path, value]   set a field of a record in place; path: field names
    ["push", store, key, path, value]  append to a list inside a record
    ["del", store, key]                delete a record

Stores: things (mapping), events (log; key is the entry's id), rows (JSON file), hot (an owner's own field of records
that all owners change).
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Ops = list[list[Any]]
Records = dict[Any, Any]
STORES = ("things", "events", "rows", "hot")
FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Violation:
    """One contradiction between ledger and findings. kind: lost, partial, resurrected, refused, unexplained, order,
    table, file or unlanded."""

    kind: str
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}: {self.detail}"


def copied(records: dict[str, Records]) -> dict[str, Records]:
    """A deep copy: states and lines share nothing."""
    return copy.deepcopy(records)


def empty() -> dict[str, Records]:
    """A state without records."""
    return {store: {} for store in STORES}


def apply(state: dict[str, Records], ops: Ops) -> dict[str, Records]:
    """The state after the operations; the given one stays as it was."""
    after = copied(state)
    for op in ops:
        records, key = after[op[1]], op[2]
        if op[0] == "put":
            records[key] = copy.deepcopy(op[3])
        elif op[0] == "del":
            del records[key]
        elif op[0] == "set":
            inside = records.setdefault(key, {}) if op[1] == "hot" else records[key]
            for name in op[3][:-1]:
                inside = inside[name]
            inside[op[3][-1]] = copy.deepcopy(op[4])
        elif op[0] == "push":
            inside = records[key]
            for name in op[3]:
                inside = inside[name]
            inside.append(copy.deepcopy(op[4]))
    return after


def text(value: Any) -> str:
    """A value as text: equal only for equal content, types and key order."""
    return json.dumps(value, ensure_ascii=False)


@dataclass(slots=True)
class Unit:
    """One unit as the ledger knows it; `began` and `ended` are line numbers, the ledger's clock."""

    id: str
    owner: str
    ops: Ops
    began: int
    ended: float = FOREVER
    outcome: str = "open"


@dataclass(slots=True)
class Owner:
    """What one owner must find, and what it once had."""

    state: dict[str, Records] = field(default_factory=empty)
    open: Unit | None = None
    born: dict[tuple[str, Any], Unit] = field(default_factory=dict)
    deleted: set[tuple[str, Any]] = field(default_factory=set)
    past: dict[tuple[str, Any], set[str]] = field(default_factory=dict)
    refused: dict[tuple[str, Any], set[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Image:
    """What a process holds: (key, record) of each store in order; events and rows tell their key themselves."""

    things: list[tuple[str, Any]] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Image:
        """From the line that the process wrote."""
        return cls([(key, record) for key, record in facts["things"]], facts["events"], facts["rows"])

    def entries(self) -> Iterator[tuple[str, Any, Any]]:
        """(store, key, record) in each store's order, hot records left out."""
        yield from (("things", key, record) for key, record in self.things if not key.startswith("hot-"))
        yield from (("events", entry["id"], entry) for entry in self.events)
        yield from (("rows", row["id"], row) for row in self.rows)

    def part(self, owner: str) -> dict[str, Records]:
        """The state of one owner."""
        state = empty()
        for store, key, record in self.entries():
            if owner_of(key) == owner:
                state[store][key] = record
        for key, record in self.things:
            if key.startswith("hot-") and owner in record:
                state["hot"][key] = {owner: record[owner]}
        return state

    def repeats(self) -> list[str]:
        """Keys that occur more than once in a store."""
        seen: set[tuple[str, Any]] = set()
        found = []
        for store, key, _ in self.entries():
            if (store, key) in seen:
                found.append(f"{store}[{key}]")
            seen.add((store, key))
        return found


def owner_of(key: Any) -> str:
    """The owner of a record: keys are `t3:7` or, in the JSON file, 30007."""
    return f"t{key // 10_000}" if isinstance(key, int) else str(key).partition(":")[0]


class Ledger:
    """All lines of a run, in the order in which they became known; `check` compares and goes on from what it found."""

    def __init__(self) -> None:
        self.lines = 0
        self.units: dict[str, Unit] = {}
        self.owners: dict[str, Owner] = {}
        self.acks = self.refusals = 0

    def owner(self, name: str) -> Owner:
        """The owner's account, opened at its first use."""
        return self.owners.setdefault(name, Owner())

    def read(self, line: dict[str, Any]) -> None:
        """Take in one line."""
        self.lines += 1
        kind = line["kind"]
        if kind == "intent":
            unit = Unit(line["id"], line["owner"], line["ops"], self.lines)
            self.units[unit.id] = self.owner(unit.owner).open = unit
        elif kind in {"ack", "refused", "unknown"}:
            unit = self.units[line["id"]]
            unit.ended, unit.outcome = self.lines, kind
            owner = self.owner(unit.owner)
            if kind == "ack":
                self.acks += 1
                self._happened(owner, unit)
            elif kind == "refused":
                self.refusals += 1
                _remember(owner.refused, unit.ops, apply(owner.state, unit.ops))
                owner.open = None

    def _happened(self, owner: Owner, unit: Unit) -> None:
        before, after = owner.state, apply(owner.state, unit.ops)
        _remember(owner.past, unit.ops, before)
        gone: set[tuple[str, Any]] = set()
        for op in unit.ops:
            spot = (op[1], op[2])
            if op[0] == "del":
                gone.add(spot)
                owner.born.pop(spot, None)
            elif op[0] == "put" and (op[2] not in before[op[1]] or spot in gone):
                owner.born[spot] = unit
                owner.deleted.discard(spot)
        owner.deleted |= {spot for spot in gone if spot[1] not in after[spot[0]]}
        owner.state, owner.open = after, None

    def check(self, image: Image) -> list[Violation]:
        """Every contradiction; open units are settled by what was found, which is the new state to go on from."""
        found = [Violation("unexplained", spot, "it is there more than once") for spot in image.repeats()]
        for name, owner in self.owners.items():
            part = image.part(name)
            found += self._judge(name, owner, part)
            owner.state, owner.open = part, None
        found += self._strangers(image)
        return found + self._disorder(image)

    def _judge(self, name: str, owner: Owner, part: dict[str, Records]) -> list[Violation]:
        if _same(part, owner.state):
            return []
        unit = owner.open
        if unit is not None:
            after = apply(owner.state, unit.ops)
            if _same(part, after):
                self._happened(owner, unit)
                return []
            touched = {(op[1], op[2]) for op in unit.ops}
            moved = {spot for spot in touched if _at(part, spot) != _at(owner.state, spot)}
            if moved and all(_at(part, spot) in {_at(owner.state, spot), _at(after, spot)} for spot in touched):
                return [Violation("partial", name, f"of unit {unit.id} only {sorted(map(str, moved))} is there")]
        return [_verdict(name, owner, spot, part) for spot in _different(part, owner.state)]

    def _strangers(self, image: Image) -> list[Violation]:
        names = {owner_of(key) for _, key, _ in image.entries()} - set(self.owners)
        return [Violation("unexplained", name, "records of an owner that wrote nothing") for name in sorted(names)]

    def _disorder(self, image: Image) -> list[Violation]:
        """A record that was acknowledged before another was begun stands before it."""
        found: list[Violation] = []
        latest: dict[str, tuple[int, Any]] = {}
        for store, key, _ in image.entries():
            unit = self.owner(owner_of(key)).born.get((store, key))
            if unit is None:
                continue
            began, other = latest.get(store, (0, None))
            if unit.ended < began:
                found.append(Violation("order", f"{store}[{key}]", f"it stands behind {other}, which came later"))
            if unit.began > began:
                latest[store] = (unit.began, key)
        return found


class Numbers:
    """What the counters gave: `drawn` by a call, each once in a life time; `taking` without gaps, part of a unit."""

    def __init__(self) -> None:
        self.drawn: list[int] = []
        self.taking: list[tuple[int, str]] = []

    def read(self, line: dict[str, Any]) -> None:
        """Take in one line."""
        if line["kind"] == "drawn":
            self.drawn.append(line["number"])
        else:
            self.taking.append((line["number"], line["id"]))

    def check(self, ledger: Ledger) -> list[Violation]:
        """A number given twice, or a gap that no refused or open unit explains."""
        found = [Violation("twice", "counter numbers", str(n)) for n, times in Counter(self.drawn).items() if times > 1]
        outcome = {id: ledger.units[id].outcome for _, id in self.taking}
        sure = [number for number, id in self.taking if outcome[id] == "ack"]
        found += [Violation("twice", "counter bills", str(n)) for n, times in Counter(sure).items() if times > 1]
        maybe = {number for number, id in self.taking if outcome[id] in {"open", "unknown"}}
        gaps = set(range(1, max(sure, default=0) + 1)) - set(sure) - maybe
        return found + [Violation("lost", "counter bills", f"{n} was taken by nobody") for n in sorted(gaps)]


def _remember(kept: dict[tuple[str, Any], set[str]], ops: Ops, state: dict[str, Records]) -> None:
    for op in ops:
        value = _at(state, (op[1], op[2]))
        if value is not None:
            kept.setdefault((op[1], op[2]), set()).add(value)


def _at(state: dict[str, Records], spot: tuple[str, Any]) -> str | None:
    return text(state[spot[0]][spot[1]]) if spot[1] in state[spot[0]] else None


def _same(one: dict[str, Records], other: dict[str, Records]) -> bool:
    return not _different(one, other)


def _different(one: dict[str, Records], other: dict[str, Records]) -> list[tuple[str, Any]]:
    spots = {(store, key): None for state in (one, other) for store in STORES for key in state[store]}
    return [spot for spot in spots if _at(one, spot) != _at(other, spot)]


def _verdict(name: str, owner: Owner, spot: tuple[str, Any], part: dict[str, Records]) -> Violation:
    where, wanted, there = f"{name} {spot[0]}[{spot[1]}]", _at(owner.state, spot), _at(part, spot)
    if there is None:
        return Violation("lost", where, f"acknowledged and not there: {wanted}")
    if there in owner.refused.get(spot, ()):
        return Violation("refused", where, f"refused, yet there: {there}")
    if wanted is None and spot in owner.deleted:
        return Violation("resurrected", where, f"its delete was acknowledged: {there}")
    if wanted is not None and there in owner.past.get(spot, ()):
        return Violation("lost", where, f"it is as it was before its last acknowledged change: {there}, not {wanted}")
    return Violation("unexplained", where, f"{there} instead of {wanted}")


def compare(image: Image, table: Image, rows_in_file: list[Any] | None = None) -> list[Violation]:
    """Where the table (and the JSON file) differ from the image, order included."""
    found = []
    for store in ("things", "events", "rows"):
        mine, theirs = [text(x) for x in getattr(image, store)], [text(x) for x in getattr(table, store)]
        if mine != theirs:
            found.append(Violation("table", store, _first_difference(mine, theirs)))
    if rows_in_file is not None and text(rows_in_file) != text(image.rows):
        found.append(
            Violation("file", "rows", _first_difference(*([text(r) for r in s] for s in (image.rows, rows_in_file))))
        )
    return found


def _first_difference(mine: list[str], theirs: list[str]) -> str:
    if sorted(mine) == sorted(theirs):
        return f"the same {len(mine)} records in another order"
    only_here, only_there = set(mine) - set(theirs), set(theirs) - set(mine)
    return (
        f"image has {len(mine)}, the other side {len(theirs)}; only in the image: {_some(only_here)}; "
        f"only on the other side: {_some(only_there)}"
    )


def _some(values: Iterable[str]) -> str:
    held = sorted(values)
    return f"{len(held)} {held[:2]}"
