"""Headers that say on every answer, errors too, that the service has a successor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Callable[[], Awaitable[Message]], Send], Awaitable[None]]
HEADERS = {
    "X-API-Deprecated": "true",
    "X-API-Deprecation-Date": "2025-01-01",
    "X-API-Deprecation-Info": "This service is deprecated. Use crop-intelligence-service instead.",
    "X-API-Sunset": "2025-06-01",
    "Link": '<http://crop-intelligence-service:8095>; rel="successor-version"',
    "Deprecation": "true",
}


class Deprecated:
    """ASGI middleware."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.lower().encode(), text.encode()) for name, text in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        await self.app(scope, receive, marked)
