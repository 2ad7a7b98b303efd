"""Feature flags: who is asked, in which order, and what cannot be written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from services.home_budget import database, flags
from services.home_budget.flags import StorageFlagIsAView, is_feature_enabled, set_feature
from tests.contracts.home_budget.command import alembic
from tests.contracts.home_budget.process import free_port

NAME = "EXPENSE_AMOUNT_V2_FORMAT"


@pytest.fixture
def table(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection]:
    """A connection to a database with the flags' table, which is the one that the service asks."""
    address = new_database()
    alembic(tmp_path, address, "upgrade", "head")
    monkeypatch.setenv("DATABASE_URL", address)
    monkeypatch.setattr(flags, "_quiet_until", 0.0)
    with psycopg.connect(address, autocommit=True) as conn:
        yield conn
    where = database.address()
    assert where is not None
    database.engine(where).dispose()
    database.engine.cache_clear()


@pytest.mark.parametrize("default", [True, False])
def test_the_default_answers_last(table: psycopg.Connection, default: bool) -> None:
    """Without environment and row the default decides."""
    assert is_feature_enabled(NAME, default=default) is default
    assert is_feature_enabled(NAME, 7, default) is default


@pytest.mark.parametrize("enabled", [True, False])
def test_rows(table: psycopg.Connection, enabled: bool) -> None:
    """A user's own row goes before the row for everybody, which goes before the default."""
    set_feature(NAME, not enabled)
    assert is_feature_enabled(NAME, 7, default=enabled) is not enabled
    set_feature(NAME, enabled, user_id=7)
    assert is_feature_enabled(NAME, 7) is enabled
    assert is_feature_enabled(NAME, 8) is not enabled
    assert is_feature_enabled(NAME) is not enabled


def test_a_users_row_is_no_row_for_everybody(table: psycopg.Connection) -> None:
    """One user's row says nothing to the others."""
    set_feature(NAME, True, user_id=7)
    assert is_feature_enabled(NAME) is False
    assert is_feature_enabled(NAME, 8) is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [(word, True) for word in ("true", "1", "YES", "On")] + [(word, False) for word in ("False", "0", "no", "OFF")],
)
def test_the_environment_goes_first(
    table: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, text: str, expected: bool
) -> None:
    """FF_<NAME>, the name in upper case, decides over the rows."""
    set_feature(NAME, not expected)
    set_feature(NAME, not expected, user_id=7)
    monkeypatch.setenv(f"FF_{NAME}", text)
    assert is_feature_enabled(NAME, default=not expected) is expected
    assert is_feature_enabled(NAME.lower(), 7, not expected) is expected


@pytest.mark.parametrize("text", ["", "maybe", "2", "tru"])
def test_other_words_are_no_setting(table: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Any other text in the environment counts as not set."""
    monkeypatch.setenv(f"FF_{NAME}", text)
    set_feature(NAME, True)
    assert is_feature_enabled(NAME) is True


def test_row_names_are_case_sensitive(table: psycopg.Connection) -> None:
    """A row of another case is another flag."""
    set_feature(NAME.lower(), True)
    assert is_feature_enabled(NAME) is False
    assert is_feature_enabled(NAME.lower()) is True


def test_a_failing_query_counts_as_not_set(table: psycopg.Connection) -> None:
    """Without the table the default answers."""
    table.execute("DROP TABLE feature_flags")
    assert is_feature_enabled(NAME, default=True) is True


def test_an_absent_database_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PostgreSQL the default answers, at once from the second question on."""
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    monkeypatch.setattr(flags, "_quiet_until", 0.0)
    assert is_feature_enabled(NAME, default=True) is True
    begin = time.monotonic()
    assert [is_feature_enabled(NAME) for _ in range(100)] == [False] * 100
    assert time.monotonic() - begin < 1


def test_writing_again_changes_the_row(table: psycopg.Connection) -> None:
    """A flag has one row a user: writing it again changes that row and its time, and keeps its description."""
    set_feature(NAME, True, description="amounts with separators")
    set_feature(NAME, False)
    found = table.execute("SELECT enabled, description, updated_at > created_at FROM feature_flags").fetchall()
    assert found == [(False, "amounts with separators", True)]


@pytest.mark.parametrize("name", ["USE_DATABASE_STORAGE", "dual_write_enabled"])
def test_storage_flags_cannot_be_written(table: psycopg.Connection, name: str) -> None:
    """The storage flags are refused with the command to use, here and in SQL."""
    with pytest.raises(StorageFlagIsAView, match="outlive advance expenses"):
        set_feature(name, True)
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        table.execute("INSERT INTO feature_flags (name, enabled) VALUES (%s, true)", [name])
    assert "outlive advance" in (refused.value.diag.message_hint or "")


@pytest.mark.parametrize(
    ("phase", "database_storage", "dual_write"),
    [
        ("legacy", False, False),
        ("dual_write", False, True),
        ("dual_read", True, True),
        ("database", True, False),
    ],
)
def test_storage_flags_show_the_phase(
    monkeypatch: pytest.MonkeyPatch, phase: str, database_storage: bool, dual_write: bool
) -> None:
    """The two storage flags are a view of the phase, whatever the default."""
    monkeypatch.setenv("OUTLIVE_PHASE", phase)
    assert is_feature_enabled("USE_DATABASE_STORAGE", default=not database_storage) is database_storage
    assert is_feature_enabled("dual_write_enabled", default=not dual_write) is dual_write
