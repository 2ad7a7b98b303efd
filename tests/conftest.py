"""Real PostgreSQL for every test: one server a run, one fresh database a test.

OUTLIVE_TEST_DSN names a server to use; otherwise an embedded one is started, shared by all xdist workers. Databases
are cloned from a template that already has the control schema.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.embedded import EmbeddedServer
from outlive.postgres.migrate import upgrade_control
from outlive.settings import Settings

# Folders of tests may lie in memory (/tmp of many machines); that is no reason to refuse what they journal.
os.environ.setdefault("OUTLIVE_JOURNAL_MAY_BE_LOST", "true")
ROOT = Path(__file__).resolve().parent.parent
CONTROL = ROOT / "src" / "outlive" / "postgres" / "control"


@pytest.fixture(scope="session")
def pg_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Address of the server of this test run, as a role that may create databases."""
    given = os.environ.get("OUTLIVE_TEST_DSN")
    if given:
        yield Address.parse(given)
        return
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with EmbeddedServer(shared / "outlive-home") as address:
        yield address


@pytest.fixture(scope="session")
def postgis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Address of Debian's PostgreSQL with PostGIS, one server a run."""
    found = sorted(Path("/usr/share/postgresql").glob("*/extension/postgis.control"))
    assert found, "PostGIS is missing: bash tools/test_needs.sh"
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    programs = Path("/usr/lib/postgresql") / found[-1].parent.parent.name / "bin"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTLIVE_POSTGRES_BIN", str(programs))
        server = EmbeddedServer(shared / "postgis-home")
        address = server.start()
    yield address
    server.stop()


@pytest.fixture(scope="session")
def database_template(pg_server: Address) -> str:
    """Name of a database that holds the control schema, made once for all workers."""
    digest = blake2b(digest_size=8)
    for path in sorted(CONTROL.rglob("*.py")):
        digest.update(path.read_bytes())
    name = f"outlive_template_{digest.hexdigest()}"
    with psycopg.connect(pg_server.conninfo(), autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(7000123)")
        if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            _build_template(conn, pg_server, name)
    return name


def _build_template(conn: psycopg.Connection, server: Address, name: str) -> None:
    draft = f"{name}_draft"
    conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(draft)))
    conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(draft)))
    database = Database(server.with_database(draft))
    upgrade_control(database)
    database.dispose()
    conn.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(draft), sql.Identifier(name)))


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Waits for a condition: its first true answer, or a failure once `limit_s` (20) passes without one."""

    def wait(condition: Callable[[], Any], limit_s: float = 20.0) -> Any:
        deadline = time.monotonic() + limit_s
        while not (answer := condition()):
            assert time.monotonic() < deadline, f"not so within {limit_s} s"
            time.sleep(0.01)
        return answer

    return wait


@pytest.fixture
def empty_database(pg_server: Address) -> Iterator[Address]:
    """Address of a fresh database with nothing in it."""
    yield from _database(pg_server, "template1")


@pytest.fixture
def database_address(pg_server: Address, database_template: str) -> Iterator[Address]:
    """Address of a fresh database with the control schema."""
    yield from _database(pg_server, database_template)


@pytest.fixture
def database_url(database_address: Address) -> str:
    """DATABASE_URL of a fresh database with the control schema, password included."""
    return database_address.libpq_url()


@pytest.fixture
def db(database_address: Address) -> Iterator[Database]:
    """A Database on a fresh database with the control schema."""
    database = Database(database_address, Settings(service="test"))
    yield database
    database.dispose()


def _database(server: Address, template: str) -> Iterator[Address]:
    name = f"outlive_test_{secrets.token_hex(6)}"
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    yield server.with_database(name)
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
