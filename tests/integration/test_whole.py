"""A transaction in one round trip: it is committed whole, or nothing of it is there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import uvloop

from outlive.postgres import whole
from outlive.postgres.connect import Database
from outlive.postgres.drive import Ask
from outlive.postgres.lane import Lane
from outlive.postgres.whole import Prepared
from outlive.settings import Settings

ADD = Prepared(
    "INSERT INTO things (id, name) SELECT * FROM unnest(%(ids)s::int[], %(names)s::text[]) RETURNING id, name"
)
SAY = Prepared("SELECT %s::int, %s::text, %s::boolean, %s::text[]::text")
Run = Callable[..., list[Any]]


@pytest.fixture(params=["blocking", "loop"])
def run(request: pytest.FixtureRequest, db: Database) -> Iterator[Run]:
    """Runs parts on one connection, with either driver."""
    with db.connect() as conn:
        conn.execute(
            "CREATE TABLE things (id int UNIQUE DEFERRABLE INITIALLY DEFERRED, name text CHECK (name <> 'bad'))"
        )
        if request.param == "blocking":
            yield lambda *parts: whole.run(conn, parts)
            return
    with asyncio.Runner() as runner:
        aconn = runner.run(db.connect_async())
        yield lambda *parts: runner.run(whole.run_async(aconn, parts))
        runner.run(aconn.close())


def names(db: Database) -> list[str]:
    """What is committed."""
    with db.connect() as conn:
        return [row[0] for row in conn.execute("SELECT name FROM things ORDER BY id").fetchall()]


def add(*rows: tuple[int, str | None]) -> tuple[Prepared, dict[str, Any]]:
    """A statement that adds rows."""
    return ADD, {"ids": [row[0] for row in rows], "names": [row[1] for row in rows]}


def test_values_arrive_as_they_were_sent(run: Run) -> None:
    """Quotes, backslashes, braces, NULL, other scripts and nothing at all."""
    texts = ['"', "\\", "{a,b}", "", "NULL", None, "שלום مرحبا 🌾", "a\nb"]
    [[(number, text, truth, array)]] = run((SAY, (-5, "x' \\", True, texts)))
    assert (number, text, truth) == (-5, "x' \\", True)
    [rows] = run(add(*enumerate(texts)))
    assert rows == list(enumerate(texts))
    assert array.startswith('{"\\"","\\\\"')
    assert run((SAY, (None, None, None, []))) == [[(None, None, None, "{}")]]


def test_statements_see_those_before_them(run: Run, db: Database) -> None:
    """They run in their order, each with what the one before it did, and again when they are prepared."""
    for first in (1, 3):
        assert run(add((first, "a")), add((first + 1, "b"))) == [[(first, "a")], [(first + 1, "b")]]
    assert names(db) == ["a", "b", "a", "b"]


@pytest.mark.parametrize("again", [False, True])
def test_a_refusal_leaves_nothing_and_the_connection_goes_on(run: Run, db: Database, again: bool) -> None:
    """The error is that of the statement that failed, the first time and when all is prepared; what it did is gone."""
    if again:
        run(add((1, "a")))
    with pytest.raises(psycopg.errors.CheckViolation):
        run(add((2, "b")), add((3, "bad")), add((4, "d")))
    assert names(db) == ["a"] * again
    run(add((5, "e")))
    assert names(db) == [*["a"] * again, "e"]


def test_a_refusal_at_commit_is_told_too(run: Run, db: Database) -> None:
    """A deferred constraint speaks at COMMIT."""
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(add((1, "a")), add((1, "b")))
    assert names(db) == []


def test_more_than_a_socket_holds_goes_through(run: Run, db: Database) -> None:
    """Megabytes both ways: neither side waits for the other to read."""
    big = "x" * 1000
    assert len(run(*(add(*((part * 2000 + at, big) for at in range(2000))) for part in range(4)))) == 4
    assert len(names(db)) == 8000


def test_a_connection_that_breaks_raises(run: Run, db: Database) -> None:
    """The server ends the session in the middle: an error that is no verdict on the data, and nothing is committed."""
    kill = Prepared("SELECT pg_terminate_backend(pg_backend_pid()), %s::int")
    with pytest.raises(psycopg.OperationalError):
        run(add((1, "a")), (kill, (1,)), add((2, "b")))
    assert names(db) == []
    with pytest.raises(psycopg.OperationalError):
        run(add((3, "c")))


def test_nothing_is_prepared_behind_a_pooler(db: Database) -> None:
    """Statements travel by themselves where the connection may lead to another server the next time."""
    with db.connect() as conn:
        conn.prepare_threshold = None
        for _ in range(2):
            assert whole.run(conn, [(SAY, (1, "a", False, []))]) == [[(1, "a", False, "{}")]]
        assert conn.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_statements_are_echoed_without_their_values(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    """With echo on each statement is logged, BEGIN and COMMIT too."""
    loud = Database(db.address, Settings(echo=True))
    with loud.connect() as conn, caplog.at_level(logging.INFO, "outlive.sql"):
        caplog.clear()
        whole.run(conn, [(SAY, (1, "secret", True, []))])
    assert [record.getMessage().split()[0] for record in caplog.records] == ["BEGIN", "SELECT", "COMMIT"]
    assert "secret" not in caplog.text


def test_a_wait_that_is_cancelled_gives_the_connection_up(db: Database) -> None:
    """Its answer is still on the way and must not be taken for another's."""

    async def play() -> None:
        conn = await db.connect_async()
        trip = asyncio.create_task(whole.run_async(conn, [(Prepared("SELECT pg_sleep(%s)"), (5,))]))
        await asyncio.sleep(0.1)
        trip.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trip
        assert conn.closed

    asyncio.run(play())


