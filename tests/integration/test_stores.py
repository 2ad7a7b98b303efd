"""Each kind of store in each phase, on real PostgreSQL: what it does, refuses, and leaves behind."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic
import pytest

import outlive
from outlive.commit.unit import ABSENT
from outlive.errors import Conflict, KeyTaken, MappingRetired, Unavailable, Unholdable
from outlive.stores.backing import Backing
from outlive.stores.order import rising

Make = Callable[..., outlive.Service]
PHASES = ["legacy", "dual_write", "dual_read", "database"]


@pytest.fixture
def make(database_url: str, tmp_path: Path) -> Iterator[Make]:
    """Builds services on the test's database; closes what a test leaves open."""
    made: list[outlive.Service] = []

    def build(**env: str) -> outlive.Service:
        base = {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path / "home"), "OUTLIVE_POLL_S": "0.02"}
        service = outlive.Service("shop", env={**base, **env})
        made.append(service)
        return service

    yield build
    for service in made:
        service.close()


class Model(pydantic.BaseModel):
    """A Pydantic record."""

    id: str
    n: int = 0
    tags: list[str] = []


@dataclass
class Data:
    """A dataclass record."""

    id: str
    n: int = 0
    tags: list[str] = field(default_factory=list)


def in_table(service: outlive.Service, store: str) -> list[tuple[Any, Any]]:
    """Key and document of each row in PostgreSQL, in order, seen through a connection of its own."""
    from outlive.records import parse
    from outlive.transfer.fill import read_rows

    service.flush_blocking()
    assert service.database is not None
    with service.database.connect() as conn:
        return [(key, parse(encoded)) for key, encoded, _, _ in read_rows(conn, service.stores[store])]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("declared", [Model, Data])
def test_a_repository_writes_in_every_phase(make: Make, declared: Any, phase: Any) -> None:
    """Insert, put, patch, move to another key and delete give the same records in every phase, and in one unit."""
    service = make()
    things = outlive.mapping("things", declared, key="id", service=service, phase=phase)
    at = things.repository
    with service.open():
        for name in "abc":
            at.insert(declared(id=name)).result()
        with pytest.raises(KeyTaken):
            at.insert(declared(id="a")).result()
        at.put(declared(id="b", n=7)).result()
        with service.unit():
            assert at.patch("a", n=1).result() == declared(id="a", n=1)
            assert at.patch("a", tags=["x"]).result() == declared(id="a", n=1, tags=["x"])
            assert at.get("a").result() == declared(id="a", n=1, tags=["x"])
            at.insert(declared(id="d")).result()
            at.patch("d", n=4).result()
            assert at.get("d").result() == declared(id="d", n=4)
            assert at.delete("c").result() is True
            assert at.get("c").result() is None
            assert at.delete("c").result() is False
            assert at.patch("c", n=1).result() is None
            assert [record.id for record in at.find().result()] == ["a", "b", "d"]
        assert at.keys(order_by="-n").result() == ["b", "d", "a"]
        assert at.delete_many(["d", "d", "nobody"]).result() == 1
        assert at.find().result() == [declared(id="a", n=1, tags=["x"]), declared(id="b", n=7)]
        if phase != "legacy":
            assert [key for key, _ in in_table(service, "things")] == ["a", "b"]


def test_a_patched_live_record_stays_the_same_object(make: Make) -> None:
    """A patch in dual_write changes the object that user code holds, and what it put in reports further changes."""
    service = make()
    things = outlive.mapping("things", Data, key="id", service=service, phase="dual_write")
    with service.open():
        things["a"] = held = Data("a")
        things.repository.patch("a", tags=["x"]).result()
        assert things["a"] is held
        held.tags.append("y")
        assert in_table(service, "things") == [("a", {"id": "a", "n": 0, "tags": ["x", "y"]})]


def test_a_record_moves_to_another_key_in_the_database(make: Make) -> None:
    """A changed key field moves the record, at its place; a taken key or a value that is no key is refused."""
    service = make()
    things = outlive.mapping("things", dict, key="id", service=service, phase="database")
    at = things.repository
    with service.open():
        for name in "abc":
            at.insert({"id": name}).result()
        assert at.patch("a", id="z", n=1).result() == {"id": "z", "n": 1}
        assert at.find().result() == [{"id": "z", "n": 1}, {"id": "b"}, {"id": "c"}]
        with pytest.raises(Unholdable, match="no key"):
            at.patch("b", id=1.5).result()
        with pytest.raises(KeyTaken):
            at.patch("b", id="c").result()
        with pytest.raises(Unholdable):
            at.insert({"n": 1}).result()
        assert at.keys().result() == ["z", "b", "c"]


