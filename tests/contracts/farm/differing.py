"""How the tables in PostgreSQL differ from those that a requirement asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from tests.contracts.farm.conftest import Opened

OWN = {"outlive_version", "outlive_position", "outlive_extra"}
# Indexes without those of keys and unique constraints; a partitioned table's stand once, at its parent.
INDEXES = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid
WHERE t.relname = ANY(%s) AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid)
"""
CONSTRAINTS = """
SELECT t.relname || ' ' || pg_get_constraintdef(c.oid) FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = c.conrelid
WHERE t.relname = ANY(%s) AND c.contype IN ('p', 'u', 'f')
"""


def differences(
    opened: Opened, asked: Mapping[str, Mapping[str, str]], indexes: Iterable[str], constraints: Iterable[str]
) -> set[str]:
    """What is asked and not there, or there and not asked: `table.column`, `table (columns)`, constraints."""
    made = {
        (f"{table}.{name}", kind)
        for table, name, kind in rows(
            opened,
            "SELECT table_name, column_name, CASE udt_name WHEN '_text' THEN 'text[]' ELSE udt_name END"
            " FROM information_schema.columns WHERE table_name = ANY(%s)",
            asked,
        )
        if name not in OWN
    }
    wanted = {(f"{table}.{name}", kind) for table, columns in asked.items() for name, kind in columns.items()}
    defaults = rows(
        opened,
        "SELECT table_name || '.' || column_name || ' default' FROM information_schema.columns"
        " WHERE table_name = ANY(%s) AND column_default IS NOT NULL",
        asked,
    )
    kept = {
        text.partition(" ON ")[2].removeprefix("ONLY ").removeprefix("public.").replace(" USING btree", "")
        for (text,) in rows(opened, INDEXES, asked)
    }
    held = {text for (text,) in rows(opened, CONSTRAINTS, asked)}
    named = {name for name, _ in made ^ wanted} | {text for (text,) in defaults}
    return named | (kept ^ set(indexes)) | (held ^ set(constraints))


def tables(opened: Opened) -> set[str]:
    """The service's tables; partitions and Alembic's own left out."""
    found = rows(
        opened,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND relname NOT LIKE '%%_version' AND relname <> ALL(%s)",
        [],
    )
    return {name for (name,) in found}


def rows(opened: Opened, statement: str, names: Iterable[str]) -> list[Any]:
    """Rows of a statement over tables of these names."""
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        return conn.execute(statement.encode(), (list(names),)).fetchall()