LOOPS = pytest.mark.parametrize("made", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
LONG = "x" * 100_000  # more than the server reads ahead: a session that ends then resets its connection


async def end_sleepers(db: Database) -> None:
    """Ends the sessions of this database that sleep, once there are eight."""

    def end() -> None:
        where = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        with db.connect() as conn:
            while conn.execute(f"SELECT count(*) {where}").fetchone() != (8,):
                time.sleep(0.02)
            conn.execute(f"SELECT pg_terminate_backend(pid) {where}")

    await asyncio.to_thread(end)


@LOOPS
def test_a_connection_that_is_reset_raises(db: Database, made: Any) -> None:
    """uvloop tells nobody that a socket was reset: a transaction under way looks for itself."""

    async def play() -> None:
        conns = [await db.connect_async() for _ in range(8)]
        parts = [(Prepared("SELECT pg_sleep(%s)"), (30,)), (Prepared("SELECT %s::text"), (LONG,))]
        trips = [asyncio.create_task(whole.run_async(conn, parts)) for conn in conns]
        await end_sleepers(db)
        _, waiting = await asyncio.wait(trips, timeout=10)
        assert not waiting
        assert all(isinstance(trip.exception(), psycopg.OperationalError) for trip in trips)

    with asyncio.Runner(loop_factory=made) as runner:
        runner.run(play())


@LOOPS
def test_reads_whose_connection_is_reset_are_told(db: Database, made: Any) -> None:
    """The same of the reads of a loop."""

    async def play() -> None:
        lanes = [Lane(db, asyncio.get_running_loop()) for _ in range(8)]
        asks = [Ask("SELECT pg_sleep(%s)::text", (30,)), Ask("SELECT %s::text", (LONG,))]
        reads = [asyncio.create_task(lane.rows(asks[1], asks[0])) for lane in lanes]
        for _ in range(2):  # a read whose connection breaks is asked again, once
            await end_sleepers(db)
        _, waiting = await asyncio.wait(reads, timeout=10)
        assert not waiting
        assert all(isinstance(read.exception(), psycopg.Error) for read in reads)
        for lane in lanes:
            await lane.close()

    with asyncio.Runner(loop_factory=made) as runner:
        runner.run(play())


def test_statements_that_the_session_forgot_are_prepared_again(db: Database) -> None:
    """psycopg deallocates all of a session's statements after a rollback; the next transaction goes through."""
    with db.connect() as conn:
        conn.prepare_threshold = 0
        assert whole.run(conn, (say := (SAY, (1, "a", True, [])),)) == whole.run(conn, (say,))
        with conn.transaction(force_rollback=True):
            conn.execute("SELECT %s::int", [1])
        conn.execute("SELECT %s::int", [1])
        assert conn.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'outlive%'").fetchone() == (0,)
        assert whole.run(conn, (say,)) == whole.run(conn, (say,)) == [[(1, "a", True, "{}")]]
