"""The ASGI middleware: when a request's units begin and end (design.md, section 5).

request         one unit, durable before the first byte goes out
the rest of it  a second unit (stream, background task, teardown), durable before the last chunk or at the return
WebSocket       one unit a received message, durable before the next send
lifespan        the service opens before start-up is answered and closes after shut-down
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from outlive.commit.ticket import all_told_async
from outlive.commit.unit import Scope, Unit, current
from outlive.commit.units import durable
from outlive.errors import Conflict, ForeignTenant, KeyTaken, OutliveError, Refused, Unavailable, Unholdable

if TYPE_CHECKING:
    from outlive.runtime.service import Service

log = logging.getLogger("outlive")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
BODIES = ("http.response.body", "http.response.pathsend", "http.response.zerocopysend")
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class OutliveMiddleware:
    """Pure ASGI; wraps any application."""

    def __init__(self, app: App, service: Service, on_error: str = "commit") -> None:
        self.app = app
        self.service = service
        self.on_error = on_error
        self._opening: asyncio.Lock | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await Lifespan(self.app, self.service).run(scope, receive, send)
            return
        if self.service.state != "open":
            await self._open()
        if scope["type"] == "http":
            await Request(self, scope, send).run(receive)
        elif scope["type"] == "websocket":
            await Conversation(self, scope, receive, send).run()
        else:
            await self.app(scope, receive, send)

    async def _open(self) -> None:
        """Servers without lifespan: the first request opens."""
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if self.service.state != "open":
                await self.service.start_async()


class Lifespan:
    """Opens before the application's own start-up, closes after its shut-down."""

    def __init__(self, app: App, service: Service) -> None:
        self.app = app
        self.service = service

    async def run(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        async def opened() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.service.start_async()
            return message

        async def closed(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed", "lifespan.startup.failed"):
                await self.service.close_async()
            await send(message)

        try:
            await self.app(scope, opened, closed)
        except OutliveError as error:
            log.error("outlive: %s\n  next: %s", error, error.hint)
            await send({"type": "lifespan.startup.failed", "message": f"{error}; next: {error.hint}"})


class Request:
    """One HTTP request."""

    def __init__(self, middleware: OutliveMiddleware, scope: MutableMapping[str, Any], send: Send) -> None:
        self.middleware = middleware
        self.service = middleware.service
        self.units = middleware.service.units
        self.http = scope
        self.send = send
        self.name = f"{scope.get('method')} {scope.get('path')}"
        self.start: Message | None = None
        self.refused = False
        self.begun = False
        self.began = time.perf_counter()

    async def run(self, receive: Receive) -> None:
        self.scope = Scope(self.units.begin(self.name))
        token = current.set(self.scope)
        error: BaseException | None = None
        try:
            await self.middleware.app(self.http, receive, self._sending)
        except BaseException as raised:
            error = raised
            if not isinstance(raised, Unavailable) or self.begun or self.refused:
                raise
        finally:
            current.reset(token)
            self.scope.closed = True
            await self._last(error)
            self.service.requests += 1
            self.service.request_ms.append((time.perf_counter() - self.began) * 1000)
        if isinstance(error, Unavailable):  # nothing has left yet
            self.service.failures += 1
            await respond(self.send, error)

    async def _sending(self, message: Message) -> None:
        if self.refused:
            return
        if message["type"] == "http.response.start":
            self.start = message
            self.service.failures += message["status"] >= 500
            return
        if message["type"] not in BODIES:
            await self.send(message)
            return
        if self.start is not None:
            if not await self._acknowledge():
                return
            await self._begin()
        elif not message.get("more_body", False) and self.scope.unit:
            await self._next_unit()
        await self.send(message)

    async def _begin(self) -> None:
        start, self.start, self.begun = self.start, None, True
        assert start is not None
        if self.service.falls_back:
            start["headers"] = [*start.get("headers", []), (b"x-outlive-reads", b"memory")]
        await self.send(start)

    async def _acknowledge(self) -> bool:
        """End the first unit before the first byte. False: it was refused, and the client has been told.

        One that has changed nothing is the second one as well.
        """
        unit = self.scope.unit
        nothing = not unit and unit.doomed is None
        if not nothing:
            self.scope.unit = self.units.begin(f"{self.name} (later)")
        assert self.start is not None
        try:
            if nothing:
                pass
            elif self.middleware.on_error == "discard" and self.start["status"] >= 400:
                self.units.discard(unit)
            else:
                self.units.end(unit)
                if unit:
                    await durable(unit, self.units)
            await self._nothing_unsettled()
        except OutliveError as error:
            self.refused = True
            await respond(self.send, error)
            return False
        return True

    async def _nothing_unsettled(self) -> None:
        """From dual_read on: what this response may have shown of other units is settled before it leaves.

        Raises Unavailable when it is not in time.
        """
        waiting = visible(self.service, self.scope)
        if waiting:
            tickets = [unit.ticket for unit in waiting]
            if not await all_told_async(tickets, self.service.settings.unsettled_wait_s):
                raise unsettled(waiting)

    async def _next_unit(self) -> None:
        unit, self.scope.unit = self.scope.unit, self.units.begin(f"{self.name} (later)")
        self.units.end(unit)
        try:
            await durable(unit, self.units)
        except OutliveError as error:
            log.error("outlive: a write during the response of %s was refused: %s", self.name, error)

    async def _last(self, error: BaseException | None) -> None:
        """The application returned or raised: what it wrote is committed, whatever its status."""
        if self.start is not None and not self.refused and error is None and await self._acknowledge():
            await self._begin()
        unit = self.scope.unit
        if unit.ended:
            return
        if error is not None and self.middleware.on_error == "discard":
            self.units.discard(unit)
            return
        self.units.end(unit)
        if unit:
            try:
                await durable(unit, self.units)
            except OutliveError as refused:
                log.error("outlive: a late write of %s was refused: %s", self.name, refused)


class Conversation:
    """One WebSocket."""

    def __init__(
        self, middleware: OutliveMiddleware, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        self.middleware = middleware
        self.units = middleware.service.units
        self.http = scope
        self.receive = receive
        self.send = send

    async def run(self) -> None:
        self.scope = Scope(self.units.begin(f"websocket {self.http.get('path')}"))
        token = current.set(self.scope)
        try:
            await self.middleware.app(self.http, self._receiving, self._sending)
        finally:
            current.reset(token)
            self.scope.closed = True
            self.units.end(self.scope.unit)
            await durable(self.scope.unit, self.units)

    async def _receiving(self) -> Message:
        await self._settle()
        return await self.receive()

    async def _sending(self, message: Message) -> None:
        await self._settle()
        await self.send(message)

    async def _settle(self) -> None:
        unit = self.scope.unit
        if not unit:
            return
        self.scope.unit = self.units.begin(unit.name)
        self.units.end(unit)
        await durable(unit, self.units)


def visible(service: Service, mine: Scope) -> list[Unit]:
    """Units that are not settled and that a response may show; none while no store is in dual_read or beyond, and
    none for a route that said `outlive.show_unsettled()`."""
    if mine.shows_unsettled or not any(store.strict for store in service.stores.values()):
        return []
    return [unit for unit in (*service.committer.pending(), *service.units.unsettled()) if unit is not mine.unit]


def unsettled(units: list[Unit]) -> Unavailable:
    """The error of a response that may show what these units have changed, and that waited for them in vain."""
    late = [unit for unit in units if not unit.settled]
    stores = sorted({change.store.name for unit in late for change in list(unit.changes.values())})
    names = "; ".join(sorted({unit.label for unit in late}))
    reason = f"the answer may show changes that are not settled yet, of {names}; what the request wrote itself is kept"
    return Unavailable(store=", ".join(stores) or "?", reason=reason)


STATUS: dict[type[OutliveError], int] = {
    Unavailable: 503,
    Conflict: 409,
    KeyTaken: 409,
    ForeignTenant: 403,
    Unholdable: 422,
    Refused: 409,
}


def answer_of(error: OutliveError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and JSON body that tell a client why its write was not acknowledged."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    headers = [(b"content-type", b"application/json")]
    if isinstance(error, Unavailable):
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    if isinstance(error, Unholdable):
        field = error.field.split(".", 1)[0]
        detail: Any = [{"type": "unholdable", "loc": ["body", field], "msg": f"{field}: {error.reason}"}]
    else:
        detail = str(error)
    body = json.dumps({"detail": detail}, ensure_ascii=False).encode()
    return status, [*headers, (b"content-length", str(len(body)).encode())], body


async def respond(send: Send, error: OutliveError) -> None:
    """Send that answer."""
    status, headers, body = answer_of(error)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
