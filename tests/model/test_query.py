"""A query has one answer: from the image, from SQL, and from a plain list comprehension.

OUTLIVE_QUERY_EXAMPLES sets how many generated data sets each world gets; each brings four queries at least, so that 50
in ten worlds are 2,000 examples. Without it they are the same on every run; with it each run looks elsewhere.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import math
import operator
import os
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.errors import BadQuery, Unholdable
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.derive import ensure_derived
from outlive.postgres.options import TableOptions
from outlive.postgres.tables import StoreTable, SystemColumns
from outlive.query.areas import Box, Circle, Polygon
from outlive.records import RecordType
from outlive.settings import Settings
from outlive.stores.repository import DELETED, Repository
from tests.model.oracle import TEXTUAL, Home, Spot, groups, in_order
from tests.shelf import Shelf


class Mood(enum.Enum):
    CALM = "calm"
    WILD = "wild"


class Rank(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass
class Wide:
    id: int
    name: Any = None
    count: Any = None
    ratio: Any = None
    price: Any = None
    done: Any = None
    day: Any = None
    at: Any = None
    hour: Any = None
    span: Any = None
    code: Any = None
    blob: Any = None
    mood: Any = None
    rank: Any = None
    tags: Any = None
    loose: Any = None


# Annotations are set apart so that any value may stand in any field, as in code without a type checker.
Wide.__annotations__.update(
    id=int, name=str | None, count=int | None, ratio=float, price=Decimal, done=bool, day=dt.date, at=dt.datetime,
    hour=dt.time, span=dt.timedelta, code=uuid.UUID, blob=bytes, mood=Mood, rank=Rank, tags=list[str], loose=Any,
)  # fmt: skip


class Sparse(TypedDict, total=False):
    id: str
    name: str
    count: int
    ratio: float
    price: Decimal
    at: dt.datetime
    loose: Any


class Base(DeclarativeBase):
    metadata = sa.MetaData(schema="given")


class Expense(SystemColumns, Base):
    __tablename__ = "expense"
    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(20))
    day: Mapped[dt.date | None] = mapped_column(sa.Date)
    price: Mapped[Decimal | None] = mapped_column(sa.Numeric(10, 2))
    ratio: Mapped[float | None] = mapped_column(sa.REAL)
    code: Mapped[uuid.UUID | None] = mapped_column(sa.Uuid)
    at: Mapped[dt.datetime | None] = mapped_column(sa.DateTime)
    count: Mapped[int | None] = mapped_column(sa.SmallInteger)


BARE = sa.Table(
    "bare",
    Base.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("count", sa.Integer),
    sa.Column("outlive_version", sa.BigInteger, nullable=False),
    sa.Column("outlive_position", sa.Numeric, nullable=False),
)


class Money(TypedDict, total=False):
    id: int
    name: str
    day: str
    price: float
    ratio: float
    code: str
    at: dt.datetime
    count: int
    apart: str


EAST = dt.timezone(dt.timedelta(hours=3))
TEXTS = ["", "a", "B", "b", "ab", "é", "שלום", "مرحبا", "😀", "\uffff", "50%", "{}", "o'k", "2024-01-02", "x\ty",
         "STRASSE", "Straße", "K", "k", "İ", "ΣΑΣ", "σας", "مرحبا بك", "مَرحَبا", "١٢", "12",
         "a שלום B", "\\_"]  # fmt: skip
NUMBERS: list[Any] = [0, 1, -1, 2, 3, 2**53 + 1, 2**63, -(2**63), 10**30, True, False]
FLOATS = [0.0, -0.0, 0.1, 0.2, 0.3, 1.0, 2.0, 2.5, -3.25, 1e16, 1e22, 5e-324]
EDGES = [float("nan"), float("inf"), float("-inf")]
DECIMALS = [Decimal(text) for text in ("0", "0.1", "0.10", "1.1", "1.10", "1E+2", "100", "-3.25", "2", "0.005")]
DAYS = [dt.date(1, 1, 1), dt.date(2024, 1, 2), dt.date(2024, 2, 29), dt.date(9999, 12, 31)]
MOMENTS = [
    dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
    dt.datetime(2024, 1, 2, 6, 4, 5, 6, tzinfo=EAST),
    dt.datetime(2024, 1, 2, 6, 4, 5, 7, tzinfo=EAST),
    dt.datetime(1999, 12, 31, tzinfo=dt.UTC),
]
NAIVE = [dt.datetime(2024, 1, 2, 3, 4, 5, 6), dt.datetime(1999, 12, 31)]
HOURS = [dt.time(0), dt.time(3, 4, 5, 6), dt.time(23, 59)]
SPANS = [dt.timedelta(0), dt.timedelta(days=-1, microseconds=5), dt.timedelta(days=400), dt.timedelta(hours=24)]
CODES = [uuid.UUID(int=1), uuid.UUID(int=2**127), uuid.UUID(int=2**64 + 5)]
BLOBS = [b"", b"\x00\xff", b"a", b"ab"]
LISTS = [[], ["a"], ["a", "b"], ["b"]]

FIELDS: dict[str, list[Any]] = {
    "name": TEXTS,
    "count": NUMBERS,
    "ratio": [*FLOATS, *EDGES, 1, 2],
    "price": DECIMALS,
    "done": [True, False],
    "day": DAYS,
    "at": MOMENTS,
    "hour": HOURS,
    "span": SPANS,
    "code": CODES,
    "blob": BLOBS,
    "mood": list(Mood),
    "rank": list(Rank),
    "tags": LISTS,
    "loose": ["a", "b", 1, 2.5, Decimal("1.0"), None],
}
CITIES = ["Haifa", "HAIFA", "حيفا", "חיפה", "", 5, 5.0, True, None, Mood.CALM, DAYS[1]]
ADDRESSES: list[Any] = [
    *({"city": city} for city in CITIES), {}, {"city": {"name": "Haifa"}}, {"city": ["Haifa", "Akko"], "zip": [1, 2]},
    {"zip": [{"no": 1}, {"no": "1"}]}, {"zip": (7, 8)}, {1: "x", "city": "Akko"}, {"$x": 1, "city": "Akko"},
    {"city": DECIMALS[1]}, {"zip": ["1", None]}, {"when": DAYS[2]}, {"when": MOMENTS[1]},
]  # fmt: skip
LATITUDES: list[Any] = [90, -90, 0, 32.8, 32.81, 89.5, -89.5, 90.5, Decimal("32.8"), math.nan, "32.8", 10**400]
LONGITUDES: list[Any] = [180, -180, 0, 35, 35.01, 179.9, -179.9, 181, Decimal(35), Decimal("35.010"), -35, math.inf]
SPOTS = [Spot(32.8, 35.0), Spot(90.0, 7.0), Spot(0, 180), Spot(0.0, -179.95, "x"), Spot(None, 3.0), Spot("a", 1.0),
         Spot(Decimal("32.8"), 35)]  # fmt: skip
HOME: dict[str, list[Any]] = {
    "address": ADDRESSES,
    "address__city": CITIES,
    "address__city__name": ["Haifa"],
    "address__zip__0": [1, "1", 7, {"no": 1}],
    "address__zip__1__no": ["1", 1],
    "address__when": [*DAYS, *MOMENTS],
    "spot": SPOTS,
    "spot__name": ["here", "x"],
    "spot__lat": [32.8, 90],
    "tags": [*LISTS, ["a", Mood.CALM], ["calm", None], [1, True, 2.0], ("a", "b"), {"a"}],
    "lucky": [{1}, {0, 2}, set(), {True}, {2**70}, frozenset({1})],
    "meta": [
        *ADDRESSES,
        *LISTS,
        [Decimal("1.0")],
        [[1]],
        "a",
        1,
        SPOTS[0],
        {"lat": 32.8, "lon": 35},
        {"lat": "a", "lon": 1},
    ],
    "meta__lat": [32.8],
    "meta__0": ["a", [1]],
    "lat": LATITUDES,
    "lon": LONGITUDES,
    "place": [(32.8, 35.0)],
}
AREAS = [
    Circle(32.8, 35, km=2), Circle(32.8, 35), Circle(0, 180, km=20), Circle(90, 0, km=100), Circle(-89, 10, km=60),
    Circle(0, 0, km=21_000), Circle(32.8, 35.005, metres=468), Box(30, 34, 33, 36), Box(-1, 179, 1, -179),
    Box(89, 10, 90, 11), Box(-90, -180, 90, 180), Box(-5, -180, 5, -170), Polygon([(32, 34), (33, 34), (33, 36)]),
    Polygon([(89, 0), (89, 120), (89, -120)]), Polygon([(-2, 179), (2, 179), (2, -179), (-2, -179)]),
    Polygon([(32.8, 35), (32.8, 35.01), (32.9, 35.005)]),
]  # fmt: skip
STRANGE: list[Any] = [
    "7",
    7,
    1.0,
    Decimal("1.00"),
    True,
    b"a",
    DAYS[1],
    NAIVE[0],
    NAIVE[1],
    "calm",
    [1],
    {"a": 1},
    10**30,
]
MONEY: dict[str, list[Any]] = {
    "name": [text for text in TEXTS if len(text) < 20],
    "day": ["2024-01-02", "2024-02-29", "1999-12-31"],
    "price": [0.1, 0.2, 0.3, 1.1, 15, 15.0, -3.25, -0.0, 12345.67],
    "ratio": [0.5, 2.5, 0.10000000149011612, -0.0, 3],
    "code": [str(code) for code in CODES] + [str(CODES[1]).upper()],
    "at": NAIVE,
    "count": [0, 1, -1, 300],
    "apart": ["a", "b"],
}


class World(NamedTuple):
    """One record type with its table, a value pool for each field, and how a record is made of a key and fields."""

    shelf: Shelf
    pools: dict[str, list[Any]]
    strange: list[Any]
    make: Callable[[int, dict[str, Any]], Any]
    keys: bool = False


@pytest.fixture(scope="module")
def database(pg_server: Address) -> Iterator[Database]:
    """One database for the module; every example empties its table."""
    import psycopg

    name = f"outlive_query_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_server.conninfo(), autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    database = Database(pg_server.with_database(name), Settings(service="test"))
    yield database
    database.dispose()
    with psycopg.connect(pg_server.conninfo(), autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


def own(fields: dict[str, Any]) -> dict[str, Any]:
    """Those of a query's fields that a record has itself."""
    return {name: value for name, value in fields.items() if "__" not in name and name != "place"}


