"""Seeded random units over two stores, made from what their owner has, and carried out on real drop-ins."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from outlive.runtime.service import Service
from tests.faults.ledger import Image, Ops, Records, apply, copied

KEEP = 8
HOT = ("hot-0", "hot-1")
WORDS = ("café", "שלום", "مرحبا", "ships", "🙂", "naïve", "zero", "")


class Aborted(Exception):
    """The unit was told to raise in its middle; nothing of it may remain."""


@dataclass(slots=True)
class Maker:
    """Makes one owner's units. `second` is the store beside the mapping: events or rows."""

    rng: random.Random
    owner: str
    second: str
    state: dict[str, Records]
    only_second: bool = False
    telling: bool = False  # records of every store tell their key
    serial: int = 0
    fresh: dict[str, int] = field(default_factory=dict)

    def unit(self) -> Ops:
        """Operations that can be carried out in this order on the owner's state."""
        ops: Ops = []
        state = self.state
        self.serial += 1
        alone = self.rng.random() < 0.15
        stores = [self.second] if self.only_second else ["things", self.second]
        for number in range(1 if alone else self.rng.randrange(2, 6)):
            store = self.rng.choice(stores) if alone or number >= len(stores) else stores[number]
            op = self._operation(store, state)
            ops.append(op)
            state = apply(state, [op])
        return ops

    def done(self, ops: Ops) -> None:
        """The unit has happened."""
        self.state = apply(self.state, ops)

    def _operation(self, store: str, state: dict[str, Records]) -> list[Any]:
        keys = list(state[store])
        roll = self.rng.random()
        if store == "things" and roll < 0.25:
            return self._hot(state)
        if not keys or (roll < 0.55 and len(keys) < KEEP):
            key = self._new_key(store, keys)
            return ["put", store, key, self._record(store, key)]
        key = self.rng.choice(keys)
        if roll < 0.7 or len(keys) >= KEEP:
            return ["del", store, key]
        if roll < 0.78 and store != "events":
            return ["put", store, key, self._record(store, key)]
        return self._inside(store, key)

    def _inside(self, store: str, key: Any) -> list[Any]:
        value = self._value()
        choice = self.rng.randrange(3)
        if choice == 0:
            return ["push", store, key, ["tags"], value]
        return ["set", store, key, ["deep", "level", "value"] if choice == 1 else ["note"], value]

    def _hot(self, state: dict[str, Records]) -> list[Any]:
        key = self.rng.choice(HOT)
        if key in state["hot"] and self.rng.random() < 0.7:
            return ["set", "hot", key, [self.owner, "n"], self._value()]
        return ["set", "hot", key, [self.owner], {"n": self._value(), "by": self.owner}]

    def _new_key(self, store: str, keys: list[Any]) -> Any:
        """Sometimes one that was deleted before, so that a late replay could bring the old record back."""
        number = self.fresh.get(store, 0)
        base = int(self.owner[1:]) * 10_000
        again = [n for n in range(number) if (base + n if store == "rows" else f"{self.owner}:{n}") not in keys]
        if again and store != "events" and self.rng.random() < 0.5:
            number = self.rng.choice(again)
        else:
            self.fresh[store] = number + 1
        if store == "rows":
            return base + number
        return f"{self.owner}:{self.rng.randrange(10**9)}" if store == "events" else f"{self.owner}:{number}"

    def _record(self, store: str, key: Any) -> dict[str, Any]:
        record = {"note": self._value(), "tags": [self._value()], "deep": {"level": {"value": self._value()}}}
        return record if store == "things" and not self.telling else {"id": key, **record}

    def _value(self) -> Any:
        return self.rng.choice([
            f"{self.owner}.{self.serial} {self.rng.choice(WORDS)}", self.serial, self.rng.randrange(2**70),
            self.rng.random(), None, self.serial % 2 == 0, [self.serial, {"a": "b"}],
        ])  # fmt: skip


