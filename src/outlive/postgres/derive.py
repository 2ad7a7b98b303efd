"""Makes the tables that stores need, or says what keeps an existing table from fitting.

Only what is absent is added: a schema, a table, a column, an index, the policy of a table with a tenant. A column of
another type is never altered, because what it holds has an owner; it is named instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg
import sqlalchemy
from psycopg import sql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateSchema, CreateTable

from outlive.errors import MigrationFailed, SchemaMismatch
from outlive.postgres.connect import Connection, Database
from outlive.postgres.indexes import index_statements
from outlive.postgres.lock import migration_lock
from outlive.postgres.options import TableOptions
from outlive.postgres.partitions import default_partition
from outlive.postgres.places import missing_geography
from outlive.postgres.relations import foreign_keys
from outlive.postgres.tenancy import missing_policies
from outlive.postgres.upsert import relation

_DIALECT = PGDialect_psycopg(paramstyle="named")  # type: ignore[no-untyped-call]
_ARGUMENTS = re.compile(r"\([^)]*\)")


class HasTable(Protocol):
    """What a StoreTable is to this module."""

    @property
    def table(self) -> sqlalchemy.Table: ...


@dataclass(frozen=True)
class _Column:
    kind: str
    required: bool
    filled: bool
    generated: bool


@dataclass
class _Found:
    """A table as the catalogue knows it; `relkind` is None when there is none."""

    relkind: str | None = None
    columns: dict[str, _Column] = field(default_factory=dict)
    unique: set[frozenset[str]] = field(default_factory=set)


def ensure_derived(db: Database, tables: Sequence[HasTable]) -> bool:
    """True when a schema, table, column, index or policy had to be made for `tables`; their rows are left alone.

    Everything is made in one transaction under the migration lock; when nothing is absent no lock is taken. Raises
    SchemaMismatch naming table and column when an existing one does not fit, MigrationFailed when PostgreSQL refuses
    to make one, Unavailable, Unreachable, BadSetting.
    """
    with db.session() as conn:
        if not any([*_wanted(conn, store, db.pooled), *_unrelated(conn, store)] for store in tables):
            return False
    with migration_lock(db) as conn, conn.transaction():
        statements = [statement for store in tables for statement in _wanted(conn, store, db.pooled)]
        statements += [statement for store in tables for statement in _unrelated(conn, store)]
        for statement in statements:
            _execute(conn, *statement)
    return bool(statements)


def check_tables(db: Database, tables: Iterable[HasTable]) -> None:
    """Passes when every table exists and fits; for tables that a service's own migrations make.

    Raises SchemaMismatch naming table and column, Unreachable.
    """
    with db.session() as conn:
        for store in tables:
            for table, column, _ in _absent(conn, store.table):
                raise SchemaMismatch(table=table, column=column, reason="does not exist")


def _wanted(conn: Connection, store: Any, pooled: bool) -> list[tuple[str, str, str]]:
    """What must be run to complete a store's table, its indexes and, past a pooler, its policy."""
    name = _shown(store.table)
    absent = _absent(conn, store.table)
    options: TableOptions | None = getattr(store, "options", None)
    if options is None:
        return absent
    if options.partition_by is not None:
        absent += _unpartitioned(conn, store)
    absent += [(name, "*", text) for text in missing_geography(conn, store)]
    have = _index_names(conn, store.table)
    absent += [(name, index, text) for index, text in index_statements(store) if index not in have]
    policy = [] if pooled or options.tenant is None else missing_policies(conn, store)
    return absent + [(name, "*", statement) for statement in policy]


def _unrelated(conn: Connection, store: Any) -> list[tuple[str, str, str]]:
    """The foreign keys that a store's table lacks; they come last, when the tables that they point to are there."""
    wanted = list(foreign_keys(store)) if getattr(store, "references", ()) else []
    if not wanted:
        return []
    place = relation(store).as_string(conn)
    rows = conn.execute("SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype = 'f'", [place])
    have = {row[0] for row in rows}
    return [(_shown(store.table), name, text) for name, text in wanted if name not in have]


def _unpartitioned(conn: Connection, store: Any) -> list[tuple[str, str, str]]:
    """The DEFAULT partition, where it is absent. Raises SchemaMismatch for a table that was made without partitions."""
    place, name = relation(store).as_string(conn), _shown(store.table)
    kind = conn.execute("SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)", [place]).fetchone()
    if kind is not None and kind[0] != "p":
        reason = "is no partitioned table, and PostgreSQL makes none of it; declare partition_by= for a new store"
        raise SchemaMismatch(table=name, column=store.partition_column, reason=reason)
    rows = conn.execute(
        "SELECT 1 FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass(%s) AND pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'",
        [place],
    )
    return [] if rows.fetchone() is not None else [(name, "*", default_partition(store))]


def _index_names(conn: Connection, table: sqlalchemy.Table) -> set[str]:
    rows = conn.execute(
        "SELECT indexname FROM pg_indexes WHERE tablename = %s AND schemaname = coalesce(%s, current_schema())",
        [table.name, table.schema],
    )
    return {row[0] for row in rows}


