"""How a store's changes are encoded, taken back and handed over, over units whose outcome the test decides.

Long: one promise of a store a test, all on the same few helpers.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from outlive.commit.unit import ABSENT, Scope, Unit, current
from outlive.commit.units import Units
from outlive.errors import Conflict, KeyTaken, Unholdable
from outlive.records import canonical, parse
from outlive.records.versions import VersionClock
from outlive.runtime.switching import record_classes
from outlive.stores import tracking
from outlive.stores.mapping import MappingStore
from outlive.stores.store import UNHELD, Host, Store, fields_of, restored


@dataclass
class Task:
    """A record as user code declares it."""

    title: str
    done: bool = False
    tags: list[Any] = field(default_factory=list)


class Desk(Host):
    """A service whose ended units wait until the test lands or refuses them."""

    def __init__(self) -> None:
        moments = itertools.count(1_700_000_000_000)
        self.service = "desk"
        self.submitted: list[Unit] = []
        self.units = Units(self.submitted.append, lambda: None)
        self.clock = VersionClock(1, lambda: next(moments))
        self.shadow_share = 0.0
        self.sampled = deque()

    def ready(self, store: Store) -> None:
        """Open from the beginning."""

    def session(self) -> Any:
        """Never asked for."""
        raise AssertionError

    def lane(self) -> Any:
        """Never asked for."""
        raise AssertionError

    def observe_query(self, seconds: float) -> None:
        """No query is run."""

    @property
    def reachable(self) -> bool:
        """Nothing can be away."""
        return True

    def store(self, declared: Any, phase: Any = "dual_write", **options: Any) -> MappingStore:
        """A store in a phase, its record classes watched."""
        made = MappingStore(self, "tasks", declared, **options)
        for cls in record_classes(made):
            tracking.instrument(cls)
        made.enter(phase)
        return made

    @contextmanager
    def inside(self, unit: Unit) -> Iterator[Unit]:
        """Code that runs in an open unit."""
        token = current.set(Scope(unit))
        try:
            yield unit
        finally:
            current.reset(token)

    def begin(self) -> Unit:
        """A new open unit."""
        return self.units.begin("test")

    def land(self, unit: Unit) -> None:
        """End the unit, if it is open, and let it be durable."""
        self.units.end(unit)
        self.units.finish(unit)

    def write(self, act: Any) -> Unit:
        """A unit of its own that has landed."""
        unit = self.begin()
        with self.inside(unit):
            act()
        self.land(unit)
        return unit

    def during(self, unit: Unit, act: Any) -> None:
        """A piece of work in an open unit."""
        with self.inside(unit):
            act()


@pytest.fixture
def desk() -> Desk:
    """A service in memory."""
    return Desk()


def document(store: Store, key: Any) -> dict[str, Any]:
    """What the last ended unit left of a record."""
    return parse(store.kept[key].encoded)


# -- settings ------------------------------------------------------------------------------------------------------


def test_what_a_write_does_while_postgresql_is_away(desk: Desk) -> None:
    """The journal takes writes until dual_read, from there on they are refused; a declaration wins in every phase."""
    store = desk.store(dict)
    assert (store.strict, store.when_away, store.durable, store.retired) == (False, "journal", True, False)
    store.enter("dual_read")
    assert (store.strict, store.when_away) == (True, "refuse")
    store.enter("database")
    assert (store.retired, store.when_away) == (True, "refuse")
    declared = desk.store(dict, "dual_read", when_away="journal")
    assert declared.when_away == "journal"
    declared.enter("legacy")
    assert declared.durable is False


def test_the_last_use_is_remembered(desk: Desk) -> None:
    """A use of the mapping is noted with the place that it came from."""
    store = desk.store(dict)
    assert store.used_at is None
    store.used("app.py:7")
    assert store.used_by == "app.py:7"
    assert store.used_at is not None


# -- in-place changes ----------------------------------------------------------------------------------------------


def test_a_change_outside_a_unit_is_not_noted(desk: Desk) -> None:
    """Without a running operation, and in a phase that tracks nothing, no change is made."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    store.touch("a", "n")
    assert store.unsettled == {}
    store.tracking = False
    unit = desk.units.active = desk.begin()
    store.touch("a", "n")
    desk.units.active = None
    assert not unit.changes