def _derived(database: Database, declared: Any, key: str | None) -> StoreTable:
    name = getattr(declared, "__name__", "values").lower()
    return StoreTable.derive("derived", f"{name}_{key}", RecordType.of(declared), key)


def _world(database: Database, name: str) -> World:
    if name == "wide":
        table, make, pools = _derived(database, Wide, "id"), lambda key, fields: Wide(key, **fields), FIELDS
        world = World(Shelf(table, database, operator.attrgetter("id")), pools, STRANGE, make)
    elif name == "sparse":
        pools = {field: FIELDS[field] for field in Sparse.__annotations__ if field != "id"}
        world = World(
            Shelf(_derived(database, Sparse, "id"), database, operator.itemgetter("id")),
            pools,
            STRANGE,
            lambda key, fields: {"id": f"k{key}", **fields},
        )
    elif name == "plain":
        pools = {field: FIELDS[field] for field in ("name", "count", "price", "at", "loose", "tags")}
        pools = {**pools, "ratio": FLOATS}
        world = World(
            Shelf(_derived(database, dict, None), database, operator.itemgetter("id")),
            pools,
            STRANGE,
            lambda key, fields: {**fields, "id": key},
            keys=True,
        )
    elif name == "shifted":
        pools = {"id": [0, 1, 2], "name": TEXTS, "count": NUMBERS}
        table = StoreTable.derive("derived", "shifted", RecordType.of(Wide), "id")
        shelf = Shelf(table, database, operator.attrgetter("id"))
        world = World(
            shelf, pools, ["x", None, True, 1.0], lambda key, fields: Wide(**{"id": key, **fields}), keys=True
        )
    elif name == "bare":
        table = StoreTable.from_model("given", "bare", RecordType.of(Money), "id", BARE)
        pools = {"name": ["a", "b", "B"], "count": [0, 1, 2, -5]}
        world = World(
            Shelf(table, database, operator.itemgetter("id")), pools, [], lambda key, fields: {"id": key, **fields}
        )
    elif name in {"home", "nested"}:
        made = Home if name == "home" else dict
        options = TableOptions.of(place=("lat", "lon"))
        table = StoreTable.derive("derived", f"{name}_places", RecordType.of(made), "id", options)
        key = operator.attrgetter("id") if made is Home else operator.itemgetter("id")
        world = World(
            Shelf(table, database, key), HOME, [None, "a", 1], lambda key, fields: made(**{"id": key, **own(fields)})
        )
    elif name == "number":
        table = StoreTable.derive("derived", "number", RecordType.of(int), None)
        world = World(
            Shelf(table, database, id), {"value": NUMBERS}, ["a", 2.5], lambda _, fields: fields.get("value"), True
        )
    else:
        table = StoreTable.from_model(
            "given", "expense", RecordType.of(Money if name == "money" else dict), "id", Expense
        )
        pools = MONEY if name == "money" else {field: pool for field, pool in MONEY.items() if field != "at"}
        pools = {**pools, "price": [*pools["price"], Decimal("1.10"), Decimal("0.5")]}
        world = World(
            Shelf(table, database, operator.itemgetter("id")), pools, [], lambda key, fields: {"id": key, **fields}
        )
    ensure_derived(database, [world.shelf.table])  # type: ignore[list-item]
    return world


