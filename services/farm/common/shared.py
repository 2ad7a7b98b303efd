"""One answer for all who ask the same at the same time, where an answer takes long."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from typing import Any


class Shared:
    """Answers by what was asked. One that is under way is given to nobody who came later: it might lack what they have
    written before they asked. They share the next one."""

    def __init__(self) -> None:
        self._loops: weakref.WeakKeyDictionary[Any, _Answers] = weakref.WeakKeyDictionary()

    async def of(self, asked: Hashable, find: Callable[[], Awaitable[Any]]) -> Any:
        """What `find` gives, called after this was. Raises what it raises."""
        answers = self._loops.setdefault(asyncio.get_running_loop(), _Answers())
        following = answers.following.get(asked)
        if following is None:
            # In no request's context: the one that came first may be gone before the answer is there.
            coming = answers.find(asked, find)
            following = answers.following[asked] = asyncio.get_running_loop().create_task(coming, context=Context())
        return await asyncio.shield(following)


class _Answers:
    """Of one event loop: the answers under way, and those that wait for them."""

    def __init__(self) -> None:
        self.running: dict[Hashable, asyncio.Task[Any]] = {}
        self.following: dict[Hashable, asyncio.Task[Any]] = {}

    async def find(self, asked: Hashable, find: Callable[[], Awaitable[Any]]) -> Any:
        """What `find` gives once the answer under way is there; whoever asks from then on waits for another one."""
        if asked in self.running:
            await asyncio.wait([self.running[asked]])
        self.running[asked] = self.following.pop(asked)
        try:
            return await find()
        finally:
            del self.running[asked]
