"""A journal that would not outlive its machine acknowledges nothing, unless somebody says that it may be lost."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import outlive
from outlive.cli.app import run
from outlive.errors import Unavailable
from outlive.postgres.address import Address
from outlive.runtime.perishing import why_journals_die
from outlive.settings import Settings
from tests.stage import Line, lined

Until = Callable[..., Any]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is gone when the machine restarts; nobody has said that this is fine."""
    monkeypatch.delenv("OUTLIVE_JOURNAL_MAY_BE_LOST")
    folder = Path("/dev/shm") / f"outlive-{secrets.token_hex(6)}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def journals(line: Line, home: Path, *, env: dict[str, str] | None = None, **options: Any) -> tuple[str, str]:
    """(what a store in dual_write does when PostgreSQL is away: journal or refuse, the reason in its report)."""
    given = {"DATABASE_URL": line.address.libpq_url(), "OUTLIVE_HOME": str(home), "OUTLIVE_POLL_S": "0.02"}
    service = outlive.Service("box", env={**given, "DATABASE_CONNECT_TIMEOUT": "2", **(env or {})})
    notes = outlive.mapping("notes", dict, key="id", service=service, phase="dual_write", **options)
    service.start()
    try:
        notes["a"] = {"id": "a"}
        line.cut()
        try:
            notes["b"] = {"id": "b"}
        except Unavailable:
            return "refuse", service.journal_dies
        assert service.journal_units() == 1
        return "journal", service.journal_dies
    finally:
        line.mend()
        service.crash()


def test_a_journal_in_memory_is_refused_unless_it_may_be_lost(database_address: Address, memory: Path) -> None:
    """The default refuses and says why; the store's word or the setting's brings the journal back."""
    with lined(database_address) as line:
        assert journals(line, memory / "1") == (
            "refuse",
            f"{memory}/1 is on /dev/shm, a tmpfs: it is gone when the machine restarts",
        )
        assert journals(line, memory / "2", journal_may_be_lost=True)[0] == "journal"
        assert journals(line, memory / "3", env={"OUTLIVE_JOURNAL_MAY_BE_LOST": "true"}) == ("journal", "")
        assert journals(line, memory / "4", when_away="journal")[0] == "refuse"


def test_it_is_told_where_operators_look(
    database_url: str, memory: Path, until: Until, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """status, doctor and the event log name the folder and what follows from it."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("OUTLIVE_HOME", str(memory))
    monkeypatch.chdir(memory)
    service = outlive.Service("box")
    outlive.mapping("notes", dict, key="id", service=service, phase="dual_write")
    with service.open(), psycopg.connect(database_url, autocommit=True) as conn:
        until(lambda: conn.execute("SELECT 1 FROM outlive.event WHERE kind = 'journal_dies'").fetchall())
        until(lambda: "tmpfs" in str(conn.execute("SELECT report FROM outlive.member").fetchall()))
        assert run(["status", "notes"]) == 0
        assert "a tmpfs: it is gone when the machine restarts; while PostgreSQL is away it would refuse writes" in (
            capsys.readouterr().out
        )
        run(["doctor", "--json"])
        (finding,) = [each for each in json.loads(capsys.readouterr().out)["checks"] if each["name"] == "journal place"]
        assert finding["level"] == "warn"
        assert "OUTLIVE_JOURNAL_MAY_BE_LOST=true" in finding["next"]


def test_the_embedded_server_shares_the_journals_fate(memory: Path) -> None:
    """Where the database lies in the same folder, a journal beside it is no weaker: nothing is refused."""
    assert why_journals_die(Settings(home=memory), {}) is None
    elsewhere = Settings(home=memory, database={"DATABASE_URL": "postgresql://db.example/x"})
    assert why_journals_die(elsewhere, {}) is not None
    assert why_journals_die(elsewhere, {"OUTLIVE_JOURNAL_MAY_BE_LOST": "yes"}) is None


def test_a_server_in_the_same_container_shares_its_end(monkeypatch: pytest.MonkeyPatch, memory: Path) -> None:
    """A container's root is no worse than a database of the same machine, and worse than one elsewhere."""
    monkeypatch.setattr("outlive.commit.perishable.look_at", lambda _: "it is gone with the container")
    near = Settings(home=memory, database={"DATABASE_URL": "postgresql://127.0.0.1/x"})
    far = Settings(home=memory, database={"POSTGRES_HOST": "db", "POSTGRES_DB": "x"})
    assert why_journals_die(near, {}) is None
    assert why_journals_die(far, {}) == "it is gone with the container"