def outcome(call: Callable[[], Any]) -> str:
    """The answer with its types, or the word for a query that has none."""
    try:
        return repr(call())
    except (BadQuery, TypeError, OverflowError):
        return "bad query"


OPS = ["eq", "ne", "lt", "lte", "gt", "gte"]
ELEMENTS: list[Any] = ["a", "b", "calm", 1, True, 0, None, 2.0, Decimal("1.00"), [1], "city", 2**70, Mood.CALM, "ש"]
PERIODS = ["day", "week", "month"]


def held_by(world: World, chosen: list[str]) -> list[str]:
    """The record's own fields that queries over the chosen ones look at."""
    found = [part for field in chosen for part in (("lat", "lon") if field == "place" else (field.split("__")[0],))]
    return sorted({field for field in found if field in world.pools})


@st.composite
def examples(draw: st.DrawFn, world: World) -> tuple[dict[Any, Any], list[dict[str, Any]], dict[str, Any]]:
    """(records by key, several queries, changes of an open unit)."""
    chosen = draw(st.lists(st.sampled_from(sorted(world.pools)), min_size=1, max_size=3, unique=True))

    def value(field: str) -> st.SearchStrategy[Any]:
        regular = st.sampled_from(world.pools[field])
        return st.one_of(regular, regular, regular, st.none(), st.sampled_from(world.strange or world.pools[field]))

    fields = st.fixed_dictionaries({}, optional={field: value(field) for field in held_by(world, chosen)})
    rows = draw(st.lists(fields, max_size=9))
    records = {key: world.make(key, row) for key, row in enumerate(rows)}
    if not world.keys:
        records = {world.shelf.key_of(record): record for record in records.values()}

    def one_filter() -> st.SearchStrategy[tuple[str, Any]]:
        def of(field: str) -> st.SearchStrategy[tuple[str, Any]]:
            wanted = st.sampled_from(world.pools[field]) | value(field)
            texts = st.sampled_from(TEXTS) | st.sampled_from(["Haif", "tra", "ss", "ب", "ש", "A", "K"]) | value(field)
            kinds = [
                st.tuples(st.sampled_from([f"{field}__{op}" for op in OPS]), wanted),
                st.tuples(st.just(f"{field}__in"), st.lists(wanted, max_size=4)),
                st.tuples(st.just(f"{field}__isnull"), st.booleans()),
                st.tuples(st.sampled_from([f"{field}__{op}" for op in TEXTUAL]), texts),
            ]
            if field in {"tags", "loose", "lucky", "meta", "address", "address__zip", "name"}:
                kinds += [st.tuples(st.just(f"{field}__has"), st.sampled_from(ELEMENTS))] * 2
            if field in {"place", "spot", "meta", "lat"}:
                kinds += [st.tuples(st.just(f"{field}__within"), st.sampled_from(AREAS))] * 4
            if field == "place":
                return kinds[-1]
            return st.one_of(kinds)

        return st.sampled_from(chosen).flatmap(of)

    sortable = [field for field in chosen if field != "place"] or ["id"]
    query = st.fixed_dictionaries(
        {
            "filters": st.lists(one_filter(), max_size=2).map(dict),
            "order_by": st.lists(st.sampled_from([*sortable, *(f"-{field}" for field in sortable)]), max_size=2),
            "limit": st.none() | st.integers(0, 4),
            "offset": st.sampled_from([0, 0, 1, 3]),
            "field": st.sampled_from(sortable),
            "by": st.none() | st.sampled_from(sortable),
            "groups": st.lists(
                st.tuples(st.sampled_from(sortable), st.sampled_from([None, None, *PERIODS])), min_size=1, max_size=2
            ),
        }
    )
    queries = draw(st.lists(query, min_size=4, max_size=5))
    changes = draw(st.dictionaries(st.integers(0, 11), fields | st.just({"deleted": True}), max_size=2))
    return records, queries, changes


