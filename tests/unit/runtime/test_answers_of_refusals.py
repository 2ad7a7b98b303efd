"""What a client is told when its write was not acknowledged, and what `install` wraps."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import flask
import pytest
from starlette.applications import Starlette

import outlive
from outlive.errors import Conflict, KeyTaken, OutliveError, Refused, Unavailable, Unholdable
from outlive.runtime.asgi import OutliveMiddleware, answer_of, respond
from outlive.runtime.wsgi import OutliveWsgi

REFUSALS = [
    (Unavailable(store="tasks", reason="PostgreSQL is away"), 503),
    (Conflict(store="tasks", key="1", reason="title"), 409),
    (KeyTaken(store="tasks", key="1"), 409),
    (Refused(store="tasks", reason="no"), 409),
    (Unholdable(store="tasks", key="1", field="amount.value", reason="too long"), 422),
    (OutliveError(), 500),
]


@pytest.mark.parametrize(("error", "status"), REFUSALS)
def test_status(error: OutliveError, status: int) -> None:
    """Each refusal has its status, a JSON body with `detail`, and a length that fits."""
    code, headers, body = answer_of(error)
    assert code == status
    assert "detail" in json.loads(body)
    named = dict(headers)
    assert named[b"content-type"] == b"application/json"
    assert int(named[b"content-length"]) == len(body)
    assert (b"retry-after" in named) is (status == 503)


def test_an_unholdable_value_names_its_field() -> None:
    """In FastAPI's form of a 422: the record's field stands in `loc`, the reason in `msg`."""
    _, _, body = answer_of(REFUSALS[4][0])
    (entry,) = json.loads(body)["detail"]
    assert entry == {"type": "unholdable", "loc": ["body", "amount"], "msg": "amount: too long"}


def test_respond_sends_one_whole_answer() -> None:
    """Start and body, once each."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(respond(send, REFUSALS[0][0]))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 503


def test_install_tells_applications_apart() -> None:
    """Starlette and Flask stay the same object; a coroutine function or callable is ASGI, any other callable WSGI."""
    service = outlive.Service("install", env={})

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        pass

    class Asgi:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            pass

    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        return []

    class Wsgi:
        def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
            return []

    starlette, flasky = Starlette(), flask.Flask("test")
    assert outlive.install(starlette, service=service) is starlette
    assert outlive.install(flasky, service=service) is flasky
    assert isinstance(flasky.wsgi_app, OutliveWsgi)
    assert isinstance(outlive.install(asgi, service=service), OutliveMiddleware)
    assert isinstance(outlive.install(Asgi(), service=service), OutliveMiddleware)
    assert isinstance(outlive.install(wsgi, service=service), OutliveWsgi)
    assert isinstance(outlive.install(Wsgi(), service=service), OutliveWsgi)
    assert service.state == "closed"
