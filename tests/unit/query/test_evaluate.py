"""Queries over records in Python."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from outlive.errors import BadQuery
from outlive.query.evaluate import select
from outlive.query.language import parse

EAST = dt.timezone(dt.timedelta(hours=3))


class Mood(enum.Enum):
    CALM = "calm"


def found(
    values: list[Any], order_by: Any = (), limit: int | None = None, offset: int = 0, **filters: Any
) -> list[Any]:
    """The values of field x that a query finds among records {"x": value}, "-" standing for a missing field."""
    items = [(at, {} if value == "-" else {"x": value}) for at, value in enumerate(values)]
    query = parse(filters, order_by, limit, offset)
    return [record.get("x", "-") for _, record in select(query, items, lambda record, field: record.get(field))]


@pytest.mark.parametrize(
    ("value", "op", "wanted", "passes"),
    [
        (1, "eq", 1.0, True),
        (True, "eq", 1, True),
        (0.1, "eq", Decimal("0.1"), True),
        (0.1, "lte", Decimal("0.1"), True),
        (10**30, "gt", 1e22, True),
        (-0.0, "eq", 0, True),
        ("1", "eq", 1, False),
        ("1", "ne", 1, True),
        (None, "ne", 1, False),
        (None, "lt", 1, False),
        (1, "lt", None, False),
        (1, "gte", None, False),
        (float("nan"), "eq", float("nan"), False),
        (float("nan"), "ne", 1, True),
        (float("nan"), "gt", 1, False),
        (1, "lte", Decimal("sNaN"), False),
        (Mood.CALM, "eq", "calm", True),
        ("calm", "in", [Mood.CALM], True),
        ("B", "lt", "a", True),
        ("é", "gt", "z", True),
        ("😀", "gt", "\uffff", True),
        (dt.datetime(2024, 1, 1, 3, tzinfo=EAST), "eq", dt.datetime(2024, 1, 1, tzinfo=dt.UTC), True),
        (dt.datetime(2024, 1, 1), "eq", dt.datetime(2024, 1, 1, tzinfo=dt.UTC), False),
        (dt.datetime(2024, 1, 1), "lt", dt.datetime(2024, 1, 2), True),
        (dt.date(2024, 1, 1), "eq", dt.datetime(2024, 1, 1), False),
        (dt.time(3), "gte", dt.time(3), True),
        (dt.time(3, tzinfo=EAST), "eq", dt.time(0, tzinfo=dt.UTC), True),
        (dt.timedelta(1), "gt", dt.timedelta(hours=3), True),
        (UUID(int=2), "gt", UUID(int=1), True),
        (bytearray(b"a"), "eq", b"a", True),
        ([1, 2], "eq", [1, 2], True),
        ([1, 2], "lt", [1, 3], True),
        ([1], "in", [[1], [2]], True),
        ([1], "in", [1, 2], False),
        (3, "in", [[1], 3], True),
        (4, "in", [[1], 3], False),
        (None, "in", [1, None], True),
        (None, "in", [1], False),
        (float("nan"), "in", [float("nan")], False),
        ("-", "isnull", True, True),
        (None, "isnull", True, True),
        (0, "isnull", False, True),
    ],
)
def test_filter(value: Any, op: str, wanted: Any, passes: bool) -> None:
    """Numbers compare as written, datetimes as instants, text by code point; None passes only where asked for."""
    assert found([value], **{f"x__{op}": wanted}) == ([value] if passes else [])


@pytest.mark.parametrize(("value", "wanted"), [("a", 1), (dt.date(2024, 1, 1), dt.datetime(2024, 1, 1)), ([1], ["a"])])
def test_values_without_order(value: Any, wanted: Any) -> None:
    """A range over values that have no common order is refused."""
    with pytest.raises(BadQuery, match="no lt with"):
        found([value], x__lt=wanted)


def test_a_filter_that_says_no_decides() -> None:
    """A record that another filter leaves out raises nothing, wherever that filter stands."""
    assert found(["a"], x__lt=1, x__eq="b") == []
    assert found(["a"], x__eq="b", x__lt=1) == []


def test_order() -> None:
    """None comes last ascending and first descending, NaN after all numbers, ties in insertion order."""
    nan = float("nan")
    assert repr(found([2, None, 1, nan, 1.0, "-"], "x")) == repr([1, 1.0, 2, nan, None, "-"])
    assert repr(found([2, None, 1, nan, 1.0, "-"], "-x")) == repr([None, "-", nan, 2, 1, 1.0])


@pytest.mark.parametrize("values", [[1, "a"], [[1], ["a"]], [dt.time(3), 1]])
def test_order_of_what_has_none(values: list[Any]) -> None:
    """Sorting values without a common order is refused."""
    with pytest.raises(BadQuery):
        found(values, "x")


def test_page() -> None:
    """Offset and limit cut the sorted matches."""
    assert found([5, 3, 1, 4, 2], "x", 2, 1) == [2, 3]
    assert found([5, 3], (), 0) == []
    assert found([5, 3], (), None, 1) == [3]
    assert found([5, 3], (), 3, 4) == []


def test_a_list_may_have_none_as_its_element() -> None:
    """has=None looks for an element None; no list, no element; what has no elements is no answer."""
    records = [(1, {"x": [None]}), (2, {"x": ["a"]}), (3, {}), (4, {"x": {None: 1}})]
    query = parse({"x__has": None})
    assert [key for key, _ in select(query, records, dict.get)] == [1, 4]
    with pytest.raises(BadQuery, match="no has with"):
        select(query, [(1, {"x": "text"})], dict.get)