def ask(repository: Repository, query: dict[str, Any]) -> dict[str, str]:
    """Every kind of answer to one query."""
    filters, field, by = query["filters"], query["field"], query["by"]
    page = {name: query[name] for name in ("order_by", "limit", "offset")}
    answers = {
        "find": outcome(lambda: repository.find(**page, **filters).result()),
        "keys": outcome(lambda: repository.keys(**page, **filters).result()),
        "groups": outcome(lambda: repository.count(by=several(query), **filters).result()),
        "pages": outcome(lambda: paged(repository, query)),
    }
    for name in ("sum", "avg", "figures", "min", "max"):
        total = functools.partial(getattr(repository, name), field, **filters)
        answers[name] = outcome(lambda total=total: total(by=by).result())  # type: ignore[misc]
    return answers


def several(query: dict[str, Any]) -> tuple[str, ...]:
    """`by` with several fields and periods."""
    return tuple(field if period is None else f"{field}__{period}" for field, period in query["groups"])


def paged(repository: Repository, query: dict[str, Any]) -> list[Any]:
    """All records, page by page."""
    found: list[Any] = []
    after: str | None = None
    while True:
        page = repository.page(order_by=query["order_by"], limit=query["limit"] or 2, after=after, **query["filters"])
        answer = page.result()
        found += answer.records
        if answer.next is None:
            return found
        after = answer.next


