"""Filters as SQL: what PostgreSQL decides, and what it leaves to Python."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from outlive.postgres.columns import column_hint
from outlive.postgres.tables import StoreTable
from outlive.query.columns import Columns
from outlive.query.compile import Compiler
from outlive.query.compile_totals import compile_total
from outlive.query.conditions import condition
from outlive.query.language import OPERATORS, Filter, Operator, parse
from outlive.query.totals import By, Total
from outlive.records import RecordType


class Mood(enum.Enum):
    CALM = "calm"


@dataclasses.dataclass
class Row:
    id: int
    name: str
    n: int
    f: float
    d: Decimal
    b: bool
    day: dt.date
    at: dt.datetime
    code: UUID
    raw: bytes
    span: dt.timedelta
    tags: list[str]


TABLE = StoreTable.derive("service", "rows", RecordType.of(Row), "id")
MODEL = sa.Table(
    "given",
    sa.MetaData(schema="service"),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("day", sa.Date),
    sa.Column("code", sa.Uuid),
    sa.Column("letter", sa.CHAR(2)),
    sa.Column("mood", sa.Enum(Mood, native_enum=False)),
    sa.Column("digits", sa.Integer),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("labels", sa.ARRAY(sa.Text(collation="C"))),
    sa.Column("letters", sa.ARRAY(sa.CHAR(2))),
    sa.Column("counts", sa.ARRAY(sa.Integer)),
    sa.Column("outlive_version", sa.BigInteger, nullable=False),
    sa.Column("outlive_position", sa.Numeric, nullable=False),
)


@dataclasses.dataclass
class Given:
    id: int
    day: str
    code: str
    letter: str
    mood: Mood
    digits: str
    at: str
    labels: list[str] | None
    letters: list[str]
    counts: list[int]
    more: str


GIVEN = StoreTable.from_model("service", "given", RecordType.of(Given), "id", MODEL)
HUGE = Decimal("1E+100000")


def shown(table: StoreTable, field: str, op: str, wanted: Any) -> tuple[str, list[Any], bool]:
    """(SQL with %s, its values, exact) of one filter."""
    (asked,) = parse({f"{field}__{op}": wanted}).filters
    piece, exact = condition(Columns(table, column_hint)(field), asked)
    return piece.text.as_string(None), list(piece.values), exact


@pytest.mark.parametrize(
    ("field", "op", "wanted", "text", "values"),
    [
        ("name", "eq", "x", '"name" = %s::text', ["x"]),
        ("name", "lt", "x", '"name" COLLATE "C" < %s::text', ["x"]),
        ("name", "eq", 3, "false", []),
        ("name", "ne", 3, '"name" IS NOT NULL', []),
        ("name", "lt", None, "false", []),
        ("n", "eq", 3.0, '"n" = %s::bigint', ["3"]),
        ("n", "lt", 2.5, '"n"::numeric < %s::numeric', ["2.5"]),
        ("n", "lt", 2**70, '"n"::numeric < %s::numeric', [str(2**70)]),
        ("n", "in", [1, 2.5, "a", None], None, ["2.5", ["1"]]),
        ("f", "lt", 0.1, '"f" < %s::float8', ["0.1"]),
        ("f", "gt", Decimal("0.1"), '"f" > %s::float8 AND "f" <> \'NaN\'', ["0.1"]),
        ("f", "eq", 10**17 + 1, '"f"::float8::text::numeric = %s::numeric', [str(10**17 + 1)]),
        ("f", "eq", float("nan"), "false", []),
        ("d", "lte", 0.1, '"d" <= %s::numeric', ["0.1"]),
        ("b", "eq", 1, '"b" = %s::boolean', ["true"]),
        ("b", "lt", 5, '"b"::integer::numeric < %s::numeric', ["5"]),
        ("day", "gte", dt.date(2024, 1, 2), '"day" >= %s::date', ["2024-01-02"]),
        ("at", "lt", dt.datetime(2024, 1, 1, tzinfo=dt.UTC), '"at" < %s::timestamptz', ["2024-01-01T00:00:00+00:00"]),
        ("code", "eq", UUID(int=1), '"code" = %s::uuid', [str(UUID(int=1))]),
        ("raw", "eq", b"\x01", '"raw" = %s::bytea', ["\\x01"]),
        ("span", "eq", dt.timedelta(-1), '"span" = %s::interval', ["-1 days 0 seconds 0 microseconds"]),
    ],
)
def test_exact(field: str, op: str, wanted: Any, text: str | None, values: list[Any]) -> None:
    """A value of the column's kind is compared in the column's own type where that can write it, else as numeric."""
    got = shown(TABLE, field, op, wanted)
    assert got == (got[0] if text is None else text, values, True)


@pytest.mark.parametrize(
    ("table", "field", "op", "wanted"),
    [
        (TABLE, "name", "lt", 3),
        (TABLE, "name", "eq", "a\x00"),
        (TABLE, "name", "eq", "\ud800"),
        (TABLE, "d", "lt", HUGE),
        (TABLE, "at", "lt", dt.datetime(2024, 1, 1)),
        (TABLE, "at", "lt", dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-9)))),
        (TABLE, "tags", "eq", ["a"]),
        (TABLE, "tags", "in", ["a"]),
        (TABLE, "tags", "isnull", True),
        (TABLE, "tags", "eq", HUGE),
        (TABLE, "tags", "eq", float("inf")),
        (TABLE, "tags", "ne", "a"),
        (GIVEN, "letter", "eq", "a"),
        (GIVEN, "letter", "in", ["a", None]),
        (GIVEN, "mood", "eq", "calm"),
        (GIVEN, "digits", "eq", "7"),
        (GIVEN, "at", "eq", "2024-01-01"),
        (GIVEN, "more", "eq", "x"),
        (GIVEN, "labels", "has", 5),
        (GIVEN, "labels", "has", "a\x00"),
        (GIVEN, "counts", "has", 5),
        (GIVEN, "letter", "has", "a"),
        (GIVEN, "letters", "has", "a"),
    ],
)
def test_left_to_python(table: StoreTable, field: str, op: str, wanted: Any) -> None:
    """Where SQL cannot decide as Python does, rows that may match are let through and nothing is cut off."""
    text, _, exact = shown(table, field, op, wanted)
    assert not exact
    assert text != "false"


@pytest.mark.parametrize(
    ("field", "op", "wanted", "text"),
    [
        ("day", "eq", "2024-01-02", '"day" = %s::date'),
        ("day", "gte", "2024-1", 'to_char("day", \'YYYY-MM-DD\') COLLATE "C" >= %s::text'),
        ("code", "eq", str(UUID(int=1)), '"code" = %s::uuid'),
        ("code", "eq", "x", '"code"::text COLLATE "C" = %s::text'),
    ],
)
def test_text_in_a_typed_column(field: str, op: str, wanted: str, text: str) -> None:
    """Text that a typed column holds is compared in that type if the wanted text has its form, else as text."""
    assert shown(GIVEN, field, op, wanted) == (text, [wanted], True)


@pytest.mark.parametrize("wanted", ["calm", Mood.CALM])
def test_an_array_of_texts_is_asked_itself(wanted: Any) -> None:
    """PostgreSQL alone decides which arrays hold a text; an enum member stands for its value."""
    assert shown(GIVEN, "labels", "has", wanted) == ('"labels" @> ARRAY[%s::text]', ["calm"], True)


def test_json_scalars_are_compared_in_sql() -> None:
    """In jsonb, values of the wanted scalar type are compared; all others are left to Python."""
    text, values, exact = shown(TABLE, "tags", "lt", "a")
    assert "jsonb_typeof" in text
    assert 'COLLATE "C" < %s::text' in text
    assert (values, exact) == (["string", "a"], False)
    assert shown(TABLE, "tags", "eq", 2.5)[1] == ["number", "2.5"]


def test_an_operator_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator without SQL is decided on records, with the rows that have a value."""
    monkeypatch.setitem(OPERATORS, "has", Operator(lambda value, wanted: wanted in value))  # type: ignore[arg-type]
    column = Columns(TABLE, column_hint)("name")
    piece, exact = condition(column, Filter("name", "has", "x"))
    assert (piece.text.as_string(None), exact) == ('"name" IS NOT NULL', False)


def test_keys_that_the_column_cannot_hold() -> None:
    """A key of another type than the key column has no row; it is left out instead of refused."""
    at = Compiler(TABLE, Columns(TABLE, column_hint))
    assert at.rows_of([1, "x", 2]).values == (["1", "2"],)


@pytest.mark.parametrize(
    ("asked", "feasible"),
    [
        (Total("count"), True),
        (Total("count", by=(By("name"),)), True),
        (Total("count", by=(By("tags"),)), False),
        (Total("sum", "n"), True),
        (Total("sum", "name"), False),
        (Total("min", "name"), True),
        (Total("max", "b"), True),
        (Total("max", "tags"), False),
    ],
)
def test_totals_that_sql_can_make(asked: Total, feasible: bool) -> None:
    """SQL makes totals of columns that decide their values; others are added up from records."""
    at = Compiler(TABLE, Columns(TABLE, column_hint))
    assert (compile_total(at, asked, ()) is not None) is feasible
    assert compile_total(at, asked, parse({"tags__lt": 1}).filters) is None
