"""In-place changes: what is reported, to whom, and what stays unreported."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from outlive.errors import Unavailable, Unholdable
from outlive.stores import tracking
from outlive.stores.tracking import Place, TrackedDict, TrackedList, TrackedSet, adopt, aliases, release


class Desk:
    """An owner that notes what is reported to it."""

    def __init__(self, strict: bool = False) -> None:
        self.tracking = True
        self.strict = strict
        self.away = False
        self.touched: list[tuple[Any, Any]] = []
        self.running = 0

    def mutation(self) -> Desk:
        """One operation; refused while the owner is away."""
        if self.away:
            raise Unavailable(store="desk", reason="away")
        return self

    def __enter__(self) -> None:
        self.running += 1

    def __exit__(self, *error: object) -> None:
        self.running -= 1

    def touch(self, key: Any, field: Any) -> None:
        """Notes a change."""
        assert self.running
        self.touched.append((key, field))

    def screen(self, key: Any, field: Any, value: Any, top: bool) -> None:
        """Refuses whatever contains the word `bad`."""
        if "bad" in repr(value):
            raise Unholdable(store="desk", key=str(key), field=str(field), reason="bad")

    def take(self) -> list[tuple[Any, Any]]:
        """What was noted since the last look."""
        noted, self.touched = self.touched, []
        return noted

    def hold(self, key: Any, record: Any) -> Any:
        """The tracked record."""
        return adopt(record, (Place(self, key, None),))


@dataclass
class Part:
    """A nested instance."""

    names: list[str] = field(default_factory=list)
    more: Any = None


@dataclass(slots=True)
class Slotted:
    """An instance without a `__dict__`."""

    names: list[str]
    more: Any = None


class OneSlot:
    """An instance whose `__slots__` is one name, and maybe unset."""

    __slots__ = "only"  # noqa: PLC0205  the form that is meant


class Struct(msgspec.Struct):
    """A msgspec struct."""

    names: list[str]


for _cls in (Part, Slotted, OneSlot, Struct):
    tracking.instrument(_cls)

DICT_OPS: list[tuple[Callable[[Any], Any], list[Any]]] = [
    (lambda d: d.__setitem__("a", 2), ["a"]),
    (lambda d: d.__delitem__("a"), ["a"]),
    (lambda d: d.pop("a"), ["a"]),
    (lambda d: d.pop("zz", None), ["zz"]),
    (lambda d: d.popitem(), ["b"]),
    (lambda d: d.setdefault("c", []), ["c"]),
    (lambda d: d.setdefault("a", []), []),
    (lambda d: d.clear(), ["a", "b"]),
    (lambda d: d.update({"x": 1}, y=2), ["x", "y"]),
    (lambda d: d.update(), [None]),
    (lambda d: d.__ior__({"z": 1}), ["z"]),
]


@pytest.mark.parametrize("number", range(len(DICT_OPS)))
def test_a_dict_reports_each_field_that_it_changes(number: int) -> None:
    """A stored dict reports the fields of an operation; a dict nested in it reports the field that it stands in."""
    act, fields = DICT_OPS[number]
    desk, plain = Desk(), {"a": 1, "b": [2]}
    record = desk.hold("k", {"a": 1, "b": [2]})
    assert (act(record), record) == (act(plain), plain)
    assert desk.take() == [("k", name) for name in fields]
    outer = desk.hold("o", {"in": {"a": 1, "b": [2]}})
    act(outer["in"])
    assert desk.take() == [("o", "in")] * len(fields)
    assert outer["in"] == plain


LIST_OPS: list[Callable[[Any], Any]] = [
    lambda x: x.__setitem__(0, [9]),
    lambda x: x.__setitem__(slice(0, 1), ([8], [7])),
    lambda x: x.__delitem__(0),
    lambda x: x.append([1]),
    lambda x: x.insert(0, [1]),
    lambda x: x.extend(([1], [2])),
    lambda x: x.__iadd__([[1]]),
    lambda x: x.__imul__(2),
    lambda x: x.pop(),
    lambda x: x.remove([3]),
    lambda x: x.clear(),
    lambda x: x.sort(reverse=True),
    lambda x: x.reverse(),
]


@pytest.mark.parametrize("act", LIST_OPS)
def test_a_list_reports_and_tracks_what_enters(act: Callable[[Any], Any]) -> None:
    """Each list operation does what the builtin's does, reports its field once, and what it holds reports too."""
    desk, plain = Desk(), [[1], [3]]
    record = desk.hold("k", {"in": [[1], [3]]})
    assert (act(record["in"]), record["in"]) == (act(plain), plain)
    assert desk.take() == [("k", "in")]
    for item in record["in"]:
        item.append(0)
        assert desk.take() == [("k", "in")]