def expected(shelf: Shelf, query: dict[str, Any], by_image: dict[str, str]) -> None:
    """The answers are those of plain Python; pages together are the whole answer."""
    assert by_image["keys"] == outcome(lambda: in_order(shelf.image, query))
    whole = {**query, "limit": None, "offset": 0}
    if "bad query" not in (by_image["pages"], by_image["find"]):
        records = [shelf.image[key] for key in in_order(shelf.image, whole)]
        assert by_image["pages"] == repr(records)
    counted = outcome(lambda: sorted(groups(shelf.image, query).values()))
    got = outcome(lambda: sorted(shelf.repository.count(by=several(query), **query["filters"]).result().values()))
    assert got == counted


WORLDS = ["wide", "home", "nested", "sparse", "plain", "number", "shifted", "bare", "money", "untyped"]
SEARCHED = os.environ.get("OUTLIVE_QUERY_EXAMPLES") or None
EXAMPLES = int(SEARCHED or 50)


@pytest.mark.parametrize("name", WORLDS)
def test_image_sql_and_comprehension_agree(database: Database, name: str) -> None:
    """Any query over any records has one answer, whoever gives it, an open unit's changes included."""
    world = _world(database, name)
    shelf, repository = world.shelf, world.shelf.repository

    @settings(
        derandomize=SEARCHED is None,
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(examples(world))
    def agree(example: tuple[dict[Any, Any], list[dict[str, Any]], dict[str, Any]]) -> None:
        records, queries, changes = example
        try:
            shelf.fill(records.values(), records)
        except Unholdable:
            return
        for query in queries:
            shelf.by_sql = False
            by_image = ask(repository, query)
            expected(shelf, query, by_image)
            shelf.by_sql = True
            assert ask(repository, query) == by_image
        if not world.keys:
            _agree_in_a_unit(world, repository, queries[0], changes)

    agree()


def _agree_in_a_unit(world: World, repository: Repository, query: dict[str, Any], changes: dict[int, Any]) -> None:
    shelf, before = world.shelf, world.shelf.image
    changed: dict[Any, Any] = {}
    for key, fields in changes.items():
        record = world.make(key, {name: value for name, value in fields.items() if name != "deleted"})
        changed[shelf.key_of(record)] = DELETED if "deleted" in fields else record
    after = {key: record for key, record in {**before, **changed}.items() if record is not DELETED}
    shelf.changes = changed
    by_sql = ask(repository, query)
    shelf.by_sql, shelf.changes, shelf.image = False, {}, after
    by_image = ask(repository, query)
    shelf.by_sql, shelf.image = True, before
    assert by_sql == by_image
