"""The quick way of one event loop's reads: few connections, each with a burst of statements under way.

Every statement is a transaction of its own, ended by its own sync, so one that fails takes nothing from the others of
its burst; a setting that a statement needs (whose rows it may show) goes before it in the same transaction. A free
connection is used at once. Otherwise reads wait and go out together with the next burst, so that many share one round
trip. A statement that takes long holds up no others: those behind it are asked on further connections, up to the
pool's limit, and what waits beyond it is told `Unavailable` after the pool's time-out. Statements that come again are
prepared, unless a pooler stands between, behind which each goes alone as well.

A connection that breaks is replaced and its reads are asked again once: reading twice changes nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import errors as pg_errors
from psycopg import pq
from psycopg.adapt import Transformer

from outlive.errors import OutliveError, Unavailable
from outlive.postgres.drive import Ask, ReadAsk, Row, Rows, raw_rows
from outlive.query.pieces import composed, numbered

if TYPE_CHECKING:
    from outlive.postgres.connect import AsyncConnection, Database

FEW = 2  # connections for reads that are quick
DEEP = 16  # reads in one burst
LONG_S = 0.05  # a statement that takes longer holds nobody up
IDLE_S = 1.0  # after which a connection goes back to the pool
PREPARED = 300  # statements that one connection keeps
AGAIN = frozenset({b"0A000", b"26000"})  # the table has changed, or the server has forgotten the statement

_names = itertools.count()
_SQL = logging.getLogger("outlive.sql")
_Status = pq.ExecStatus


class Query(NamedTuple):
    """A statement as the server takes it, with $1, $2; `steady`: it will come again, with other values."""

    text: bytes
    steady: bool = False


Values = Sequence[bytes | None]
Done = Callable[["Answer | None", "BaseException | None"], None]


class Answer(NamedTuple):
    """A statement's result, still as PostgreSQL sent it."""

    result: Any
    transformer: Any

    def rows(self) -> Rows:
        """The rows as psycopg reads them."""
        self.transformer.set_pgresult(self.result)
        found: list[Row] = self.transformer.load_rows(0, self.result.ntuples, tuple)
        return found

    def raw(self) -> Rows:
        """The rows as bytes."""
        return raw_rows(self.result)


def written(value: Any) -> bytes | None:
    """A parameter as PostgreSQL's text input. Raises TypeError for a type that no query uses."""
    kind = type(value)
    if kind is str:
        return value.encode()  # type: ignore[no-any-return]
    if kind is int:
        return b"%d" % value
    if kind is list:
        return b"{%s}" % b",".join([_quoted(each) for each in value])
    if value is None:
        return None
    if kind is bool:
        return b"true" if value else b"false"
    if kind is float:
        return repr(value).encode()
    if isinstance(value, str):
        return str.encode(value)
    raise TypeError(f"{kind.__qualname__} is no parameter of a query")


def _quoted(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__qualname__} is no element of a query's list")
    return b'"%s"' % value.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"')


class _Read:
    """One statement that waits, or is under way."""

    __slots__ = ("answer", "asked_at", "before", "counted", "done", "error", "query", "repeated", "values")

    def __init__(self, query: Query, values: Values, done: Done, before: tuple[Query, Values] | None, now: float):
        self.query = query
        self.values = values
        self.before = before
        self.asked_at = now
        self.done: Done | None = done
        self.answer: Any = None
        self.error: Any = None
        self.counted = False  # among the reads that had to wait
        self.repeated = False

    def moved(self) -> _Read:
        """The same read, to be asked elsewhere; what comes of this one is for nobody."""
        assert self.done is not None
        other = _Read(self.query, self.values, self.done, self.before, self.asked_at)
        other.counted, other.repeated, self.done = self.counted, self.repeated, None
        return other

    def finish(self, answer: Answer | None, error: BaseException | None = None) -> None:
        """Tells the caller, once."""
        done, self.done = self.done, None
        if done is not None:
            done(answer, error)


