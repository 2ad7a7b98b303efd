"""Paths into records: `address__city`, and what a record holds under one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container
from typing import Any

from outlive.query.areas import Place
from outlive.records import MISSING
from outlive.records.codec import key_of_field
from outlive.records.shapes import shape_of

PLACE = "place"
STEP = "__"
Peek = Callable[[Any, str], Any]


def split(field: str, declared: Container[str]) -> tuple[str, tuple[str, ...]] | None:
    """(longest declared field, steps below it) of a path; None for a field, also one whose name looks like a path."""
    if STEP not in field or field in declared:
        return None
    parts = field.split(STEP)
    known = (at for at in range(len(parts) - 1, 0, -1) if STEP.join(parts[:at]) in declared)
    at = next(known, 1)
    root, path = STEP.join(parts[:at]), tuple(parts[at:])
    return (root, path) if root and all(path) else None


def follow(value: Any, path: tuple[str, ...]) -> Any:
    """What a value holds under a path, MISSING where it leads nowhere."""
    for step in path:
        if value is MISSING or value is None:
            return MISSING
        value = _below(value, step)
    return value


def _below(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return dict.get(value, step, MISSING)
    if isinstance(value, list | tuple | deque) and step.isascii() and step.isdigit():
        return value[int(step)] if len(step) < 10 and int(step) < len(value) else MISSING
    if isinstance(value, tuple):
        return getattr(value, step, MISSING) if step in getattr(value, "_fields", ()) else MISSING
    shape = shape_of(type(value))
    return MISSING if shape is None else shape.get(value, key_of_field(step))


class Reader:
    """`peek` with paths and the place: a field's value, None for no value."""

    def __init__(self, peek: Peek, declared: Container[str], place: tuple[str, str] | None) -> None:
        self._peek, self._declared, self._place = peek, declared, place
        self._ways: dict[str, tuple[str, tuple[str, ...]] | None] = {}

    def __call__(self, record: Any, field: str) -> Any:
        """The value of a field, of a path, or of the store's place."""
        way = self._ways[field] if field in self._ways else self._learn(field)
        if way is None:
            value = self._peek(record, field)
        elif self._place is not None and field == PLACE:
            value = self._at(record)
        else:
            value = follow(self._peek(record, way[0]), way[1])
        return None if value is MISSING else value

    def _learn(self, field: str) -> tuple[str, tuple[str, ...]] | None:
        is_place = field == PLACE and self._place is not None
        way = self._ways[field] = (PLACE, ()) if is_place else split(field, self._declared)
        return way

    def _at(self, record: Any) -> Any:
        assert self._place is not None
        lat, lon = (self._peek(record, field) for field in self._place)
        return MISSING if lat in (MISSING, None) or lon in (MISSING, None) else Place(lat, lon)
