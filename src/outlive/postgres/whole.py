"""A transaction in one round trip: BEGIN, its statements and COMMIT leave together.

That is sound for statements that fail where they do not do all that was asked (`Prepared`): PostgreSQL then skips
whatever follows, COMMIT included. Each is prepared once a connection, unless a pooler stands between. Parameters travel
as text; of the columns that come back whole numbers and booleans are told as such, all else as text.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import select
import weakref
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import pq, sql

log = logging.getLogger("outlive.sql")
Connection = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]
Values = Sequence[Any] | Mapping[str, Any]
Rows = list[tuple[Any, ...]]

_PARAMETER = re.compile(r"%(?:\((\w+)\))?s")
_READERS: dict[int, Callable[[bytes], Any]] = {16: b"t".__eq__, 20: int, 21: int, 23: int}  # boolean, integers
LISTEN_S = 0.5  # how often a socket is looked at that tells nothing: uvloop is silent of one that has been reset
FORGOTTEN = b"26000"  # the server knows no prepared statement of that name
_FINE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
_numbers = itertools.count(1)
_known: weakref.WeakKeyDictionary[Connection, set[bytes]] = weakref.WeakKeyDictionary()


class Prepared:
    """A statement as the server shall keep it; parameters are written as psycopg's, %s or %(name)s."""

    __slots__ = ("name", "names", "text")

    def __init__(self, statement: str | sql.Composable, name: bytes | None = None) -> None:
        text = statement if isinstance(statement, str) else statement.as_string(None)
        self.names: list[str | int] = []
        self.text = _PARAMETER.sub(self._numbered, text).encode()
        self.name = name or b"outlive_%d" % next(_numbers)

    def _numbered(self, found: re.Match[str]) -> str:
        name = found[1] if found[1] is not None else len(self.names)
        if name not in self.names:
            self.names.append(name)
        return f"${self.names.index(name) + 1}"

    def parameters(self, values: Values) -> list[bytes | None]:
        """The values as text, in the order of the statement's numbers."""
        return [_text(values[name]) for name in self.names]  # type: ignore[index]


BEGIN, COMMIT, ROLLBACK = (Prepared(word, word.encode()) for word in ("BEGIN", "COMMIT", "ROLLBACK"))
Parts = Sequence[tuple[Prepared, Values]]


def run(conn: psycopg.Connection[Any], parts: Parts) -> list[Rows]:
    """Rows of each statement, once all are committed. Raises psycopg.Error; nothing is left of the transaction then,
    unless the connection broke."""
    return _waited(conn, _transaction(conn, parts))


async def run_async(conn: psycopg.AsyncConnection[Any], parts: Parts) -> list[Rows]:
    """The same on a running loop."""
    trip = _transaction(conn, parts)
    loop = asyncio.get_running_loop()
    descriptor = conn.pgconn.socket
    ready: asyncio.Future[None] = loop.create_future()

    def woken() -> None:
        if not ready.done():
            ready.set_result(None)

    try:
        writing = next(trip)
        loop.add_reader(descriptor, woken)
        try:
            while True:
                if writing:
                    loop.add_writer(descriptor, woken)
                alarm = loop.call_later(LISTEN_S, woken)
                try:
                    await ready
                finally:
                    alarm.cancel()
                    if writing:
                        loop.remove_writer(descriptor)
                ready = loop.create_future()
                writing = trip.send(None)
        finally:
            loop.remove_reader(descriptor)
    except StopIteration as done:
        rows: list[Rows] = done.value
        return rows
    except BaseException:
        trip.close()
        raise


def _waited(conn: psycopg.Connection[Any], trip: Generator[bool, None, list[Rows]]) -> list[Rows]:
    poll = select.poll()
    try:
        while True:
            poll.register(conn.pgconn.socket, select.POLLIN | (select.POLLOUT if next(trip) else 0))
            poll.poll()
    except StopIteration as done:
        rows: list[Rows] = done.value
        return rows
    except BaseException:
        trip.close()
        raise


