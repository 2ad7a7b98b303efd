"""A query or total as one SQL statement over a store's table.

Columns decide almost every row. What a typed column cannot hold stands in outlive_extra, and rows whose record such a
value takes part in are *odd*: the statement brings all of them beside the decided ones, marked, and Python looks at
them as records (`outlive.query.evaluate`). One statement sees one snapshot, so no row falls between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from psycopg import sql

from outlive import errors
from outlive.query.columns import Column, QueryTable
from outlive.query.conditions import CASTS, Condition, condition, literal
from outlive.query.language import Filter, Order, Query
from outlive.query.pages import Cursor
from outlive.query.pieces import Piece, build, joined

_MANY = 2**62
NEVER = build("false")
ORDERED = frozenset({"text", "number", "date", "instant", "local datetime", "time", "duration", "uuid", "bytes"})


@dataclass(frozen=True)
class Compiler:
    """Statements over one table; `column` says where a field's values lie. Raises what `column` raises."""

    source: QueryTable
    column: Callable[[str], Column]

    def find(self, query: Query, keys: Iterable[Hashable] = (), after: Cursor | None = None) -> Found:
        """The statement of `query`, from a cursor on. With `keys`, it brings every match and also the rows of these
        keys."""
        return Found(self, query, tuple(keys), after)

    @cached_property
    def relation(self) -> sql.Identifier:
        """The qualified table name."""
        table = self.source.table
        return sql.Identifier(*([table.schema] if table.schema else []), table.name)

    @cached_property
    def columns(self) -> Piece:
        """The columns of a stored record, in the table's own order."""
        names = [sql.Identifier(name) for name in self.source.column_names]
        return Piece(sql.Composed([sql.SQL(", ").join(names)]))

    @cached_property
    def key(self) -> Piece:
        """The key column."""
        return build("{}", sql.Identifier(self.source.key_name))

    def key_literal(self, key: Hashable) -> Piece | None:
        """A key as the key column's type writes it; None for one that it cannot hold."""
        text = self._key_text(key)
        return None if text is None else build("{}::text::{}", text, sql.SQL(self.source.key_cast))

    @cached_property
    def insertion(self) -> Piece:
        """The ORDER BY of insertion order."""
        return build("outlive_position, {}", self.key)

    def where(self, filters: Sequence[Filter]) -> Piece:
        """True for decided rows that may match."""
        return joined(" AND ", (self.condition(each).piece for each in filters), "true")

    def odd_where(self, filters: Sequence[Filter]) -> Piece:
        """True for odd rows that may match."""
        pieces = [build("({}) OR ({})", self.condition(each).piece, self.column(each.field).odd) for each in filters]
        return joined(" AND ", pieces, "true")

    def condition(self, asked: Filter) -> Condition:
        """The filter over its column."""
        return condition(self.column(asked.field), asked)

    def decided(self, filters: Sequence[Filter], strange: Piece) -> Piece:
        """True for rows that may match and are not odd."""
        return build("({} AND NOT ({}))", self.where(filters), strange)

    def in_parts(self, filters: Sequence[Filter], strange: Piece) -> list[Piece]:
        """True for the rows of `decided`, in two parts, so that a partial index counts the first by itself: rows that
        have no more to say than their columns, and the others."""
        where = self.where(filters)
        if strange == NEVER:
            return [where]
        rest = build("{} AND outlive_extra IS NOT NULL AND NOT ({})", where, strange)
        return [build("{} AND outlive_extra IS NULL", where), rest]

    def odd_rows(self, filters: Sequence[Filter], strange: Piece, without: Sequence[Hashable] = ()) -> Piece:
        """The odd rows that may match, those of the keys in `without` left out."""
        return build(
            "SELECT {} FROM {} WHERE ({}) AND {}{}",
            self.columns,
            self.relation,
            strange,
            self.odd_where(filters),
            build(" AND NOT ({})", self.key_in(without)) if without else build(""),
        )

    def is_odd(self, fields: Iterable[str], exactly: Iterable[str] = ()) -> Piece:
        """True for rows that the columns of `fields` do not decide, or those of `exactly` do not hold to the letter."""
        pieces = [self.column(each).odd for each in fields] + [self.column(each).loose for each in exactly]
        if not self.source.has_extra or not pieces:
            return NEVER
        return build("outlive_extra IS NOT NULL AND ({})", joined(" OR ", pieces, "false"))

    def records_of(self, keys: Sequence[Hashable]) -> Piece:
        """The statement that brings the rows of these keys without version and position."""
        names = [sql.Identifier(name) for name in self.source.column_names[:-2]]
        return build("SELECT {} FROM {} WHERE {}", sql.SQL(", ").join(names), self.relation, self.key_in(keys))

    def rows_of(self, keys: Sequence[Hashable]) -> Piece:
        """The statement that brings the rows of these keys."""
        return build("SELECT {} FROM {} WHERE {}", self.columns, self.relation, self.key_in(keys))

    def row_of(self, literal: Any) -> Piece:
        """The statement that brings the row of one key, given as the key column's text."""
        return build("SELECT {} FROM {} WHERE {}", self.columns, self.relation, self.key_is(literal))

    def key_is(self, literal: Any) -> Piece:
        """True for the row of one key, given as the key column's text."""
        return build("{} = {}::text::{}", sql.Identifier(self.source.key_name), literal, sql.SQL(self.source.key_cast))

    def key_in(self, keys: Sequence[Hashable]) -> Piece:
        """True for the rows of these keys; a key that the column cannot hold has none."""
        literals = [text for each in keys if (text := self._key_text(each)) is not None]
        kind = sql.SQL(self.source.key_cast)  # from the table's own types
        return build("{} = ANY({}::text[]::{}[])", sql.Identifier(self.source.key_name), literals, kind)

    def _key_text(self, key: Hashable) -> str | None:
        try:
            return self.source.key_literal(key)
        except errors.Unholdable:
            return None

    def ordering(self, order: Order) -> Piece:
        """One field's part of an ORDER BY; None comes last where ascending and first where descending."""
        place = self.sortable(order.field)
        if order.ranks:
            last = len(order.ranks) + 1
            place = build(
                "CASE WHEN {} IS NOT NULL THEN coalesce(array_position({}::text[], {}::text), {}::int) END",
                place, list(order.ranks), place, last,
            )  # fmt: skip
        return build("{} DESC" if order.descending else "{}", place)

    def sorts(self, order: Order) -> bool:
        """Whether PostgreSQL can sort the decided rows by it."""
        column = self.column(order.field)
        return column.kind in ORDERED and (not order.ranks or column.domain == "text")

    def sortable(self, field: str) -> Piece:
        """The field's column, text by code point."""
        column = self.column(field)
        return build('{} COLLATE "C"', column.place) if column.domain == "text" else column.place


