"""The only code that waits for PostgreSQL: drivers for steps written once for sync and async.

A step is a generator that yields `Ask` objects and receives their rows; it never sees a connection. `drive` runs a
step over a blocking connection, `drive_async` over an asyncio one. One step is one transaction: an exception that the
step does not catch rolls back everything it did. A statement's error is thrown into the step, so that a step that set
a savepoint can go on.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
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


Step = Generator[Ask, Rows, T]


def drive(step: Step[T], conn: psycopg.Connection[Any]) -> T:
    """Result of `step`, run in one transaction on `conn`. Raises what the step or psycopg raises."""
    with conn.transaction():
        try:
            ask = next(step)
            while True:
                try:
                    cursor = conn.execute(ask.statement, ask.values)
                    rows = cursor.fetchall() if cursor.description else []
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
                    cursor = await conn.execute(ask.statement, ask.values)
                    rows = await cursor.fetchall() if cursor.description else []
                except psycopg.Error as error:
                    ask = step.throw(error)
                else:
                    ask = step.send(rows)
        except StopIteration as done:
            result: T = done.value
    return result
