"""What an index proposes is enough: the answer over it is the answer over all records, whatever units do meanwhile."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outlive.errors import BadQuery, Conflict
from outlive.query import evaluate
from outlive.query.index import CHUNK, Index, Run, Shape
from outlive.query.language import Query, parse
from outlive.query.plans import Proposal, shapes
from outlive.stores.backing import Backing
from outlive.stores.mapping import MappingStore
from outlive.stores.repository import Repository
from tests.unit.stores.test_store import Desk, Task


class Mood(enum.Enum):
    CALM = "calm"
    WILD = "wild"


TITLES: list[Any] = ["a", "b", "calm", Mood.CALM, None, 1, 1.0, Decimal("1.00"), True, float("nan"), ["x"]]
PLAIN: list[Any] = ["a", "b", "c", "B", "\u05d0", "\u0628"]
DONE: list[Any] = [0, 1, 2, 3, 2.5, Decimal("0.1"), None]
DAYS: list[Any] = [dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, tzinfo=dt.UTC), {"a": 1}]


def queries(titles: list[Any], done: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Filters, order and page over the fields of a task."""
    title, number = st.sampled_from(titles), st.sampled_from(done)
    filters = st.fixed_dictionaries(
        {},
        optional={
            "title": title, "title__in": st.lists(title, max_size=3), "title__isnull": st.booleans(),
            "title__gte": title, "done": number, "done__lt": number, "done__gte": number, "title__ne": title,
            "done__in": st.lists(number, max_size=3),
        },
    )  # fmt: skip
    names = ["title", "-title", "done", "-done"]
    page = {
        "order_by": st.lists(st.sampled_from(names), max_size=2),
        "limit": st.none() | st.integers(0, 5),
        "offset": st.sampled_from([0, 0, 2]),
    }
    return st.fixed_dictionaries(page).flatmap(lambda page: filters.map(lambda held: {**page, "filters": held}))


STEPS = ["put", "put", "put", "title", "done", "tags", "drop", "begin", "land", "refuse", "leave", "reput"]


@st.composite
def stories(draw: st.DrawFn) -> list[Any]:
    """Steps of writers, with queries between them; half of the stories hold values of many kinds."""
    wild = draw(st.booleans())
    titles, done = ([*TITLES, *PLAIN], [*DONE, *DAYS]) if wild else (PLAIN, DONE)
    step = st.tuples(
        st.sampled_from(STEPS), st.integers(0, 11), st.sampled_from(titles), st.sampled_from(done), st.integers(0, 3)
    )
    ask = queries(titles, done).map(lambda query: ("ask", query))
    return draw(st.lists(st.one_of(step, step, ask), min_size=5, max_size=40))