def test_awaited_writes_are_durable(make: Make) -> None:
    """On an event loop, outside a unit, an awaited write is in PostgreSQL when it returns; in a unit, at its end."""
    service = make()
    things = outlive.mapping("things", dict, key="id", service=service, phase="database")
    older = outlive.mapping("older", dict, key="id", service=service, phase="dual_write")

    async def work() -> None:
        await older.repository.insert({"id": "o"})
        assert [key for key, _ in in_table(service, "older")] == ["o"]
        await things.repository.insert({"id": "a"})
        assert await things.repository.patch("a", n=1) == {"id": "a", "n": 1}
        async with service.unit():
            await things.repository.insert({"id": "b"})
            assert await things.repository.count() == 2
        assert await things.repository.find() == [{"id": "a", "n": 1}, {"id": "b"}]
        await Backing(service.stores["things"]).asettle()

    with service.open():
        asyncio.run(work())
        assert [key for key, _ in in_table(service, "things")] == ["a", "b"]


def test_a_record_that_left_meanwhile(make: Make) -> None:
    """A patch of a record that another hand has deleted is a Conflict; its delete is done already."""
    service = make()
    outlive.mapping("things", dict, key="id", service=service, phase="dual_write")
    with service.open():
        backing = Backing(service.stores["things"])
        backing.unit_delete("a")
        with pytest.raises(Conflict, match="deleted meanwhile"):
            backing.unit_patch("a", {"n": 1})
        assert in_table(service, "things") == []


def test_the_units_own_changes_are_read_in_dual_read(make: Make) -> None:
    """In dual_read SQL answers, except for a store that the running unit has changed: then the image does."""
    service = make()
    things = outlive.mapping("things", dict, key="id", service=service, phase="dual_read")
    others = outlive.mapping("others", dict, key="id", service=service, phase="dual_read")
    with service.open():
        things["a"] = {"id": "a"}
        backing = Backing(service.stores["things"])
        assert backing.reads_sql()
        with service.unit():
            others["x"] = {"id": "x"}
            assert backing.reads_sql()
            things["b"] = {"id": "b"}
            assert not backing.reads_sql()
            assert things.repository.keys().result() == ["a", "b"]


@pytest.mark.parametrize("phase", PHASES)
def test_a_log_and_a_set_are_written_by_repository_too(make: Make, phase: Any) -> None:
    """An entry gets a key of its own, an element is its own key; both stand in order and go by that key."""
    service = make()
    entries = outlive.log("entries", dict, service=service, phase=phase)
    names = outlive.set("names", str, service=service, phase=phase)
    with service.open():
        at = entries.repository
        with service.unit():
            for n in (1, 1, 2):
                at.insert({"n": n}).result()
        at.put({"n": 3}).result()
        assert at.find().result() == [{"n": 1}, {"n": 1}, {"n": 2}, {"n": 3}]
        first, second = at.keys(n=1).result()
        assert first != second
        assert at.delete(first).result() is True
        assert at.patch(second, n=9).result() == {"n": 9}
        assert at.find(order_by="n").result() == [{"n": 2}, {"n": 3}, {"n": 9}]
        assert at.count().result() == 3
        names.repository.insert("نور").result()
        with pytest.raises(KeyTaken):
            names.repository.insert("نور").result()
        assert names.repository.find().result() == ["نور"]
        assert names.repository.delete("نور").result() is True
        if phase in {"dual_write", "dual_read"}:
            assert list(entries) == [{"n": 9}, {"n": 2}, {"n": 3}]
        if phase != "legacy":
            assert [document for _, document in in_table(service, "entries")] == [{"n": 9}, {"n": 2}, {"n": 3}]


def together(service: outlive.Service, *calls: Callable[[], Any]) -> list[Any]:
    """What each call gave or raised, all of them having landed in one group."""
    given: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        try:
            given[place] = calls[place]()
        except outlive.errors.OutliveError as error:
            given[place] = error

    service.committer.paused = True
    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for number, thread in enumerate(threads, 1):
        thread.start()
        ends = time.monotonic() + 20
        while len(service.committer.pending()) < number and time.monotonic() < ends:
            time.sleep(0.001)
    assert len(service.committer.pending()) == len(calls)
    service.committer.paused = False
    service.committer.wake()
    for thread in threads:
        thread.join(20)
    return given


