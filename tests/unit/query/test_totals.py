"""Totals over records in Python."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from outlive.errors import BadQuery
from outlive.query.totals import By, Name, Total, total


def of(name: Name, values: list[Any], declared: type | None = None) -> Any:
    """The total of field x over records {"x": value}."""
    return total(Total(name, "x", declared=declared), [{"x": value} for value in values], lambda r, f: r.get(f))


@pytest.mark.parametrize(
    ("name", "values", "answer"),
    [
        ("sum", [1, 2, None], 3),
        ("sum", [0.1, 0.2], 0.3),
        ("sum", [0.1] * 10, 1.0),
        ("sum", [1e16, 1.0, -1e16], 1.0),
        ("sum", [Decimal("1.10"), Decimal("2.2")], Decimal("3.30")),
        ("sum", [Decimal("1.10"), 2, 0.1], Decimal("3.20")),
        ("sum", [True, True], 2),
        ("sum", [10**30, 1], 10**30 + 1),
        ("sum", [None], 0),
        ("sum", [-0.0], 0.0),
        ("sum", [math.inf, -math.inf], math.nan),
        ("avg", [1, 2], 1.5),
        ("avg", [Decimal(1), Decimal(2), Decimal(2)], Decimal("1.666666666666666666666666667")),
        ("avg", [None], None),
        ("min", [3, 1.0, True], 1.0),
        ("max", [3, None, 1], 3),
        ("max", [1, math.nan], math.nan),
        ("min", ["b", "B", "a"], "B"),
        ("min", [], None),
        ("count", [1, None], 2),
    ],
)
def test_total(name: Name, values: list[Any], answer: Any) -> None:
    """Sums are exact and have the widest type among their values; extremes are values as held."""
    assert repr(of(name, values)) == repr(answer)


@pytest.mark.parametrize(
    ("name", "values", "declared", "answer"),
    [
        ("sum", [15, 1], float, 16.0),
        ("max", [15, 1], float, 15.0),
        ("sum", [], float, 0.0),
        ("sum", [], Decimal, Decimal(0)),
        ("avg", [1, 2], float, 1.5),
        ("min", ["a"], float, "a"),
    ],
)
def test_declared(name: Name, values: list[Any], declared: type, answer: Any) -> None:
    """A field declared float answers in float, and no values give the declared type's zero."""
    assert repr(of(name, values, declared)) == repr(answer)


@pytest.mark.parametrize(("name", "values"), [("sum", ["a"]), ("min", [1, "a"]), ("max", [[1], ["a"]])])
def test_values_that_do_not_add_up(name: Name, values: list[Any]) -> None:
    """What cannot be added or compared is refused."""
    with pytest.raises(BadQuery):
        of(name, values)


def test_groups() -> None:
    """Groups come in the order of their first records and are named by them."""
    records = [{"by": "b", "x": 1}, {"x": 2}, {"by": 1, "x": 3}, {"by": "b", "x": 4}, {"by": True, "x": 5}]
    answer = total(Total("sum", "x", by=(By("by"),)), records, lambda r, f: r.get(f))
    assert list(answer.items()) == [("b", 5), (None, 2), (1, 8)]


def test_groups_that_have_no_name() -> None:
    """Values that cannot be dict keys cannot name groups; every NaN names the same one."""
    with pytest.raises(BadQuery, match="cannot name groups"):
        total(Total("count", by=(By("by"),)), [{"by": [1]}], lambda r, f: r.get(f))
    nans = [{"by": math.nan}, {"by": Decimal("NaN")}]
    assert list(total(Total("count", by=(By("by"),)), nans, lambda r, f: r.get(f)).values()) == [2]
