"""Answers that wait to be asked for, in blocking and in async code alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

import psycopg

from outlive import errors
from outlive.postgres.drive import Ask, Asked, Step, drive, rows_of
from outlive.postgres.lane import Lane

T = TypeVar("T")
AWAY = (psycopg.OperationalError, errors.Unavailable, errors.Unreachable)


class Line(Protocol):
    """The way to PostgreSQL that a pending answer takes if it needs one."""

    name: str

    def reads_sql(self) -> bool:
        """Whether the repository answers by SQL now."""
        ...

    def session(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        """A pooled connection for the block."""
        ...

    def lane(self) -> Lane:
        """The quick way of the running loop's reads. Raises Unavailable where there is no database."""
        ...

    def untouched(self) -> bool:
        """Whether SQL answers now and the current unit has changed nothing."""
        ...

    def observe_query(self, seconds: float) -> None:
        """Counts one answer by SQL and how long it took, waiting for a connection included."""
        ...

    def settle(self) -> None:
        """Where no unit is open: blocks until the write just made is durable."""
        ...

    async def asettle(self) -> None:
        """Where no unit is open: waits until the write just made is durable."""
        ...


class Pending(Generic[T]):
    """An answer not yet asked for: `await pending` in async code, `pending.result()` in blocking code.

    Nothing happens before, so a pending write that is never asked for writes nothing. Each asking runs it anew. What
    memory answers needs no connection and does not suspend. Raises Unavailable when PostgreSQL is away, and what the
    operation itself raises.
    """

    __slots__ = ("_apply", "_before", "_line", "_step")

    def __init__(
        self,
        line: Line,
        step: Callable[[], Step[Any]],
        apply: Callable[[Any], T] | None = None,
        before: Ask | None = None,
    ) -> None:
        """`step` reads; a write then does with its answer what `apply` says, and gives back what that returns.

        `before` is a setting for the transaction of each of its statements.
        """
        self._line = line
        self._step = step
        self._apply = apply
        self._before = before

    def result(self) -> T:
        """The answer, in blocking code."""
        try:
            answer: T = self._run()
        except AWAY as away:
            self._must_not_answer(away)
            answer = self._run()
        if self._apply is not None:
            answer = self._apply(answer)
            self._line.settle()
        return answer

    def __await__(self) -> Generator[Any, None, T]:
        return self._later().__await__()

    async def _later(self) -> T:
        try:
            answer: T = await self._run_async()
        except AWAY as away:
            self._must_not_answer(away)
            answer = await self._run_async()
        if self._apply is not None:
            answer = self._apply(answer)
            await self._line.asettle()
        return answer

    def _run(self) -> Any:
        step = self._step()
        try:
            ask = next(step)
        except StopIteration as done:
            return done.value
        began = time.perf_counter()
        with self._line.session() as conn:
            if self._before is None:
                answer = _each_alone(ask, step, conn)
            else:
                answer = drive(_told(self._before, ask, step), conn)
        self._line.observe_query(time.perf_counter() - began)
        return answer

    async def _run_async(self) -> Any:
        step = self._step()
        try:
            ask = next(step)
        except StopIteration as done:
            return done.value
        began = time.perf_counter()
        lane = self._line.lane()
        try:
            while True:
                assert isinstance(ask, Ask)
                ask = step.send(await lane.rows(ask, self._before))
        except StopIteration as done:
            self._line.observe_query(time.perf_counter() - began)
            return done.value
        finally:
            step.close()

    def _must_not_answer(self, away: Exception) -> None:
        """Raises, unless PostgreSQL went away and memory has taken over the reads in the meantime."""
        if self._apply is None and not self._line.reads_sql():
            return
        if not isinstance(away, errors.Unavailable):
            reason = str(away).strip().partition("\n")[0] or type(away).__name__
            raise errors.Unavailable(store=self._line.name, reason=reason) from away
        raise away


def _each_alone(ask: Asked, step: Step[T], conn: psycopg.Connection[Any]) -> T:
    """The answer of a step whose statements are transactions of their own: one that reads needs no more."""
    try:
        while True:
            assert isinstance(ask, Ask)
            ask = step.send(rows_of(conn.execute(ask.statement, ask.values), ask))
    except StopIteration as done:
        answer: T = done.value
        return answer
    finally:
        step.close()


def _told(before: Ask, ask: Asked, step: Step[T]) -> Step[T]:
    """A step that goes on from its first statement, with a setting before that."""
    try:
        yield before
        while True:
            ask = step.send((yield ask))
    except StopIteration as done:
        answer: T = done.value
        return answer
    finally:
        step.close()
