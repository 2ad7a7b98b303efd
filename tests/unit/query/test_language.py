"""Keyword arguments become a query, or an error that names the argument."""

from __future__ import annotations

from typing import Any

import pytest

from outlive.errors import BadQuery
from outlive.query.language import Filter, Order, Query, parse


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"status": "open"}, Filter("status", "eq", "open")),
        ({"due__lte": 3}, Filter("due", "lte", 3)),
        ({"a__b__ne": 3}, Filter("a__b", "ne", 3)),
        ({"due": None}, Filter("due", "isnull", True)),
        ({"due__ne": None}, Filter("due", "isnull", False)),
        ({"due__isnull": False}, Filter("due", "isnull", False)),
        ({"id__in": [1, 2]}, Filter("id", "in", (1, 2))),
        ({"id__in": iter("ab")}, Filter("id", "in", ("a", "b"))),
        ({"due__lt": None}, Filter("due", "lt", None)),
    ],
)
def test_filters(given: dict[str, Any], meant: Filter) -> None:
    """A filter's name is a field with an operator behind its last double underscore, eq without one."""
    assert parse(given).filters == (meant,)


@pytest.mark.parametrize(
    ("order_by", "meant"),
    [
        ((), ()),
        ("a", (Order("a"),)),
        (("a", "-b"), (Order("a"), Order("b", descending=True))),
    ],
)
def test_order(order_by: Any, meant: tuple[Order, ...]) -> None:
    """An order is one name or several, a minus sign for descending."""
    assert parse({}, order_by).order == meant


@pytest.mark.parametrize(
    "arguments",
    [
        ({"due__near": 3},),
        ({"due__isnull": 1},),
        ({"id__in": "abc"},),
        ({"id__in": b"abc"},),
        ({"id__in": 3},),
        ({}, ("a", "-")),
        ({}, ("",)),
        ({}, (3,)),
        ({}, (), -1),
        ({}, (), True),
        ({}, (), "3"),
        ({}, (), None, -1),
        ({}, (), None, 1.0),
    ],
)
def test_arguments_without_meaning(arguments: tuple[Any, ...]) -> None:
    """What cannot be understood is refused with the argument's name."""
    with pytest.raises(BadQuery, match=r"^query on "):
        parse(*arguments)


def test_query_names_its_fields_once() -> None:
    """A query knows every field that decides its answer, each once."""
    query = parse({"a__gt": 1, "a__lt": 3, "b": 2}, ("b", "c"), limit=3)
    assert query.fields == ("a", "b", "c")
    assert not query.whole
    assert Query().whole