SET_OPS: list[Callable[[Any], Any]] = [
    lambda x: x.add(9),
    lambda x: x.discard(1),
    lambda x: x.remove(1),
    lambda x: x.clear(),
    lambda x: x.pop() and None,
    lambda x: x.update({5}),
    lambda x: x.difference_update({1}),
    lambda x: x.intersection_update({1}),
    lambda x: x.symmetric_difference_update({1, 5}),
    lambda x: x.__ior__({5}),
    lambda x: x.__iand__({1}),
    lambda x: x.__isub__({1}),
    lambda x: x.__ixor__({1, 5}),
]


@pytest.mark.parametrize("act", SET_OPS)
def test_a_set_reports(act: Callable[[Any], Any]) -> None:
    """Each set operation does what the builtin's does and reports its field once."""
    desk, plain = Desk(), {1, 2}
    record = desk.hold("k", {"in": {1, 2}})
    assert (act(record["in"]), record["in"]) == (act(plain), plain)
    assert desk.take() == [("k", "in")]


def test_a_strict_owner_refuses_before_anything_changes() -> None:
    """What cannot be held is refused by every way in, at any depth, and the record is as it was."""
    desk = Desk(strict=True)
    record = desk.hold("k", {"d": {"a": 1}, "l": [1], "s": {1}, "p": Part(["x"])})
    before = copy.deepcopy(record)
    entries: list[Callable[[], Any]] = [
        lambda: record.__setitem__("d", "bad"),
        lambda: record.setdefault("new", ["bad"]),
        lambda: record["d"].__setitem__("a", ["bad"]),
        lambda: record["d"].update(b=1, c="bad"),
        lambda: record["l"].append("bad"),
        lambda: record["l"].insert(0, "bad"),
        lambda: record["l"].extend(iter([2, "bad"])),
        lambda: record["l"].__setitem__(0, "bad"),
        lambda: record["l"].__setitem__(slice(None), iter(["bad"])),
        lambda: record["s"].add("bad"),
        lambda: record["s"].update({"bad"}),
        lambda: record["s"].__ior__({"bad"}),
        lambda: setattr(record["p"], "names", ["bad"]),
    ]
    for enter in entries:
        with pytest.raises(Unholdable):
            enter()
    assert record == before
    assert desk.take() == []
    record["s"].update()
    record["l"].append("good")
    assert record["l"] == [1, "good"]


def test_an_owner_that_is_away_leaves_nothing_open() -> None:
    """If one of two owners refuses an operation, the other's has ended and the object is unchanged."""
    here, away = Desk(), Desk()
    shared = here.hold("a", {"n": [1]})
    assert away.hold("b", shared) is shared
    away.away = True
    for change in (lambda: shared["n"].append(2), lambda: shared.update(n=1, m=2), lambda: shared.clear()):
        with pytest.raises(Unavailable):
            change()
    assert here.running == 0
    assert shared == {"n": [1]}
    away.tracking = False
    shared["n"].append(2)
    assert (shared, away.take()) == ({"n": [1, 2]}, [])


def test_copies_and_pickles_are_plain() -> None:
    """What is copied or pickled out of a record is a builtin that nobody tracks."""
    desk = Desk()
    record = desk.hold("k", {"l": [1], "s": {1}})
    assert (type(record), type(record["l"]), type(record["s"])) == (TrackedDict, TrackedList, TrackedSet)
    for part in (record, record["l"], record["s"]):
        for made in (part.copy(), copy.copy(part), copy.deepcopy(part), pickle.loads(pickle.dumps(part))):  # noqa: S301
            assert made == part
            assert type(made) in (dict, list, set)
    assert repr(record) == "{'l': [1], 's': {1}}"


def test_what_is_changed_through_the_original_is_carried_over() -> None:
    """A dict, list or set that was stored and is changed by its own name carries the change over, deletes included."""
    desk = Desk()
    names, tags, facts = [1, 2], {1, 2}, {"x": 1, "y": 2}
    original = {"l": names, "s": tags, "d": facts}
    record = desk.hold("k", original)
    desk.take()
    assert aliases.catch_up() == 0
    names[0] = 9
    tags.symmetric_difference_update({2, 3})
    del facts["x"]
    facts["z"] = []
    aliases.end_unit()
    assert record == {"l": [9, 2], "s": {1, 3}, "d": {"y": 2, "z": []}}
    assert {name for _, name in desk.take()} == {"l", "s", "d"}
    facts["y"] = 5
    tags.remove(1)
    tags.add(4)
    original["new"] = 1
    assert aliases.catch_up() == 3
    assert record == {"l": [9, 2], "s": {3, 4}, "d": {"y": 5, "z": []}, "new": 1}


