"""An application in this process, with its lifespan, on a loop of its own: requests go in without a socket."""

from __future__ import annotations

import asyncio
import functools
import importlib
import sys
import threading
from typing import Any

import httpx

LIMIT_S = 60.0


class Running:
    """A started ASGI application; `get`, `post`... answer as httpx does."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="application", daemon=True)
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._http: httpx.AsyncClient | None = None

    def __enter__(self) -> Running:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._do(self._stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(LIMIT_S)
            self._loop.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer; an exception of the application is a 500, as a server makes of it."""
        assert self._http is not None
        return self._do(self._http.request(method, path, **options))  # type: ignore[no-any-return]

    def together(self, *requests: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        """Answers to requests that are under way at the same time."""
        http = self._http
        assert http is not None

        async def all_of_them() -> list[httpx.Response]:
            return await asyncio.gather(*(http.request(method, path, **more) for method, path, more in requests))

        return self._do(all_of_them())  # type: ignore[no-any-return]

    get = functools.partialmethod(request, "GET")
    post = functools.partialmethod(request, "POST")
    put = functools.partialmethod(request, "PUT")
    patch = functools.partialmethod(request, "PATCH")
    delete = functools.partialmethod(request, "DELETE")

    def run(self, work: Any) -> Any:
        """The result of a coroutine on the application's loop."""
        return self._do(work)

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT_S)

    async def _start(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._life = asyncio.ensure_future(self.app(scope, self._messages.get, self._answers.put))
        await self._say("startup")
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://test", timeout=LIMIT_S)

    async def _stop(self) -> None:
        if self._http is not None:
            await self._http.aclose()
        await self._say("shutdown")
        await self._life

    async def _say(self, what: str) -> None:
        await self._messages.put({"type": f"lifespan.{what}"})
        answer = asyncio.ensure_future(self._answers.get())
        await asyncio.wait([answer, self._life], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            self._life.result()
            raise AssertionError(f"the application ended at {what}")
        assert answer.result()["type"] == f"lifespan.{what}.complete", answer.result()


def load(package: str, module: str) -> Any:
    """A package's module, imported anew: its stores are those of a process that has just begun."""
    for name in [name for name in sys.modules if name == package or name.startswith(package + ".")]:
        del sys.modules[name]
    return importlib.import_module(f"{package}.{module}")
