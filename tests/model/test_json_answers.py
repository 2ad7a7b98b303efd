"""A list as JSON has one text: from memory, from PostgreSQL, and from the service's own encoder."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import enum
import json
import operator
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Literal

import fastapi
import httpx
import pytest
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, computed_field, field_serializer
from pydantic_core import TzInfo

import outlive
from outlive.errors import BadQuery, Unholdable
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.derive import ensure_derived
from outlive.postgres.tables import StoreTable
from outlive.records import RecordType
from outlive.settings import Settings
from outlive.stores.repository import Repository
from outlive.stores.texts import encode_record, json_form
from tests.shelf import Shelf


class Mood(enum.Enum):
    CALM = "calm"
    WILD = "wild\u05d0"


class Model(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    id: int
    name: str | None = None
    ratio: float = 0.5
    price: Decimal | None = None
    done: bool = False
    day: dt.date | None = None
    at: dt.datetime | None = None
    code: uuid.UUID | None = None
    mood: Mood = Mood.CALM
    kind: Literal["a", "b"] | None = Field(default=None, alias="theKind")
    tags: list[str] = []


@dataclasses.dataclass
class Data:
    id: int
    name: str | None = None
    ratio: float = 0.5
    done: bool = False
    day: dt.date | None = None
    at: dt.datetime | None = None
    code: uuid.UUID | None = None
    mood: Mood = Mood.CALM
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Nested:
    id: int
    price: Decimal | None = None
    done: bool = False
    ratio: float = 0.5
    at: dt.datetime | None = None
    name: str | None = None
    day: dt.date | None = None
    more: dict[str, Any] | None = None
    several: list[Any] = dataclasses.field(default_factory=list)


class Shown(BaseModel):
    id: int
    name: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def length(self) -> int:
        """How long the name is."""
        return len(self.name)


class Loud(BaseModel):
    id: int
    name: str = ""

    @field_serializer("name")
    def loud(self, name: str) -> str:
        """In capitals."""
        return name.upper()


EAST = dt.timezone(dt.timedelta(hours=3))
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6) | st.sampled_from(
    ["\x01\x1f\x7f", '"\\/\b\f\n\r\t', "\u2028\u05e9\u0628\U0001f600", "50%", "{}", "</b>"]
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, 1e15, 1e-4, 1e16, 1e22])
MOMENTS = st.datetimes(timezones=st.sampled_from([dt.UTC, dt.UTC, EAST, TzInfo(0)])) | st.datetimes(
    min_value=dt.datetime(2024, 1, 1), max_value=dt.datetime(2024, 1, 2), timezones=st.sampled_from([dt.UTC, None])
)
PARTS = st.none() | st.booleans() | st.integers() | FLOATS | TEXT | st.lists(TEXT | st.dates(), max_size=2)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "name": st.none() | TEXT,
    "ratio": FLOATS,
    "price": st.none() | st.decimals(allow_nan=False, allow_infinity=False) | st.decimals(0, 100, places=2),
    "done": st.booleans(),
    "day": st.none() | st.dates(),
    "at": st.none() | MOMENTS.filter(lambda at: 1 < at.year < 9999),
    "code": st.none() | st.uuids(),
    "mood": st.sampled_from(Mood),
    "kind": st.sampled_from(["a", "b", None]),
    "tags": st.lists(TEXT, max_size=3),
    "more": st.none() | st.dictionaries(TEXT, PARTS, max_size=3),
    "several": st.lists(PARTS, max_size=3),
}


class Asked:
    """A repository on a shelf whose connections tell how many records were fetched."""

    def __init__(self, database: Database, declared: type, kind: type[Repository] = Repository) -> None:
        table = StoreTable.derive("json", declared.__name__.lower(), RecordType.of(declared), "id")
        ensure_derived(database, [table])
        self.shelf = Shelf(table, database, operator.attrgetter("id"))
        self.repository = kind(self.shelf)
        self.fetched = 0
        read = self.repository._read

        def counted(row: Any) -> Any:
            self.fetched += 1
            return read(row)

        self.repository._read = counted  # type: ignore[method-assign]

    def both(self, **query: Any) -> list[bytes]:
        """The answer from memory and from PostgreSQL."""
        answers = []
        for self.shelf.by_sql in (False, True):
            try:
                answers.append(self.repository.find_json(**query).result())
            except BadQuery:
                answers.append(b"bad query")
        return answers


@pytest.fixture(scope="module")
def database(pg_server: Address) -> Iterator[Database]:
    """One database for the module."""
    import psycopg

    name = f"outlive_json_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_server.conninfo(), autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    database = Database(pg_server.with_database(name), Settings(service="test"))
    yield database
    database.dispose()
    with psycopg.connect(pg_server.conninfo(), autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


def records_of(declared: type) -> st.SearchStrategy[list[Any]]:
    """Records of a type, some with fields that nobody gave."""
    known = RecordType.of(declared).fields
    fields = st.fixed_dictionaries({}, optional={name: FIELDS[name] for name in FIELDS if name in known})
    rows = st.lists(fields, max_size=5)
    return rows.map(lambda rows: [declared(id=number, **row) for number, row in enumerate(rows)])


PAGES = st.fixed_dictionaries(
    {"order_by": st.sampled_from([(), "name", ("-ratio", "day")]), "limit": st.none() | st.integers(0, 3)},
    optional={"offset": st.integers(0, 2), "done": st.booleans(), "ratio__gte": FLOATS},
)


@pytest.mark.parametrize("declared", [Model, Data])
def test_memory_and_postgresql_write_the_same_bytes(database: Database, declared: type) -> None:
    """Any list of records of typed fields has one text and one total, whoever writes it, that of the records found."""
    asked = Asked(database, declared)

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(records_of(declared), PAGES)
    def agree(records: list[Any], query: dict[str, Any]) -> None:
        asked.shelf.fill(records)
        memory, sql = asked.both(**query)
        assert memory == sql
        found = asked.repository.find(**query).result()
        assert sql == b"[" + b",".join(map(encode_record, found)) + b"]"
        total = len(asked.repository.find(**{**query, "limit": None, "offset": 0}).result())
        for asked.shelf.by_sql in (False, True):
            assert asked.repository.list_json(**query).result() == (sql, total)

    agree()


class Seen(Repository):
    json_view = outlive.JsonView(names={"more": "metadata"}, hide=("name", "done"), utc="", utc_of={"at": "Z"})


class Gathered(Repository):
    """Some fields as one object, others left out where they are None."""

    json_view = outlive.JsonView(
        names={"ratio": "share"}, hide=("name", "done"), gather={"kept": ("day", "ratio"), "cost": ("price",)},
        unless_none=("at", "more"),
    )  # fmt: skip


@pytest.mark.parametrize("kind", [Repository, Seen, Gathered])
def test_nested_values_and_views_mean_the_same_from_both(database: Database, kind: type[Repository]) -> None:
    """Objects and lists in a record, Decimals as numbers, and what a view renames and hides: one JSON from both."""
    asked = Asked(database, Nested, kind)
    view = kind.json_view

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(records_of(Nested), PAGES)
    def agree(records: list[Any], query: dict[str, Any]) -> None:
        asked.shelf.fill(records)
        memory, sql = asked.both(**query)
        found = asked.repository.find(**query).result()
        assert memory == b"[" + b",".join(encode_record(each, view) for each in found) + b"]"
        assert json.loads(sql, parse_float=exactly) == json.loads(memory, parse_float=exactly)

    agree()


def exactly(text: str) -> float | str:
    """A float; zeros keep their sign."""
    return repr(float(text))


def test_a_view_of_utc_renames_and_hides() -> None:
    """A time in UTC ends as the view says, another zone is shown, and a hidden field is not there."""
    record = Nested(1, at=dt.datetime(2024, 1, 2, tzinfo=dt.UTC), more={"at": dt.datetime(2024, 1, 2, tzinfo=EAST)})
    assert json.loads(encode_record(record, Seen.json_view)) == {
        "id": 1, "price": None, "ratio": 0.5, "at": "2024-01-02T00:00:00Z", "day": None,
        "metadata": {"at": "2024-01-02T00:00:00+03:00"}, "several": [],
    }  # fmt: skip
    assert b'"at":"2024-01-02T00:00:00"' in encode_record(record, outlive.JsonView(utc=""))
    assert b'"at":"2024-01-02T00:00:00Z"' in encode_record(record, outlive.JsonView(utc="Z"))


def test_a_view_gathers_fields_and_leaves_out_what_is_none(database: Database) -> None:
    """An object of several fields is null where all of them are None; PostgreSQL makes the same text."""
    asked = Asked(database, Nested, Gathered)
    day = dt.date(2024, 1, 2)
    asked.shelf.fill([Nested(1, more={"a": 1}), Nested(2, Decimal(3), ratio=0.25, day=day)])
    memory, sql = asked.both()
    assert [{**each, "several": 0} for each in json.loads(memory)] == [
        {"id": 1, "cost": None, "kept": {"share": 0.5, "day": None}, "more": {"a": 1}, "several": 0},
        {"id": 2, "cost": {"price": 3}, "kept": {"share": 0.25, "day": "2024-01-02"}, "several": 0},
    ]
    assert (json.loads(memory), asked.fetched) == (json.loads(sql), 0)


def test_plain_nested_records_are_not_fetched(database: Database) -> None:
    """PostgreSQL makes the text of nested values and of a view alone."""
    asked = Asked(database, Nested, Seen)
    at = dt.datetime.now(dt.UTC)
    moments = [at, at.replace(tzinfo=None), at.astimezone(EAST)]
    asked.shelf.fill([Nested(n, Decimal("1.50"), at=moments[n % 3], more={"b": 1, "a": [n, "b"]}) for n in range(9)])
    memory, sql = asked.both(limit=5)
    assert (json.loads(memory), asked.fetched) == (json.loads(sql), 0)


def test_postgresql_makes_the_text_of_plain_records(database: Database) -> None:
    """Records of plain values are not fetched at all; one that a column does not hold exactly sends the list back."""
    asked = Asked(database, Model)
    at = dt.datetime(2024, 1, 2, 3, 4, 5, 600, tzinfo=dt.UTC)
    plain = [Model(id=n, name=f"n{n}", ratio=n / 4, price=Decimal("1.50"), at=at, tags=["a"]) for n in range(30)]
    asked.shelf.fill(plain)
    memory, sql = asked.both(order_by="-ratio", limit=10, name__in=[f"n{n}" for n in range(25)])
    assert memory == sql
    assert [each["id"] for each in json.loads(sql)] == list(range(24, 14, -1))
    assert asked.fetched == 0
    asked.shelf.fill([*plain, Model(id=99, price=Decimal("1E+2"))])
    memory, sql = asked.both()
    assert memory == sql
    assert asked.fetched == 31


@pytest.mark.parametrize("declared", [Shown, Loud])
def test_a_model_that_writes_itself_is_written_by_itself(database: Database, declared: type) -> None:
    """Serializers and computed fields are the model's own; PostgreSQL does not guess them."""
    asked = Asked(database, declared)
    asked.shelf.fill([declared(id=1, name="abc")])
    memory, sql = asked.both()
    assert memory == sql == b"[" + declared(id=1, name="abc").model_dump_json().encode() + b"]"  # type: ignore[attr-defined]
    assert json_form(RecordType.of(declared)) is None


