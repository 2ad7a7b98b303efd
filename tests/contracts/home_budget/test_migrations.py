"""The service's tables, by its own Alembic revisions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.contracts.home_budget.command import alembic

COLUMNS = {
    "expenses": {
        "id": ("integer", "NO"),
        "date": ("date", "NO"),
        "business": ("character varying(255)", "YES"),
        "category": ("character varying(100)", "NO"),
        "amount": ("numeric(10,2)", "NO"),
        "account": ("character varying(100)", "NO"),
        "currency": ("character varying(10)", "NO"),
        "notes": ("text", "YES"),
    },
    "feature_flags": {
        "id": ("integer", "NO"),
        "name": ("character varying(100)", "NO"),
        "enabled": ("boolean", "NO"),
        "user_id": ("integer", "YES"),
        "description": ("text", "YES"),
        "created_at": ("timestamp with time zone", "NO"),
        "updated_at": ("timestamp with time zone", "NO"),
    },
}
COLUMNS["incomes"] = {name: kind for name, kind in COLUMNS["expenses"].items() if name != "business"}
INDEXES = {
    "idx_expenses_date",
    "idx_expenses_category",
    "idx_expenses_account",
    "idx_incomes_date",
    "idx_incomes_category",
    "idx_incomes_account",
    "idx_expenses_date_category",
}
INSERT = (
    "INSERT INTO expenses (id, date, category, amount, account, outlive_version, outlive_position)"
    " VALUES (1, '2026-01-02', 'Food', 12.5, 'Cash', 1, 1)"
)


@pytest.fixture
def database(new_database: Callable[[], str], tmp_path: Path) -> str:
    """A database at the service's newest revision."""
    address = new_database()
    alembic(tmp_path, address, "upgrade", "head")
    return address


def test_head_is_what_the_models_say(database: str, tmp_path: Path) -> None:
    """After `upgrade head`, `check` finds nothing to do and `current` is the head."""
    assert "No new upgrade operations detected" in alembic(tmp_path, database, "check")
    assert "0002 (head)" in alembic(tmp_path, database, "current")
    assert "0001 -> 0002 (head)" in alembic(tmp_path, database, "history")


def test_columns(database: str) -> None:
    """The three tables have the requirement's columns, with the shekel sign as default and no test column."""
    with psycopg.connect(database) as conn:
        for table, expected in COLUMNS.items():
            found = conn.execute(
                "SELECT attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END"
                " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                [f"public.{table}"],
            ).fetchall()
            own = {name: (kind, null) for name, kind, null in found if not name.startswith("outlive_")}
            assert own == expected
        conn.execute(INSERT)
        assert conn.execute("SELECT currency FROM expenses").fetchone() == ("₪",)


def test_indexes(database: str) -> None:
    """The seven indexes of the requirement are there."""
    with psycopg.connect(database) as conn:
        found = conn.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'").fetchall()
    assert {name for (name,) in found if name.startswith("idx_")} == INDEXES


def test_two_flags_for_everybody(database: str) -> None:
    """A second row of a flag for everybody is refused, as is a second one for the same user."""
    insert = "INSERT INTO feature_flags (name, user_id) VALUES ('X', %s)"
    with psycopg.connect(database, autocommit=True) as conn:
        for user in (None, 1, 2):
            conn.execute(insert, [user])
            with pytest.raises(psycopg.errors.UniqueViolation):
                conn.execute(insert, [user])


def test_down_and_up_again_with_rows(database: str, tmp_path: Path) -> None:
    """`downgrade -1` keeps the rows, `downgrade base` leaves nothing behind, and `upgrade head` builds it anew."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(INSERT)
        alembic(tmp_path, database, "downgrade", "-1")
        assert conn.execute("SELECT count(*) FROM expenses").fetchone() == (1,)
        alembic(tmp_path, database, "upgrade", "head")
        assert conn.execute("SELECT count(*) FROM expenses").fetchone() == (1,)
        alembic(tmp_path, database, "downgrade", "base")
        left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE %s"
        assert conn.execute(left, ["home_budget_version%"]).fetchone() == (0,)
        functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        assert conn.execute(functions).fetchone() == (0,)
    alembic(tmp_path, database, "upgrade", "head")


def test_sql_runs_as_printed(new_database: Callable[[], str], tmp_path: Path) -> None:
    """`upgrade head --sql` prints, without a database, what builds the same tables."""
    printed = alembic(tmp_path, "postgresql://nobody@127.0.0.1:1/none", "upgrade", "head", "--sql")
    script = "\n".join(line for line in printed.splitlines() if not line.startswith("INFO"))
    address = new_database()
    with psycopg.connect(address, autocommit=True) as conn:
        conn.execute(script.encode())
    assert "No new upgrade operations detected" in alembic(tmp_path, address, "check")
