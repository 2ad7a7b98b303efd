"""The API key, and how often its owner may ask."""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader

from services.facts import settings
from services.facts.limits import Limiter

NOT_CONFIGURED = "API key not configured on server"
NO_ACCESS = "Invalid or missing API key"
KEY = Security(APIKeyHeader(name="x-api-key", auto_error=False))
limiter = Limiter()


class KeyedRoute(APIRoute):
    """A route that asks for the key before it looks at the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            check(request.headers.get("x-api-key"))
            return await handle(request)

        return answer


def check(given: str | None) -> None:
    """Raises 500 where no key is configured and access is not open, 401 for a wrong or missing key."""
    expected = settings.api_key()
    if not expected:
        if settings.is_open():
            return
        raise HTTPException(500, NOT_CONFIGURED)
    if given is None or not hmac.compare_digest(given.encode(), expected.encode()):
        raise HTTPException(401, NO_ACCESS)


def limited(request: Request) -> None:
    """Raises 429 for one request too many of this client with this key."""
    rate = settings.validate_rate()
    client = request.client.host if request.client else ""
    wait_s = limiter.wait_s((client, request.headers.get("x-api-key")), rate)
    if wait_s is not None:
        headers = {"Retry-After": str(math.ceil(wait_s))}
        raise HTTPException(429, f"Rate limit exceeded: {rate}", headers=headers)