def test_a_value_record_changes_as_one(desk: Desk) -> None:
    """A list that is itself the record is encoded and taken back as its only field."""
    store = desk.store(list[int])
    desk.write(lambda: store.proxy.update(a=[1]))
    unit = desk.begin()
    desk.during(unit, lambda: store.proxy["a"].append(2))
    assert unit.changes[(id(store), "a")].before_values == {"value": [1]}
    desk.units.discard(unit)
    assert store.proxy["a"] == [1]
    desk.write(lambda: store.proxy["a"].append(3))
    assert document(store, "a") == {"value": [1, 3]}


def test_a_model_record_is_patched_by_its_fields(desk: Desk) -> None:
    """Only what a unit wrote of a model is encoded anew; a field taken away leaves the document."""
    store = desk.store(Task)
    desk.write(lambda: store.proxy.update(a=Task("t", tags=[1])))
    unit = desk.write(lambda: store.proxy["a"].tags.append(2))
    assert unit.changes[(id(store), "a")].op == "patch"
    assert document(store, "a")["tags"] == [1, 2]
    desk.write(lambda: delattr(store.proxy["a"], "done"))
    assert "done" not in document(store, "a")
    assert document(store, "a")["title"] == "t"


def test_a_change_of_no_single_field_is_one_of_the_record(desk: Desk) -> None:
    """An operation that names no field marks the record as written whole."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    unit = desk.units.active = desk.begin()
    store.touch("a", None)
    desk.units.active = None
    assert unit.changes[(id(store), "a")].whole
    desk.units.discard(unit)
    assert store.proxy == {"a": {"n": 1}}


def test_a_dict_record_keeps_its_own_order(desk: Desk) -> None:
    """A patched dict record is encoded in the live record's key order."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"x": 1, "y": 2}))

    def move() -> None:
        x = store.proxy["a"].pop("x")
        store.proxy["a"]["x"] = x

    desk.write(move)
    assert list(document(store, "a")) == ["y", "x"]
    desk.write(lambda: store.proxy["a"].pop("y"))
    assert document(store, "a") == {"x": 1}
    desk.write(lambda: store.proxy["a"].clear())
    assert document(store, "a") == {}


def test_an_unchanged_record_needs_no_write(desk: Desk) -> None:
    """A unit that leaves a record as it found it, or deletes what it added, sends nothing of it."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    same = desk.write(lambda: store.proxy["a"].update(n=1))
    assert [change.op for change in same.changes.values()] == ["none"]

    def come_and_go() -> None:
        store.proxy["b"] = {"n": 2}
        del store.proxy["b"]

    gone = desk.write(come_and_go)
    assert [change.op for change in gone.changes.values()] == ["none"]
    store.copying = True
    gone = desk.write(come_and_go)
    assert [change.op for change in gone.changes.values()] == ["delete"]
    assert store.gone == {"b"}


# -- what cannot be held -------------------------------------------------------------------------------------------


def test_an_insert_of_a_known_key_is_refused(desk: Desk) -> None:
    """An insert never replaces a record."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    with pytest.raises(KeyTaken, match="a"):
        store.put(desk.begin(), "a", {"n": 2}, insert=True)
    assert store.proxy == {"a": {"n": 1}}


