"""The short way of plain values gives what the long way gives."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlive.errors import Unholdable
from outlive.postgres.tables import StoreTable
from outlive.records import RecordType


@dataclasses.dataclass
class Plain:
    id: str
    number: int
    share: float
    done: bool
    day: dt.date
    moment: dt.datetime


class Colour(enum.StrEnum):
    RED = "red"


@dataclasses.dataclass
class Rich:
    id: str
    title: str | None
    count: int | None
    due: dt.datetime | None
    colour: Colour
    other: Colour | None
    price: Decimal
    tags: list[str]
    more: dict[str, Any]
    loose: Any


class Model(pydantic.BaseModel):
    id: str
    title: str = ""
    done: bool = False
    hours: float | None = None


class Open(pydantic.BaseModel, extra="allow"):
    id: str


class Secretive(pydantic.BaseModel):
    id: str
    _seen: list[int] = pydantic.PrivateAttr(default_factory=list)


GOOD = Plain("a", 1, 1.5, True, dt.date(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
MEXICO = dt.timezone(dt.timedelta(hours=-6))
ODD: list[tuple[str, Any]] = [
    ("id", "é"), ("id", 5), ("number", True), ("number", 2**70), ("number", 1.0), ("share", 1), ("share", math.nan),
    ("share", math.inf), ("share", -0.0), ("done", 1), ("done", None), ("day", GOOD.moment), ("day", "2026-01-01"),
    ("moment", GOOD.day), ("moment", dt.datetime(2026, 1, 1)), ("moment", GOOD.moment.astimezone(MEXICO)),
    ("moment", dt.datetime(2026, 1, 1, tzinfo=dt.UTC, fold=1)), ("number", [1]),
]  # fmt: skip


def table(cls: type = Plain, key: str = "id") -> StoreTable:
    """The derived table of a record type."""
    return StoreTable.derive("tests", "things", RecordType.of(cls), key)


def both_ways(key: Any, record: Any) -> None:
    """Compares the two; a refusal counts as a result."""
    at = table(type(record))

    def long_way() -> Any:
        document = at.record_type.document(record)
        return document, at.cells(key, document), at.record_type.fixed(record)

    found = []
    for way in (lambda: at.made(key, record), long_way):
        try:
            document, cells, made_of = way()
            found.append((repr(document), list(document), cells))
            assert made_of is None or at.record_type.same(record, made_of)
        except Unholdable as error:
            found.append((str(error), [], ()))
    assert found[0] == found[1]


RICH = Rich("a", "حرث الحقل", None, None, Colour.RED, None, Decimal("1.50"), ["شعير", "b"], {"a": 1}, None)


@pytest.mark.parametrize(
    "record", [GOOD, RICH, dataclasses.replace(RICH, due=GOOD.moment), Model(id="a", title="x", done=True, hours=None)]
)
def test_the_short_way_is_taken(record: Any) -> None:
    """For dataclasses and Pydantic models, with enums, decimals, lists, nulls and text of any script."""
    assert table(type(record)).plain("a", record) is not None
    both_ways("a", record)


def test_what_the_columns_do_not_tell_goes_the_long_way() -> None:
    """Fields that nobody gave, extra and private ones, and records without declared fields."""
    for record in (Model(id="a"), Open(id="a", more=1), Secretive(id="a")):
        assert table(type(record)).plain("a", record) is None
        both_ways("a", record)
    assert StoreTable.derive("tests", "things", RecordType.of(dict), "id").plain("a", {"id": "a"}) is None


def test_only_values_that_cannot_change_tell_a_record_again() -> None:
    """A list may be changed in place: its record is encoded anew."""
    for record, fixed in ((GOOD, True), (RICH, False), (dataclasses.replace(RICH, tags=(), more=1), False)):
        plain = table(type(record)).plain("a", record)
        assert plain is None or (plain[2] is not None) == fixed


@pytest.mark.parametrize(("field", "value"), ODD, ids=repr)
def test_a_value_of_another_type_or_form_goes_the_long_way(field: str, value: Any) -> None:
    """With the same document, columns or refusal."""
    record = dataclasses.replace(GOOD, **{field: value})
    both_ways(record.id, record)


def test_more_or_fewer_fields_or_another_key_go_the_long_way() -> None:
    """An undeclared attribute, a missing one, another order, a key that is not the key field's."""
    more, fewer, moved = (dataclasses.replace(GOOD) for _ in range(3))
    more.extra = 1  # type: ignore[attr-defined]
    del fewer.done
    del moved.id
    moved.id = "a"
    for record in (more, fewer, moved):
        both_ways("a", record)
    both_ways("b", GOOD)
    both_ways(1, dataclasses.replace(GOOD, id="1"))


TEXTS = st.text() | st.sampled_from(["", "\x00", "\ud800", "{}", '"', "\\"])


@given(
    st.builds(
        Plain, TEXTS, st.integers(), st.floats(), st.booleans(), st.dates(),
        st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    )
)  # fmt: skip
def test_any_plain_record_goes_both_ways_alike(record: Plain) -> None:
    """Document, columns, order and refusals are the same, whatever the values."""
    both_ways(record.id, record)


@given(
    st.builds(
        Rich, TEXTS, st.none() | TEXTS, st.none() | st.integers(), st.none() | st.datetimes(timezones=st.just(dt.UTC)),
        st.just(Colour.RED) | TEXTS, st.none() | st.just(Colour.RED), st.decimals() | st.integers(), st.lists(TEXTS),
        st.dictionaries(TEXTS, st.none() | TEXTS | st.floats() | st.lists(st.integers())),
        st.none() | TEXTS | st.sets(TEXTS),
    )
)  # fmt: skip
def test_any_rich_record_goes_both_ways_alike(record: Rich) -> None:
    """The same of fields that are encoded by themselves."""
    both_ways(record.id, record)


@given(st.builds(Model, id=TEXTS), st.sets(st.sampled_from(["title", "done", "hours"])))
def test_any_model_goes_both_ways_alike(record: Model, dropped: set[str]) -> None:
    """The same of Pydantic models, whatever was given."""
    record.__pydantic_fields_set__.difference_update(dropped)
    both_ways(record.id, record)
