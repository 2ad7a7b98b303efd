"""What a repository keeps of its table: statements composed before, and how rows become records."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from outlive import errors
from outlive.postgres.columns import column_hint
from outlive.postgres.direct import Direct
from outlive.postgres.drive import ReadAsk
from outlive.postgres.tables import StoreTable
from outlive.query.columns import Columns
from outlive.query.compile import Compiler
from outlive.query.compile_json import JsonForm, compile_json, compile_one
from outlive.query.compile_totals import compile_groups, compile_total
from outlive.query.language import Query
from outlive.query.pieces import Piece
from outlive.query.shapes import KEY, Shaped, Shapes
from outlive.query.totals import Total


class Statements:
    """The statements over one table."""

    def __init__(self, table: StoreTable) -> None:
        self.table = table
        self.compiler = Compiler(table, Columns(table, column_hint))
        self.direct = Direct(table)
        self._shapes = Shapes(self.compiler)

    def one(self, key: Hashable) -> ReadAsk | None:
        """The statement of `Compiler.row_of`; None for a key that the table cannot hold."""
        return self._of_key("one", key, Query(), lambda _, literal: self.compiler.row_of(literal))

    def one_json(self, key: Hashable, query: Query, form: JsonForm) -> ReadAsk | None:
        """The statement of `compile_one`."""
        return self._of_key(
            ("one json", id(form)), key, query,
            lambda each, literal: compile_one(self.compiler, each, form, literal), raw=True,
        )  # fmt: skip

    def _of_key(
        self,
        kind: Hashable,
        key: Hashable,
        query: Query,
        make: Callable[[Query, object], Piece | None],
        *,
        raw: bool = False,
    ) -> ReadAsk | None:
        try:
            literal = self.table.key_literal(key)
        except errors.Unholdable:
            return None
        made = self._shapes.find(kind, query, lambda each: make(each, KEY), literal)
        return None if made is None else _ask(made, raw=raw)

    def find(self, query: Query) -> ReadAsk:
        """The statement of `Compiler.find`."""
        found = self._shapes.find("find", query, lambda each: self.compiler.find(each).statement)
        assert found is not None
        return _ask(found)

    def json(self, query: Query, form: JsonForm, *, total: bool = False) -> ReadAsk | None:
        """The statement of `compile_json`."""
        made = self._shapes.find(
            ("json", id(form), total), query, lambda each: compile_json(self.compiler, each, form, total=total)
        )
        return None if made is None else _ask(made, raw=True)

    def total(self, asked: Total, query: Query) -> ReadAsk | None:
        """The statement of `compile_total`."""
        made = self._shapes.find(
            ("total", asked), query, lambda each: compile_total(self.compiler, asked, each.filters)
        )
        return None if made is None else _ask(made)

    def groups(self, asked: Total, query: Query) -> ReadAsk | None:
        """The statement of `compile_groups`."""
        made = self._shapes.find(
            ("groups", asked), query, lambda each: compile_groups(self.compiler, asked, each.filters)
        )
        return None if made is None else _ask(made)

    def label_readers(self, asked: Total) -> list[Callable[[Any], Any]]:
        """What makes the label of each of the groups' columns."""
        return [_itself if each.period is not None else self.direct.reader(each.field) for each in asked.by]


def _itself(value: Any) -> Any:
    return value


def _ask(found: Shaped, *, raw: bool = False) -> ReadAsk:
    return ReadAsk(found.statement, found.values, text=found.text, steady=found.steady, raw=raw)