def test_before_dual_read_what_cannot_be_held_is_kept_as_text(desk: Desk) -> None:
    """The fields that can be held keep their form, the others become text that can be turned back where it is JSON."""
    store = desk.store(dict)
    loop: list[Any] = []
    loop.append(loop)
    record = {"ok": 1, "nul": "x\x00", "loop": loop, "object": Desk}
    unit = desk.write(lambda: store.proxy.update(a=record))
    assert store.stats["unholdable"] == 1
    change = unit.changes[(id(store), "a")]
    assert isinstance(change.error, Unholdable)
    assert (change.error.store, change.error.key) == ("tasks", '"a"')
    held = document(store, "a")
    assert held["ok"] == 1
    assert set(held["nul"]) == {UNHELD}
    assert "TrackedList object at" in held["loop"][UNHELD]
    assert restored(held)["nul"] == "x\x00"
    assert restored(held)["ok"] == 1
    assert store.encoded({"n": 1}) == canonical({"n": 1})


def test_a_field_that_cannot_be_held_beside_ones_that_can(desk: Desk) -> None:
    """A patch with a value that has no form is kept field by field too, for models as for values."""
    store = desk.store(Task)
    desk.write(lambda: store.proxy.update(a=Task("t")))
    unit = desk.write(lambda: setattr(store.proxy["a"], "title", "\ud800"))
    assert isinstance(unit.changes[(id(store), "a")].error, Unholdable)
    assert document(store, "a")["done"] is False
    assert set(document(store, "a")["title"]) == {UNHELD}
    values = desk.store(str)
    desk.write(lambda: values.proxy.update(v="\x00"))
    assert set(document(values, "v")["value"]) == {UNHELD}


def test_fields_are_told_one_by_one(desk: Desk) -> None:
    """A model without one of its fields, a dict and a value each tell the fields that are there."""
    task = Task("t")
    del task.done
    assert list(fields_of(desk.store(Task).record_type, task)) == [("title", "t"), ("tags", [])]
    assert list(fields_of(desk.store(dict).record_type, {"n": 1})) == [("n", 1)]
    assert list(fields_of(desk.store(int).record_type, 5)) == [("value", 5)]


def test_from_dual_read_on_what_cannot_be_held_is_refused_before_it_is_written(desk: Desk) -> None:
    """A record, a field and a value below a field are refused with store, key and field; nothing changes."""
    store = desk.store(dict, "dual_read")
    desk.write(lambda: store.proxy.update(a={"n": 1, "deep": []}))
    with pytest.raises(Unholdable) as whole:
        desk.write(lambda: store.proxy.update(b={"t": "\x00"}))
    assert (whole.value.store, whole.value.key, whole.value.field) == ("tasks", '"b"', "t")
    with pytest.raises(Unholdable) as top:
        desk.write(lambda: store.proxy["a"].update(n="\x00"))
    assert (top.value.key, top.value.field) == ('"a"', "n")
    with pytest.raises(Unholdable) as below:
        desk.write(lambda: store.proxy["a"]["deep"].append("\x00"))
    assert below.value.field.startswith("deep")
    assert store.proxy == {"a": {"n": 1, "deep": []}}


@pytest.mark.parametrize(("declared", "record"), [(Task, Task("t")), (list[Any], ["t"])])
def test_a_field_of_any_kind_of_record_is_screened(desk: Desk, declared: Any, record: Any) -> None:
    """Models are screened by their fields, values as a whole; before dual_read nothing is."""
    store = desk.store(declared)
    store.screen("a", "title", "\x00", True)
    store.enter("dual_read")
    store.screen("a", "title", "fine", True)
    with pytest.raises(Unholdable) as refused:
        store.screen("a", "title", "\x00", True)
    assert refused.value.store == "tasks"
    with pytest.raises(Unholdable, match="tasks"):
        store.screen("a", None, "\x00", False)


def test_a_value_that_hides_from_the_screen_fails_its_unit(desk: Desk) -> None:
    """In dual_read a record that cannot be encoded at the unit's end undoes the unit and tells which record it was."""
    store = desk.store(dict, "dual_read")
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    unit = desk.begin()

    def hide() -> None:
        store.proxy["a"]["n"] = 2
        dict.__setitem__(store.proxy["a"], "n", "\x00")

    desk.during(unit, hide)
    desk.units.end(unit)
    error = unit.ticket.exception()
    assert isinstance(error, Unholdable)
    assert (error.store, error.key) == ("tasks", '"a"')
    assert store.proxy == {"a": {"n": 1}}


