"""The indexes of a derived table: those that every query stands on, and those that the store declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from psycopg import sql

from outlive.errors import BadSetting
from outlive.postgres.layouts import DOCUMENT, EXTRA, POSITION, identifier
from outlive.postgres.options import Index
from outlive.postgres.places import place_index
from outlive.query.columns import no_plain_array
from outlive.query.pieces import Piece, build

if TYPE_CHECKING:
    from outlive.postgres.tables import StoreTable


def index_statements(table: StoreTable) -> Iterator[tuple[str, str]]:
    """(name, SQL) of each index. Raises BadSetting for a field that the table does not have."""
    yield _made(table, "order", sql.SQL("({}, {})").format(*map(sql.Identifier, (POSITION, table.key_name))))
    extra = sql.SQL("({}) WHERE {} IS NOT NULL").format(sql.Identifier(POSITION), sql.Identifier(EXTRA))
    if table.has_extra and not table.whole:
        yield _made(table, "extra", extra)
    tenant, place = table.options.tenant, table.options.place
    if tenant is not None and not any(each.fields[:1] == (tenant,) for each in table.options.indexes):
        yield _declared(table, Index(tenant))
    if table.by_point:
        yield _made(table, "place_geography" if table.geography else "place_point", place_index(table))
    elif place is not None:
        yield _declared(table, Index(*place))
    for field, _ in table.options.references:
        if not any(each.fields[:1] == (field,) and each.where is None for each in table.options.indexes):
            yield _declared(table, Index(field))  # deletes on the other side look for the rows that refer to them
    for each in table.options.indexes:
        yield _declared(table, each)
        if each.using == "gin" and len(each.fields) == 1:
            yield _beside_gin(table, each.fields[0])


def _beside_gin(table: StoreTable, field: str) -> tuple[str, str]:
    """The few rows that `has` cannot decide by a GIN index: what is no array, or holds a tagged value."""
    part = _part(table, field, Index(field, using="gin"))
    place = Piece(sql.Composed([part]))
    body = build("({}) WHERE {}", sql.Identifier(POSITION), no_plain_array(place))
    return _made(table, f"{field}_other", body.text)


def _made(table: StoreTable, name: str, body: sql.Composed, *, unique: bool = False) -> tuple[str, str]:
    held = table.table
    relation = sql.Identifier(held.schema, held.name) if held.schema else sql.Identifier(held.name)
    full = identifier(f"ix_{held.name}_{name}")
    text = sql.SQL("CREATE {}INDEX IF NOT EXISTS {} ON {} {}").format(
        sql.SQL("UNIQUE " if unique else ""), sql.Identifier(full), relation, body
    )
    return full, text.as_string(None)


def _declared(table: StoreTable, index: Index) -> tuple[str, str]:
    parts = [_part(table, field, index) for field in index.fields]
    body = sql.SQL("USING {} ({})").format(sql.SQL(index.using), sql.SQL(", ").join(parts))
    if index.where is not None:
        body = sql.SQL("{} WHERE {}").format(body, sql.SQL(index.where))  # the declaration's own SQL
    name = "_".join(["unique"] * index.unique + [each.replace("-", "down_") for each in index.fields])
    if index.using != "btree" or index.where is not None:
        name += f"_{index.using}" + ("_part" if index.where is not None else "")
    return _made(table, name, body, unique=index.unique)


def _part(table: StoreTable, field: str, index: Index) -> sql.Composable:
    name = field.removeprefix("-")
    down = sql.SQL(" DESC") if field.startswith("-") else sql.SQL("")
    held = [column for column in (*table.columns, table.key_column) if column is not None and column.field == name]
    if held:
        return sql.SQL("{}{}").format(sql.Identifier(held[0].name), down)
    if not table.whole:
        known = ", ".join(column.field for column in table.columns)
        raise BadSetting(name=f"{table.store}: indexes", value=field, reason=f"no such field; there are {known}")
    arrow = sql.SQL("->" if index.using == "gin" else "->>")
    return sql.SQL("(({} {} {})){}").format(sql.Identifier(DOCUMENT), arrow, sql.Literal(name), down)