@dataclass(frozen=True)
class Found:
    """The statement that answers a query: rows of the table's columns and, last, whether the row is odd.

    Rows come in insertion order. If `paged`, decided rows are already cut to the page when there is no odd row, and
    else begin at the first match and end where the page ends.
    """

    compiler: Compiler
    query: Query
    keys: tuple[Hashable, ...]
    after: Cursor | None = None

    @cached_property
    def paged(self) -> bool:
        """Whether PostgreSQL cuts out the page."""
        if self.query.limit is None or self.keys or (self.after is not None and self._following is None):
            return False
        return all(each.exact for each in self._conditions()) and all(map(self.compiler.sorts, self.query.order))

    def _conditions(self) -> list[Condition]:
        return [self.compiler.condition(each) for each in self.query.filters]

    @cached_property
    def statement(self) -> Piece:
        """The statement."""
        at = self.compiler
        odd = at.odd_rows(self.query.filters, at.is_odd(self.query.fields), self.keys)
        return build(
            "WITH odd AS MATERIALIZED ({})"
            " SELECT * FROM (SELECT *, true AS outlive_odd FROM odd UNION ALL ({})) AS found ORDER BY {}",
            odd,
            self._decided(),
            at.insertion,
        )

    @cached_property
    def _following(self) -> Piece | None:
        """True for decided rows after the cursor; None where columns cannot tell."""
        return None if self.after is None else following(self.compiler, self.query, self.after)

    def _decided(self) -> Piece:
        at = self.compiler
        begin = self._following if self.paged and self._following is not None else build("true")
        return build(
            "SELECT {}, false AS outlive_odd FROM {} WHERE ({}) AND {}{}{}",
            at.columns,
            at.relation,
            begin,
            at.decided(self.query.filters, at.is_odd(self.query.fields)),
            build(" OR {}", at.key_in(self.keys)) if self.keys else build(""),
            self._page() if self.paged else build(""),
        )

    def _page(self) -> Piece:
        order = build(" ORDER BY ")
        for each in self.query.order:
            order = build("{}{}, ", order, self.compiler.ordering(each))
        return build("{}{}{}", order, self.compiler.insertion, self._cut())

    def _cut(self) -> Piece:
        limit, offset = min(self.query.limit or 0, _MANY), min(self.query.offset, _MANY)
        if not offset:
            return build(" LIMIT {}::bigint", limit)
        return build(
            " LIMIT CASE WHEN EXISTS (SELECT FROM odd) THEN {}::bigint ELSE {}::bigint END"
            " OFFSET CASE WHEN EXISTS (SELECT FROM odd) THEN 0 ELSE {}::bigint END",
            limit + offset,
            limit,
            offset,
        )


def following(at: Compiler, query: Query, after: Cursor) -> Piece | None:
    """True for decided rows that a query's order puts after a cursor; None where a column cannot hold its value."""
    if after.position is None:
        return None
    beyond = build("outlive_position > {}::numeric", str(after.position))
    key = at.key_literal(after.key)
    if key is not None:
        beyond = build("(outlive_position, {}) > ({}::numeric, {})", at.key, str(after.position), key)
    for order, spot in zip(reversed(query.order), reversed(after.spots), strict=True):
        sides = _sides(at, order, spot)
        if sides is None:
            return None
        later, same = sides
        beyond = build("({}) OR (({}) AND ({}))", later, same, beyond)
    return beyond


def _sides(at: Compiler, order: Order, spot: tuple[str, Any] | None) -> tuple[Piece, Piece] | None:
    """(true for rows that one field puts later, true for those that it leaves equal)."""
    place = at.sortable(order.field)
    if spot is None:
        later = build("{} IS NOT NULL", place) if order.descending else build("false")
        return later, build("{} IS NULL", place)
    column = at.column(order.field)
    written = literal(column.domain, *spot) if spot[0] == column.kind else None
    if written is None or written[0] != column.domain:
        return None
    value = build(CASTS[column.domain], written[1])
    if order.descending:
        return build("{} < {}", place, value), build("{} = {}", place, value)
    return build("{} > {} OR {} IS NULL", place, value, place), build("{} = {}", place, value)