def test_patches_of_one_group_without_an_image_are_merged(make: Make) -> None:
    """Two calls that patch different fields both count; of two that patch one field the later is refused."""
    service = make()
    at = outlive.mapping("items", dict, key="id", service=service, phase="database").repository
    with service.open():
        at.insert({"id": 1, "a": 0, "b": 0, "c": 0}).result()
        together(service, lambda: at.patch(1, a=1).result(), lambda: at.patch(1, b=2).result())
        assert at.get(1).result() == {"id": 1, "a": 1, "b": 2, "c": 0}
        _, refused = together(service, lambda: at.patch(1, c=1).result(), lambda: at.patch(1, c=2, a=7).result())
        assert isinstance(refused, Conflict)
        assert at.get(1).result() == {"id": 1, "a": 1, "b": 2, "c": 1}
        together(service, lambda: at.put({"id": 1, "b": 2, "a": 1, "c": 5}).result(), lambda: at.patch(1, a=9).result())
        assert at.get(1).result() == {"id": 1, "b": 2, "a": 9, "c": 5}
        _, refused = together(service, lambda: at.delete(1).result(), lambda: at.patch(1, a=3).result())
        assert isinstance(refused, Conflict)
        assert at.get(1).result() is None


def test_a_record_put_again_without_an_image_keeps_its_place(make: Make) -> None:
    """In `database` put stands where the record stood, as in a dict; after a delete it comes last."""
    service = make()
    at = outlive.mapping("items", dict, key="id", service=service, phase="database").repository
    with service.open():
        for n in range(4):
            at.put({"id": n}).result()
        at.put({"id": 1, "again": True}).result()
        assert at.keys().result() == [0, 1, 2, 3]
        with service.unit():
            at.patch(0, n=1).result()
            at.delete(0).result()
            at.put({"id": 0}).result()
            at.put({"id": 9}).result()
            at.put({"id": 0, "again": True}).result()
        assert at.keys().result() == [1, 2, 3, 0, 9]
        together(service, lambda: at.delete(2).result(), lambda: at.put({"id": 2}).result())
        together(service, lambda: at.put({"id": 7}).result(), lambda: at.put({"id": 3, "x": 1}).result())
        assert at.keys().result() == [1, 3, 0, 9, 2, 7]


# -- logs and sets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES[:3])
def test_a_log_is_a_list_in_every_phase(make: Make, phase: Any) -> None:
    """Every operation of a list gives the builtin's result, and PostgreSQL holds the same order."""
    service = make()
    entries = outlive.log("entries", dict, service=service, phase=phase)
    plain: list[Any] = []
    steps: list[Callable[[Any], Any]] = [
        lambda x: x.extend({"n": n} for n in range(5)),
        lambda x: x.append({"n": 9}),
        lambda x: x.insert(2, {"n": 7}),
        lambda x: x.insert(0, {"n": 8}),
        lambda x: x.sort(key=lambda row: row["n"]),
        lambda x: x.pop(1),
        lambda x: x.__setitem__(slice(1, 3), [{"n": 30}, {"n": 31}, {"n": 32}]),
        lambda x: x.reverse(),
        lambda x: x.remove({"n": 31}),
        lambda x: x[0].update(n=50),
    ]
    with service.open():
        for step in steps:
            assert step(entries) == step(plain)
            assert list(entries) == plain
            if phase != "legacy":
                assert [document for _, document in in_table(service, "entries")] == plain
        for made in (entries.copy(), copy.deepcopy(entries), pickle.loads(pickle.dumps(entries))):  # noqa: S301
            assert (type(made), made) == (list, plain)
        with pytest.raises(ZeroDivisionError), service.unit():
            entries[0]["n"] = 51
            del entries[1]
            entries.append({"n": 52})
            raise ZeroDivisionError
        if phase != "legacy":
            assert list(entries) == plain
            store = service.stores["entries"]
            assert store.image_get("nobody") is ABSENT
            assert [row["n"] for row in entries.repository.find(n__gt=8).result()] == [
                row["n"] for row in plain if row["n"] > 8
            ]