class Writers:
    """A store, some open units, and what a step of a story does with them."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.store: MappingStore = self.desk.store(Task)
        self.repository = Repository(Backing(self.store))
        self.store.repository = self.repository
        self.open: list[Any] = []

    @contextmanager
    def unit(self, which: int) -> Iterator[None]:
        """Inside one of the open units, else in one that lands at once."""
        unit = self.open[which % len(self.open)] if self.open else None
        with self.desk.inside(self.desk.begin() if unit is None else unit) as current:
            yield
        if unit is None:
            self.desk.land(current)

    def do(self, step: str, key: int, title: Any, done: Any, which: int) -> None:
        """One step; those that need a record do nothing without one."""
        image = self.store.image
        if step == "begin" and len(self.open) < 3:
            self.open.append(self.desk.begin())
        elif step in ("land", "refuse", "leave") and self.open:
            unit = self.open.pop(which % len(self.open))
            {"land": self.desk.land, "refuse": self.refuse, "leave": self.desk.units.discard}[step](unit)
        elif step == "put":
            with self.unit(which):
                image[key] = Task(title, done)
        elif step in ("title", "done", "tags", "drop", "reput") and key in image:
            with self.unit(which):
                self._change(step, key, title, done)

    def refuse(self, unit: Any) -> None:
        """PostgreSQL refuses a unit that has ended."""
        self.desk.units.end(unit)
        if not unit.settled:
            with self.desk.units.lock:
                unit.undo()
                self.desk.units.finish(unit, Conflict(store="tasks", reason="refused"))

    def _change(self, step: str, key: int, title: Any, done: Any) -> None:
        image = self.store.image
        if step == "drop":
            del image[key]
        elif step == "reput":
            record = image.pop(key)
            image[key] = record
        elif step == "tags":
            image[key].tags.append(title)
        else:
            setattr(image[key], step, title if step == "title" else done)

    def ask(self, asked: dict[str, Any]) -> None:
        """Every index that could serve the query gives the answer of a look at all records."""
        query = parse(asked["filters"], asked["order_by"], asked["limit"], asked["offset"])
        peek = self.repository._peek
        full = outcome(lambda: evaluate.select(query, list(self.store.image_items()), peek))
        views = self.store.views
        assert views._fresh(peek)
        for shape in shapes(query):
            index = views.indexes.get(shape) or views._add(shape, declared=True)
            while not index.build(3, views._find, peek):
                pass
            proposal = views._proposal(shape, query, peek)
            if proposal is not None and (items := views._items(proposal)) is not None:
                assert outcome(lambda items=items: evaluate.select(query, items, peek)) == full, shape  # type: ignore[misc]
        assert outcome(lambda: evaluate.select(query, self.repository._held(query), peek)) == full
        items = list(self.store.image_items())
        assert views.texts(items, shown, "shown") == [shown(record) for _, record in items]


def shown(record: Any) -> bytes:
    """A stand-in for a record's JSON."""
    return repr(record).encode()


def outcome(call: Callable[[], Any]) -> str:
    """The answer, or the word for a query that has none."""
    try:
        return repr(call())
    except BadQuery:
        return "bad query"


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(stories())
def test_an_index_changes_no_answer(story: list[Any]) -> None:
    """Puts, deletes, in-place changes, open units, undo: a query over an index answers as one over all records."""
    writers = Writers()
    for step in story:
        if step[0] == "ask":
            writers.ask(step[1])
        else:
            writers.do(*step)
    writers.ask({"filters": {"title": "a"}, "order_by": ["done"], "limit": 3, "offset": 0})
    writers.store.enter("legacy")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=120), st.integers(0, 40))
def test_a_run_is_a_sorted_list(steps: list[tuple[int, bool]], bound: int) -> None:
    """A run holds what a sorted list holds, upwards from a bound and downwards with equal values as they came."""
    run, held = Run(), []
    for number, (value, add) in enumerate(steps * 12):
        if add or not held:
            entry: Any = (((False, "number", False, value),), number, number, number)
            run.add(entry)
            held.append(entry)
        else:
            run.remove(held.pop(value % len(held)))
    held.sort()
    low = (((False, "number", False, bound),),)
    assert list(run.up()) == held
    assert list(run.up(low)) == [entry for entry in held if entry >= low]
    assert list(run.down()) == sorted(held, key=lambda entry: (-entry[0][0][3], entry[1]))
    assert run.size == len(held)
    assert run.kinds_of(0) == (["number"] if held else [])


class Counted:
    """A peek that counts the records that are looked at."""

    def __init__(self, peek: Any) -> None:
        self.peek = peek
        self.seen = 0

    def __call__(self, record: Any, field: str) -> Any:
        self.seen += 1
        return self.peek(record, field)


@pytest.fixture
def many() -> Writers:
    """A store of 100,000 tasks."""
    writers = Writers()
    store = writers.store
    for key in range(100_000):
        store.fresh[key] = key + 1
    store.image_reset((key, Task(f"t{key % 1000}", key % 7)) for key in range(100_000))  # type: ignore[misc]
    return writers


