"""What the services' migrations share, so that a revision reads as its tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from outlive.postgres.tenancy import policy_statements


def words() -> sa.Text:
    """Text of any length, compared by code point."""
    return sa.Text(collation="C")


def several() -> ARRAY[str]:
    """A list of texts."""
    return ARRAY(words())


def moment() -> sa.DateTime:
    """A time with zone."""
    return sa.DateTime(timezone=True)


def document() -> JSONB:
    """A JSON object; None is NULL."""
    return JSONB(none_as_null=True)


def create(name: str, *parts: Any, **options: Any) -> sa.Table:
    """Creates a table of these columns and constraints, with outlive's own columns at its end."""
    return op.create_table(
        name,
        *parts,
        sa.Column("outlive_version", sa.BigInteger, nullable=False),
        sa.Column("outlive_position", sa.Numeric, nullable=False),
        sa.Column("outlive_extra", document()),
        **options,
    )


def needed(name: str, kind: Any, *more: Any, **options: Any) -> sa.Column[Any]:
    """A column that is never NULL."""
    return sa.Column(name, kind, *more, nullable=False, **options)


def isolate(table: sa.Table, column: str = "tenant_id") -> None:
    """Forces row-level security by tenant on a table."""
    for statement in policy_statements(table, table.c[column]):
        op.execute(statement)


def index_odd_rows(table: str, column: str = "outlive_position") -> None:
    """The index of `services.farm.common.tables.odd_rows`."""
    op.create_index(f"ix_{table}_extra", table, [column], postgresql_where="outlive_extra IS NOT NULL")