def _transaction(conn: Connection, parts: Parts) -> Generator[bool, None, list[Rows]]:
    """Yields when it has to wait for the connection, and whether for writing too."""
    whole = [(BEGIN, ()), *parts, (COMMIT, ())]
    if getattr(conn.cursor_factory, "echoes", False):
        for prepared, _ in whole:
            log.info("%s", prepared.text.decode())
    failed, answers = yield from _asked(conn, whole)
    if failed is not None and failed.error_field(pq.DiagnosticField.SQLSTATE) == FORGOTTEN:
        # psycopg deallocates all that a session prepared once one of its own transactions was undone
        _known.pop(conn, None)
        failed, answers = yield from _asked(conn, whole)
    if failed is None:
        return [_rows(answer) for answer in answers[1:-1]]
    raise psycopg.errors.error_from_result(failed, encoding=conn.info.encoding)


def _asked(
    conn: Connection, whole: Parts
) -> Generator[bool, None, tuple[pq.abc.PGresult | None, list[pq.abc.PGresult]]]:
    """(the first answer that is an error, all answers); nothing is left of the transaction where there is one."""
    answers = yield from _trip(conn, whole)
    failed = next((answer for answer in answers if answer.status not in _FINE), None)
    if failed is not None and conn.pgconn.transaction_status == pq.TransactionStatus.INERROR:
        yield from _trip(conn, [(ROLLBACK, ())])
    return failed, answers


def _trip(conn: Connection, parts: Parts) -> Generator[bool, None, list[pq.abc.PGresult]]:
    """Send the statements and one sync; their results in order, those after a failure with status PIPELINE_ABORTED."""
    pg = conn.pgconn
    done = False
    pg.enter_pipeline_mode()
    try:
        preparing = _send(conn, parts)
        answers: list[pq.abc.PGresult] = []
        writing = pg.flush() == 1
        while True:
            while writing or pg.is_busy():
                yield writing
                pg.consume_input()
                writing = writing and pg.flush() == 1
            answer = pg.get_result()
            if answer is None:
                if pg.status != pq.ConnStatus.OK:
                    raise psycopg.OperationalError(pg.get_error_message())
                continue
            if answer.status == pq.ExecStatus.PIPELINE_SYNC:
                break
            name = preparing.popleft()
            if name is None:
                answers.append(answer)
            elif answer.status in _FINE:
                _known.setdefault(conn, set()).add(name)
            elif answer.status == pq.ExecStatus.FATAL_ERROR:
                answers.append(answer)
        pg.exit_pipeline_mode()
        done = True
        return answers
    finally:
        if not done:
            pg.finish()  # who knows what the server made of it: reading on would take its answers for others


def _send(conn: Connection, parts: Parts) -> deque[bytes | None]:
    """For each result to come: the name of what is prepared with it, None for a statement's own."""
    pg, known = conn.pgconn, set(_known.get(conn, ()))
    expected: deque[bytes | None] = deque()
    for prepared, values in parts:
        name, parameters = prepared.name, prepared.parameters(values)
        if name not in known and conn.prepare_threshold is not None:
            pg.send_prepare(name, prepared.text)
            expected.append(name)
            known.add(name)
        if name in known:
            pg.send_query_prepared(name, parameters)
        else:
            pg.send_query_params(prepared.text, parameters)
        expected.append(None)
    pg.pipeline_sync()
    return expected


def _rows(answer: pq.abc.PGresult) -> Rows:
    columns = [(at, _READERS.get(answer.ftype(at), bytes.decode)) for at in range(answer.nfields)]
    get = answer.get_value
    return [
        tuple([None if (text := get(row, at)) is None else read(text) for at, read in columns])
        for row in range(answer.ntuples)
    ]


def _text(value: Any) -> bytes | None:
    if value is None:
        return None
    return (_array(value) if type(value) is list else str(value)).encode()


def _array(items: list[Any]) -> str:
    """A one-dimensional array as PostgreSQL reads it."""
    try:
        joined = "".join(items)
    except TypeError:  # numbers, or NULL among the texts
        return "{" + ",".join([_item(item) for item in items]) + "}"
    if "\\" in joined or '"' in joined:
        items = [item.replace("\\", "\\\\").replace('"', '\\"') for item in items]
    return '{"' + '","'.join(items) + '"}' if items else "{}"


def _item(item: Any) -> str:
    if item is None:
        return "NULL"
    text = str(item).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