class _Link:
    """One connection and its burst."""

    def __init__(self, lane: Lane, conn: AsyncConnection, stack: AsyncExitStack, prepared: dict[bytes, bytes]) -> None:
        self.lane = lane
        self.conn = conn
        self.stack = stack
        self.pgconn: Any = conn.pgconn
        self.prepared = prepared
        self.transformer = Transformer(conn)
        self.burst: deque[_Read] = deque()
        self.since = lane.loop.time()
        self.writing = False
        self.pgconn.enter_pipeline_mode()
        self.socket = os.dup(self.pgconn.socket)  # ours alone: it stays valid when another thread closes the pool
        lane.loop.add_reader(self.socket, self.heard)

    def send(self, reads: Sequence[_Read]) -> None:
        """Begins a burst. Raises psycopg.OperationalError where the connection is broken."""
        self.since = self.lane.loop.time()
        self.burst.extend(reads)
        for read in reads:
            if read.before is not None:
                self._say(*read.before)
            self._say(read.query, read.values)
            self.pgconn.pipeline_sync()
        self.flush()

    def _say(self, query: Query, values: Values) -> None:
        if self.lane.echo:
            _SQL.info("%s", query.text.decode())
        name = self.prepared.get(query.text)
        if name is not None:
            self.pgconn.send_query_prepared(name, values)
        elif query.steady and self.lane.prepares and len(self.prepared) < PREPARED:
            name = self.prepared[query.text] = b"outlive_%d" % next(_names)
            self.pgconn.send_prepare(name, query.text)
            self.pgconn.send_query_prepared(name, values)
        else:
            self.pgconn.send_query_params(query.text, values)

    def flush(self) -> None:
        """Sends what is buffered, and goes on later where the socket takes no more."""
        waits = bool(self.pgconn.flush())
        if waits is not self.writing:
            self.writing = waits
            if waits:
                self.lane.loop.add_writer(self.socket, self._flush_more)
            else:
                self.lane.loop.remove_writer(self.socket)

    def _flush_more(self) -> None:
        try:
            self.pgconn.consume_input()
            self.flush()
        except psycopg.Error as error:
            self.lane.broken(self, error)

    def heard(self) -> None:
        """Takes what has come."""
        pgconn = self.pgconn
        try:
            pgconn.consume_input()
            if self.writing:
                self.flush()
            nothing = 0
            while self.burst and not pgconn.is_busy():
                result = pgconn.get_result()
                if result is not None:
                    self._take(result)
                    nothing = 0
                    continue
                nothing += 1  # one stands between two statements; a connection that is gone gives no more
                if nothing > 2:
                    if pgconn.status == pq.ConnStatus.BAD:
                        raise psycopg.OperationalError(pgconn.get_error_message())
                    break
        except psycopg.Error as error:
            self.lane.broken(self, error)
            return
        if not self.burst:
            self.lane.free(self)

    def _take(self, result: Any) -> None:
        read, status = self.burst[0], result.status
        if status == _Status.TUPLES_OK:
            read.answer = result  # of a setting and its query the query's is the last
        elif status == _Status.PIPELINE_SYNC:
            self.burst.popleft()
            self.since = self.lane.loop.time()
            self._settle(read)
        elif status == _Status.FATAL_ERROR:
            read.error = read.error or result

    def _settle(self, read: _Read) -> None:
        if read.error is None:
            read.finish(Answer(read.answer, self.transformer))
            return
        for query in (read.query, *([] if read.before is None else [read.before[0]])):
            self.prepared.pop(query.text, None)
        if read.error.error_field(pq.DiagnosticField.SQLSTATE) in AGAIN and not read.repeated:
            self.lane.repeat([read])
        else:
            read.finish(None, pg_errors.error_from_result(read.error))

    def leave(self) -> None:
        """No longer listens; the connection goes back, or is closed where it cannot be used again."""
        self.lane.loop.remove_reader(self.socket)
        if self.writing:
            self.lane.loop.remove_writer(self.socket)
        os.close(self.socket)
        if self.burst:
            self.pgconn.finish()
        else:
            try:
                self.pgconn.exit_pipeline_mode()
            except psycopg.Error:
                self.pgconn.finish()
        self.lane.background(self._return())

    async def _return(self) -> None:
        with suppress(psycopg.Error, OutliveError, OSError):
            await self.stack.aclose()


