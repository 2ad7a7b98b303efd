"""The WSGI middleware: the same units for Flask and other blocking applications."""

from __future__ import annotations

import http
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from outlive.commit.ticket import all_told
from outlive.commit.unit import Scope, Unit, current
from outlive.errors import OutliveError
from outlive.runtime.asgi import answer_of, log, unsettled, visible

if TYPE_CHECKING:
    from outlive.runtime.service import Service

StartResponse = Callable[..., Any]


class OutliveWsgi:
    """A request is one unit, durable before its first byte; a streamed body is a second one."""

    def __init__(self, app: Callable[..., Iterable[bytes]], service: Service, on_error: str = "commit") -> None:
        self.app = app
        self.service = service
        self.on_error = on_error

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        self.service.start()
        began = time.perf_counter()
        units = self.service.units
        name = f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}"
        scope = Scope(units.begin(name))
        token = current.set(scope)
        started: list[Any] = []
        written: list[bytes] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            started[:] = [status, headers, exc_info]
            return written.append

        body: Iterable[bytes] = ()
        try:
            body = self.app(environ, start)
            first, rest = _first(body)
            failed = bool(started) and started[0].startswith("5")
            self.service.failures += failed
            if self.on_error == "discard" and started and started[0][:1] in ("4", "5"):
                units.discard(scope.unit)
            else:
                units.end(scope.unit)
                units.outcome(scope.unit)
            self._nothing_unsettled(scope)
        except OutliveError as error:
            self._leave(scope.unit)
            _close(body)
            return _refusal(error, start_response)
        except BaseException:
            self._leave(scope.unit)
            raise
        finally:
            current.reset(token)
            self.service.requests += 1
            self.service.request_ms.append((time.perf_counter() - began) * 1000)
        if self.service.falls_back:
            started[1] = [*started[1], ("X-Outlive-Reads", "memory")]
        start_response(*(part for part in started if part is not None))
        return _Rest(self.service, name, [*reversed(first), *reversed(written)], rest, body)

    def _leave(self, unit: Unit) -> None:
        """The application raised: what its dicts hold is committed all the same, or undone where that was asked for."""
        if unit.ended:
            return
        if self.on_error == "discard":
            self.service.units.discard(unit)
        else:
            self.service.units.end(unit)
            unit.ticket.exception()

    def _nothing_unsettled(self, mine: Scope) -> None:
        """As for ASGI. Raises Unavailable when what the response may have shown is not settled in time."""
        waiting = visible(self.service, mine)
        if not all_told([unit.ticket for unit in waiting], self.service.settings.unsettled_wait_s):
            raise unsettled(waiting)


def _first(body: Iterable[bytes]) -> tuple[list[bytes], Iterator[bytes]]:
    """The first chunk, so that the status is known, and the iterator of the others."""
    rest = iter(body)
    for chunk in rest:
        return [chunk], rest
    return [], rest


def _close(body: Any) -> None:
    if hasattr(body, "close"):
        body.close()


def _refusal(error: OutliveError, start_response: StartResponse) -> Iterable[bytes]:
    status, headers, body = answer_of(error)
    start_response(
        f"{status} {http.HTTPStatus(status).phrase}", [(name.decode(), value.decode()) for name, value in headers]
    )
    return [body]


class _Rest:
    """The body: each later chunk is made inside the second unit, which is durable before the last one leaves."""

    def __init__(self, service: Service, name: str, first: list[bytes], rest: Iterator[bytes], body: Any) -> None:
        self._service = service
        self._scope = Scope(service.units.begin(f"{name} (later)"))
        self._ready = first
        self._rest = rest
        self._body = body

    def __iter__(self) -> _Rest:
        return self

    def __next__(self) -> bytes:
        if not self._ready:
            self._settle()
            raise StopIteration
        chunk = self._ready.pop()
        token = current.set(self._scope)
        try:
            following = next(self._rest, None)
        finally:
            current.reset(token)
        if following is None:
            self._settle()
        else:
            self._ready.insert(0, following)
        return chunk

    def _settle(self) -> None:
        unit = self._scope.unit
        if unit.ended:
            return
        self._service.units.end(unit)
        try:
            self._service.units.outcome(unit)
        except OutliveError as error:
            log.error("outlive: a write during a response was refused: %s", error)

    def close(self) -> None:
        token = current.set(self._scope)
        try:
            _close(self._body)
        finally:
            current.reset(token)
            self._settle()
            self._scope.closed = True
