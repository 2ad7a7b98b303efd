"""What an Alembic env.py calls, so that upgrade, downgrade, current, history, check and --sql mean what they should.

A service's env.py is two lines:

    from outlive.postgres.alembic_env import run
    run(metadata, "home_budget_version", schema="home_budget")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy
from alembic import context
from alembic.runtime.migration import MigrationContext
from psycopg import sql

from outlive.postgres.connect import Database
from outlive.postgres.lock import migration_session
from outlive.settings import Settings, load_dotenv

CONTROL_SCHEMA = "outlive"
_PARTITIONS = sqlalchemy.text(
    "SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.relispartition"
)
Named = Callable[[str | None, str, Mapping[str, str | None]], bool]


def run(metadata: sqlalchemy.MetaData | None, version_table: str, *, schema: str | None = None) -> None:
    """Runs the Alembic command in progress on the tables of `metadata`.

    `schema` is the service's own schema, made when absent; there every table counts. In a shared schema (None) only
    the tables of `metadata` do, so that another service's table is never taken for one to drop. The connection is
    the one that `outlive.postgres.migrate` hands over under its lock, else one made from the environment and `.env`,
    under the same lock. With --sql nothing connects.
    """
    options = {
        "target_metadata": metadata,
        "version_table": version_table,
        "version_table_schema": schema,
        "include_schemas": True,
        "include_name": own_names(metadata, version_table, schema),
        "compare_type": True,
        "transaction_per_migration": True,
    }
    if context.is_offline_mode():
        _print(options, schema)
        return
    given = context.config.attributes.get("connection")
    if given is not None:
        _migrate(given, options, schema)
        return
    load_dotenv()
    database = Database.from_settings(Settings.from_env())
    try:
        with migration_session(database) as connection:
            _migrate(connection, options, schema)
    finally:
        database.dispose()


def own_names(metadata: sqlalchemy.MetaData | None, version_table: str, schema: str | None) -> Named:
    """The filter that tells a service's own schemas and tables from all others, in Alembic's form."""
    tables = {(table.schema, table.name) for table in metadata.tables.values()} if metadata is not None else set()
    schemas = {schema, *(place for place, _ in tables)}

    def own(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
        if kind == "schema":
            return name in schemas and (name != CONTROL_SCHEMA or schema == CONTROL_SCHEMA)
        if kind != "table":
            return True
        place = parents.get("schema_name")
        if place is not None and place == schema:
            return name != version_table
        return (place, name) in tables

    return own


def without(partitions: set[tuple[str, str]], own: Named) -> Named:
    """The filter `own`, to which partitions are no tables: a running service makes them, and no model has them."""

    def owned(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
        place = parents.get("schema_name") or "public"
        return not (kind == "table" and (place, name) in partitions) and own(name, kind, parents)

    return owned


def _migrate(connection: sqlalchemy.Connection, options: dict[str, Any], schema: str | None) -> None:
    apart = {(place, name) for place, name in connection.execute(_PARTITIONS)}
    connection.rollback()
    context.configure(connection=connection, **{**options, "include_name": without(apart, options["include_name"])})
    if schema is not None and not context.get_context().opts.get("dont_mutate"):
        _ensure_schema(context.get_context(), connection, schema)
    with context.begin_transaction():
        context.run_migrations()


def _ensure_schema(running: MigrationContext, connection: sqlalchemy.Connection, schema: str) -> None:
    if not connection.dialect.has_schema(connection, schema):
        running.impl.execute(sqlalchemy.schema.CreateSchema(schema, if_not_exists=True))
    connection.commit()


def _print(options: dict[str, Any], schema: str | None) -> None:
    context.configure(dialect_name="postgresql", literal_binds=True, **options)
    limits = Settings.from_env()
    context.execute(f"SET lock_timeout = '{int(limits.lock_timeout_s * 1000)}ms'")
    context.execute(f"SET statement_timeout = '{int(limits.migration_timeout_s * 1000)}ms'")
    if schema is not None:
        context.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)).as_string())
    with context.begin_transaction():
        context.run_migrations()
