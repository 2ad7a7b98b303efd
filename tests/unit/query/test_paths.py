"""Paths into records, and what is no query."""

from __future__ import annotations

from collections import deque, namedtuple
from dataclasses import dataclass, field
from typing import Any

import pytest

from outlive.errors import BadQuery
from outlive.query.areas import Place
from outlive.query.language import parse
from outlive.query.paths import Reader, follow, split
from outlive.query.totals import parse_by
from outlive.records import MISSING

Pair = namedtuple("Pair", "x y")  # noqa: PYI024  records made before types are still records


@dataclass
class Inner:
    """A record inside a record."""

    city: str = "Sana'a"
    lines: list[str] = field(default_factory=lambda: ["one", "two"])


@pytest.mark.parametrize(
    ("name", "declared", "way"),
    [
        ("city", {"city"}, None),
        ("home__city", {"home"}, ("home", ("city",))),
        ("home__city", {"home__city"}, None),
        ("home__main__city", {"home__main"}, ("home__main", ("city",))),
        ("a__b__c__d", {"a__b__c"}, ("a__b__c", ("d",))),
        ("home____city", {"home"}, None),
        ("__city", {"home"}, None),
    ],
)
def test_a_path_is_split_at_a_declared_field(name: str, declared: set[str], way: Any) -> None:
    """The longest declared beginning is the field; what follows are steps, none of them empty."""
    assert split(name, declared) == way


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ({"a": {"b": 1}}, ("a", "b"), 1),
        ({"a": None}, ("a", "b"), MISSING),
        ({}, ("a", "b"), MISSING),
        (["x", ("y", "z")], ("1", "0"), "y"),
        (deque([5]), ("0",), 5),
        ([1], ("1",), MISSING),
        ([1], ("99999999999",), MISSING),
        (Pair(1, Inner()), ("y", "lines", "1"), "two"),
        (Pair(1, 2), ("z",), MISSING),
        (Inner(), ("city",), "Sana'a"),
        ("text", ("0",), MISSING),
    ],
)
def test_a_path_is_followed_through_any_shape(value: Any, path: tuple[str, ...], found: Any) -> None:
    """Keys, indexes, names of a named tuple and attributes; MISSING where it leads nowhere."""
    assert follow(value, path) == found


def test_a_reader_knows_the_stores_place() -> None:
    """`place` is made of its two fields, None where one has no value; other names are fields and paths."""
    read = Reader(lambda record, name: record.get(name, MISSING), {"lat", "lon", "home"}, ("lat", "lon"))
    assert read({"lat": 15.3, "lon": 44.2}, "place") == Place(15.3, 44.2)
    assert read({"lat": 15.3, "lon": None}, "place") is None
    assert read({"lon": 44.2}, "place") is None
    assert read({"home": {"city": "Aden"}}, "home__city") == "Aden"
    assert read({}, "home") is None


@pytest.mark.parametrize("by", [5, ("a", ""), ("a", None)])
def test_what_names_no_field_to_group_by_is_told(by: Any) -> None:
    """Groups are made by field names; anything else is BadQuery."""
    with pytest.raises(BadQuery, match="by"):
        parse_by((by,) if isinstance(by, int) else by, ())


def test_within_wants_an_area() -> None:
    """A bare pair of numbers is no circle, box or polygon."""
    with pytest.raises(BadQuery, match="Circle"):
        parse({"home__within": (15.3, 44.2)})
