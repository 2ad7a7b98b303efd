"""Reads of single keys that are asked for at the same time travel as one statement.

On an event loop all `get`s of one turn, and those that come while a statement is under way, wait for the next one; so
do those of concurrent threads. A read never joins a statement that was sent before it, so it sees every write that was
acknowledged before. The connections are in autocommit mode: one round trip, and prepared where no pooler stands
between.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from outlive import errors
from outlive.postgres.drive import Row
from outlive.postgres.lane import Answer, Query, written
from outlive.query.compile import Compiler
from outlive.query.pieces import Piece, composed, numbered

if TYPE_CHECKING:
    from outlive.stores.pending import Line

MOST = 1_000  # keys in one statement
Key = Hashable


class _Call:
    """One thread's read."""

    __slots__ = ("done", "error", "literal", "row")

    def __init__(self, literal: str) -> None:
        self.literal = literal
        self.done = False
        self.row: Row | None = None
        self.error: BaseException | None = None


class _Lane:
    """What waits on one event loop."""

    __slots__ = ("busy", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[str, asyncio.Future[Row | None]]] = []
        self.busy = False


class Asked(NamedTuple):
    """The statement that brings rows by their keys, the key first: with %s, and as the lane takes it."""

    compiler: Compiler
    statement: bytes
    query: Query


class GroupReads:
    """The reads of one repository that are under way or wait."""

    def __init__(self, line: Line, compiler: Callable[[], Compiler], make: Callable[[Compiler], Piece]) -> None:
        """`make` composes the statement, with one parameter: the keys' literals."""
        self._line = line
        self._compiler = compiler
        self._make = make
        self._known: Asked | None = None
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._turn = threading.Condition()
        self._busy = False
        self._calls: list[_Call] = []
        self._lanes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Lane] = weakref.WeakKeyDictionary()

    def _asked(self) -> Asked:
        compiler = self._compiler()
        if self._known is None or self._known.compiler is not compiler:
            statement = composed(self._make(compiler).text)
            self._known = Asked(compiler, statement, Query(numbered(statement), steady=True))
        return self._known

    def literal(self, key: Key) -> str | None:
        """A key as the key column's text; None for one that no row can have."""
        try:
            return self._compiler().source.key_literal(key)
        except errors.Unholdable:
            return None

    def _by_literal(self, rows: Sequence[Row]) -> dict[str, Row]:
        source = self._compiler().source
        found: dict[str, Row] = {}
        for row in rows:
            value = row[0]
            if type(value) is not str:  # text stands for itself
                value = str(value) if type(value) is int else source.key_literal(source.read_key(value))
            found[value] = row
        return found

    # -- threads -----------------------------------------------------------------------------------------------

    def row(self, key: Key) -> Row | None:
        """The row of a key, None if there is none. Blocks; the first thread that waits reads for all others."""
        literal = self.literal(key)
        if literal is None:
            return None
        if self._process != os.getpid():
            self._begin()  # whoever was reading did so in the parent
        call = _Call(literal)
        with self._turn:
            self._calls.append(call)
            while self._busy and not call.done:
                self._turn.wait()
            if not call.done:
                self._busy = True
                batch, self._calls = self._taken(call)
        if not call.done:
            self._read(batch)
        if call.error is not None:
            raise call.error
        return call.row

    def _taken(self, mine: _Call) -> tuple[list[_Call], list[_Call]]:
        others = [call for call in self._calls if call is not mine]
        return [mine, *others[: MOST - 1]], others[MOST - 1 :]

    def _read(self, batch: list[_Call]) -> None:
        error: BaseException | None = None
        found: dict[str, Row] = {}
        try:
            with self._line.session() as conn:
                cursor = conn.execute(self._asked().statement, [[call.literal for call in batch]])
                found = self._by_literal(cursor.fetchall())
        except BaseException as failed:  # noqa: BLE001  it is every caller's error, and raised by each
            error = failed
        with self._turn:
            self._busy = False
            for call in batch:
                call.row = found.get(call.literal)
                call.error, call.done = error, True
            self._turn.notify_all()

    # -- event loops -------------------------------------------------------------------------------------------

    def soon(self, key: Key) -> asyncio.Future[Row | None]:
        """The row of a key, read together with all that this loop waits for; None if there is none."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Row | None] = loop.create_future()
        lane = self._lanes.get(loop)
        if lane is None:
            lane = self._lanes[loop] = _Lane()
        literal = self.literal(key)
        if literal is None:
            future.set_result(None)
            return future
        lane.waiting.append((literal, future))
        if not lane.busy:
            lane.busy = True
            loop.call_soon(self._send, lane, loop)
        return future

    def _send(self, lane: _Lane, loop: asyncio.AbstractEventLoop) -> None:
        """Asks for all that wait; those who were just answered have had their turn to ask again."""
        batch, lane.waiting = lane.waiting[:MOST], lane.waiting[MOST:]
        if not batch:
            lane.busy = False
            return

        def done(answer: Answer | None, error: BaseException | None) -> None:
            try:
                if error is None and answer is not None:
                    _tell(batch, self._by_literal(answer.rows()))
            except Exception as failed:  # noqa: BLE001  it is every caller's error, and raised by each
                error = failed
            if error is not None:
                _fail([future for _, future in batch], error)
            loop.call_soon(self._send, lane, loop)

        try:
            values = [written([literal for literal, _ in batch])]
            self._line.lane().read(self._asked().query, values, done)
        except Exception as error:  # noqa: BLE001  such as no database
            done(None, error)


def _tell(batch: Sequence[tuple[str, asyncio.Future[Row | None]]], found: dict[str, Row]) -> None:
    for literal, future in batch:
        if not future.done():
            future.set_result(found.get(literal))


def _fail(futures: list[asyncio.Future[Row | None]], error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