# -- going back ----------------------------------------------------------------------------------------------------


def test_a_unit_that_replaced_added_and_removed_goes_back(desk: Desk) -> None:
    """Old records are the same objects again in their old order, added ones are gone, and tracking goes on."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}, b={"n": 2}, c={"n": 3}))
    first = store.proxy["a"]
    unit = desk.begin()

    def work() -> None:
        del store.proxy["a"]
        store.proxy["b"] = {"n": "new"}
        store.proxy["d"] = {"n": 4}
        store.proxy["e"] = {"n": 5}
        del store.proxy["e"]

    desk.during(unit, work)
    desk.units.discard(unit)
    assert list(store.proxy.items()) == [("a", {"n": 1}), ("b", {"n": 2}), ("c", {"n": 3})]
    assert store.proxy["a"] is first
    assert store.unsettled == {}
    desk.write(lambda: first.update(n="tracked"))
    assert document(store, "a") == {"n": "tracked"}


def test_a_changed_and_then_deleted_record_goes_back_whole(desk: Desk) -> None:
    """Fields that the unit changed before it removed the record have their old values again."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    unit = desk.begin()

    def work() -> None:
        store.proxy["a"]["n"] = 2
        store.proxy["a"]["more"] = 3
        del store.proxy["a"]

    desk.during(unit, work)
    desk.units.discard(unit)
    assert store.proxy == {"a": {"n": 1}}
    assert store.kept["a"].encoded == canonical({"n": 1})


def test_a_refused_unit_leaves_what_was_kept(desk: Desk) -> None:
    """An ended unit that did not land takes its bytes out of what is kept: changed, added and deleted records."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}, b={"n": 2}))
    before = dict(store.kept)
    unit = desk.begin()

    def work() -> None:
        store.proxy["a"]["n"] = 3
        del store.proxy["b"]
        store.proxy["c"] = {"n": 4}

    desk.during(unit, work)
    desk.units.end(unit)
    assert sorted(change.op for change in unit.changes.values()) == ["delete", "patch", "put"]
    unit.undo()
    desk.units.finish(unit)
    assert store.kept == before
    assert list(store.proxy.items()) == [("a", {"n": 1}), ("b", {"n": 2})]


def test_the_fields_of_a_record_that_another_unit_removed_do_not_come_back(desk: Desk) -> None:
    """Undoing a field of a record that is not stored any more changes nothing."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    early, late = desk.begin(), desk.begin()
    desk.during(early, lambda: store.proxy["a"].update(n=2))
    desk.during(late, lambda: store.proxy.pop("a"))
    desk.units.discard(early)
    assert store.proxy == {}
    desk.units.discard(late)
    assert store.proxy == {"a": {"n": 1}}


# -- two units on one record ---------------------------------------------------------------------------------------


def test_a_unit_lands_without_the_other_units_fields(desk: Desk) -> None:
    """An ended unit's document holds fields of open units at their before-values, absent ones left out."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    other, mine = desk.begin(), desk.begin()
    desk.during(other, lambda: store.proxy["a"].update(n="open", fresh=True))
    desk.during(mine, lambda: store.proxy["a"].update(own=1))
    desk.land(mine)
    assert document(store, "a") == {"n": 1, "own": 1}
    desk.land(other)
    assert document(store, "a") == {"n": "open", "own": 1, "fresh": True}


def test_a_replacement_lands_without_what_an_open_unit_then_changed(desk: Desk) -> None:
    """A unit that put a record lands it as it put it, though an open unit has written a field of it since."""
    store = desk.store(dict)
    mine, other = desk.begin(), desk.begin()
    desk.during(mine, lambda: store.proxy.update(a={"n": 1}))
    desk.during(other, lambda: store.proxy["a"].update(n=2))
    desk.land(mine)
    assert document(store, "a") == {"n": 1}
    desk.land(other)
    assert document(store, "a") == {"n": 2}


def test_a_field_of_both_units_lands_as_it_is(desk: Desk) -> None:
    """A field that both units wrote lands with the first that ends, and a put lands past an older open field."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}, b={"n": 1}))
    other, mine = desk.begin(), desk.begin()
    desk.during(other, lambda: (store.proxy["a"].update(n=2), store.proxy["b"].update(n=2)))
    desk.during(mine, lambda: (store.proxy["a"].update(n=3), store.proxy.update(b={"m": 3})))
    desk.land(mine)
    assert document(store, "a") == {"n": 3}
    assert document(store, "b") == {"m": 3}
    desk.land(other)
    assert store.proxy == {"a": {"n": 3}, "b": {"m": 3}}


