"""Forced row-level security: a table of several tenants shows each transaction only the rows it says it is for.

A transaction says so with `set_config('outlive.tenant', ..., true)`; one that says nothing sees no row and writes none.
Repositories read on pooled connections, which say nothing else. outlive's own connections (the committer's, the
watcher's, a command's) serve all tenants and say `outlive.across` once, for their session. Behind a pooler in
transaction mode there is no session that could hold that, so a table under the policy is refused there.

Row-level security binds neither superusers nor roles with BYPASSRLS; FORCE makes it bind the owner. So the
application connects as a role that is none of these and owns nothing (`role_statements`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from psycopg import sql

from outlive.errors import BadQuery, BadSetting
from outlive.postgres.drive import Ask, ReadAsk
from outlive.query.values import plain

if TYPE_CHECKING:
    from outlive.postgres.connect import Database
    from outlive.postgres.tables import StoreTable

TENANT, ACROSS, POLICY = "outlive.tenant", "outlive.across", "outlive_tenant"
ACROSS_ASK = ReadAsk(
    "SELECT set_config('outlive.across', 'on', true)",
    text=b"SELECT set_config('outlive.across', 'on', true)",
    steady=True,
)
_SAYS_TENANT = "current_setting('outlive.tenant', true)"
_SAYS_ACROSS = "current_setting('outlive.across', true) = 'on'"
_COMPARED = {sa.Uuid: "uuid", sa.Integer: "bigint", sa.String: "text"}


def tenant_ask(text: str) -> Ask:
    """The statement that limits its transaction to one tenant."""
    return ReadAsk(
        "SELECT set_config('outlive.across', '', true), set_config('outlive.tenant', %s, true)",
        [text],
        text=b"SELECT set_config('outlive.across', '', true), set_config('outlive.tenant', $1, true)",
        steady=True,
    )


def tenant_text(tenant: Any) -> str:
    """How a tenant is named in a setting. Raises BadQuery for what is no tenant: only text that is not empty, whole
    numbers and UUIDs are."""
    tenant = plain(tenant)
    if isinstance(tenant, bool) or not isinstance(tenant, str | int | UUID) or tenant == "" or "\x00" in str(tenant):
        raise BadQuery(field="tenant", reason=f"{tenant!r} names no tenant")
    return str(tenant)


def policy_statements(table: sa.Table, column: sa.Column[Any] | str) -> list[str]:
    """The SQL that forces row-level security on a table: in `column`, or a JSON document's field of that name.

    For a migration of a table of your own: `for each in policy_statements(Task.__table__, Task.__table__.c.tenant_id):
    op.execute(each)`. Running it again changes nothing.
    """
    name = sql.Identifier(*([table.schema] if table.schema else []), table.name)
    says = sql.SQL("nullif({}, '')").format(sql.SQL(_SAYS_TENANT))
    if isinstance(column, str):
        value: sql.Composable = sql.SQL("document ->> {}").format(sql.Literal(column))
    else:
        kind = next((cast for known, cast in _COMPARED.items() if isinstance(column.type, known)), None)
        value = sql.Identifier(column.name)
        if kind in ("uuid", "bigint"):
            says = sql.SQL("{}::{}").format(says, sql.SQL(kind))
        elif kind is None:
            value = sql.SQL("{}::text").format(value)
    allowed = sql.SQL("{} OR {} = {}").format(sql.SQL(_SAYS_ACROSS), value, says)
    parts = [
        sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(name),
        sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(name),
        sql.SQL("DROP POLICY IF EXISTS {} ON {}").format(sql.Identifier(POLICY), name),
        sql.SQL("CREATE POLICY {} ON {} USING ({}) WITH CHECK ({})").format(
            sql.Identifier(POLICY), name, allowed, allowed
        ),
    ]
    return [part.as_string(None) for part in parts]


def table_policy(table: StoreTable) -> list[str]:
    """The statements for a store's table, none without a tenant."""
    field = table.options.tenant
    if field is None:
        return []
    held = [column for column in (*table.columns, table.key_column) if column is not None and column.field == field]
    return policy_statements(table.table, table.table.columns[held[0].name] if held else field)


def missing_policies(conn: psycopg.Connection[Any], table: StoreTable) -> list[str]:
    """The statements that a store's table still needs."""
    return [] if table.options.tenant is None or is_forced(conn, table.table) else table_policy(table)


def check_session(db: Database, tables: Sequence[StoreTable]) -> None:
    """Passes where outlive's own connections can say that they serve all tenants. Raises BadSetting, Unreachable."""
    wanted = [table for table in tables if table.options.tenant is not None]
    if not wanted or not db.pooled:
        return
    with db.session() as conn:
        held = [table.store for table in wanted if is_forced(conn, table.table)]
    if held:
        reason = (
            f"is a pooler's in transaction mode, and forced row-level security of {', '.join(held)} needs a session"
        )
        raise BadSetting(name="DATABASE_URL", value=db.address.masked(), reason=reason)


def is_forced(conn: psycopg.Connection[Any], table: sa.Table) -> bool:
    """Whether a table's rows are under the policy."""
    row = conn.execute(
        "SELECT c.relrowsecurity AND c.relforcerowsecurity AND EXISTS"
        " (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = %s)"
        " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relname = %s AND n.nspname = coalesce(%s, current_schema())",
        [POLICY, table.name, table.schema],
    ).fetchone()
    return row is not None and bool(row[0])


def role_statements(role: str, schemas: Sequence[str], *, password: str | None = None) -> list[str]:
    """The SQL that makes the application's role: it may log in, read and write in these schemas and in `outlive`, and
    owns nothing. The owner's later tables are granted too. A role that exists keeps its password."""
    name = sql.Identifier(role)
    secret = sql.SQL("") if password is None else sql.SQL(" PASSWORD {}").format(sql.Literal(password))
    make = sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE{}").format(name, secret)
    guarded = sql.SQL("DO {}").format(
        sql.Literal(
            "BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = "
            + sql.Literal(role).as_string(None)
            + ") THEN "
            + make.as_string(None)
            + "; END IF; END"
        )
    )
    parts: list[sql.Composable] = [guarded]
    for schema in dict.fromkeys([*schemas, "outlive"]):
        parts += [part.format(schema=sql.Identifier(schema), role=name) for part in _GRANTS]
    return [part.as_string(None) for part in parts]


_GRANTS = [
    sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {role}"),
    sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"),
    sql.SQL("GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"),
    sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}"),
    sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {role}"),
]