def test_originals_that_nobody_holds_are_forgotten() -> None:
    """An original is known while somebody can reach it, alone or through another original, and no longer."""
    aliases.prune()
    before = len(aliases)
    desk = Desk()
    inner: list[int] = [1]
    outer = {"in": inner}
    record = desk.hold("k", outer)
    assert desk.hold("j", outer) is record
    del inner
    aliases.prune()
    assert len(aliases) == before + 2
    outer["in"].append(2)
    aliases.catch_up()
    assert record["in"] == [1, 2]
    del outer
    aliases.prune()
    assert len(aliases) == before


def test_an_address_that_came_twice_is_forgotten_once() -> None:
    """The address of an original that is gone may be that of a new one in the same unit, which ends all the same."""
    before = len(aliases)
    original = {"n": 1}
    for _ in range(2):
        aliases.add(original, {"n": 1})
    del original
    aliases.end_unit()
    assert len(aliases) == before


def test_one_object_in_two_records_reports_to_both_until_released() -> None:
    """What stands in two records reports to both; released from one, it and all in it reports to the other alone."""
    desk = Desk()
    part = Part(["x"], ({"t": 1}, frozenset({1})))
    record = desk.hold("a", {"p": part, "l": [{"deep": [1]}], "t": ([2], 3)})
    shared = desk.hold("b", {"p": part, "l": record["l"], "t": record["t"]})
    assert shared["p"] is part
    changes: list[Callable[[], Any]] = [
        lambda: part.names.append("y"),
        lambda: part.more[0].update(t=2),
        lambda: shared["l"][0]["deep"].append(2),
        lambda: shared["t"][0].append(5),
        lambda: setattr(part, "names", ["z"]),
    ]
    for change in changes:
        change()
        assert {key for key, _ in desk.take()} == {"a", "b"}
    release(record, desk, "a")
    for change in changes:
        change()
        assert {key for key, _ in desk.take()} == {"b"}
    release(record, desk, "a")
    release(shared, desk, "b")
    for change in changes:
        change()
        assert desk.take() == []
    assert id(part) not in tracking.instances


def test_a_record_that_contains_itself_is_tracked_and_released() -> None:
    """A ring of instances stored in two places is entered and left without end of the stack."""
    desk = Desk()
    ring = Part(["x"])
    ring.more = ring
    for key in ("a", "b"):
        assert desk.hold(key, ring) is ring
    ring.names.append("y")
    assert {key for key, _ in desk.take()} == {"a", "b"}
    release(ring, desk, "a")
    ring.names.append("z")
    assert {key for key, _ in desk.take()} == {"b"}
    release(ring, desk, "b")
    assert id(ring) not in tracking.instances


@pytest.mark.parametrize("make", [Part, Slotted, Struct])
def test_instances_of_every_kind_report(make: Any) -> None:
    """Dataclasses, slots classes and structs report attribute writes, and the containers in them report too."""
    desk = Desk()
    held = make(["x"])
    held.names = ["y"]
    assert desk.hold("k", held) is held
    held.names.append("z")
    held.names = ["w"]
    held.names.append("v")
    assert desk.take() == [("k", "names")] * 3
    assert held == make(["w", "v"])
    outer = desk.hold("o", {"in": make(["x"])})
    outer["in"].names.append("y")
    assert desk.take() == [("o", "in")]
    release(outer, desk, "o")
    release(held, desk, "k")
    held.names = []
    assert desk.take() == []


def test_an_attribute_that_is_deleted_reports() -> None:
    """`del` of an attribute is a change of a stored instance and none of another; an unset slot is no part."""
    desk = Desk()
    one = OneSlot()
    desk.hold("k", one)
    one.only = [1]
    one.only.append(2)
    del one.only
    assert desk.take() == [("k", "only")] * 3
    assert not hasattr(one, "only")
    release(one, desk, "k")
    one.only = 1
    del one.only
    assert desk.take() == []


def test_classes_are_instrumented_once() -> None:
    """A second call changes nothing, and builtins stay as they are."""
    method = Part.__setattr__
    tracking.instrument(Part)
    tracking.instrument(int)
    assert Part.__setattr__ is method
    assert int not in tracking._classes
