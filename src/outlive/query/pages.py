"""Pages that follow each other by what the last record held, so that inserts and deletes shift nothing.

A cursor is opaque text: the order it belongs to, the last record's values in that order, its position and its key. It
is no secret and no promise: a made-up one begins somewhere else in the same answer, and tells nothing beyond it.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from uuid import UUID

from outlive import errors
from outlive.query import values
from outlive.query.evaluate import Peek
from outlive.query.language import Order, Query
from outlive.records import key_text, parse_key

R = TypeVar("R")
Place = Callable[[Hashable], Decimal | int | None]
VERSION = 1
DAMAGED = (ValueError, TypeError, KeyError, OverflowError, InvalidOperation, RecursionError, errors.Unholdable)
MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Page:
    """Records in order, and `next`: the cursor of the page that follows, None after the last."""

    records: list[Any] = field(default_factory=list)
    next: str | None = None


@dataclass(frozen=True)
class Cursor:
    """Where a page ended: what its last record was sorted by, as (kind, key) of `values.keyed` or None, its position
    (None where it has none yet) and its key."""

    spots: tuple[tuple[str, Any] | None, ...]
    position: Decimal | int | None
    key: Hashable


def cursor_of(query: Query, key: Hashable, record: R, position: Decimal | int | None, peek: Peek[R]) -> Cursor:
    """The cursor of a record. Raises BadQuery for values that have no order of their own, such as lists."""
    return Cursor(tuple([_spot(each.field, peek(record, each.field)) for each in query.order]), position, key)


def _spot(name: str, value: Any) -> tuple[str, Any] | None:
    if value is None:
        return None
    kind, key = values.keyed(value)
    if kind not in _WRITERS:
        raise errors.BadQuery(field=name, reason=f"pages cannot be ordered by {type(value).__name__}")
    return kind, key


def following(
    query: Query, found: list[tuple[Hashable, R]], cursor: Cursor, place: Place, peek: Peek[R]
) -> list[tuple[Hashable, R]]:
    """Those of the ordered records that come after the cursor. `place` gives a key's position, None for a record that
    is not stored yet, which stands last. A cursor without a position is found by its key.

    Raises BadQuery where values cannot be compared, and where the record of a cursor without a position is gone.
    """
    if cursor.position is not None:
        return [item for item in found if _follows(query, item, cursor, place, peek)]
    at = next((number for number, (key, _) in enumerate(found) if key == cursor.key), None)
    if at is None:
        raise errors.BadQuery(field="after", reason="the record that the cursor stands on is gone; begin again")
    return found[at + 1 :]


def _follows(query: Query, item: tuple[Hashable, R], cursor: Cursor, place: Place, peek: Peek[R]) -> bool:
    key, record = item
    for each, held in zip(query.order, cursor.spots, strict=True):
        spot = _spot(each.field, peek(record, each.field))
        if spot is not None and held is not None and spot[0] != held[0]:
            raise errors.BadQuery(field=each.field, reason=f"{spot[0]} and {held[0]} have no common order")
        one, other = _rank(spot), _rank(held)
        if one != other:
            return bool(other < one) is not each.descending
    if key == cursor.key:
        return False
    position = place(key)
    return position is None or (cursor.position is not None and position > cursor.position)


def _rank(spot: tuple[str, Any] | None) -> tuple[bool, bool, Any]:
    """As `values.place`, of a spot."""
    if spot is None:
        return True, False, 0
    return (False, True, 0) if values.is_nan(spot[1]) else (False, False, spot[1])


def write(order: Sequence[Order], cursor: Cursor) -> str:
    """The cursor as text."""
    held = [None if spot is None else [spot[0], _WRITERS[spot[0]](spot[1])] for spot in cursor.spots]
    position = None if cursor.position is None else str(cursor.position)
    body = [VERSION, _spelt(order), held, position, key_text(cursor.key)]
    return base64.urlsafe_b64encode(json.dumps(body, separators=(",", ":")).encode()).decode().rstrip("=")


def read(order: Sequence[Order], text: Any) -> Cursor:
    """The cursor of a text. Raises BadQuery for one that is damaged or belongs to another order."""
    if not isinstance(text, str):
        raise errors.BadQuery(field="after", reason="a cursor is the text that a page gave as `next`")
    try:
        body = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
        version, spelt, held, position, key = body
        if version != VERSION or not isinstance(held, list):
            raise ValueError(version)
        if spelt != _spelt(order) or len(held) != len(order):
            raise errors.BadQuery(field="after", reason=f"the cursor belongs to order_by={spelt!r}")
        at = None if position is None else Decimal(position)
        if at is not None and not at.is_finite():
            raise ValueError(position)
        return Cursor(tuple([_read(each) for each in held]), at, _key(key))
    except DAMAGED as error:
        raise errors.BadQuery(field="after", reason="the cursor is damaged") from error


def _spelt(order: Sequence[Order]) -> list[str]:
    return [f"-{each.field}" if each.descending else each.field for each in order]


def _read(held: Any) -> tuple[str, Any] | None:
    if held is None:
        return None
    kind, text = held
    if not isinstance(text, str):
        raise TypeError(text)
    return kind, _READERS[kind](text)


def _key(text: str) -> Hashable:
    """The key of a text; of a foreign one, no class of this process is made."""
    if any(tag in text for tag in ('"$object"', '"$named"', '"$derived"', '"$enum"')):
        raise ValueError(text)
    key: Hashable = parse_key(text)
    hash(key)
    return key


_WRITERS: dict[str, Callable[[Any], str]] = {
    "text": str,
    "number": str,
    "date": dt.date.isoformat,
    "local datetime": dt.datetime.isoformat,
    "time": dt.time.isoformat,
    "instant": lambda key: str(key // MICROSECOND),
    "duration": lambda key: str(key // MICROSECOND),
    "uuid": str,
    "bytes": bytes.hex,
}
_READERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "number": Decimal,
    "date": dt.date.fromisoformat,
    "local datetime": dt.datetime.fromisoformat,
    "time": dt.time.fromisoformat,
    "instant": lambda text: int(text) * MICROSECOND,
    "duration": lambda text: int(text) * MICROSECOND,
    "uuid": UUID,
    "bytes": bytes.fromhex,
}