def test_a_replaced_record_lands_as_its_unit_wrote_it(desk: Desk) -> None:
    """A unit's record that an open unit has replaced since is encoded as it was before the replacement."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    mine, other = desk.begin(), desk.begin()
    desk.during(mine, lambda: store.proxy["a"].update(n=2))
    desk.during(other, lambda: store.proxy.update(a={"n": "replaced"}))
    desk.land(mine)
    assert document(store, "a") == {"n": 2}
    desk.land(other)
    assert document(store, "a") == {"n": "replaced"}


@pytest.mark.parametrize("declared", [Task, dict])
def test_the_later_unit_inherits_a_fields_before_value(desk: Desk, declared: Any) -> None:
    """When the earlier of two open writers of a field goes first, undoing the later restores the settled value."""
    store = desk.store(declared)
    desk.write(lambda: store.proxy.update(a=Task("settled") if declared is Task else {"title": "settled"}))

    def title(text: str) -> None:
        if declared is Task:
            store.proxy["a"].title = text
        else:
            store.proxy["a"]["title"] = text

    early, late = desk.begin(), desk.begin()
    desk.during(early, lambda: title("early"))
    desk.during(late, lambda: title("late"))
    desk.units.discard(early)
    assert late.changes[(id(store), "a")].before_values == {"title": "settled"}
    assert isinstance(late.doomed, Conflict)
    desk.units.end(late)
    with pytest.raises(Conflict, match="undone"):
        late.ticket.result()
    assert store.proxy["a"] == (Task("settled") if declared is Task else {"title": "settled"})


def test_a_unit_that_wrote_before_an_undone_one_is_not_doomed(desk: Desk) -> None:
    """Only a unit that wrote a field after the undone one built on it."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    early, late = desk.begin(), desk.begin()
    desk.during(early, lambda: store.proxy["a"].update(n=2))
    desk.during(late, lambda: store.proxy["a"].update(n=3))
    desk.units.discard(late)
    assert early.doomed is None
    assert store.proxy == {"a": {"n": 2}}


def test_a_field_of_an_undone_put_dooms_its_writer(desk: Desk) -> None:
    """A unit that changed a record which another unit had put cannot stand when that put is undone."""
    store = desk.store(dict)
    put, patch = desk.begin(), desk.begin()
    desk.during(put, lambda: store.proxy.update(a={"n": 1}))
    desk.during(patch, lambda: store.proxy["a"].update(n=2))
    desk.units.discard(put)
    assert isinstance(patch.doomed, Conflict)
    assert patch.changes[(id(store), "a")].before_values == {}
    desk.units.end(patch)
    assert store.proxy == {}


def test_an_ended_unit_that_built_on_an_undone_one_is_doomed(desk: Desk) -> None:
    """A unit that waits for another's outcome and shares a field with it fails with it."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    first, second = desk.begin(), desk.begin()
    desk.during(first, lambda: store.proxy["a"].update(n=2))
    desk.units.end(first)
    desk.during(second, lambda: store.proxy["a"].update(n=3))
    desk.units.end(second)
    assert second.depends == {first}
    first.undo()
    assert isinstance(second.doomed, Conflict)
    second.undo()
    assert store.proxy == {"a": {"n": 1}}


def test_ended_units_undone_last_first_leave_what_was_kept(desk: Desk) -> None:
    """Two ended units on one field, taken back in the opposite order, leave image and kept bytes as they were."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    units = [desk.begin(), desk.begin()]
    for number, unit in enumerate(units):
        desk.during(unit, lambda number=number: store.proxy["a"].update(n=2 + number))
        desk.units.end(unit)
    for unit in reversed(units):
        unit.undo()
        desk.units.finish(unit)
    assert store.proxy == {"a": {"n": 1}}
    assert store.kept["a"].encoded == canonical({"n": 1})


