"""A state machine that runs builtins and drop-ins side by side, with crashes, restarts and phase changes in between."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import outlive
from outlive.commit import failpoints
from outlive.errors import Unavailable

EXAMPLES = int(os.environ.get("OUTLIVE_MODEL_EXAMPLES", "1000"))
PARTS = 4
KEYS = st.one_of(st.integers(-3, 3), st.sampled_from(["a", "b", "ب", "1", ""]))
LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5),
)  # fmt: skip
VALUES = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(["a", "$x", "b"]), st.integers(0, 2)), inner, max_size=3),
        st.sets(st.integers(0, 5), max_size=3),
    ),
    max_leaves=6,
)
RECORDS = st.dictionaries(st.sampled_from(["a", "b", "c", "$odd"]), VALUES, max_size=3)
POINTS = ["commit.before", "commit.after", "ack.before", "image.before", "image.after"]


class Harness:
    """One service on the test's database; survives crashes by being opened again."""

    def __init__(self, url: str, home: Path) -> None:
        self.env = {"DATABASE_URL": url, "OUTLIVE_HOME": str(home), "OUTLIVE_SCRUB_S": "3600", "OUTLIVE_POLL_S": "30"}
        self.open()

    def open(self) -> None:
        self.service = outlive.Service("model", env=self.env)
        at = {"service": self.service, "phase": "dual_write"}
        self.mapping: Any = outlive.mapping("items", dict, **at)
        self.log: Any = outlive.log("entries", dict, **at)
        self.set: Any = outlive.set("names", object, **at)
        self.service.start()

    def crash(self) -> None:
        self.service.crash()
        self.open()

    def restart(self) -> None:
        self.service.close()
        self.open()

    def change_phase(self, phase: str) -> None:
        with self.service.database.connect() as conn:  # type: ignore[union-attr]
            conn.execute("UPDATE outlive.phase SET phase = %s, epoch = epoch + 1 WHERE service = 'model'", (phase,))
        while any(store.phase != phase for store in self.service.stores.values()):
            self.service.watcher.tick()

    def clear(self) -> None:
        self.mapping.clear()
        self.log.clear()
        self.set.clear()


harness: Harness


def plain(value: Any) -> Any:
    """The value with tracked containers as their builtins, and types spelt out."""
    if isinstance(value, dict):
        return ("dict", [(type(k).__name__, k, plain(v)) for k, v in value.items()])
    if isinstance(value, list):
        return ("list", [plain(item) for item in value])
    if isinstance(value, tuple):
        return ("tuple", [plain(item) for item in value])
    if isinstance(value, set):
        return ("set", sorted(map(repr, value)))
    return (type(value).__name__, repr(value))