def _absent(conn: Connection, table: sqlalchemy.Table) -> list[tuple[str, str, str]]:
    """What must be run to complete `table`, as (table, column, statement). Raises SchemaMismatch."""
    found, name = _find(conn, table), _shown(table)
    if found.relkind is None:
        return [(name, "*", statement) for statement in _creation(table)]
    if found.relkind not in ("r", "p"):
        raise SchemaMismatch(table=name, column="*", reason="is no table")
    _check_key(found, table)
    missing = [column for column in table.columns if column.name not in found.columns]
    _check_columns(conn, found, table)
    for column in missing:
        if not column.nullable and column.server_default is None and _has_rows(conn, table):
            reason = "is missing, and rows that exist would have no value for it"
            raise SchemaMismatch(table=name, column=column.name, reason=reason)
    return [(name, column.name, _addition(table, column)) for column in missing]


def _creation(table: sqlalchemy.Table) -> list[str]:
    parts: list[Any] = [CreateSchema(table.schema, if_not_exists=True)] if table.schema else []
    parts += [CreateTable(table), *(CreateIndex(index) for index in table.indexes)]
    return [str(part.compile(dialect=_DIALECT)) for part in parts]


def _addition(table: sqlalchemy.Table, column: sqlalchemy.Column[Any]) -> str:
    where = _DIALECT.identifier_preparer.format_table(table)
    return f"ALTER TABLE {where} ADD COLUMN {CreateColumn(column).compile(dialect=_DIALECT)}"


def _execute(conn: Connection, table: str, column: str, statement: str) -> None:
    try:
        conn.execute(sql.SQL(statement))
    except psycopg.Error as failure:
        said = (failure.diag.message_primary, failure.diag.message_detail)
        reason = ": ".join(filter(None, said)) or type(failure).__name__
        raise MigrationFailed(what=table if column == "*" else f"{table}.{column}", reason=reason) from failure


def _check_columns(conn: Connection, found: _Found, table: sqlalchemy.Table) -> None:
    name = _shown(table)
    for column in table.columns:
        has = found.columns.get(column.name)
        if has is None:
            continue
        needs = _canonical(conn, column.type.compile(dialect=_DIALECT))
        if needs != has.kind.replace(" ", "").lower():
            reason = f"is {has.kind}, and the store needs {str(column.type.compile(dialect=_DIALECT)).lower()}"
            raise SchemaMismatch(table=name, column=column.name, reason=reason)
        if has.generated and column.computed is None and column.identity is None:
            raise SchemaMismatch(table=name, column=column.name, reason="is generated, so the store cannot write it")
    for column_name, has in found.columns.items():
        if column_name not in table.columns and has.required and not has.filled:
            reason = "may not be null and has no default, and the store does not write it"
            raise SchemaMismatch(table=name, column=column_name, reason=reason)


def _check_key(found: _Found, table: sqlalchemy.Table) -> None:
    key = frozenset(column.name for column in table.primary_key.columns)
    if key and key <= found.columns.keys() and key not in found.unique:
        raise SchemaMismatch(table=_shown(table), column=", ".join(sorted(key)), reason="has no unique index")


def _canonical(conn: Connection, declared: str) -> str:
    """The type `declared` as the catalogue spells it, without blanks; as declared where there is none of that name."""
    plain = declared.partition(" COLLATE ")[0]
    spelled = plain
    if conn.execute("SELECT to_regtype(%s)", [_ARGUMENTS.sub("", plain)]).fetchall()[0][0] is not None:
        told = conn.execute(sql.SQL("SELECT CAST(NULL AS {})").format(sql.SQL(plain))).pgresult
        assert told is not None
        spelled = str(conn.execute("SELECT format_type(%s, %s)", [told.ftype(0), told.fmod(0)]).fetchall()[0][0])
    return spelled.replace(" ", "").lower()


def _find(conn: Connection, table: sqlalchemy.Table) -> _Found:
    row = conn.execute(
        "SELECT c.oid, c.relkind FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relname = %s AND n.nspname = coalesce(%s, current_schema()) AND c.relkind NOT IN ('i', 'I', 't')",
        [table.name, table.schema],
    ).fetchone()
    if row is None:
        return _Found()
    columns = conn.execute(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, atthasdef OR attidentity <> '',"
        " attgenerated <> '' OR attidentity = 'a'"
        " FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped",
        [row[0]],
    )
    unique = conn.execute(
        "SELECT array_agg(a.attname::text) FROM pg_index AS i JOIN pg_attribute AS a"
        " ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])"
        " WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL"
        " GROUP BY i.indexrelid",
        [row[0]],
    )
    return _Found(
        row[1], {name: _Column(*facts) for name, *facts in columns}, {frozenset(names) for (names,) in unique}
    )


def _has_rows(conn: Connection, table: sqlalchemy.Table) -> bool:
    place = sql.Identifier(table.schema, table.name) if table.schema else sql.Identifier(table.name)
    return conn.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(place)).fetchone() is not None


def _shown(table: sqlalchemy.Table) -> str:
    return f"{table.schema}.{table.name}" if table.schema else table.name
