"""Flows: sequences of transactions with waiting in between, written once for sync and async.

A flow is a generator that yields steps (one transaction each, see `outlive.postgres.drive`), `Pause` objects and
`Note` objects. `run` and `run_async` drive it and are the only ones that sleep and look at a clock: the answer to a
`Pause` is the monotonic time in seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from outlive.phases.gates import Gate
from outlive.phases.machine import Move
from outlive.postgres.drive import Step, drive, drive_async

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """A wish to wait; the answer is the monotonic time afterwards."""

    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell the operator: a line, or the gates of a move; `passing` marks a line that the next replaces."""

    text: str
    move: Move | None = None
    gates: tuple[Gate, ...] = ()
    passing: bool = False


Flow = Generator[Step[Any] | Pause | Note, Any, T]
Tell = Callable[[Note], None]


def ignore(note: Note) -> None:
    """Tells nobody."""


def run(flow: Flow[T], conn: psycopg.Connection[Any], tell: Tell = ignore) -> T:
    """Result of `flow` over a blocking connection. Raises what its steps raise, unless the flow handles it."""
    try:
        wish = next(flow)
        while True:
            try:
                answer: Any = None
                if isinstance(wish, Pause):
                    time.sleep(wish.seconds)
                    answer = time.monotonic()
                elif isinstance(wish, Note):
                    tell(wish)
                else:
                    answer = drive(wish, conn)
            except (Exception, KeyboardInterrupt) as failure:  # noqa: BLE001 - the flow decides
                wish = flow.throw(failure)
            else:
                wish = flow.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        flow.close()


async def run_async(flow: Flow[T], conn: psycopg.AsyncConnection[Any], tell: Tell = ignore) -> T:
    """Result of `flow` over an asyncio connection. Raises what its steps raise, unless the flow handles it."""
    try:
        wish = next(flow)
        while True:
            try:
                answer: Any = None
                if isinstance(wish, Pause):
                    await asyncio.sleep(wish.seconds)
                    answer = time.monotonic()
                elif isinstance(wish, Note):
                    tell(wish)
                else:
                    answer = await drive_async(wish, conn)
            except Exception as failure:  # noqa: BLE001 - the flow decides
                wish = flow.throw(failure)
            else:
                wish = flow.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        flow.close()