class Lane:
    """The reads of one event loop; to be used on it alone."""

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        self.database = database
        self.loop = loop
        self.echo = database.settings.echo
        self.prepares = False
        self._links: list[_Link] = []
        self._free: list[_Link] = []
        self._waiting: deque[_Read] = deque()
        self._opening = 0
        self._pressing: asyncio.TimerHandle | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    # -- asking ------------------------------------------------------------------------------------------------

    def read(self, query: Query, values: Values, done: Done, before: tuple[Query, Values] | None = None) -> None:
        """Asks, and calls `done` on this loop with the answer or the error; never before this call returns."""
        read = _Read(query, values, done, before, self.loop.time())
        if self._free and not self._waiting:
            self._begin(self._free.pop(), [read])
            return
        self._waiting.append(read)
        if not self._free:
            self._more()
            self._press_later()

    def ask(self, query: Query, values: Values, before: tuple[Query, Values] | None = None) -> asyncio.Future[Answer]:
        """The same as a future."""
        future: asyncio.Future[Answer] = self.loop.create_future()

        def done(answer: Answer | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(answer)  # type: ignore[arg-type]

        self.read(query, values, done, before)
        return future

    async def rows(self, ask: Ask, before: Ask | None = None) -> Rows:
        """The rows of a statement, and of a setting before it that holds for its transaction."""
        first = None if before is None else query_of(before)
        answer = await self.ask(*query_of(ask), first)
        return answer.raw() if isinstance(ask, ReadAsk) and ask.raw else answer.rows()

    # -- bursts ------------------------------------------------------------------------------------------------

    def _begin(self, link: _Link, reads: list[_Read]) -> None:
        try:
            link.send(reads)
        except psycopg.Error as error:
            self.broken(link, error)
            return
        if len(reads) > 1:
            self._press_later()

    def free(self, link: _Link) -> None:
        """A link's burst is over."""
        if self._waiting:
            self._begin(link, self._next())
        elif link not in self._free:
            self._free.append(link)

    def _next(self) -> list[_Read]:
        """What the next burst takes: its share of what waits, one where others take long."""
        share = 1
        if self.prepares and not any(map(self._is_long, self._links)):
            share = -(-len(self._waiting) // min(FEW, max(1, len(self._links))))
        return [self._waiting.popleft() for _ in range(min(share, DEEP))]

    def repeat(self, reads: list[_Read]) -> None:
        """Asks again what failed for no reason of its own."""
        for read in reversed(reads):
            read.repeated, read.answer, read.error = True, None, None
            self._waiting.appendleft(read)
        self._press_later()

    def broken(self, link: _Link, error: psycopg.Error) -> None:
        """A connection is gone; what it carried is asked again, once."""
        if link not in self._links:
            return
        self._forget(link)
        reads = list(link.burst)
        link.pgconn.finish()
        link.leave()
        again = [read for read in reads if not read.repeated and read.done is not None]
        for read in reads:
            if read.repeated:
                read.finish(None, error)
        if again:
            self.repeat(again)
        if self._waiting:
            self._more()

    def _forget(self, link: _Link) -> None:
        self._links.remove(link)
        if link in self._free:
            self._free.remove(link)

    # -- connections -------------------------------------------------------------------------------------------

    def _more(self, most: int = FEW) -> None:
        """Opens connections for what waits, up to that many."""
        if self._closed:
            self._fail(Unavailable(store="?", reason="the service is closed"))
            return
        while len(self._links) + self._opening < min(most, self.database.limit, len(self._waiting) + len(self._links)):
            self._opening += 1
            self.background(self._open())

    async def _open(self) -> None:
        stack = AsyncExitStack()
        try:
            conn = await stack.enter_async_context(self.database.asession())
            self.prepares = not self.database.pooled
            link = _Link(self, conn, stack, self.database.prepared_on(conn))
        except BaseException as error:
            self._opening -= 1
            await stack.aclose()
            if not self._links and not self._opening:
                self._fail(error)
            if not isinstance(error, Exception):
                raise
            return
        self._opening -= 1
        self._links.append(link)
        if self._resting is None:
            self._resting = self.loop.call_later(IDLE_S, self._rest)
        if self._closed:
            self.broken(link, psycopg.OperationalError("the service is closed"))
        else:
            self.free(link)

    def _fail(self, error: BaseException) -> None:
        waiting, self._waiting = self._waiting, deque()
        for read in waiting:
            read.finish(None, error)

    def background(self, work: Any) -> None:
        """Runs a coroutine on the loop."""
        if self.loop.is_closed():
            work.close()
            return
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- what takes long ---------------------------------------------------------------------------------------

    def _press_later(self) -> None:
        if self._pressing is None and not self._closed:
            self._pressing = self.loop.call_later(LONG_S, self._press)

    def _press(self) -> None:
        """Something waits: further connections beside those that take long, and an end for what waits too long."""
        self._pressing = None
        for link in self._links:
            if len(link.burst) > 1 and self._is_long(link):
                behind = [read for read in itertools.islice(link.burst, 1, None) if read.done is not None]
                self._waiting.extendleft(read.moved() for read in reversed(behind))
        self._count_and_expire()
        if self._waiting:
            if self._links and all(map(self._is_long, self._links)):
                self._more(self.database.limit)
            while self._free and self._waiting:
                self._begin(self._free.pop(), self._next())
        if self._waiting or any(len(link.burst) > 1 for link in self._links):
            self._press_later()

    def _is_long(self, link: _Link) -> bool:
        return bool(link.burst) and self.loop.time() - link.since > LONG_S

    def _count_and_expire(self) -> None:
        now = self.loop.time()
        late = now - self.database.settings.pool_timeout_s
        while self._waiting and self._waiting[0].asked_at < late:
            self._waiting.popleft().finish(None, self._exhausted())
        for read in self._waiting:
            if not read.counted and now - read.asked_at > LONG_S:
                read.counted = True
                self.database.waits += 1

    def _exhausted(self) -> Unavailable:
        waited_s, limit = self.database.settings.pool_timeout_s, self.database.limit
        reason = f"no free connection within {waited_s:g} s, {len(self._links)} of {limit} in use"
        return Unavailable(store="connection pool", reason=reason)

    def _rest(self) -> None:
        """Idle connections go back to the pool; busy ones are looked at, for uvloop is silent of one that was reset."""
        self._resting = None
        now = self.loop.time()
        for link in [link for link in self._links if now - link.since >= IDLE_S]:
            if link in self._free:
                self._forget(link)
                link.leave()
            else:
                link.heard()
        if self._links:
            self._resting = self.loop.call_later(IDLE_S, self._rest)

    async def close(self) -> None:
        """Gives all connections back; what is still under way fails."""
        self._closed = True
        for timer in (self._pressing, self._resting):
            if timer is not None:
                timer.cancel()
        gone = Unavailable(store="?", reason="the service is closed")
        self._fail(gone)
        for link in list(self._links):
            self._forget(link)
            for read in link.burst:
                read.finish(None, gone)
            link.leave()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def abandon(self) -> None:
        """Lets go of everything, once the loop is over."""
        self._closed = True
        for link in self._links:
            with suppress(OSError):
                os.close(link.socket)
        self._links.clear()
        self._free.clear()
        self._waiting.clear()


def query_of(ask: Ask) -> tuple[Query, list[bytes | None]]:
    """A statement and its values as the server takes them."""
    values = [written(value) for value in ask.values]
    if isinstance(ask, ReadAsk):
        return Query(ask.text, ask.steady), values
    return Query(numbered(composed(ask.statement))), values