def test_an_own_encoder_and_single_records(database: Database) -> None:
    """`encode_json` overridden counts everywhere; `get_json` gives one record or None, in blocking and async code."""

    class Short(Repository):
        def encode_json(self, record: Any) -> bytes:
            return str(record.id).encode()

    asked = Asked(database, Data)
    asked.shelf.fill([Data(1), Data(2, "b")])
    for asked.shelf.by_sql in (False, True):
        assert Short(asked.shelf).find_json().result() == b"[1,2]"
        assert asked.repository.get_json(3).result() is None
        assert asked.repository.get_json(2).result() == encode_record(Data(2, "b"))
        assert asked.repository.get_json(2, name="b").result() == encode_record(Data(2, "b"))
        assert asked.repository.get_json(2, name="c").result() is None

    async def at_once() -> list[Any]:
        try:
            return await asyncio.gather(*(asked.repository.get_json(key) for key in (1, 4, 2, 3)))
        finally:
            await database.leave_loop()

    asked.shelf.fill([Data(1), Data(2, "b"), Data(3, at=dt.datetime(2024, 1, 2, tzinfo=EAST))])
    given = [Data(1), None, Data(2, "b"), Data(3, at=dt.datetime(2024, 1, 2, tzinfo=EAST))]
    for asked.shelf.by_sql in (False, True):
        assert asyncio.run(at_once()) == [each and encode_record(each) for each in given]
        assert asked.repository.get_json(3, at=given[3].at).result() == encode_record(given[3])  # a zone of its own


