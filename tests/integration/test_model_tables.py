"""Tables that the user gives: what a column cannot hold is refused by name, the rest comes back as it was."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypedDict

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateTable

from outlive.errors import SchemaMismatch, Unholdable
from outlive.postgres.connect import Database
from outlive.postgres.tables import StoreTable, SystemColumns
from outlive.postgres.upsert import Statements
from outlive.records import RecordType, canonical
from tests.unit.records.kinds import Colour, same


class Base(DeclarativeBase):
    pass


class ExpenseRow(SystemColumns, Base):
    __tablename__ = "expenses"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    date: Mapped[dt.date]
    category: Mapped[str] = mapped_column(sa.String(10))
    amount: Mapped[Decimal] = mapped_column(sa.Numeric(10, 2))
    notes_: Mapped[str | None] = mapped_column("notes", sa.Text)
    made_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())


class Expense(TypedDict, total=False):
    id: int
    date: str
    category: str
    amount: float
    notes_: str | None
    mood: str


GOOD: Expense = {"id": 1, "date": "2025-11-01", "category": "food", "amount": 12.5, "notes_": None}


class Given:
    """A table made of a model on a real server."""

    def __init__(self, conn: psycopg.Connection[Any], declared: Any, model: Any, key: str | None) -> None:
        self.record_type = RecordType.of(declared)
        self.table = StoreTable.from_model("tests", "things", self.record_type, key, model)
        self.conn = conn
        ddl = str(CreateTable(self.table.table).compile(dialect=PGDialect_psycopg()))  # type: ignore[no-untyped-call]
        conn.execute(ddl.encode())

    def through(self, key: Any, record: Any) -> Any:
        """The record as PostgreSQL gives it back; asserts equal canonical bytes on the way."""
        document = self.record_type.document(record)
        statements = Statements.of(self.table)
        self.conn.execute(*statements.put_live([self.table.row(key, document, 5, 1)]))
        stored = self.table.read(
            self.conn.execute(*statements.select_keys([self.table.key_literal(key)])).fetchall()[0]
        )
        assert canonical(stored.document) == canonical(document)
        assert same(stored.key, key)
        return self.record_type.record(stored.document)

    def extra(self) -> Any:
        """What the last row keeps beside its columns."""
        found = self.conn.execute(f"SELECT outlive_extra FROM {self.table.table.name}").fetchone()  # noqa: S608
        return found and found[0]


@pytest.fixture
def conn(db: Database) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a fresh database."""
    with db.connect() as conn:
        yield conn


@pytest.fixture
def expenses(conn: psycopg.Connection[Any]) -> Given:
    """The table of expenses."""
    return Given(conn, Expense, ExpenseRow, "id")


def test_json_shaped_records_need_nothing_beside_their_columns(expenses: Given) -> None:
    """Text dates and float amounts come back as text and float from DATE and NUMERIC, without outlive_extra."""
    assert same(expenses.through(1, GOOD), GOOD)
    assert expenses.extra() == {"$missing": ["mood"]} or expenses.extra() is None
    assert expenses.conn.execute("SELECT date, amount FROM expenses").fetchone() == (
        dt.date(2025, 11, 1),
        Decimal("12.50"),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 15},
        {"amount": Decimal("1.1")},
        {"amount": Decimal("1.100")},
        {"amount": True},
        {"amount": 99999999.99},
        {"amount": -0.0},
        {"date": dt.date(2025, 11, 1)},
        {"mood": "gay"},
        {"other": {"b": 1, "a": (1,)}},
        {"category": ""},
        {"category": "אבגדהוזחטי"},
    ],
    ids=str,
)
def test_equal_but_not_identical(expenses: Given, change: dict[str, Any]) -> None:
    """A value that means what the column holds comes back with its own type; unknown fields and order come back too."""
    assert same(expenses.through(1, {**GOOD, **change}), {**GOOD, **change})
    backwards = dict(reversed({**GOOD, **change}.items()))
    assert same(expenses.through(1, backwards), backwards)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("date", "2025-13-01"),
        ("date", "20251101"),
        ("date", "yesterday"),
        ("date", "٢٠٢٥-١١-٠١"),
        ("date", "2025-11-01T00:00:00"),
        ("date", 5),
        ("date", None),
        ("date", dt.datetime(2025, 11, 1)),
        ("amount", 12.345),
        ("amount", 100000000),
        ("amount", 1e22),
        ("amount", "12.50"),
        ("amount", Decimal("NaN")),
        ("amount", Decimal("Infinity")),
        ("amount", [1]),
        ("amount", None),
        ("category", "x" * 11),
        ("category", 5),
        ("category", None),
    ],
    ids=str,
)
def test_out_of_domain(expenses: Given, field: str, value: Any) -> None:
    """What a column cannot mean is refused with store, key and field, never rounded, cut or shifted."""
    document = expenses.record_type.document({**GOOD, field: value})
    with pytest.raises(Unholdable) as caught:
        expenses.table.row(1, document, 5, 1)
    assert (caught.value.store, caught.value.key, caught.value.field) == ("things", "1", field)
    with pytest.raises(Unholdable) as caught:
        expenses.table.check_field(field, document[field])
    assert caught.value.field == field


