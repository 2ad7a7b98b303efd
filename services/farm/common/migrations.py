"""What the services' migrations share, so that a revision reads as its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


class Parts:
    """What a table is made of, said line by line."""

    def __init__(self, table: str, key: str, kind: Any = None) -> None:
        """`key` is the key column, of words unless a kind is given."""
        self.table = table
        self.held: list[Any] = [sa.PrimaryKeyConstraint(key, name=f"pk_{table}")]
        self.needs(words() if kind is None else kind, key)

    def needs(self, kind: Any, *names: str) -> None:
        """Columns of one kind that are never NULL."""
        self.held += [needed(name, kind) for name in names]

    def may(self, kind: Any, *names: str) -> None:
        """Columns of one kind that may be NULL."""
        self.held += [sa.Column(name, kind) for name in names]

    def once(self, *columns: str) -> None:
        """What stands in one row at most."""
        self.held.append(sa.UniqueConstraint(*columns, name=f"uq_{self.table}_{'_'.join(columns)}"))

    def refers(self, column: str, place: str) -> None:
        """A column that refers to `table.column`, which cannot be deleted meanwhile."""
        name = f"fk_{self.table}_{column}"
        self.held.append(sa.ForeignKeyConstraint([column], [place], name=name, ondelete="RESTRICT"))


@contextmanager
def new(table: str, key: str, *, owned: bool = False) -> Iterator[Parts]:
    """Creates a table of what the block says, with outlive's columns and the index of its odd rows.

    If `owned`, each row has a tenant, under row-level security.
    """
    parts = Parts(table, key)
    yield parts
    made = create(table, *parts.held)
    if owned:
        isolate(made)
    index_odd_rows(table)