def served(declared: Any, answer: Callable[[], Any]) -> bytes:
    """What a FastAPI application sends for an endpoint of this return type."""
    app = fastapi.FastAPI()
    app.get("/", response_model=declared)(lambda: answer())

    async def ask() -> bytes:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get("/")).content

    return asyncio.run(ask())


@settings(max_examples=25, deadline=None)
@given(records_of(Model))
def test_models_are_written_as_fastapi_writes_them(records: list[Any]) -> None:
    """A list of models is, to the byte, what FastAPI sends for `-> list[Model]`."""
    assert b"[" + b",".join(map(encode_record, records)) + b"]" == served(list[Model], lambda: records)


@settings(max_examples=50, deadline=None)
@given(
    records_of(Data), st.dictionaries(TEXT, st.integers() | TEXT | st.decimals(0, 9) | st.dates() | FLOATS, max_size=3)
)
def test_other_records_are_written_as_fastapi_writes_them(records: list[Any], plain: dict[str, Any]) -> None:
    """Dataclasses and dicts are, to the byte, what FastAPI sends without a response model."""
    for record in [*records, plain, {"inner": records, "span": dt.timedelta(1), "set": {1}}]:
        assert encode_record(record) == JSONResponse(jsonable_encoder(record)).body


@pytest.mark.parametrize("value", [float("nan"), object(), b"\xff", {(1, 2): 3}])
def test_what_json_has_no_form_for(value: Any) -> None:
    """A value without a form in JSON is refused by name of the fault, never sent as something else."""
    with pytest.raises(Unholdable):
        encode_record({"value": value})