def test_a_log_in_dual_read_refuses_what_cannot_be_held(make: Make) -> None:
    """An append or extend with NUL in it raises Unholdable, nothing of it stays, and the log works on."""
    service = make()
    entries = outlive.log("entries", dict, service=service, phase="dual_read")
    with service.open():
        entries.append({"n": 1})
        for write in (
            lambda: entries.append({"t": "\x00"}),
            lambda: entries.extend([{"n": 2}, {"t": "\x00"}, {"n": 3}]),
            lambda: entries.insert(0, {"t": "\x00"}),
        ):
            with pytest.raises(Unholdable):
                write()
            assert list(entries) == [{"n": 1}]
        entries.append({"n": 4})
        entries.sort(key=lambda row: -row["n"])
        assert [document for _, document in in_table(service, "entries")] == [{"n": 4}, {"n": 1}]


@pytest.mark.parametrize("phase", PHASES[:3])
def test_a_set_is_a_set_in_every_phase(make: Make, phase: Any) -> None:
    """Every operation of a set gives the builtin's result, and PostgreSQL holds the same elements."""
    service = make()
    names = outlive.set("names", object, service=service, phase=phase)
    plain: set[Any] = set()
    steps: list[Callable[[Any], Any]] = [
        lambda x: x.update({"a", "b", "c"}),
        lambda x: x.add("d") or x.add("d"),
        lambda x: x.discard("a") or x.discard("nobody"),
        lambda x: x.remove("b"),
        lambda x: x.symmetric_difference_update({"c", "e"}),
        lambda x: x.add(frozenset({1})),
        lambda x: x.discard({1}),
        lambda x: x.__ior__({"f"}) is x,
        lambda x: x.__iand__({"f", "d"}) is x,
    ]
    with service.open():
        for step in steps:
            assert step(names) == step(plain)
            assert names == plain
            if phase != "legacy":
                assert {len(names), len(in_table(service, "names"))} == {len(plain)}
        with pytest.raises(KeyError):
            names.remove("nobody")
        for made in (names.copy(), copy.deepcopy(names), pickle.loads(pickle.dumps(names))):  # noqa: S301
            assert (type(made), made) == (set, plain)
        assert repr(names) == repr(set(names))
        if phase != "legacy":
            with pytest.raises(ZeroDivisionError), service.unit():
                names.clear()
                names.add("g")
                raise ZeroDivisionError
            assert names == plain
            assert service.stores["names"].image_get("nobody") is ABSENT
        taken = names.pop()
        assert taken in plain
        assert names == plain - {taken}


@pytest.mark.parametrize("kind", [outlive.mapping, outlive.log, outlive.set])
def test_stores_come_back_after_a_restart_and_retire(make: Make, kind: Any) -> None:
    """What was written is there after a restart; in `database` every use names the repository."""
    service = make()
    held = kind("held", object, service=service, phase="dual_write")
    with service.open():
        held.update({"a": 1}) if kind is outlive.mapping else held.__init__(["a"])
        before = copy.copy(held)
    service = make()
    held = kind("held", object, service=service, phase="dual_write")
    with service.open():
        assert copy.copy(held) == before
        assert service.stores["held"].image_size() == 1
        assert held.phase == "dual_write"
        service.stores["held"].enter("database")
        for use in (lambda: len(held), lambda: list(held), lambda: repr(held), lambda: held.clear()):
            with pytest.raises(MappingRetired, match=r"held\.repository"):
                use()
        service.stores["held"].enter("dual_write")


# -- mappings and counters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES[:3])
def test_a_mapping_is_a_dict_in_every_phase(make: Make, phase: Any) -> None:
    """Every operation of a dict gives the builtin's result, and PostgreSQL holds the same records in order."""
    service = make()
    things = outlive.mapping("things", object, service=service, phase=phase)
    plain: dict[Any, Any] = {}
    steps: list[Callable[[Any], Any]] = [
        lambda x: x.update({"a": 1}, b=2),
        lambda x: x.update(),
        lambda x: x.setdefault("c", [3]),
        lambda x: x.setdefault("c", [4]),
        lambda x: x.__ior__({"d": 4, "e": 5}) is x,
        lambda x: x.pop("a"),
        lambda x: x.pop("a", None),
        lambda x: x.popitem(),
        lambda x: x.__delitem__("b"),
        lambda x: x["c"].append(1),
        lambda x: x.clear(),
        lambda x: x.__setitem__("z", None),
    ]
    with service.open():
        for step in steps:
            assert step(things) == step(plain)
            assert (things, list(things)) == (plain, list(plain))
            if phase != "legacy":
                assert [key for key, _ in in_table(service, "things")] == list(plain)
        assert type(things).fromkeys("ab", 1) == {"a": 1, "b": 1}
        for made in (things.copy(), copy.deepcopy(things), pickle.loads(pickle.dumps(things))):  # noqa: S301
            assert (type(made), made) == (dict, plain)
        for wrong in (lambda: things.pop("no"), lambda: things.__delitem__("no")):
            with pytest.raises(KeyError):
                wrong()
        things.clear()
        with pytest.raises(KeyError):
            things.popitem()


