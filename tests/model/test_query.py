"""A query has one answer: from the image, from SQL, and from a plain list comprehension."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import operator
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
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
from outlive.postgres.tables import StoreTable, SystemColumns
from outlive.records import RecordType
from outlive.settings import Settings
from outlive.stores.repository import DELETED, Repository
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
TEXTS = ["", "a", "B", "b", "ab", "é", "שלום", "مرحبا", "😀", "\uffff", "50%", "{}", "o'k", "2024-01-02", "x\ty"]
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


# What a list comprehension says, written apart from the package.


def plain(value: Any) -> Any:
    """A value by which Python itself compares as queries do: exact numbers, instants, enum values."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return Fraction(Decimal(repr(value)))
    if isinstance(value, Decimal) and value.is_finite():
        return Fraction(value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC)
    return value


def holds(record_type: RecordType, record: Any, field: str) -> Any:
    """What a record holds under a field, None for nothing."""
    value = record_type.peek(record, field)
    return plain(value if value is not None and repr(value) != "MISSING" else None)


def passes(value: Any, op: str, wanted: Any) -> bool:
    """One filter by Python's own operators. Raises TypeError where Python does."""
    if op == "isnull":
        return (value is None) is wanted
    if op == "in":
        return any(each is None if value is None else each is not None and value == plain(each) for each in wanted)
    if wanted is None and op in {"eq", "ne"}:
        return (value is None) is (op == "eq")
    if value is None or wanted is None:
        return False
    if (
        op in {"lt", "lte", "gt", "gte"}
        and type(value) is not type(plain(wanted))
        and dt.datetime in {type(value), type(plain(wanted))}
    ):
        raise TypeError("Python compares a datetime with a date")
    return bool({"eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "lte": operator.le, "gt": operator.gt,
                 "gte": operator.ge}[op](value, plain(wanted)))  # fmt: skip


def comprehension(record_type: RecordType, records: dict[Any, Any], filters: dict[str, Any]) -> list[Any]:
    """Keys of the records that pass, in insertion order."""

    def ok(record: Any) -> bool:
        error: TypeError | None = None
        for name, wanted in filters.items():
            field, _, op = name.rpartition("__")
            try:
                if not passes(holds(record_type, record, field), op, wanted):
                    return False
            except TypeError as caught:
                error = caught
        if error is not None:
            raise error
        return True

    return [key for key, record in records.items() if ok(record)]


def outcome(call: Callable[[], Any]) -> str:
    """The answer with its types, or the word for a query that has none."""
    try:
        return repr(call())
    except (BadQuery, TypeError):
        return "bad query"


OPS = ["eq", "ne", "lt", "lte", "gt", "gte", "in", "isnull"]


@st.composite
def examples(draw: st.DrawFn, world: World) -> tuple[dict[Any, Any], list[dict[str, Any]], dict[str, Any]]:
    """(records by key, several queries, changes of an open unit)."""
    chosen = draw(st.lists(st.sampled_from(sorted(world.pools)), min_size=1, max_size=3, unique=True))

    def value(field: str) -> st.SearchStrategy[Any]:
        regular = st.sampled_from(world.pools[field])
        return st.one_of(regular, regular, regular, st.none(), st.sampled_from(world.strange or world.pools[field]))

    fields = st.fixed_dictionaries({}, optional={field: value(field) for field in chosen})
    rows = draw(st.lists(fields, max_size=9))
    records = {key: world.make(key, row) for key, row in enumerate(rows)}
    if not world.keys:
        records = {world.shelf.key_of(record): record for record in records.values()}

    def one_filter() -> st.SearchStrategy[tuple[str, Any]]:
        def of(field: str) -> st.SearchStrategy[tuple[str, Any]]:
            wanted = st.sampled_from(world.pools[field]) | value(field)
            return st.one_of(
                st.tuples(st.sampled_from([f"{field}__{op}" for op in OPS[:6]]), wanted),
                st.tuples(st.just(f"{field}__in"), st.lists(wanted, max_size=4)),
                st.tuples(st.just(f"{field}__isnull"), st.booleans()),
            )

        return st.sampled_from(chosen).flatmap(of)

    query = st.fixed_dictionaries(
        {
            "filters": st.lists(one_filter(), max_size=2).map(dict),
            "order_by": st.lists(st.sampled_from([*chosen, *(f"-{field}" for field in chosen)]), max_size=2),
            "limit": st.none() | st.integers(0, 4),
            "offset": st.sampled_from([0, 0, 1, 3]),
            "field": st.sampled_from(chosen),
            "by": st.none() | st.sampled_from(chosen),
        }
    )
    queries = draw(st.lists(query, min_size=1, max_size=3))
    changes = draw(st.dictionaries(st.integers(0, 11), fields | st.just({"deleted": True}), max_size=2))
    return records, queries, changes


def ask(repository: Repository, query: dict[str, Any]) -> dict[str, str]:
    """Every kind of answer to one query."""
    filters, field, by = query["filters"], query["field"], query["by"]
    page = {name: query[name] for name in ("order_by", "limit", "offset")}
    answers = {
        "find": outcome(lambda: repository.find(**page, **filters).result()),
        "keys": outcome(lambda: repository.keys(**filters).result()),
        "count": outcome(lambda: repository.count(by=by, **filters).result()),
    }
    for name in ("sum", "avg", "min", "max"):
        total = functools.partial(getattr(repository, name), field, **filters)
        answers[name] = outcome(lambda total=total: total(by=by).result())  # type: ignore[misc]
    return answers


@pytest.mark.parametrize("name", ["wide", "sparse", "plain", "number", "shifted", "bare", "money", "untyped"])
def test_image_sql_and_comprehension_agree(database: Database, name: str) -> None:
    """Any query over any records has one answer, whoever gives it, an open unit's changes included."""
    world = _world(database, name)
    shelf, repository = world.shelf, Repository(world.shelf)

    @settings(
        max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink]
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
            assert by_image["keys"] == outcome(
                lambda query=query: comprehension(shelf.record_type, shelf.image, query["filters"])  # type: ignore[misc]
            )
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
