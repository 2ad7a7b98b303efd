"""Connections and pools: set up alike, bounded, checked before use, honest when PostgreSQL is away."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from outlive.errors import Unavailable, Unreachable
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.embedded import EmbeddedServer, running
from outlive.settings import Settings

SESSION = (
    "SELECT current_setting('TimeZone'), current_setting('DateStyle'), current_setting('IntervalStyle'),"
    " current_setting('client_encoding'), current_setting('application_name'), current_setting('statement_timeout')"
)
SET_UP = ("UTC", "ISO, MDY", "postgres", "UTF8", "outlive:test", "30s")


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server that a test may restart or kill."""
    server = EmbeddedServer(tmp_path_factory.mktemp("own"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_db(own_server: EmbeddedServer) -> Iterator[Database]:
    """A Database on that server, with a pool of 2 + 1 and a short time-out."""
    database = Database(own_server.start(), Settings(pool_size=2, max_overflow=1, pool_timeout_s=0.3))
    yield database
    database.dispose()


def test_every_connection_is_set_up_alike(db: Database) -> None:
    """Dedicated and pooled, blocking and asyncio: UTC, ISO dates, UTF-8, a named application, a statement timeout."""

    async def asynchronous() -> None:
        async with db.asession() as conn:
            assert await (await conn.execute(SESSION)).fetchone() == SET_UP
            assert conn.autocommit
        dedicated = await db.connect_async()
        assert await (await dedicated.execute(SESSION)).fetchone() == SET_UP
        assert dedicated.prepare_threshold == 5
        await dedicated.close()

    with db.session() as conn, db.connect() as dedicated, db.connect_direct() as direct:
        for one in (conn, dedicated, direct):
            assert one.execute(SESSION).fetchone() == SET_UP
            assert one.autocommit
            assert one.prepare_threshold == 5
    asyncio.run(asynchronous())
    assert not db.pooled


def test_a_role_with_other_habits_changes_nothing(db: Database) -> None:
    """What the role or the database has set for dates and zones does not reach a session."""
    with db.session() as conn:
        name = psycopg.sql.Identifier(db.address.database)
        for habit in ("TimeZone TO 'Asia/Jerusalem'", "DateStyle TO 'German'", "IntervalStyle TO 'iso_8601'"):
            conn.execute(psycopg.sql.SQL("ALTER DATABASE {} SET " + habit).format(name))
    with db.connect() as fresh:
        assert fresh.execute(SESSION).fetchone() == SET_UP


def test_a_role_called_outlive_does_not_work_in_the_control_schema(db: Database) -> None:
    """The unqualified tables of such a role are those in public, before and after the control schema exists."""
    with db.session() as conn:
        conn.execute("CREATE ROLE outlive SUPERUSER LOGIN PASSWORD 'x'")
    try:
        with Database(Address({**db.address.options, "user": "outlive", "password": "x"})).connect() as mine:
            assert mine.execute("SELECT current_user::text, current_schema()::text").fetchone() == ("outlive", "public")
    finally:
        with db.session() as conn:
            conn.execute("DROP ROLE outlive")


def test_a_session_that_cannot_be_set_up_leaves_no_connection(db: Database) -> None:
    """When the server refuses the set-up, both drivers raise Unreachable with its words and close what they opened."""
    with db.session() as conn:
        conn.execute("CREATE ROLE setup_guest LOGIN PASSWORD 'x'")
        conn.execute("REVOKE EXECUTE ON FUNCTION pg_catalog.set_config FROM public")
    guest = Database(Address({**db.address.options, "user": "setup_guest", "password": "x"}))
    try:
        with pytest.raises(Unreachable, match="permission denied"):
            guest.connect()
        with pytest.raises(Unreachable, match="permission denied"):
            asyncio.run(guest.connect_async())
        with db.session() as conn:
            mine = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'setup_guest' AND state = 'idle'"
            assert conn.execute(mine).fetchone() == (0,)
    finally:
        with db.session() as conn:
            conn.execute("DROP ROLE setup_guest")


def test_capabilities_are_read_once(db: Database) -> None:
    """Version, role and limits of the server are known."""
    found = db.capabilities()
    assert found.server_version >= 140000
    assert found.encoding == "UTF8"
    assert found.max_connections > 0
    assert not found.pooler
    assert db.capabilities() is found


def test_a_pool_hands_out_its_limit_counts_waits_and_times_out(own_db: Database) -> None:
    """With 2 + 1 connections the fourth caller waits, is counted, and gets Unavailable after the time-out."""
    assert own_db.pool_use() == 0
    with own_db.session(), own_db.session(), own_db.session():
        assert own_db.pool_use() == 1
        assert own_db.waits == 0
        with pytest.raises(Unavailable, match="3 of 3 in use") as caught, own_db.session():
            pass
        assert caught.value.retry_after_s > 0
        assert own_db.waits == 1
    assert own_db.pool_use() == 0
    with own_db.session() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_the_asyncio_pool_does_the_same_without_blocking_the_loop(own_db: Database) -> None:
    """The fourth task waits and times out while the loop goes on; a waiter is served when a connection comes back."""

    async def scene() -> None:
        async with own_db.asession(), own_db.asession():
            async with own_db.asession():
                assert own_db.pool_use() == 1
                turns = 0
                waiter = asyncio.create_task(take())
                while not waiter.done():
                    turns += 1
                    await asyncio.sleep(0)
                assert isinstance(waiter.exception(), Unavailable)
                assert turns > 10
                patient = asyncio.create_task(take())
                await asyncio.sleep(0)
            assert await patient == (1,)
        assert own_db.waits == 2
        assert own_db.pool_use() == 0

    async def take() -> Any:
        async with own_db.asession() as conn:
            return await (await conn.execute("SELECT 1")).fetchone()

    asyncio.run(scene())


def test_a_waiting_thread_is_served_when_a_connection_comes_back(own_db: Database, until: Callable[..., Any]) -> None:
    """A caller that waits less than the time-out gets the returned connection."""
    patient = Database(own_db.address, Settings(pool_size=1, max_overflow=0, pool_timeout_s=20))
    served: list[Any] = []

    def wait() -> None:
        with patient.session() as conn:
            served.append(conn.execute("SELECT 1").fetchone())

    with patient.session():
        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: patient.waits)
        assert not served
    thread.join(10)
    assert served == [(1,)]
    patient.dispose()


def test_a_failed_block_returns_a_clean_connection(own_db: Database) -> None:
    """A transaction left open or failed is rolled back before the next caller gets the connection."""

    def fail() -> None:
        with own_db.session() as conn:
            conn.execute("BEGIN")
            conn.execute("CREATE TABLE left_open (n int)")
            conn.execute("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        fail()
    with own_db.session() as conn:
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert conn.execute("SELECT to_regclass('left_open')").fetchone() == (None,)
        assert conn.autocommit


def test_a_cancelled_task_gives_its_connection_back(own_db: Database) -> None:
    """Cancelling a task in the middle of a query frees its place, and the pool stays usable."""

    async def scene() -> None:
        for _ in range(4):
            started = asyncio.Event()

            async def sleeper(started: asyncio.Event = started) -> None:
                async with own_db.asession() as conn:
                    started.set()
                    await conn.execute("SELECT pg_sleep(60)")

            task = asyncio.create_task(sleeper())
            await started.wait()
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with own_db.asession() as conn:
            assert await (await conn.execute("SELECT 1")).fetchone() == (1,)
        assert own_db.pool_use() == 0

    asyncio.run(scene())


def test_tasks_cancelled_anywhere_lose_no_connection(db: Database, until: Callable[..., Any]) -> None:
    """Cancelled while connecting, waiting, asking or giving back: every place in the pool is free again."""
    random = Random(7)
    mine = Database(db.address, Settings(service="cancelled", pool_size=2, max_overflow=1, pool_timeout_s=5))

    async def ask() -> None:
        async with mine.asession() as conn:
            await conn.execute("SELECT pg_sleep(0.005)")

    async def scene() -> None:
        for _ in range(80):
            tasks = [asyncio.create_task(ask()) for _ in range(5)]
            await asyncio.sleep(random.uniform(0, 0.03))
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert outcome is None or isinstance(outcome, asyncio.CancelledError)
        for _ in range(200):
            if mine.pool_use() == 0:
                break
            await asyncio.sleep(0.01)
        assert mine.pool_use() == 0
        await asyncio.gather(*(ask() for _ in range(9)))

    asyncio.run(scene())
    counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outlive:cancelled'"
    with db.session() as conn:
        until(lambda: conn.execute(counted).fetchall()[0][0] <= mine.limit)
        mine.dispose()
        until(lambda: conn.execute(counted).fetchall()[0][0] == 0)


def test_connections_are_checked_before_use_after_a_restart(own_server: EmbeddedServer, own_db: Database) -> None:
    """After a server restart, and after kill -9, the next callers get working connections, never a dead one."""

    async def ask() -> Any:
        async with own_db.asession() as one, own_db.asession() as two:
            return [await (await conn.execute("SELECT 1")).fetchone() for conn in (one, two)]

    async def scene() -> None:
        for again in (own_server.restart, own_server.kill9):
            assert await ask() == [(1,), (1,)]
            with own_db.session() as one, own_db.session() as two:
                assert [conn.execute("SELECT 1").fetchone() for conn in (one, two)] == [(1,), (1,)]
            await asyncio.to_thread(again)
            await asyncio.to_thread(own_server.start)
        assert await ask() == [(1,), (1,)]
        with own_db.session() as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)

    asyncio.run(scene())


def test_a_stopped_server_is_unreachable_and_comes_back_by_itself(own_server: EmbeddedServer, own_db: Database) -> None:
    """While PostgreSQL is down every way to connect raises Unreachable (exit 4); once it is up, all work again."""

    async def asynchronous() -> None:
        async with own_db.asession() as conn:
            await conn.execute("SELECT 1")

    with own_db.session() as conn:
        conn.execute("SELECT 1")
    own_server.kill9()
    for attempt in (own_db.connect, own_db.connect_direct, own_db.session().__enter__):
        with pytest.raises(Unreachable) as caught:
            attempt()
        assert caught.value.exit_code == 4
        assert own_db.address.options["password"] not in str(caught.value)
    with pytest.raises(Unreachable):
        asyncio.run(asynchronous())
    own_server.start()
    asyncio.run(asynchronous())
    with own_db.session() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_a_wrong_password_is_never_shown(
    pg_server: Address, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The refusal names server and user; the password is in no message, cause, log record or output."""
    caplog.set_level(logging.DEBUG)
    wrong = Address({**pg_server.options, "password": "tr0ub4dor", "user": "nobody_here"})
    database = Database(wrong, Settings(echo=True))
    with pytest.raises(Unreachable, match="nobody_here") as caught:
        database.connect()
    with pytest.raises(Unreachable):
        asyncio.run(database.connect_async())
    shown = "".join(map(str, (caught.value, repr(caught.value), caught.value.facts(), caught.value.__cause__)))
    assert "tr0ub4dor" not in shown + repr(database) + caplog.text + "".join(capfd.readouterr())


def test_a_host_that_is_not_there_is_told_apart_in_time() -> None:
    """A closed port gives Unreachable with the address, at once."""
    database = Database(Address.parse("postgresql://u:pw-x@127.0.0.1:1/d"))
    with pytest.raises(Unreachable, match=r"u:\*\*\*@127\.0\.0\.1:1/d.*refused"):
        database.connect()


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_a_tls_mode_reaches_the_server(pg_server: Address, mode: str) -> None:
    """A server without TLS refuses a client that requires it; with prefer the same address works."""
    strict = Database(Address({**pg_server.options, "sslmode": mode}))
    with pytest.raises(Unreachable, match=r"(?i)ssl|certificate"):
        strict.connect()
    Database(Address({**pg_server.options, "sslmode": "prefer"})).connect().close()


def test_echo_logs_statements_and_no_values(
    db: Database, caplog: pytest.LogCaptureFixture, own_server: EmbeddedServer
) -> None:
    """With DATABASE_ECHO each statement is logged, in both drivers; what it carries is not."""
    caplog.set_level(logging.INFO, logger="outlive.sql")
    loud = Database(db.address, Settings(echo=True))
    with loud.session() as conn:
        conn.execute("SELECT %s::text AS private_value", ["0501234567"])
        conn.execute(psycopg.sql.SQL("SELECT {}").format(psycopg.sql.Literal(7)))
        conn.cursor().executemany("SELECT %s::text AS private_list", [["0501234567"]])

    async def asynchronous() -> None:
        async with loud.asession() as conn:
            await conn.execute(b"SELECT %s::text AS private_async", ["0501234567"])
            await conn.cursor().executemany("SELECT %s::text AS private_alist", [["0501234567"]])

    asyncio.run(asynchronous())
    loud.dispose()
    for word in ("private_value", "private_list", "private_async", "private_alist", "SELECT 7"):
        assert word in caplog.text
    assert "0501234567" not in caplog.text
    caplog.clear()
    with db.session() as conn:
        conn.execute("SELECT 1 AS quiet")
    assert "quiet" not in caplog.text


def test_each_event_loop_has_a_pool_and_a_closed_loops_is_released(
    db: Database, recwarn: pytest.WarningsRecorder
) -> None:
    """A second asyncio.run works, and no connection of the first is left open or warned about."""

    async def pid() -> int:
        async with db.asession() as conn:
            return conn.info.backend_pid

    first = asyncio.run(pid())
    second = asyncio.run(pid())
    assert first != second
    with db.session() as conn:
        alive = conn.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [first])
        assert alive.fetchone() == (0,)
    db.dispose()
    gc.collect()
    assert not [str(warned.message) for warned in recwarn]


def test_disposing_leaves_nothing_behind_and_the_database_stays_usable(db: Database) -> None:
    """After dispose() the server counts none of our sessions; using the object again reconnects."""
    with db.session(), db.session():
        pass
    db.dispose()
    db.dispose()
    with Database(db.address, Settings(service="other")).connect() as conn:
        mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outlive:test'"
        assert conn.execute(mine).fetchone() == (0,)
    with db.session() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_a_forked_child_forgets_the_parents_connections(db: Database) -> None:
    """After forget() the child has connections of its own, and the parent's still work when the child is gone."""
    with db.session() as conn:
        parents = conn.info.backend_pid
    child = os.fork()
    if child == 0:
        status = 1
        try:
            db.forget()
            with db.session() as conn:
                status = 0 if conn.info.backend_pid != parents and db.pool_use() > 0 else 2
            db.dispose()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with db.session() as conn:
        assert conn.info.backend_pid == parents
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_without_an_address_the_embedded_server_is_used(tmp_path: Path) -> None:
    """from_settings starts the server of OUTLIVE_HOME when nothing is set, and dispose() stops it as its last user."""
    settings = Settings.from_env({"OUTLIVE_HOME": str(tmp_path / "home")})
    database = Database.from_settings(settings)
    with database.session() as conn:
        assert conn.execute("SELECT current_database()").fetchone() == ("outlive",)
    assert running(tmp_path / "home") == database.address
    database.dispose()
    assert running(tmp_path / "home") is None


def test_an_address_in_the_settings_is_used(pg_server: Address) -> None:
    """from_settings connects to DATABASE_URL and starts nothing."""
    settings = Settings.from_env({"DATABASE_URL": pg_server.libpq_url(), "OUTLIVE_HOME": "/nonexistent"})
    database = Database.from_settings(settings)
    with database.session() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    database.dispose()
