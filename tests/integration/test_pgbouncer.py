"""Behind pgbouncer in transaction mode: no prepared statement, no leaked setting, no lock without a direct address."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import psycopg
import pytest

from outlive.errors import BadSetting
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.derive import ensure_derived
from outlive.postgres.drive import Ask
from outlive.postgres.migrate import control_revision, upgrade_control
from outlive.postgres.tables import StoreTable
from outlive.records import RecordType
from outlive.settings import Settings
from tests.shelf import Shelf

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed: apt-get install pgbouncer")
INI = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = plain
auth_file = {users}
pool_mode = transaction
default_pool_size = 2
server_reset_query =
max_prepared_statements = 0
logfile = {log}
"""


@dataclass
class Job:
    id: int
    name: str


@pytest.fixture
def bouncer(pg_server: Address, tmp_path: Path, until: Callable[..., Any]) -> Iterator[Address]:
    """Address of a pgbouncer with two server connections in front of the test server."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        listen = chosen.getsockname()[1]
    users, ini = tmp_path / "users.txt", tmp_path / "pgbouncer.ini"
    users.write_text(f'"{pg_server.user}" "{pg_server.options["password"]}"\n')
    text = INI.format(host=pg_server.host, port=pg_server.port, listen=listen, users=users, log=tmp_path / "log")
    assert PROGRAM is not None
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, version.split()[1].split(".")[:2])) < (1, 21):
        text = text.replace("max_prepared_statements = 0\n", "")
    ini.write_text(text)
    command = [PROGRAM, "-q", str(ini)]
    if os.geteuid() == 0:
        search = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *search, *command]
        shutil.chown(tmp_path, "nobody", "nogroup")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: listens(listen))
    yield Address({**pg_server.options, "host": "127.0.0.1", "port": str(listen)})
    process.send_signal(signal.SIGTERM)
    process.wait(10)


def listens(port: int) -> bool:
    """True once something takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def behind(bouncer: Address, database_address: Address) -> Iterator[Database]:
    """A fresh database, reached through the pooler only."""
    database = Database(bouncer.with_database(database_address.database), Settings(pool_size=6, service="pooled"))
    yield database
    database.dispose()


def test_a_pooler_is_recognised(behind: Database, db: Database) -> None:
    """The first connection tells a pooler from a server, in both drivers."""
    assert behind.capabilities().pooler
    assert behind.pooled
    assert not db.capabilities().pooler
    fresh = Database(behind.address, Settings())

    async def asynchronous() -> Any:
        conn = await fresh.connect_async()
        threshold = conn.prepare_threshold
        await conn.close()
        return threshold

    assert asyncio.run(asynchronous()) is None
    assert fresh.pooled


def test_no_statement_is_prepared_behind_a_pooler(behind: Database) -> None:
    """Six clients over two server connections repeat statements far past psycopg's threshold without an error."""

    async def client(number: int) -> int:
        total = 0
        async with behind.asession() as conn:
            for turn in range(30):
                row = await (await conn.execute("SELECT %s::int + %s::int", [number, turn])).fetchone()
                assert row is not None
                total += row[0]
        return total

    async def all_clients() -> list[int]:
        return await asyncio.gather(*(client(number) for number in range(6)))

    assert asyncio.run(all_clients()) == [30 * number + 435 for number in range(6)]
    with behind.session() as one, behind.session() as two, behind.session() as three:
        for turn in range(30):
            for conn in (one, two, three):
                assert conn.execute("SELECT %s::int", [turn]).fetchone() == (turn,)
                prepared = conn.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
                assert prepared == (0,)


def test_settings_do_not_leak_to_other_clients(behind: Database) -> None:
    """Our sessions are in UTC; another client of the same server connections keeps its own zone and no time-out."""
    with behind.session() as ours:
        assert ours.execute("SHOW TimeZone").fetchone() == ("UTC",)
        assert ours.execute("SHOW statement_timeout").fetchone() == ("0",)
        with psycopg.connect(behind.address.conninfo(), autocommit=True, prepare_threshold=None) as other:
            other.execute("SET TimeZone TO 'Asia/Jerusalem'")
            for _ in range(4):
                assert ours.execute("SHOW TimeZone").fetchone() == ("UTC",)
                assert other.execute("SHOW TimeZone").fetchone() == ("Asia/Jerusalem",)
                assert other.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_migrating_behind_a_pooler_needs_a_direct_address(
    bouncer: Address, behind: Database, empty_database: Address
) -> None:
    """Nothing due: no lock and no direct address needed. Something due: refused until DATABASE_DIRECT_URL is there."""
    assert not upgrade_control(behind)
    fresh = bouncer.with_database(empty_database.database)
    pooled = Database(fresh, Settings())
    with pytest.raises(BadSetting, match="DATABASE_DIRECT_URL"):
        upgrade_control(pooled)
    pooled.dispose()
    told = Database(fresh, Settings.from_env({"DATABASE_DIRECT_URL": empty_database.libpq_url()}))
    assert upgrade_control(told)
    assert control_revision(told) == "0001"
    assert told.pooled
    told.dispose()


def test_reads_travel_together_and_are_prepared_only_without_a_pooler(behind: Database, db: Database) -> None:
    """Many `get`s and lists at once have their records either way; past a pooler nothing of them stays in a session."""
    table = StoreTable.derive("pooled", "jobs", RecordType.of(Job), "id")
    ensure_derived(db, [table])
    shelf = Shelf(table, db, attrgetter("id"))
    shelf.fill([Job(number, f"job {number}") for number in range(40)])
    shelf.by_sql = True
    said = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'outlive%%'"

    async def ask(database: Database) -> tuple[list[Any], list[Any], int]:
        shelf.db = database
        try:
            gets = await asyncio.gather(*(shelf.repository.get(number) for number in (*range(40), 99)))
            lists = [shelf.repository.list_json(name=f"job {number}", limit=5) for number in range(20)]
            found = await asyncio.gather(*lists)
            return gets, found, (await database.lane().rows(Ask(said)))[0][0]
        finally:
            await database.leave_loop()

    answers = [asyncio.run(ask(database)) for database in (behind, db)]
    for gets, lists, _ in answers:
        assert gets == [*(Job(number, f"job {number}") for number in range(40)), None]
        assert [(found.total, found.items) for found in lists] == [
            (1, b'[{"id":%d,"name":"job %d"}]' % (number, number)) for number in range(20)
        ]
    assert [behind.pooled, db.pooled] == [True, False]
    assert [count > 0 for _, _, count in answers] == [False, True]
