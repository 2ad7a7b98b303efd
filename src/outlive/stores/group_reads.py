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
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from outlive import errors
from outlive.postgres.drive import Ask, Row, Rows
from outlive.query.compile import Compiler

if TYPE_CHECKING:
    from outlive.stores.pending import Line

MOST = 1_000  # keys in one statement
Key = Hashable


class RowAsk(Ask):
    """The statement that brings one key's row; whoever answers it may answer others with it (`group`)."""

    __slots__ = ("compiler", "group", "key")
    compiler: Compiler
    group: GroupReads
    key: Key

    def __init__(self, group: GroupReads, compiler: Compiler, key: Key) -> None:
        object.__setattr__(self, "group", group)
        object.__setattr__(self, "compiler", compiler)
        object.__setattr__(self, "key", key)

    @property
    def statement(self) -> Any:
        """The statement for this key alone."""
        return self.compiler.rows_of([self.key]).text

    @property
    def values(self) -> Sequence[Any]:
        """Its parameters."""
        return self.compiler.rows_of([self.key]).values

    def rows(self) -> Rows:
        """The key's row or none, in blocking code. Raises what the statement raises."""
        literal = self._literal()
        return [] if literal is None else self.group.rows(self.compiler, literal)

    async def arows(self) -> Rows:
        """The same for asyncio."""
        literal = self._literal()
        return [] if literal is None else await self.group.arows(self.compiler, literal)

    def _literal(self) -> str | None:
        try:
            return self.compiler.source.key_literal(self.key)
        except errors.Unholdable:
            return None  # no row has such a key


class _Call:
    """One thread's read."""

    __slots__ = ("done", "error", "literal", "rows")

    def __init__(self, literal: str) -> None:
        self.literal = literal
        self.done = False
        self.rows: Rows = []
        self.error: BaseException | None = None


class _Lane:
    """What waits on one event loop."""

    __slots__ = ("task", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[str, asyncio.Future[Rows]]] = []
        self.task: asyncio.Task[None] | None = None


class GroupReads:
    """The reads of one repository that are under way or wait."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._query: tuple[Compiler, bytes] | None = None
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._turn = threading.Condition()
        self._busy = False
        self._calls: list[_Call] = []
        self._lanes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Lane] = weakref.WeakKeyDictionary()

    def _statement(self, compiler: Compiler) -> bytes:
        if self._query is None or self._query[0] is not compiler:
            self._query = compiler, compiler.rows_of([]).text.as_bytes(None)
        return self._query[1]

    # -- threads -----------------------------------------------------------------------------------------------

    def rows(self, compiler: Compiler, literal: str) -> Rows:
        """The row of a key, by its literal. Blocks; the first thread that waits reads for all that wait with it."""
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
            self._read(compiler, batch)
        if call.error is not None:
            raise call.error
        return call.rows

    def _taken(self, mine: _Call) -> tuple[list[_Call], list[_Call]]:
        others = [call for call in self._calls if call is not mine]
        return [mine, *others[: MOST - 1]], others[MOST - 1 :]

    def _read(self, compiler: Compiler, batch: list[_Call]) -> None:
        error: BaseException | None = None
        found: dict[str, Row] = {}
        try:
            with self._line.session() as conn:
                cursor = conn.execute(self._statement(compiler), [[call.literal for call in batch]])
                found = _by_literal(compiler, cursor.fetchall())
        except BaseException as failed:  # noqa: BLE001  it is every caller's error, and raised by each
            error = failed
        with self._turn:
            self._busy = False
            for call in batch:
                call.rows = [found[call.literal]] if call.literal in found else []
                call.error, call.done = error, True
            self._turn.notify_all()

    # -- event loops -------------------------------------------------------------------------------------------

    async def arows(self, compiler: Compiler, literal: str) -> Rows:
        """The row of a key, by its literal, read together with all that this loop waits for."""
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(loop)
        if lane is None:
            lane = self._lanes[loop] = _Lane()
        future: asyncio.Future[Rows] = loop.create_future()
        lane.waiting.append((literal, future))
        if lane.task is None:
            lane.task = loop.create_task(self._serve(compiler, lane))
        return await future

    async def _serve(self, compiler: Compiler, lane: _Lane) -> None:
        batch: list[tuple[str, asyncio.Future[Rows]]] = []
        try:
            async with self._line.asession() as conn:
                while await _wanted(lane):
                    batch, lane.waiting = lane.waiting[:MOST], lane.waiting[MOST:]
                    literals = [literal for literal, _ in batch]
                    cursor = await conn.execute(self._statement(compiler), [literals])
                    found = _by_literal(compiler, await cursor.fetchall())
                    for literal, future in batch:
                        if not future.done():
                            future.set_result([found[literal]] if literal in found else [])
        except BaseException as error:
            failed, lane.waiting = batch + lane.waiting, []
            _fail([future for _, future in failed], error)
            if not isinstance(error, Exception):
                raise
        finally:
            lane.task = None
            if lane.waiting:  # came while the connection was given back
                lane.task = asyncio.get_running_loop().create_task(self._serve(compiler, lane))


async def _wanted(lane: _Lane) -> bool:
    """Whether somebody waits. Whoever was just answered may ask again in this turn or the next one."""
    for _ in range(2):
        if not lane.waiting:
            await asyncio.sleep(0)
    return bool(lane.waiting)


def _by_literal(compiler: Compiler, rows: Sequence[Row]) -> dict[str, Row]:
    source = compiler.source
    found: dict[str, Row] = {}
    for row in rows:
        value = row[0]
        if type(value) is not str:  # text stands for itself
            value = str(value) if type(value) is int else source.key_literal(source.read_key(value))
        found[value] = row
    return found


def _fail(futures: list[asyncio.Future[Rows]], error: BaseException) -> None:
    for future in futures:
        if not future.done():
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)