def test_a_watched_mapping_notes_its_next_use(make: Make) -> None:
    """In dual_read a watched mapping notes the caller of its next use and behaves as ever; elsewhere nothing is."""
    service = make()
    things = outlive.mapping("things", dict, service=service, phase="dual_read")
    legacy = outlive.mapping("legacy", dict, service=service)
    with service.open():
        things["a"] = {}
        store: Any = service.stores["things"]
        store.used_by = None
        store.watch()
        service.stores["legacy"].watch()  # type: ignore[union-attr]
        assert type(legacy) is not type(things)
        assert things["a"] == {}
        assert str(store.used_by).startswith(__file__)
        store.used_by = None
        assert things["a"] == {}
        assert store.used_by is None


def test_a_counter_says_what_it_does_while_postgresql_is_away(make: Make) -> None:
    """`when_away` is what was declared, or the phase's own; a number is not guessed when no session is given."""
    service = make()
    number = outlive.counter("number", service=service, phase="dual_read")
    second = outlive.counter("second", service=service, when_away="journal", phase="database")
    early = outlive.counter("early", service=service)
    assert early.when_away == "journal"
    with service.open():
        assert (number.when_away, number.strict, number.image_size()) == ("refuse", True, 1)
        assert (second.when_away, early.strict) == ("journal", False)
        assert service.database is not None
        with service.database.connect() as conn:
            conn.execute("ALTER TABLE outlive.counter RENAME COLUMN value TO gone")
            with pytest.raises(Unavailable), service.unit():
                number.take()
            conn.execute("ALTER TABLE outlive.counter RENAME COLUMN gone TO value")
        assert number.take() == 1


def test_a_log_that_changes_while_it_sorts(make: Make) -> None:
    """What a comparison appends during a sort is the list's own error, and the log and PostgreSQL agree after it."""
    service = make()
    entries = outlive.log("entries", dict, service=service, phase="dual_write")
    with service.open():
        entries.extend([{"n": 2}, {"n": 1}])

        def meddle(row: Any) -> int:
            entries.append({"n": 3})
            return int(row["n"])

        with pytest.raises(ValueError, match="modified during sort"):
            entries.sort(key=meddle)
        assert [document for _, document in in_table(service, "entries")] == list(entries)


def test_positions_before_the_first_and_between_two() -> None:
    """New positions lie before, between or after the known ones."""
    draws = iter(range(100, 200))
    places = rising([None, 10, None, None, 20, None], lambda: next(draws))
    assert places == sorted(set(places))
    assert (places[1], places[4], places[5]) == (10, 20, 100)


def test_what_was_moved_takes_a_new_place_and_the_rest_keep_theirs() -> None:
    """An order that has changed costs as few new positions as possible, also where one record went to the front."""
    draws = iter(range(100, 200))
    assert rising([2, 3, 4, 1], lambda: next(draws)) == [2, 3, 4, 100]
    assert rising([4, 1, 2, 3], lambda: next(draws))[1:] == [1, 2, 3]
    assert rising([3, 2, 1], lambda: next(draws))[2] == 1
    places = rising([1, 9, 2, 8, None, 3], lambda: next(draws))
    assert places == sorted(set(places))
    assert [places[index] for index in (0, 2, 5)] == [1, 2, 3]


def test_positions_are_drawn_anew_where_no_digits_are_left() -> None:
    """After a hundred insertions at one place positions still rise strictly."""
    draws = iter(range(2**62, 2**62 + 10_000))
    places: list[Any] = [next(draws), next(draws)]
    for _ in range(100):
        places = rising([places[0], None, *places[1:]], lambda: next(draws))
        assert places == sorted(set(places))