def test_a_later_replacement_inherits_what_an_undone_put_replaced(desk: Desk) -> None:
    """When two units replaced a record and the first is undone, undoing the second gives back the first one's past."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    settled = store.proxy["a"]
    first, second = desk.begin(), desk.begin()

    def replace() -> None:
        store.proxy["a"]["n"] = 2
        store.proxy["a"] = {"n": "first"}

    desk.during(first, replace)
    desk.during(second, lambda: store.proxy.update(a={"n": "second"}))
    desk.units.discard(first)
    assert store.proxy == {"a": {"n": "second"}}
    assert second.doomed is None
    desk.units.discard(second)
    assert store.proxy == {"a": {"n": 1}}
    assert store.proxy["a"] is settled


@pytest.mark.parametrize("fresh", [False, True])
def test_a_field_undone_after_a_replacement_is_undone_in_the_replaced_record(desk: Desk, fresh: bool) -> None:
    """A replacement that is undone after the field's unit gives back the record with the field's settled value."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    patch, put = desk.begin(), desk.begin()
    desk.during(patch, lambda: store.proxy["a"].update({"more": 2} if fresh else {"n": 2}))
    desk.during(put, lambda: store.proxy.update(a={"n": "replaced"}))
    desk.units.discard(patch)
    assert store.proxy == {"a": {"n": "replaced"}}
    desk.units.discard(put)
    assert store.proxy == {"a": {"n": 1}}


def test_an_earlier_replacement_stands_when_a_later_one_is_undone(desk: Desk) -> None:
    """Undoing the later of two replacements gives back the earlier one, which can still be undone itself."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    first, second = desk.begin(), desk.begin()
    desk.during(first, lambda: store.proxy.update(a={"n": "first"}))
    desk.during(second, lambda: store.proxy.update(a={"n": "second"}))
    desk.units.discard(second)
    assert store.proxy == {"a": {"n": "first"}}
    assert first.doomed is None
    desk.units.discard(first)
    assert store.proxy == {"a": {"n": 1}}


def test_a_replacer_that_had_changed_the_field_inherits_its_before_value(desk: Desk) -> None:
    """A unit that changed a field and then replaced the record gives back the settled value when both are undone."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}))
    patch, put = desk.begin(), desk.begin()
    desk.during(patch, lambda: store.proxy["a"].update(n=2))
    desk.during(put, lambda: (store.proxy["a"].update(n=3), store.proxy.update(a={"n": 4})))
    desk.units.discard(patch)
    assert put.changes[(id(store), "a")].before_values == {"n": 1}
    desk.units.discard(put)
    assert store.proxy == {"a": {"n": 1}}


def test_a_value_undone_after_its_replacement(desk: Desk) -> None:
    """The same for a record that is one value: the replacement stands while its unit does."""
    store = desk.store(list[int])
    desk.write(lambda: store.proxy.update(a=[1]))
    patch, put = desk.begin(), desk.begin()
    desk.during(patch, lambda: store.proxy["a"].append(2))
    desk.during(put, lambda: store.proxy.update(a=[9]))
    desk.units.discard(patch)
    assert store.proxy["a"] == [9]
    desk.land(put)
    assert document(store, "a") == {"value": [9]}