class DropIns(RuleBasedStateMachine):
    """Whatever is done to the builtins is done to the drop-ins; they are equal at all times."""

    @initialize()
    def begin(self) -> None:
        harness.clear()
        self.items: dict[Any, Any] = {}
        self.entries: list[Any] = []
        self.names: set[Any] = set()

    def both(self, act: Any) -> None:
        """Run `act(mapping, log, set)` on builtins and drop-ins; equal results and equal errors."""
        results = []
        for stores in ((self.items, self.entries, self.names), (harness.mapping, harness.log, harness.set)):
            try:
                results.append(("value", plain(act(*stores))))
            except (KeyError, IndexError, ValueError, TypeError) as error:
                results.append(("error", type(error)))
        assert results[0] == results[1]

    @rule(key=KEYS, record=RECORDS)
    def put(self, key: Any, record: Any) -> None:
        self.both(lambda d, _l, _s: d.__setitem__(key, copy.deepcopy(record)))

    @rule(key=KEYS)
    def delete(self, key: Any) -> None:
        self.both(lambda d, _l, _s: d.__delitem__(key))

    @rule(key=KEYS, record=RECORDS)
    def setdefault(self, key: Any, record: Any) -> None:
        self.both(lambda d, _l, _s: d.setdefault(key, copy.deepcopy(record)))

    @rule(key=KEYS)
    def pop(self, key: Any) -> None:
        self.both(lambda d, _l, _s: d.pop(key, None))

    @rule()
    def popitem(self) -> None:
        self.both(lambda d, _l, _s: d.popitem())

    @rule(records=st.dictionaries(KEYS, RECORDS, max_size=3))
    def update(self, records: Any) -> None:
        self.both(lambda d, _l, _s: d.update(copy.deepcopy(records)))

    @rule(key=KEYS, field=st.sampled_from(["a", "b", "new"]), value=VALUES)
    def set_field(self, key: Any, field: str, value: Any) -> None:
        self.both(lambda d, _l, _s: d[key].__setitem__(field, copy.deepcopy(value)))

    @rule(key=KEYS, field=st.sampled_from(["a", "b"]), value=VALUES)
    def change_inside(self, key: Any, field: str, value: Any) -> None:
        self.both(lambda d, _l, _s: _inside(d[key][field], copy.deepcopy(value)))

    @rule(key=KEYS, value=VALUES)
    def change_by_alias(self, key: Any, value: Any) -> None:
        def act(d: Any, _l: Any, _s: Any) -> None:
            record: dict[str, Any] = {"a": []}
            with harness.service.unit():
                d[key] = record
                record["a"].append(copy.deepcopy(value))
                record["late"] = 1

        self.both(act)

    @rule(key=KEYS, other=KEYS)
    def share(self, key: Any, other: Any) -> None:
        def act(d: Any, _l: Any, _s: Any) -> None:
            d[other] = d[key]
            d[key]["shared"] = 1

        self.both(act)

    @rule(record=RECORDS)
    def append(self, record: Any) -> None:
        self.both(lambda _d, entries, _s: entries.append(copy.deepcopy(record)))

    @rule(index=st.integers(-4, 4), record=RECORDS)
    def insert(self, index: int, record: Any) -> None:
        self.both(lambda _d, entries, _s: entries.insert(index, copy.deepcopy(record)))

    @rule(index=st.integers(-3, 3))
    def remove_at(self, index: int) -> None:
        self.both(lambda _d, entries, _s: entries.pop(index))

    @rule(start=st.integers(-3, 3), stop=st.integers(-3, 3), records=st.lists(RECORDS, max_size=2))
    def replace_slice(self, start: int, stop: int, records: Any) -> None:
        self.both(lambda _d, entries, _s: entries.__setitem__(slice(start, stop), copy.deepcopy(records)))

    @rule()
    def reverse(self) -> None:
        self.both(lambda _d, entries, _s: entries.reverse())

    @rule()
    def sort(self) -> None:
        self.both(lambda _d, entries, _s: entries.sort(key=lambda record: sorted(map(str, record))))

    @rule(index=st.integers(0, 2), value=VALUES)
    def change_entry(self, index: int, value: Any) -> None:
        self.both(lambda _d, entries, _s: entries[index].__setitem__("a", copy.deepcopy(value)))

    @rule(element=st.one_of(st.integers(-2, 2), st.text(max_size=1).filter(lambda t: t.isprintable())))
    def add(self, element: Any) -> None:
        self.both(lambda _d, _l, names: names.add(element))

    @rule(elements=st.sets(st.integers(-2, 2), max_size=3), name=st.sampled_from(["__ior__", "__isub__", "__ixor__"]))
    def combine(self, elements: Any, name: str) -> None:
        self.both(lambda _d, _l, names: getattr(names, name)(set(elements)) and None)

    @rule(key=KEYS, record=RECORDS)
    def unit_that_raises(self, key: Any, record: Any) -> None:
        with pytest.raises(ZeroDivisionError), harness.service.unit():
            harness.mapping[key] = copy.deepcopy(record)
            harness.mapping[key]["x"] = [1]
            harness.log.append({"gone": 1})
            for held in list(harness.mapping):
                harness.mapping[held]["touched"] = {"deep": [1]}
            if harness.mapping:
                del harness.mapping[next(iter(harness.mapping))]
            harness.log.reverse()
            harness.set.add("gone")
            raise ZeroDivisionError

    @rule()
    def crash(self) -> None:
        harness.crash()

    @rule()
    def restart(self) -> None:
        harness.restart()

    @rule(phase=st.sampled_from(["dual_write", "dual_read"]))
    def change_phase(self, phase: str) -> None:
        harness.change_phase(phase)

    @rule(point=st.sampled_from(POINTS), key=KEYS, record=RECORDS)
    def crash_at(self, point: str, key: Any, record: Any) -> None:
        """An acknowledged write survives, any other is there whole or not at all."""
        before, after = plain(self.items), {**self.items, key: copy.deepcopy(record)}
        failpoints.arm(point, "raise", 1)
        acknowledged = False
        try:
            harness.mapping[key] = copy.deepcopy(record)
            acknowledged = True
        except (failpoints.FailPointHit, Unavailable):
            pass
        finally:
            failpoints.disarm(point)
        harness.crash()
        found = plain(harness.mapping)
        assert found in ([plain(after)] if acknowledged else [plain(after), before])
        if found == plain(after):
            self.items = after

    @invariant()
    def equal(self) -> None:
        """Content, order and types are those of the builtins."""
        if hasattr(self, "items"):
            assert plain(harness.mapping) == plain(self.items)
            assert plain(harness.log) == plain(self.entries)
            assert plain(harness.set) == plain(self.names)


def _inside(container: Any, value: Any) -> None:
    if isinstance(container, dict):
        container["z"] = value
    elif isinstance(container, list):
        container.append(value)
    elif isinstance(container, set):
        container.add(7)
    else:
        raise TypeError


@pytest.fixture
def opened(database_url: str, tmp_path: Path) -> Iterator[None]:
    """The harness on a database of its own."""
    global harness
    harness = Harness(database_url, tmp_path)
    yield
    harness.service.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_drop_ins_behave_as_builtins_across_crashes(opened: None, part: int) -> None:
    """Builtins and drop-ins are equal after every step, crash, restart and phase change (1,000 examples in parts)."""
    rules = settings(
        max_examples=EXAMPLES // PARTS, stateful_step_count=12, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(DropIns, settings=rules)