def test_missing_required_field(expenses: Given) -> None:
    """A record without a field that the column requires is refused; columns without a field keep their default."""
    document = expenses.record_type.document(GOOD)
    del document["category"]
    with pytest.raises(Unholdable, match="NOT NULL"):
        expenses.table.row(1, document, 5, 1)
    expenses.through(1, GOOD)
    assert expenses.conn.execute("SELECT made_at IS NOT NULL FROM expenses").fetchone() == (True,)


def test_checked_fields(expenses: Given) -> None:
    """check_field accepts what row accepts, unknown fields included."""
    for field, value in {"date": "2025-11-01", "amount": 15, "id": 1, "mood": None, "other": {"a": 1}}.items():
        expenses.table.check_field(field, value)


class Mood(enum.Enum):
    GOOD = "good-value"
    BAD = "bad-value"


COLUMNS: list[tuple[str, Any, Any, list[Any], list[Any]]] = [
    ("smallint", int, sa.SmallInteger, [0, -32768, 1.0, True], [32768, 1.5, "1"]),
    ("integer", int, sa.Integer, [2**31 - 1], [2**31]),
    ("bigint", int, sa.BigInteger, [2**63 - 1, Decimal(5)], [2**63, 2**5000, Decimal("1E+40"), float("1e300")]),
    ("int as float", float, sa.Integer, [1.0, 1], [1.5]),
    ("int as bool", bool, sa.Integer, [True, False, 1, 2], []),
    ("int as decimal", Decimal, sa.BigInteger, [Decimal(1), Decimal("1.0")], [Decimal("1.1")]),
    ("int as text", str, sa.BigInteger, ["1", 1], ["x", "1.5", "01x"]),
    (
        "double",
        float,
        sa.Double,
        [0.1, -0.0, 1e22, 3, Decimal("0.5")],
        [2**53 + 1, "1", Decimal("0.1000000000000000001")],
    ),
    ("double special", float, sa.Double, [float("inf")], [Decimal("NaN"), 10**400]),
    ("double as int", int, sa.Double, [3, 3.0, 2.5], []),
    ("real", float, sa.REAL, [0.5, 3], [0.1, 1e300]),
    ("numeric", Decimal, sa.Numeric, [Decimal("1.10"), Decimal("1E+2"), Decimal("-0"), Decimal("NaN"), 1, 0.1], ["1"]),
    (
        "numeric inf",
        Decimal,
        sa.Numeric,
        [Decimal("Infinity")],
        [Decimal("1E+200000"), Decimal("1E-20000"), Decimal("sNaN")],
    ),
    ("numeric whole", Decimal, sa.Numeric(5), [Decimal(5), Decimal("5.0"), Decimal("1E+2")], [Decimal("5.5"), 10**5]),
    ("numeric text", str, sa.Numeric(5, 2), ["1.10", "1.1"], ["1,1", "1e1", "1000.00"]),
    ("numeric int", int, sa.Numeric(40, 2), [10**37, 1.5], [10**38]),
    ("boolean", bool, sa.Boolean, [True, False, 0, 1.0], [2, "true"]),
    ("text", str, sa.Text, ["", "NULL", "ש\\'\""], [1, b"x"]),
    ("uuid text", uuid.UUID, sa.String(36), [uuid.UUID(int=5), "x"], [1, "x" * 37]),
    ("char", str, sa.CHAR(3), ["abc", "a", ""], ["abcd"]),
    ("enum", Colour, sa.String(5), [Colour.RED, "red", Colour.BLUE], []),
    ("native enum", Mood, sa.Enum(Mood, name="mood"), [Mood.GOOD, "good-value"], ["GOOD", 1]),
    ("check enum", str, sa.Enum("a", "b", native_enum=False), ["a", "b"], ["c", 1]),
    ("date", dt.date, sa.Date, [dt.date(2024, 2, 29), dt.date.min, dt.date.max, "2024-02-29"], ["2023-02-29"]),
    (
        "timestamptz",
        dt.datetime,
        sa.DateTime(timezone=True),
        [dt.datetime(2025, 1, 1, tzinfo=dt.UTC), dt.datetime(2025, 1, 1), "2025-01-01T00:00:00Z"],
        ["noon", 5, dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5))), dt.date(2025, 1, 1)],
    ),
    (
        "timestamptz text",
        str,
        sa.DateTime(timezone=True),
        ["2025-01-01T00:00:00+00:00", "2025-01-01T00:00:00Z", "2025-01-01T02:00:00.5+02:00"],
        ["2025-01-01T25:00:00"],
    ),
    (
        "timestamp",
        dt.datetime,
        sa.DateTime(),
        [dt.datetime(2025, 1, 1, 1, 1, 1, 1), dt.datetime.max, "2025-01-01 00:00"],
        [dt.datetime(2025, 1, 1, tzinfo=dt.UTC), "2025-01-01T00:00:00Z"],
    ),
    (
        "timestamp(3)",
        dt.datetime,
        postgresql.TIMESTAMP(precision=3),
        [dt.datetime(2025, 1, 1, 0, 0, 0, 5000)],
        [dt.datetime(2025, 1, 1, 0, 0, 0, 5001)],
    ),
    ("time", dt.time, sa.Time, [dt.time(1, 2, 3, 4), "01:02:03", "01:02"], [dt.time(1, tzinfo=dt.UTC), "x", 12]),
    ("timetz", dt.time, sa.Time(timezone=True), [dt.time(1, tzinfo=dt.UTC)], [dt.time(1)]),
    ("interval", dt.timedelta, sa.Interval, [dt.timedelta(days=-3, microseconds=7), dt.timedelta.min], [5]),
    ("uuid", uuid.UUID, sa.Uuid, [uuid.UUID(int=5), str(uuid.UUID(int=2**127)).upper()], ["x", 5]),
    ("bytea", bytes, sa.LargeBinary, [b"", b"\x00\xff\\'"], ["x"]),
    ("jsonb", Any, postgresql.JSONB(none_as_null=True), [[1, -0.0], {"b": 1, "a": 1e22}, (1,), "x", 5, {1: 2}], []),
    ("json", Any, sa.JSON(none_as_null=True), [[1, -0.0], {"b": 1, "a": 1e22}, (1,), "x", 5], []),
    ("array", list[str], sa.ARRAY(sa.Text), [[], ["a", None, 'q"\\,{}', "NULL", ""]], [[1], "x", (1,)]),
    ("int array", list[int], postgresql.ARRAY(sa.Integer), [[1, 2], [1.0]], [[2**40], ["a"]]),
    ("decorated", str, type("Upper", (sa.TypeDecorator,), {"impl": sa.String(3), "cache_ok": True}), ["abc"], ["abcd"]),
]


