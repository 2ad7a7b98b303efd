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

Row = tuple[Any, ...]
Rows = list[Row]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """One statement with its parameters; the step receives its rows (an empty list when it returns none)."""

    statement: LiteralString | sql.Composed | sql.SQL
    values: Sequence[Any] | Mapping[str, Any] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Statements that need not see each other's rows, sent in one go; the step receives a list of rows for each.

    An error is that of the first statement that failed.
    """

    asks: tuple[Ask, ...]


Step = Generator[Ask | Batch, Any, T]


def together(steps: Iterable[Step[None]]) -> Step[None]:
    """Runs steps whose first statements go in one batch; what a step asks then it asks by itself, in their order."""
    waiting: list[Step[None]] = []
    asks: list[Any] = []
    for step in steps:
        ask = next(step, None)
        if ask is not None:
            asks.append(ask)
            waiting.append(step)
    answers = yield Batch(tuple(asks))
    for step, rows in zip(waiting, answers, strict=True):
        try:
            ask = step.send(rows)
            while True:
                ask = step.send((yield ask))
        except StopIteration:
            pass


def drive(step: Step[T], conn: psycopg.Connection[Any]) -> T:
    """Result of `step`, run in one transaction on `conn`. Raises what the step or psycopg raises."""
    with conn.transaction():
        try:
            ask = next(step)
            while True:
                try:
                    rows = _answer(ask, conn)
                except psycopg.Error as error:
                    ask = step.throw(error)
                else:
                    ask = step.send(rows)
        except StopIteration as done:
            result: T = done.value
    return result


async def drive_async(step: Step[T], conn: psycopg.AsyncConnection[Any]) -> T:
    """Result of `step`, run in one transaction on `conn`. Raises what the step or psycopg raises."""
    async with conn.transaction():
        try:
            ask = next(step)
            while True:
                try:
                    rows = await _answer_async(ask, conn)
                except psycopg.Error as error:
                    ask = step.throw(error)
                else:
                    ask = step.send(rows)
        except StopIteration as done:
            result: T = done.value
    return result


def _answer(ask: Ask | Batch, conn: psycopg.Connection[Any]) -> Any:
    if isinstance(ask, Ask):
        cursor = conn.execute(ask.statement, ask.values)
        return cursor.fetchall() if cursor.description else []
    with conn.pipeline():
        cursors = [conn.execute(each.statement, each.values) for each in ask.asks]
    return [cursor.fetchall() if cursor.description else [] for cursor in cursors]


async def _answer_async(ask: Ask | Batch, conn: psycopg.AsyncConnection[Any]) -> Any:
    if isinstance(ask, Ask):
        cursor = await conn.execute(ask.statement, ask.values)
        return await cursor.fetchall() if cursor.description else []
    async with conn.pipeline():
        cursors = [await conn.execute(each.statement, each.values) for each in ask.asks]
    return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]
