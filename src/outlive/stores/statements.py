"""What a repository keeps of its table: statements composed before, and how rows become records."""

from __future__ import annotations

from outlive.postgres.columns import column_hint
from outlive.postgres.direct import Direct
from outlive.postgres.drive import ReadAsk
from outlive.postgres.tables import StoreTable
from outlive.query.columns import Columns
from outlive.query.compile import Compiler
from outlive.query.compile_json import JsonForm, compile_json
from outlive.query.compile_totals import compile_total
from outlive.query.language import Query
from outlive.query.shapes import Shaped, Shapes
from outlive.query.totals import Total


class Statements:
    """The statements over one table."""

    def __init__(self, table: StoreTable) -> None:
        self.table = table
        self.compiler = Compiler(table, Columns(table, column_hint))
        self.direct = Direct(table)
        self._shapes = Shapes(self.compiler)

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


def _ask(found: Shaped, *, raw: bool = False) -> ReadAsk:
    return ReadAsk(found.statement, found.values, text=found.text, steady=found.steady, raw=raw)
