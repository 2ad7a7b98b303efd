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
    plan: list[tuple[bool, Any]]  # (True, the value itself), or (False, which of the query's)


class Shapes:
    """The statements over one table."""

    def __init__(self, compiler: Compiler) -> None:
        self._at = compiler
        self._known: dict[Hashable, _Shape | None] = {}

    def find(self, kind: Hashable, query: Query, make: Make) -> Shaped | None:
        """The statement that `make` composes of a query; None where it makes none. `kind` tells makers apart."""
        parts: list[Hashable] = []
        given: list[Any] = []
        for each in query.filters:
            if each.op == "isnull":
                parts.append((each.field, each.op, each.value))
                continue
            value = parameter(self._at.column(each.field), each)
            if value is None:
                return _alone(make(query))
            parts.append((each.field, each.op))
            given.append(value)
        shape = self._shape((kind, tuple(parts), query.order, query.limit is None, not query.offset), query, make)
        if shape is None:
            return None
        limit, offset = min(query.limit or 0, 2**62), min(query.offset, 2**62)
        own = {LIMIT: limit, OFFSET: offset, LIMIT + OFFSET: limit + offset}
        found = [what if fixed else own[what] if what in own else given[what] for fixed, what in shape.plan]
        return Shaped(shape.statement, shape.text, found)

    def _shape(self, key: Hashable, query: Query, make: Make) -> _Shape | None:
        if key not in self._known:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = _composed(query, make)
        return self._known[key]


def _alone(piece: Piece | None) -> Shaped | None:
    if piece is None:
        return None
    statement = composed(piece.text)
    return Shaped(statement, numbered(statement), list(piece.values), steady=False)


def _composed(query: Query, make: Make) -> _Shape | None:
    slots: list[Slot] = []
    filters: list[Filter] = []
    for each in query.filters:
        if each.op != "isnull":
            slots.append(Slot())
            each = Filter(each.field, each.op, slots[-1])  # noqa: PLW2901
        filters.append(each)
    limit = None if query.limit is None else LIMIT
    piece = make(Query(tuple(filters), query.order, limit, OFFSET if query.offset else 0))
    if piece is None:
        return None
    kept: list[Any] = []
    statement = inlined(composed(piece.text), piece.values, kept, lambda value: type(value) is str)
    plan: list[tuple[bool, Any]] = []
    for value in kept:
        if isinstance(value, Slot):
            plan.append((False, next(at for at, slot in enumerate(slots) if slot is value)))
        else:
            plan.append((type(value) is not int or value not in (LIMIT, OFFSET, LIMIT + OFFSET), value))
    return _Shape(statement, numbered(statement), plan)