def test_a_field_written_before_a_put_keeps_its_before_value(desk: Desk) -> None:
    """A put that is undone takes from other units only what they wrote into the record that it had put."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1, "m": 1}))
    patch, put = desk.begin(), desk.begin()
    desk.during(patch, lambda: store.proxy["a"].update(n=2))
    desk.during(put, lambda: store.proxy.update(a={"n": 3}))
    desk.units.discard(put)
    assert patch.changes[(id(store), "a")].before_values == {"n": 1}
    assert patch.doomed is None
    desk.units.discard(patch)
    assert store.proxy == {"a": {"n": 1, "m": 1}}


# -- changes without an image --------------------------------------------------------------------------------------


def direct(desk: Desk, store: Store, op: Any, key: str, held: dict[str, Any] | None, *fields: str) -> Unit:
    """A unit with one change as phase database makes it."""
    unit = desk.begin()
    change = store.direct(unit, key, op)
    change.document = held
    for name in fields or (None,):
        change.stamps[name] = 0
    change.before_values = dict.fromkeys(fields, 1)
    return unit


def test_a_direct_change_touches_no_image(desk: Desk) -> None:
    """In phase database a change has a version and a place, and undoing it changes nothing in memory."""
    store = desk.store(dict, "database")
    unit = direct(desk, store, "put", "a", {"n": 1})
    desk.units.end(unit)
    change = unit.changes[(id(store), "a")]
    assert change.position == change.version > 0
    assert store.image_size() == 0
    store.undo(change)
    desk.units.finish(unit)
    store.settled(change)
    assert store.unsettled == {}
    assert store.kept == {}


def test_a_patch_of_a_record_that_the_unit_put_is_a_put(desk: Desk) -> None:
    """One unit has one change of a record; a patch on top of a put stays a put, a delete becomes one."""
    store = desk.store(dict, "database")
    unit = desk.begin()
    change = store.direct(unit, "a", "put")
    assert store.direct(unit, "a", "patch") is change
    assert change.op == "put"
    assert store.direct(unit, "a", "delete").op == "delete"


def test_a_key_is_claimed_by_another_unit_only(desk: Desk) -> None:
    """A unit's own put claims nothing against itself; another's does until it deletes."""
    store = desk.store(dict, "database")
    mine, other = desk.begin(), desk.begin()
    store.direct(mine, "a", "put")
    assert store.claimed(mine, "a") is False
    assert store.claimed(other, "a") is True
    store.direct(mine, "a", "delete")
    assert store.claimed(other, "a") is False


def test_direct_changes_join_an_image_that_is_back(desk: Desk) -> None:
    """A unit begun in phase database that ends after the way back brings puts, patches and deletes into the image."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1, "m": 1}, b={"n": 2}))
    store.enter("database")
    units = [
        direct(desk, store, "patch", "a", {"n": 5}, "n", "m"),
        direct(desk, store, "delete", "b", None),
        direct(desk, store, "delete", "never", None),
        direct(desk, store, "put", "c", {"n": 3}),
    ]
    store.enter("dual_read")
    for unit in units:
        desk.units.end(unit)
    assert store.proxy == {"a": {"n": 5}, "c": {"n": 3}}
    assert {key: parse(kept.encoded) for key, kept in store.kept.items()} == {"a": {"n": 5}, "c": {"n": 3}}
    for unit in units:
        unit.undo()
        desk.units.finish(unit)
    assert store.proxy == {"a": {"n": 1, "m": 1}, "b": {"n": 2}}
    assert store.image_get("c") is ABSENT


def test_a_place_given_with_a_put_is_kept(desk: Desk) -> None:
    """A record that moves to a given place stands there after its unit's end, and goes back to the old one."""
    store = desk.store(dict)
    desk.write(lambda: store.proxy.update(a={"n": 1}, b={"n": 2}))
    place = store.position("a")
    assert store.position("unknown") is None
    unit = desk.begin()
    store.put(unit, "a", {"n": 1}, position=2**60)
    desk.units.end(unit)
    assert store.kept["a"].position == 2**60
    store.reorder()
    assert list(store.proxy) == ["b", "a"]
    unit.undo()
    desk.units.finish(unit)
    assert store.position("a") == place
    assert list(store.proxy) == ["a", "b"]
