"""Cursors: what they carry, and that a damaged one is refused."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest

from outlive.errors import BadQuery
from outlive.query import pages
from outlive.query.language import Query, parse

VALUES = [
    None, "", "שלום", "a\x00", 1, 2.5, Decimal("1.10"), float("nan"), float("inf"), dt.date(2024, 1, 2),
    dt.datetime(2024, 1, 2, 3, 4, 5, 6), dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=3))), dt.time(3, 4),
    dt.timedelta(days=-1, microseconds=5), uuid.UUID(int=7), b"\x00a",
]  # fmt: skip


def _cursor(query: Query, record: dict[str, Any], key: Any = 1, position: Any = Decimal(7)) -> pages.Cursor:
    return pages.cursor_of(query, key, record, position, dict.get)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_cursor_comes_back_as_it_was(value: Any) -> None:
    """Values of every kind that has an order, a position and a key survive the text."""
    query = parse({}, ("-x", "y"))
    cursor = _cursor(query, {"x": value}, ("k", 1))
    again = pages.read(query.order, pages.write(query.order, cursor))
    assert repr(again) == repr(cursor) or (again.key, again.position) == (cursor.key, cursor.position)
    assert pages.following(query, [(("k", 1), {"x": value})], again, lambda _: Decimal(7), dict.get) == []


@pytest.mark.parametrize("value", [[1], {"a": 1}])
def test_what_has_no_order_of_its_own_cannot_be_paged(value: Any) -> None:
    """A page cannot end at a value that no other page could begin after."""
    with pytest.raises(BadQuery, match="pages cannot be ordered by"):
        _cursor(parse({}, "x"), {"x": value})


def _encoded(body: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "é", "AAAA", 7, None, _encoded([]), _encoded({}), _encoded([2, ["x"], [None], "1", "1"]),
        _encoded([1, ["x"], [["number", "?"]], "1", "1"]), _encoded([1, ["x"], [["list", "1"]], "1", "1"]),
        _encoded([1, ["x"], [["text", 1]], "1", "1"]), _encoded([1, ["x"], [None], "NaN", "1"]),
        _encoded([1, ["x"], [None], "1", "{"]), _encoded([1, ["x"], [None], "1", "[1]"]),
        _encoded([1, ["x"], [None], "1", '{"$object": ["tests.unit.query.test_pages:Query", {}]}']),
        _encoded([1, ["-x"], [None], "1", "1"]), _encoded([1, ["x"], [], "1", "1"]),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_cursor_is_refused(text: Any) -> None:
    """Whatever a caller sends, the answer is BadQuery and no class of this process is made."""
    with pytest.raises(BadQuery, match="cursor"):
        pages.read(parse({}, "x").order, text)


def test_values_of_another_kind_have_no_page() -> None:
    """A cursor at a number says nothing of text."""
    query = parse({}, "x")
    with pytest.raises(BadQuery, match="no common order"):
        pages.following(query, [(2, {"x": "a"})], _cursor(query, {"x": 1}), lambda _: Decimal(8), dict.get)


def test_a_cursor_without_a_position_is_found_by_its_key() -> None:
    """Where the image knows no positions, the record that a page ended at tells where the next begins."""
    query = parse({})
    records = [(key, {}) for key in "abc"]
    cursor = _cursor(query, {}, "b", None)
    assert pages.following(query, records, cursor, lambda _: None, dict.get) == [("c", {})]
    with pytest.raises(BadQuery, match="is gone"):
        pages.following(query, records[:1], cursor, lambda _: None, dict.get)
