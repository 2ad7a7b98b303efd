"""Which store's records refer to which other's: out of `references=`, or the foreign keys of a service's own models.

A store that is referred to is a *parent*. `relate` gives every table its references, and its rank: 0 for one that
refers to no other, else one more than the highest of its parents. What is written in order of ranks meets no missing
parent; what is deleted in the reverse order leaves no orphan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from outlive.errors import BadSetting
from outlive.postgres.layouts import identifier
from outlive.postgres.upsert import relation

if TYPE_CHECKING:
    from outlive.postgres.tables import StoreTable


@dataclass(frozen=True, slots=True)
class Reference:
    """A field whose values are keys of the store `parent`; `constraint` is the foreign key's name, where known."""

    field: str
    column: str
    parent: str
    target: StoreTable
    constraint: str | None


def relate(tables: Mapping[str, StoreTable]) -> None:
    """Gives the tables of a service, by store, their references and ranks.

    Raises BadSetting for a reference that cannot be kept: to a store that is not there, to keys without a column of
    their own, around a circle of stores, or by a foreign key that deletes or changes rows itself.
    """
    for table in tables.values():
        table.references = tuple(_modelled(table, tables) if table.strict else _declared(table, tables))
        table.parents = frozenset(each.parent for each in table.references) - {table.store}
    ranks: dict[str, int] = {}
    for name in sorted(tables):
        _rank(name, tables, ranks, ())
    for name, table in tables.items():
        table.rank = ranks[name]


def _rank(name: str, tables: Mapping[str, StoreTable], ranks: dict[str, int], path: tuple[str, ...]) -> int:
    if name in path:
        circle = " -> ".join([*path[path.index(name) :], name])
        reason = "these stores refer to each other, so none could be filled first; leave one of the references out"
        raise BadSetting(name=f"{name}: references", value=circle, reason=reason)
    if name not in ranks:
        above = [_rank(parent, tables, ranks, (*path, name)) for parent in sorted(tables[name].parents)]
        ranks[name] = 1 + max(above, default=-1)
    return ranks[name]


def ancestors(table: StoreTable) -> Iterator[StoreTable]:
    """The tables that this one needs, the highest first; a table may come twice."""
    for each in table.references:
        if each.target is not table:
            yield from ancestors(each.target)
            yield each.target


def _declared(table: StoreTable, tables: Mapping[str, StoreTable]) -> Iterator[Reference]:
    columns = {column.field: column.name for column in table.columns}
    if table.key_column is not None:
        columns[table.key_column.field] = table.key_column.name
    for field, parent in table.options.references:
        found = tables.get(parent)
        if field not in columns:
            raise _refused(table, field, f"is no column; there are {', '.join(sorted(columns)) or 'none'}")
        if found is None:
            raise _refused(table, field, f"{parent} is no store of this service; there are {', '.join(sorted(tables))}")
        if found.partitioned:
            raise _refused(table, field, f"{parent} is partitioned, so PostgreSQL cannot refer to its keys")
        if found.key_column is None:
            reason = f"the keys of {parent} have no column; declare it with key= and a field of str, int or UUID"
            raise _refused(table, field, reason)
        name = identifier(f"fk_{table.table.name}_{columns[field]}")
        yield Reference(field, columns[field], parent, found, name)


def _modelled(table: StoreTable, tables: Mapping[str, StoreTable]) -> Iterator[Reference]:
    owners = {each.table.fullname: name for name, each in tables.items()}
    fields = {column.name: column.field for column in (*table.columns, table.key_column) if column is not None}
    for key in sorted(table.table.foreign_keys, key=lambda key: key.parent.name):
        parent = owners.get(key.target_fullname.rpartition(".")[0])
        rule: Any = key.constraint
        if parent is None:
            continue
        column = str(key.parent.name)
        if str(rule.ondelete or "RESTRICT").upper() not in ("RESTRICT", "NO ACTION"):
            raise _refused(table, column, f"ON DELETE {rule.ondelete} changes rows that nobody wrote; use RESTRICT")
        if parent == table.store and not (rule.deferrable and str(rule.initially).upper() == "DEFERRED"):
            reason = 'it refers to its own store: give its ForeignKey deferrable=True, initially="DEFERRED"'
            raise _refused(table, column, reason)
        name = None if rule.name is None else str(rule.name)
        yield Reference(fields.get(column, column), column, parent, tables[parent], name)


def _refused(table: StoreTable, field: str, reason: str) -> BadSetting:
    return BadSetting(name=f"{table.store}: references", value=field, reason=reason)


def foreign_keys(table: StoreTable) -> Iterator[tuple[str, str]]:
    """(name, SQL) of each foreign key that a derived table declares."""
    if table.strict:
        return
    for each in table.references:
        assert each.constraint is not None
        rule = "ON DELETE RESTRICT" if each.target is not table else "DEFERRABLE INITIALLY DEFERRED"
        text = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) {}").format(
            relation(table), sql.Identifier(each.constraint), sql.Identifier(each.column),
            relation(each.target), sql.Identifier(each.target.key_name), sql.SQL(rule),
        )  # fmt: skip
        yield each.constraint, text.as_string(None)
