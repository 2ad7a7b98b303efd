"""Statements by the shape of their query, composed once: composing takes longer than running most of them.

Two queries have one shape when they differ in nothing but what their filters are compared with, their limit and their
offset. A filter whose SQL hangs on its value has no shape; its statement is composed every time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from outlive.query.compile import Compiler
from outlive.query.conditions import Slot, parameter
from outlive.query.language import Filter, Query
from outlive.query.pieces import Piece, composed, inlined, numbered

MOST = 256  # shapes that are kept
LIMIT, OFFSET = 2**61 + 11, 2**60 + 7  # stand for a query's own while its statement is composed
KEY: Any = Slot()  # stands for the key that is asked for beside the query
USUAL = frozenset({10, 20, 25, 50, 100})  # limits that the statement names, so that plans for any value know them

Make = Callable[[Query], Piece | None]


class Shaped(NamedTuple):
    """A statement: with %s, with $1, its values, and whether it will come again with others."""

    statement: bytes
    text: bytes
    values: list[Any]
    steady: bool = True


class _Shape(NamedTuple):
    statement: bytes
    text: bytes
    plan: list[Any]  # KEY, LIMIT, OFFSET or both, else which of the filters' values


class Shapes:
    """The statements over one table."""

    def __init__(self, compiler: Compiler) -> None:
        self._at = compiler
        self._known: dict[Hashable, _Shape | None] = {}

    def find(self, kind: Hashable, query: Query, make: Make, key: str | None = None) -> Shaped | None:
        """The statement that `make` composes of a query; None where it makes none. `kind` tells makers apart.

        `key` is what takes the place of KEY in it.
        """
        parts: list[Hashable] = []
        given: list[Any] = []
        for each in query.filters:
            if each.op == "isnull":
                parts.append((each.field, each.op, each.value))
                continue
            value = parameter(self._at.column(each.field), each)
            if value is None:
                return _alone(make(query), key)
            parts.append((each.field, each.op))
            given.append(value)
        limited = query.limit if query.limit in USUAL else query.limit is None
        shape = self._shape((kind, tuple(parts), query.order, limited, not query.offset), query, make)
        if shape is None:
            return None
        limit, offset = min(query.limit or 0, 2**62), min(query.offset, 2**62)
        end = limit + offset
        own = {LIMIT: limit, limit + OFFSET: end, LIMIT + OFFSET: end, OFFSET: offset, KEY: key}
        found = [own[what] if what in own else given[what] for what in shape.plan]
        return Shaped(shape.statement, shape.text, found)

    def _shape(self, key: Hashable, query: Query, make: Make) -> _Shape | None:
        if key not in self._known:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = _composed(query, make)
        return self._known[key]


def _alone(piece: Piece | None, key: str | None) -> Shaped | None:
    if piece is None:
        return None
    statement = composed(piece.text)
    values = [key if value is KEY else value for value in piece.values]
    return Shaped(statement, numbered(statement), values, steady=False)


def _composed(query: Query, make: Make) -> _Shape | None:
    slots: list[Slot] = []
    filters: list[Filter] = []
    for each in query.filters:
        if each.op != "isnull":
            slots.append(Slot())
            each = Filter(each.field, each.op, slots[-1])  # noqa: PLW2901
        filters.append(each)
    limit = query.limit if query.limit is None or query.limit in USUAL else LIMIT
    piece = make(Query(tuple(filters), query.order, limit, OFFSET if query.offset else 0))
    if piece is None:
        return None
    kept: list[Any] = []
    statement = inlined(composed(piece.text), piece.values, kept, lambda value: not _is_own(value))
    plan: list[Any] = []
    for value in kept:
        own = value is KEY or not isinstance(value, Slot)
        plan.append(value if own else next(at for at, slot in enumerate(slots) if slot is value))
    return _Shape(statement, numbered(statement), plan)


def _is_own(value: Any) -> bool:
    """Whether a value is a query's own, and no part of its shape."""
    return isinstance(value, Slot) or (type(value) is int and value >= OFFSET)