def test_a_list_of_many_records_is_not_scanned(many: Writers) -> None:
    """A declared or learned index answers filters, ranges, order and pages with a look at few of 100,000 records."""
    repository, views = many.repository, many.store.views
    views.declared = [frozenset({"title"})]
    while views.tend():
        pass
    counted = repository._peek = Counted(repository._peek)  # type: ignore[method-assign, assignment]
    assert len(repository.find(title="t5").result()) == 100
    assert repository.count(title__in=["t5", "t6"]).result() == 200
    assert counted.seen < 1000

    def page() -> list[Any]:
        return repository.find(done=3, order_by="-title", limit=10).result()

    first = page()
    for _ in range(3):
        page()
    while views.tend():
        pass
    counted.seen = 0
    assert page() == first
    assert counted.seen < 1000
    counted.seen = 0
    assert len(repository.find(limit=20, offset=5).result()) == 20
    assert counted.seen == 0


def test_learned_indexes_are_few_and_go_when_unused(many: Writers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that is filtered often gets an index, no more than a bounded number do, and an unused one is dropped."""
    monkeypatch.setattr("outlive.stores.views.LEARNED", 1)
    monkeypatch.setattr("outlive.stores.views.UNUSED", 20)
    repository, views = many.repository, many.store.views
    many.store.image_reset([(key, Task(f"t{key % 100}", key % 7)) for key in range(1000)])
    for _ in range(3):
        assert len(repository.find(title="t5").result()) == 10
    assert list(views.indexes) == [Shape(("title",))]
    for _ in range(4):
        repository.count(done=3).result()
    assert list(views.indexes) == [Shape(("done",))]
    for _ in range(21):
        repository.count(done__ne=3).result()
    assert not views.tend()
    assert views.indexes == {}


def test_encoded_records_are_kept_until_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is encoded once and again after a change at any depth, never kept while a unit may change it, and all
    that is kept stays within its bound."""
    writers, asked = Writers(), []

    def encode(record: Any) -> bytes:
        asked.append(record.title)
        return shown(record)

    def texts() -> list[str]:
        asked.clear()
        writers.store.views.texts(list(writers.store.image_items()), encode, "encoder")
        return list(asked)

    for key in range(3):
        writers.do("put", key, f"t{key}", 0, 0)
    assert texts() == ["t0", "t1", "t2"]
    assert texts() == []
    writers.do("tags", 1, "deep", 0, 0)
    assert texts() == ["t1"]
    writers.do("begin", 0, 0, 0, 0)
    writers.do("tags", 2, "open", 0, 0)
    assert texts() == texts() == ["t2"]
    writers.do("leave", 0, 0, 0, 0)
    assert texts() == ["t2"]
    assert texts() == []
    views = writers.store.views
    assert views.json_bytes == sum(map(len, views.json["encoder"].values()))
    for form in range(5):
        views.texts(list(writers.store.image_items()), shown, form)
    assert len(views.json) <= 4
    monkeypatch.setattr("outlive.stores.views.JSON_BYTES", 2 * max(map(len, views.json[4].values())))
    writers.do("put", 3, "t3", 0, 0)
    views.texts(list(writers.store.image_items()), shown, 4)
    assert views.json_bytes <= 2 * max(map(len, views.json[4].values()))
    writers.store.enter("legacy")


def test_a_bare_store_has_no_index() -> None:
    """In `legacy` nothing notices a change, so every record is looked at."""
    desk = Desk()
    store = desk.store(Task, phase="legacy", indexes=["title"])
    store.repository = Repository(Backing(store))
    store.image_reset([(1, Task("a"))])
    assert store.views.candidates(Query((parse({"title": "a"}).filters[0],)), store.repository._peek) is None
    assert not store.views.tend()
    assert store.views.indexes == {}


def test_a_proposal_of_too_many_groups_is_none() -> None:
    """Two lists of values whose pairs are more than an index shall look up leave the query to a full look."""
    index = Index(Shape(("done", "title")), [], declared=True)
    index.build(CHUNK, lambda key: None, lambda record, field: None)
    query = parse({"title__in": [str(n) for n in range(60)], "done__in": list(range(60))})
    assert not Proposal(index, query, lambda record, field: None).usable