class Shelves:
    """The service under test and its stores; carries operations out as application code would."""

    def __init__(
        self, home_file: Any, name: str, second: str, phase: str, away: str | None, *, mapping: bool = True
    ) -> None:
        import outlive

        self.service = Service(name)
        options: dict[str, Any] = {"service": self.service, "phase": phase, "when_away": away}
        self.hot = HOT if mapping else ()
        self.things: Any = outlive.mapping("things", dict, **options) if mapping else {}
        self.events: Any = outlive.log("events", dict, **options) if second == "events" else []
        self.rows: Any = outlive.json_file(home_file, name="rows", **options) if second == "rows" else None
        self.turn = threading.RLock()

    def seed(self) -> None:
        """The records that all owners change."""
        for key in self.hot:
            self.things.setdefault(key, {})

    def perform(self, op: list[Any]) -> Any:
        """Carry one operation out in the current unit; what it returns, if anything, must still be asked for.

        Whoever asks holds `turn`: another's list that was loaded before and is saved after would undo it.
        """
        if op[1] == "rows":
            return self._on_rows(op)
        (self._on_events if op[1] == "events" else self._on_things)(op)
        return None

    def _on_things(self, op: list[Any]) -> None:
        if op[0] == "put":
            self.things[op[2]] = op[3]
        elif op[0] == "del":
            del self.things[op[2]]
        else:
            _inside(self.things[op[2]], op)

    def _on_events(self, op: list[Any]) -> None:
        if op[0] == "put":
            self.events.append(op[3])
            return
        entry = next(entry for entry in list(self.events) if entry["id"] == op[2])
        if op[0] == "del":
            self.events.remove(entry)
        else:
            _inside(entry, op)

    def _on_rows(self, op: list[Any]) -> Any:
        """By the whole list, as code with a JSON file does; every third time by the repository."""
        if op[0] in ("put", "del") and op[2] % 3 == 0:
            repository = self.rows.repository
            return repository.put(op[3]) if op[0] == "put" else repository.delete(op[2])
        with self.turn, self.rows as rows:
            place = next((n for n, row in enumerate(rows) if row["id"] == op[2]), None)
            if op[0] == "del":
                assert place is not None
                del rows[place]
            elif op[0] != "put":
                _inside(next(row for row in rows if row["id"] == op[2]), op)
            elif place is None:
                rows.append(op[3])
            else:
                rows[place] = op[3]
        return None

    def image(self) -> dict[str, Any]:
        """What memory holds, in order."""
        rows = self.rows.load() if self.rows is not None else []
        return {"things": list(self.things.items()), "events": list(self.events), "rows": rows}

    def part(self, owner: str) -> dict[str, Records]:
        """What the owner has."""
        mine: dict[str, Records] = copied(Image.of(self.image()).part(owner))
        return mine


class SqlShelves(Shelves):
    """The same by repositories alone, in phase `database`: there is no image, and every record tells its key."""

    def __init__(self, home_file: Any, name: str, second: str, phase: str, away: str | None, **_: Any) -> None:
        import outlive

        self.service = Service(name)
        options: dict[str, Any] = {"service": self.service, "phase": phase, "when_away": away}
        self.hot = HOT
        self.things = outlive.mapping("things", dict, key="id", **options)
        self.events = outlive.log("events", dict, **options) if second == "events" else []
        self.rows = outlive.json_file(home_file, name="rows", **options) if second == "rows" else None
        self.turn = threading.RLock()

    def _at(self, store: str) -> Any:
        """The store's repository, or None where the run has no such store."""
        named = {"things": self.things, "hot": self.things, "events": self.events, "rows": self.rows}[store]
        return getattr(named, "repository", None)

    def seed(self) -> None:
        """The records that all owners change."""
        at = self._at("things")
        for key in self.hot:
            if at.get(key).result() is None:
                at.put({"id": key}).result()

    def perform(self, op: list[Any]) -> Any:
        """Carry one operation out in the current unit; the answer must be asked for."""
        at, key = self._at(op[1]), op[2]
        if op[0] == "put":
            return at.put(op[3])
        if op[1] == "events":  # a log's keys are its own
            return Afterwards(at.keys(id=key), lambda keys: self._change(at, keys[0], op))
        return self._change(at, key, op)

    def _change(self, at: Any, key: Any, op: list[Any]) -> Any:
        if op[0] == "del":
            return at.delete(key)
        field = op[3][0]
        if op[0] == "set" and len(op[3]) == 1:
            return at.patch(key, **{field: op[4]})
        return Afterwards(at.get(key), lambda record: at.patch(key, **{field: _changed(record, op)[field]}))

    def image(self) -> dict[str, Any]:
        """What the tables hold, in order."""
        held = {name: at.find().result() if (at := self._at(name)) else [] for name in ("things", "events", "rows")}
        return held | {"things": [(record["id"], record) for record in held["things"]]}


@dataclass(slots=True)
class Afterwards:
    """One call on a repository, then another made from its answer; for threads and for loops."""

    first: Any
    then: Callable[[Any], Any]

    def result(self) -> Any:
        """The second answer."""
        return self.then(self.first.result()).result()

    def __await__(self) -> Generator[Any, Any, Any]:
        found = yield from self.first.__await__()
        return (yield from self.then(found).__await__())


def _changed(record: Any, op: list[Any]) -> Any:
    _inside(record, op)
    return record


def _inside(record: Any, op: list[Any]) -> None:
    *path, last = op[3]
    for name in path:
        record = record[name]
    if op[0] == "push":
        record[last].append(op[4])
    else:
        record[last] = op[4]
