"""Work that reads, decides and writes as one step, over all requests and all processes."""

from __future__ import annotations

import asyncio
import contextvars
import random
import weakref
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

import outlive
from outlive.errors import Conflict, KeyTaken

T = TypeVar("T")
ATTEMPTS = 60
_turns: weakref.WeakValueDictionary[Hashable, asyncio.Lock] = weakref.WeakValueDictionary()


async def alone(service: outlive.Service, name: Hashable, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work()`, in a unit of work of its own that is durable by then.

    In this process one work of a name is under way at a time. If another process changed the same field of the same
    record meanwhile, or took the same key, nothing of the work remains and it is done anew, with what is there now; so
    `work` must change one record that all works of that name change, to a value that none of the others gives it.
    Raises Conflict or KeyTaken if that happens ATTEMPTS times in a row, and what `work` raises.
    """
    place = (id(asyncio.get_running_loop()), service.service, name)
    turn = _turns.get(place)
    if turn is None:
        turn = _turns[place] = asyncio.Lock()
    async with turn:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                # an empty context: the unit is no part of the request's, which would land only after the turn is over
                return await asyncio.create_task(_in_a_unit(service, work), context=contextvars.Context())
            except (Conflict, KeyTaken):
                if attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(random.uniform(0, 0.002 * min(attempt, 20)))
    raise AssertionError("the last attempt returns or raises")


async def _in_a_unit(service: outlive.Service, work: Callable[[], Awaitable[T]]) -> T:
    async with outlive.unit(service=service):
        return await work()
