"""The only code that waits for PostgreSQL: drivers for steps written once for sync and async.

A step is a generator that yields `Ask` objects and receives their rows; it never sees a connection. `drive` runs a
step over a blocking connection, `drive_async` over an asyncio one. One step is one transaction: an exception that the
step does not catch rolls back everything it did. A statement's error is thrown into the step, so that a step that set
a savepoint can go on.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import sql

from outlive.postgres import whole
from outlive.postgres.whole import Prepared

Row = tuple[Any, ...]
Rows = list[Row]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """One statement with its parameters; the step receives its rows (an empty list when it returns none).

    `sure`: the same statement, as one that fails where this one would do or return less than the step wants.
    """

    statement: LiteralString | bytes | sql.Composed | sql.SQL
    values: Sequence[Any] | Mapping[str, Any] = ()
    sure: Prepared | None = None


@dataclass(frozen=True, slots=True)
class ReadAsk(Ask):
    """A statement that reads; `text` is the statement with $1, $2 for its values.

    With `steady` it comes again with other values, with `raw` its rows hold bytes, as PostgreSQL writes them.
    """

    text: bytes = b""
    steady: bool = False
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Statements that need not see each other's rows, sent in one go; the step receives a list of rows for each.

    An error is that of the first statement that failed.
    """

    asks: tuple[Ask, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """All that a step asks, as its first word: sent as `sure` statements with the COMMIT, so that it is done with the
    answer. Where PostgreSQL refuses it nothing is left of it, and the step may go on as an ordinary transaction.
    """

    asks: tuple[Ask, ...]


Asked = Ask | Batch | Whole
Step = Generator[Asked, Any, T]
SHORT = ("22012", "23505")  # what a sure statement fails with: a count that divides by zero, a key that is taken


@dataclass(slots=True)
class Begun:
    """A step and the first statement that it asked for."""

    step: Step[None]
    ask: Any


def begun(steps: Iterable[Step[None]]) -> list[Begun]:
    """The steps that ask for anything, each at its first statement."""
    return [Begun(step, ask) for step in steps if (ask := next(step, None)) is not None]


def at_once(steps: list[Begun]) -> Step[bool]:
    """Tries whether these steps' first statements are all that it takes: then they are committed in one round trip.

    False if some step needs more; nothing has happened then.
    """
    try:
        answers = yield Whole(tuple(each.ask for each in steps))
    except psycopg.Error as error:
        if error.sqlstate not in SHORT:
            raise
        return False
    for each, rows in zip(steps, answers, strict=True):
        if next(_rest(each, rows), None) is not None:
            raise AssertionError(f"{each.ask.statement} was no sure statement")
    return True


def together(steps: list[Begun]) -> Step[None]:
    """Runs steps whose first statements go in one batch; what a step asks then it asks by itself, in their order."""
    answers = yield Batch(tuple(each.ask for each in steps))
    for each, rows in zip(steps, answers, strict=True):
        yield from _rest(each, rows)


def apart(steps: list[Begun]) -> Step[None]:
    """Runs steps one statement after the other."""
    for each in steps:
        yield from _rest(each, (yield each.ask))


def _rest(each: Begun, rows: Rows) -> Step[None]:
    try:
        ask = each.step.send(rows)
        while True:
            ask = each.step.send((yield ask))
    except StopIteration:
        pass


def drive(step: Step[T], conn: psycopg.Connection[Any]) -> T:
    """Result of `step`, run in one transaction on `conn`. Raises what the step or psycopg raises."""
    try:
        ask = next(step)
        if isinstance(ask, Whole):
            try:
                rows = whole.run(conn, _sure(ask))
            except psycopg.Error as error:
                ask = step.throw(error)
            else:
                ask = step.send(rows)
                raise AssertionError("a step is over when its whole is committed")
    except StopIteration as done:
        found: T = done.value
        return found
    with conn.transaction():
        try:
            while True:
                try:
                    answer = _answer(ask, conn)
                except psycopg.Error as error:
                    ask = step.throw(error)
                else:
                    ask = step.send(answer)
        except StopIteration as done:
            result: T = done.value
    return result


async def drive_async(step: Step[T], conn: psycopg.AsyncConnection[Any]) -> T:
    """Result of `step`, run in one transaction on `conn`. Raises what the step or psycopg raises."""
    try:
        ask = next(step)
        if isinstance(ask, Whole):
            try:
                rows = await whole.run_async(conn, _sure(ask))
            except psycopg.Error as error:
                ask = step.throw(error)
            else:
                ask = step.send(rows)
                raise AssertionError("a step is over when its whole is committed")
    except StopIteration as done:
        found: T = done.value
        return found
    async with conn.transaction():
        try:
            while True:
                try:
                    answer = await _answer_async(ask, conn)
                except psycopg.Error as error:
                    ask = step.throw(error)
                else:
                    ask = step.send(answer)
        except StopIteration as done:
            result: T = done.value
    return result


def _sure(ask: Whole) -> whole.Parts:
    parts = []
    for each in ask.asks:
        assert each.sure is not None, each.statement
        parts.append((each.sure, each.values))
    return parts


def rows_of(cursor: psycopg.Cursor[Any], ask: Ask) -> Rows:
    """What a statement brought."""
    if isinstance(ask, ReadAsk) and ask.raw and cursor.pgresult is not None:
        return raw_rows(cursor.pgresult)
    return cursor.fetchall() if cursor.description else []


def raw_rows(result: Any) -> Rows:
    """A result's rows as bytes."""
    columns = range(result.nfields)
    return [tuple([result.get_value(row, column) for column in columns]) for row in range(result.ntuples)]


def _answer(ask: Asked, conn: psycopg.Connection[Any]) -> Any:
    assert not isinstance(ask, Whole), "a whole is a step's first word"
    if isinstance(ask, Ask):
        return rows_of(conn.execute(ask.statement, ask.values), ask)
    with conn.pipeline():
        cursors = [conn.execute(each.statement, each.values) for each in ask.asks]
    return [cursor.fetchall() if cursor.description else [] for cursor in cursors]


async def _answer_async(ask: Asked, conn: psycopg.AsyncConnection[Any]) -> Any:
    assert not isinstance(ask, Whole), "a whole is a step's first word"
    if isinstance(ask, Ask):
        cursor = await conn.execute(ask.statement, ask.values)
        return await cursor.fetchall() if cursor.description else []
    async with conn.pipeline():
        cursors = [await conn.execute(each.statement, each.values) for each in ask.asks]
    return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]