@pytest.mark.parametrize(("name", "annotation", "kind", "held", "refused"), COLUMNS, ids=[case[0] for case in COLUMNS])
def test_every_column_type(
    conn: psycopg.Connection[Any], name: str, annotation: Any, kind: Any, held: list[Any], refused: list[Any]
) -> None:
    """Each column type gives back each value of its domain with its type, and refuses the others by name."""
    table = sa.Table(
        "things",
        sa.MetaData(),
        sa.Column("outlive_key", sa.Text(collation="C"), primary_key=True),
        sa.Column("v", kind, nullable=True),
        sa.Column("outlive_version", sa.BigInteger, nullable=False),
        sa.Column("outlive_position", sa.Numeric, nullable=False),
        sa.Column("outlive_extra", postgresql.JSONB),
    )
    if name == "native enum":
        conn.execute("CREATE TYPE mood AS ENUM ('GOOD', 'BAD')")
    declared = dataclasses.make_dataclass("Thing", [("v", annotation)])
    given = Given(conn, declared, table, None)
    for value in [*held, None]:
        assert same(given.through((1, "k"), declared(value)), declared(value)), value
    for value in refused:
        if value is None:
            continue
        with pytest.raises(Unholdable) as caught:
            given.table.row((1, "k"), given.record_type.document(declared(value)), 1, 1)
        assert caught.value.field == "v"
        assert caught.value.reason


