"""A unit's outcome: told once, to threads that block, to tasks that wait, to whoever asked to be called."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

log = logging.getLogger("outlive")
_lock = threading.Lock()  # of all tickets: it is held for two assignments


class Ticket:
    """Open until it is told; an error is what refused the unit, None that it stands."""

    __slots__ = ("_calls", "_error", "_told")

    def __init__(self) -> None:
        self._told = False
        self._error: BaseException | None = None
        self._calls: list[Callable[[Ticket], object]] | None = None

    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._told

    def tell(self, error: BaseException | None = None) -> None:
        """Make the outcome known; once."""
        with _lock:
            self._error = error
            self._told = True
            calls, self._calls = self._calls, None
        for call in calls or ():
            try:
                call(self)
            except Exception:  # whoever asked to be called must not keep the others from hearing
                log.exception("outlive: telling the outcome of a unit failed")

    def add_done_callback(self, call: Callable[[Ticket], object]) -> None:
        """Have `call` called with this ticket: now if the outcome is known, else by whoever tells it."""
        with _lock:
            if not self._told:
                self._calls = [call] if self._calls is None else [*self._calls, call]
                return
        call(self)

    def exception(self, timeout_s: float | None = None) -> BaseException | None:
        """The error, or None; blocks until the outcome is known. Raises TimeoutError."""
        if not self._told and not all_told([self], timeout_s):
            raise TimeoutError
        return self._error

    def result(self, timeout_s: float | None = None) -> None:
        """Blocks until the unit stands. Raises what refused it, or TimeoutError."""
        error = self.exception(timeout_s)
        if error is not None:
            raise error

    async def told(self) -> None:
        """Waits until the outcome is known, whatever it is; a wait that is cancelled changes nothing."""
        if not self._told:
            await self.future()

    def future(self) -> asyncio.Future[None]:
        """A future of the running loop that is done when the outcome is known."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        self.add_done_callback(partial(_wake, loop, woken))
        return woken

    def __await__(self) -> Generator[Any, None, None]:
        """Waits until the unit stands. Raises what refused it."""
        if not self._told:
            yield from self.told().__await__()
        self.result()


def _wake(loop: asyncio.AbstractEventLoop, woken: asyncio.Future[None], _: Ticket) -> None:
    if asyncio._get_running_loop() is loop:
        if not woken.done():
            woken.set_result(None)
    else:
        with suppress(RuntimeError):  # its loop is closed: nobody waits there
            loop.call_soon_threadsafe(_set, woken)


def _set(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def all_told(tickets: Iterable[Ticket], timeout_s: float | None = None) -> bool:
    """Blocks until every outcome is known; False when that took too long."""
    until = None if timeout_s is None else time.monotonic() + timeout_s
    for ticket in tickets:
        told = threading.Event()
        ticket.add_done_callback(lambda _, told=told: told.set())  # type: ignore[misc]
        if not told.wait(None if until is None else max(0.0, until - time.monotonic())):
            return False
    return True


async def all_told_async(tickets: Iterable[Ticket], timeout_s: float) -> bool:
    """The same without blocking the loop."""
    try:
        async with asyncio.timeout(timeout_s):
            for ticket in tickets:
                await ticket.told()
    except TimeoutError:
        return False
    return True
