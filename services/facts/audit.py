"""Who asked for what: a row for each answered request, written behind, many at once.

A request only adds to a queue. Rows wait there while they cannot be written; the oldest go when there are too many.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import logging
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import outlive
from outlive.errors import OutliveError
from services.facts.records import ApiRequest
from services.facts.stores import requests, service
from services.farm.common import clock

log = logging.getLogger("services.facts")
WAITING = 10_000
BATCH = 500
EVERY_S = 0.5
LAST_S = 2.0
KEPT = dt.timedelta(days=30)
IN_MEMORY = 10_000
OFTEN = 2_500
UPKEEP_S = 600.0
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Audit:
    """ASGI middleware around all others, so that it sees the answer that leaves."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.waiting: deque[ApiRequest] = deque(maxlen=WAITING)
        self._writer: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._kept_up = 0.0
        self._since = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, self._listening(receive), send)
        else:
            await self.app(scope, receive, send)

    async def _request(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), None)
        client = scope.get("client")
        self.waiting.append(
            ApiRequest(
                uuid.uuid4().hex, clean(scope["path"]), clean(scope["method"]), status, round(seconds * 1000),
                clock.now(), None if agent is None else clean(agent.decode("latin-1")),
                clean(client[0]) if client else None,
            )
        )  # fmt: skip
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_later(), context=contextvars.Context())

    async def _write_later(self) -> None:
        while self.waiting:
            await asyncio.sleep(EVERY_S)
            if not await self.flush():
                await asyncio.sleep(4 * EVERY_S)

    async def flush(self) -> bool:
        """Writes what waits; False if it waits still."""
        async with self._writing:
            while self.waiting:
                batch = [self.waiting[index] for index in range(min(BATCH, len(self.waiting)))]
                try:
                    async with outlive.unit("audit", service=service):
                        await requests.repository.bulk_put(batch)
                        await self._forget_old(len(batch))
                except OutliveError as error:
                    log.warning("%d audit rows wait to be written: %s", len(self.waiting), error)
                    return False
                written = {row.id for row in batch}
                while self.waiting and self.waiting[0].id in written:
                    self.waiting.popleft()
        return True

    async def _forget_old(self, written: int) -> None:
        """Every ten minutes or some thousand rows: those of more than thirty days go, a part of them at a time, and
        where rows are in memory too, all but the newest."""
        self._since += written
        if self._since < OFTEN and time.monotonic() < self._kept_up + UPKEEP_S:
            return
        self._kept_up, self._since = time.monotonic(), 0
        repository = requests.repository
        old = await repository.keys(created_at__lt=clock.now() - KEPT, order_by="created_at", limit=2 * OFTEN)
        if requests.phase != "database":
            surplus = await repository.count() - IN_MEMORY
            old += await repository.keys(order_by="created_at", limit=surplus) if surplus > 0 else []
        await repository.bulk_delete(old)

    def _listening(self, receive: Receive) -> Receive:
        """What comes in while the application lives; before it ends, all that waits is written, if that is quick."""

        async def listen() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                if self._writer is not None:
                    self._writer.cancel()
                    with suppress(asyncio.CancelledError):
                        await self._writer
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.create_task(self.flush(), context=contextvars.Context()), LAST_S)
            return message

        return listen


def clean(text: str) -> str:
    """The text as PostgreSQL can hold it."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
