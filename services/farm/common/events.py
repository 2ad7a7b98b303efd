"""What changed, told to NATS: one message for each request that changed something, once that is durable.

With NATS_URL set, `farm.<service>.changed` gets `{"method", "path", "status"}`. Unset, nothing is published. Telling is
no part of an answer: a server that is away costs its messages, never a request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
CONNECT_LIMIT_S = 2
WAITING = 1000  # messages that may wait for the server


class Events:
    """Middleware outside of outlive's, so that a response that passes here is durable."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app = app
        self.subject = f"farm.{service}.changed"
        self._waiting: asyncio.Queue[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in CHANGING or not os.environ.get("NATS_URL"):
            await self.app(scope, receive, send)
            return
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self.app(scope, receive, noting)
        if status < 400:
            self._tell({"method": scope["method"], "path": scope["path"], "status": status})

    def _tell(self, what: dict[str, Any]) -> None:
        if self._task is None or self._task.done():
            self._waiting = asyncio.Queue(WAITING)
            self._task = asyncio.create_task(self._publish(self._waiting))
        assert self._waiting is not None
        try:
            self._waiting.put_nowait(json.dumps(what).encode())
        except asyncio.QueueFull:
            log.warning("events: NATS is slow; a message is dropped")

    async def _publish(self, waiting: asyncio.Queue[bytes]) -> None:
        """Sends what waits, until the server is lost."""
        import nats

        try:
            link = await nats.connect(os.environ["NATS_URL"], connect_timeout=CONNECT_LIMIT_S, max_reconnect_attempts=1)
            while True:
                await link.publish(self.subject, await waiting.get())
                if waiting.empty():
                    await link.flush()
        except (OSError, TimeoutError, nats.errors.Error) as error:
            log.warning("events: NATS is away, its messages are dropped: %s", error)