def bare(*columns: sa.Column[Any]) -> sa.Table:
    """A table with key and versions, without outlive_extra."""
    return sa.Table(
        "bare",
        sa.MetaData(),
        *columns,
        sa.Column("outlive_version", sa.BigInteger, nullable=False),
        sa.Column("outlive_position", sa.Numeric, nullable=False),
    )


def test_without_outlive_extra(conn: psycopg.Connection[Any]) -> None:
    """A table without outlive_extra holds what its columns hold exactly, and refuses every other form."""
    table = bare(sa.Column("id", sa.Text, primary_key=True), sa.Column("n", sa.Float), sa.Column("m", sa.Integer))
    given = Given(conn, dict, table, "id")
    record = {"id": "a", "n": 1.5, "m": 2}
    assert same(given.through("a", record), record)
    for wrong, field in [
        ({**record, "n": 1}, "n"),
        ({**record, "x": 1}, "x"),
        ({"id": "a", "n": 1.5}, "m"),
        ({"n": 1.5, "m": 2, "id": "a"}, "n"),
    ]:
        with pytest.raises(Unholdable) as caught:
            given.table.row("a", given.record_type.document(wrong), 1, 1)
        assert caught.value.field == field
    for field in ("n", "x"):
        with pytest.raises(Unholdable):
            given.table.check_field(field, 1)
    given.table.check_field("n", 1.0)


def test_keys_of_models(conn: psycopg.Connection[Any]) -> None:
    """Without a key field the single primary key is the key, in the record or beside it; it must be found."""
    table = bare(sa.Column("code", sa.Uuid, primary_key=True), sa.Column("n", sa.Integer))
    declared = dataclasses.make_dataclass("Beside", [("n", int)])
    with pytest.raises(SchemaMismatch, match="no column for the key"):
        StoreTable.from_model("s", "t", RecordType.of(declared), "nothing", table)
    with pytest.raises(SchemaMismatch, match="outlive_version"):
        StoreTable.from_model("s", "t", RecordType.of(declared), None, sa.Table("x", sa.MetaData(), sa.Column("id")))
    with pytest.raises(SchemaMismatch, match="cannot be written"):
        StoreTable.from_model(
            "s", "t", RecordType.of(dict), None, bare(sa.Column("id", postgresql.INET, primary_key=True))
        )
    given = Given(conn, declared, table, None)
    key = uuid.UUID(int=7)
    assert given.table.key_field is None
    found = Statements.of(given.table)
    conn.execute(*found.put_live([given.table.row(key, {"n": 1}, 1, 1)]))
    stored = given.table.read(conn.execute(*found.select_all()).fetchall()[0])
    assert (stored.key, stored.document) == (key, {"n": 1})
    with pytest.raises(Unholdable):
        given.table.key_literal(str(key))
