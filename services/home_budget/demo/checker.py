"""The ledger checker: what must, may and must not be there, replayed from the client's ledger alone.

It knows nothing of the server. A key's state is whether it exists, and for each field the values that it may have:
one after an acknowledged write, two after a write whose outcome is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.home_budget.demo.entries import Entry, Row

MARK = "demo "


@dataclass(frozen=True, slots=True)
class Fault:
    """One contradiction between ledger and service."""

    kind: str
    noun: str
    key: Any
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.noun} {self.key}: {self.detail}"


@dataclass(slots=True)
class State:
    """What is known about one record; `exists` None means that nobody can know."""

    values: dict[str, list[Any]]
    exists: bool | None = True

    def fits(self, row: Row) -> str:
        """The first field whose value nobody wrote or whose writer was refused, empty if there is none."""
        for name, allowed in self.values.items():
            if row.get(name) not in allowed:
                return f"{name} is {row.get(name)!r}, the ledger says {' or '.join(map(repr, allowed))}"
        return ""


@dataclass
class Expected:
    """The records that must be there after a ledger; `faults` are contradictions seen while it was replayed."""

    states: dict[tuple[str, int], State] = field(default_factory=dict)
    possible: dict[tuple[str, str], Row] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

    def replay(self, entries: Iterable[Entry]) -> Expected:
        """Take in what the client did, in the ledger's order."""
        for entry in entries:
            if entry.outcome != "unsent":
                take = getattr(self, f"_{entry.op}", None)
                if take is not None:
                    take(entry)
        return self

    def count(self, noun: str) -> int:
        """How many records of a collection must be there."""
        return sum(kind == noun and bool(state.exists) for (kind, _), state in self.states.items())

    def _create(self, entry: Entry) -> None:
        fields = entry.fields or {}
        token = (entry.noun, fields["notes"])
        if entry.outcome == "unknown":
            self.possible[token] = fields
        elif entry.outcome == "refused":
            self.refused.add(token)
        else:
            assert entry.key is not None
            if (entry.noun, entry.key) in self.states:
                self._fault("given twice", entry, "an id that another record has or had")
            self.states[entry.noun, entry.key] = State(_values(fields))
            self._look(entry)

    def _patch(self, entry: Entry) -> None:
        state = self._known(entry)
        if state is None:
            return
        for name, value in (entry.fields or {}).items():
            if entry.outcome == "acked":
                state.values[name] = [value]
            elif entry.outcome == "unknown":
                state.values[name] = [*state.values[name], value]
        if entry.outcome == "acked":
            self._look(entry)
        self._missed(entry, state)

    def _delete(self, entry: Entry) -> None:
        state = self._known(entry)
        if state is not None:
            self._missed(entry, state)
            _gone(state, entry)

    def _bulk_delete(self, entry: Entry) -> None:
        ids = (entry.fields or {})["ids"]
        if entry.outcome == "acked" and entry.seen != len(ids):
            self._fault("missed", entry, f"{entry.seen} of {len(ids)} existing records were deleted: {ids}")
        for key in ids:
            _gone(self.states[entry.noun, key], entry)

    def _get(self, entry: Entry) -> None:
        state = self._known(entry)
        if state is None:
            return
        if entry.outcome == "acked":
            self._look(entry)
        self._missed(entry, state)

    def _look(self, entry: Entry) -> None:
        """What an answer showed must be what the ledger says."""
        assert entry.key is not None
        state = self.states[entry.noun, entry.key]
        if state.exists is False:
            self._fault("resurrected", entry, "it was read after its acknowledged delete")
        elif wrong := state.fits(entry.seen):
            self._fault("misread", entry, wrong)

    def _missed(self, entry: Entry, state: State) -> None:
        if entry.status == 404 and state.exists:
            self._fault("missed", entry, f"{entry.op} answered 404, but the record was acknowledged")

    def _known(self, entry: Entry) -> State | None:
        state = None if entry.key is None else self.states.get((entry.noun, entry.key))
        if state is None:
            self._fault("unknown id", entry, "the ledger has no such record")
        return state

    def _fault(self, kind: str, entry: Entry, detail: str) -> None:
        self.faults.append(Fault(kind, entry.noun, entry.key, detail))


def expected(rows: Mapping[str, Iterable[Row]], entries: Iterable[Entry]) -> Expected:
    """What must be there: the records of the start (by noun), then everything in the ledger."""
    states = {(noun, row["id"]): State(_values(row)) for noun, found in rows.items() for row in found}
    return Expected(states).replay(entries)


def compare(wanted: Expected, found: Mapping[str, Sequence[Row]]) -> list[Fault]:
    """Every contradiction between the ledger and the final records (by noun) of one source."""
    faults: list[Fault] = []
    for noun, rows in found.items():
        faults += _twice(noun, rows)
        faults += _absent(wanted, noun, {row["id"] for row in rows})
        for row in rows:
            fault = _judge(wanted, noun, row)
            faults += [fault] if fault else []
    return faults


def happened(wanted: Expected, found: Mapping[str, Sequence[Row]]) -> int:
    """How many creates of unknown outcome turned out to have happened."""
    return sum((noun, row.get("notes")) in wanted.possible for noun, rows in found.items() for row in rows)


def _judge(wanted: Expected, noun: str, row: Row) -> Fault | None:
    state = wanted.states.get((noun, row["id"]))
    token = (noun, row.get("notes"))
    if state is None:
        if token in wanted.refused:
            return Fault("refused, yet there", noun, row["id"], "its create was refused")
        if token not in wanted.possible:
            return Fault("unexplained", noun, row["id"], "nobody asked for this record")
        state = State(_values(wanted.possible[token]))
    if state.exists is False:
        return Fault("resurrected", noun, row["id"], "its delete was acknowledged")
    wrong = state.fits(row)
    return Fault("wrong value", noun, row["id"], wrong) if wrong else None


def _absent(wanted: Expected, noun: str, ids: set[int]) -> list[Fault]:
    return [
        Fault("lost", noun, key, "it was acknowledged and is not there")
        for (kind, key), state in wanted.states.items()
        if kind == noun and state.exists and key not in ids
    ]


def _twice(noun: str, rows: Sequence[Row]) -> list[Fault]:
    ids = Counter(row["id"] for row in rows)
    tokens = Counter(row["notes"] for row in rows if str(row.get("notes")).startswith(MARK))
    return [
        Fault("duplicate", noun, what, f"it is there {count} times")
        for counted in (ids, tokens)
        for what, count in counted.items()
        if count > 1
    ]


def _gone(state: State, entry: Entry) -> None:
    if entry.outcome == "acked":
        state.exists = False
    elif entry.outcome == "unknown":
        state.exists = None


def _values(fields: Row) -> dict[str, list[Any]]:
    return {name: [value] for name, value in fields.items()}
