"""Reads on the short way: the same answers as FastAPI's, and its own where anything is out of order."""

from __future__ import annotations

import asyncio
import collections
import datetime as dt
import enum
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Response
from fastapi.responses import JSONResponse

from services.farm.common.reads import FOUND, Reads
from services.farm.common.tenant import Tenant


class Kind(enum.StrEnum):
    PUMP = "pump"
    DRONE = "drone"


async def who(x_user_id: Annotated[str | None, Header()] = None) -> str:
    """A dependency that goes the short way."""
    return x_user_id or "nobody"


def blocking() -> str:
    """A dependency that FastAPI gives to a thread."""
    return "blocking"


Who = Annotated[str, Depends(who)]


def shown(**values: Any) -> Response:
    """What a route was called with."""
    return JSONResponse({name: str(value) for name, value in values.items()})


def router() -> APIRouter:
    """Routes of every kind."""
    made = APIRouter(prefix="/things")

    @made.get("")
    async def some(
        tenant: Tenant, user: Who, kind: Kind | None = None, since: dt.datetime | None = None, ratio: float = 0.5,
        limit: Annotated[int, Query(ge=1, le=100)] = 50, called: Annotated[str, Query(alias="as")] = "x",
    ) -> Response:  # fmt: skip
        return shown(tenant=tenant, user=user, kind=kind, since=since, ratio=ratio, limit=limit, called=called)

    @made.get("/fixed")
    async def fixed() -> dict[str, int]:
        return {"a": 1}

    @made.get("/figures")
    async def figures(tenant: Tenant) -> dict[str, Any]:
        counts = collections.Counter({Kind.PUMP: 2})
        return {"by": counts, "mean": 0.1, "big": 2**70, "none": None, "at": dt.datetime(2024, 1, 2), "text": tenant}

    @made.get("/blocking")
    async def blocked(how: Annotated[str, Depends(blocking)]) -> Response:
        return shown(how=how)

    @made.get("/several")
    async def several(kind: Annotated[list[Kind], Query()]) -> Response:
        return shown(kind=kind)

    @made.get("/{key}")
    async def one(tenant: Tenant, key: str, deep: bool = False) -> Response:
        if key == "gone":
            raise HTTPException(404, "gone")
        return shown(tenant=tenant, key=key, deep=deep)

    @made.get("/{key}/parts/{number}")
    async def part(key: str, number: int) -> Response:
        return shown(key=key, number=number)

    return made


def application(*, short: bool) -> FastAPI:
    """An application with or without the short way."""
    app, routes = FastAPI(), router()
    app.include_router(routes)
    if short:
        app.router.routes.insert(0, Reads(routes.routes, app.dependency_overrides))
    return app


def answer(app: FastAPI, method: str, path: str, headers: list[tuple[str, str]]) -> tuple[int, str, str, bool]:
    """Status, type and body of an answer, and whether it came the short way."""
    short: list[bool] = []

    async def watching(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        short.append(FOUND in scope)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(watching), base_url="http://b") as client:
            sent = [(name.encode(), value.encode("latin-1")) for name, value in headers]
            return await client.request(method, path, headers=sent)

    told = asyncio.run(ask())
    return told.status_code, told.headers.get("content-type", ""), told.text, short[0]


MINE = [("X-Tenant-Id", "t1")]
IN_ORDER = [
    ("/things", MINE),
    ("/things?kind=pump&since=2024-01-02T03:04:05Z&ratio=1&limit=100&as=y&other=1", [*MINE, ("X-User-Id", "ü")]),
    ("/things?limit=7&limit=8&kind=drone", [*MINE, ("X-Tenant-Id", "t2")]),
    ("/things", []),
    ("/things/a%20b?deep=yes", MINE),
    ("/things/gone", MINE),
    ("/things/figures", [("X-Tenant-Id", "ري".encode().decode("latin-1"))]),
    ("/things/%D8%B1%D9%8A/parts/7", []),
]
LEFT = [
    ("/things?limit=0", MINE), ("/things?limit=", MINE), ("/things?kind=boat", MINE), ("/things?since=soon", []),
    ("/things/a?deep=maybe", MINE), ("/things/a/parts/b", []), ("/things/fixed", MINE), ("/things/blocking", MINE),
    ("/things/several?kind=pump&kind=drone", []), ("/things/", MINE), ("/other", MINE),
]  # fmt: skip


@pytest.mark.parametrize(("path", "headers"), [*IN_ORDER, *LEFT])
def test_both_ways_give_one_answer(path: str, headers: list[tuple[str, str]]) -> None:
    """What is in order goes the short way, all else FastAPI's; status, type and body are FastAPI's in both."""
    usual = answer(application(short=False), "GET", path, headers)
    found = answer(application(short=True), "GET", path, headers)
    assert found[:3] == usual[:3]
    assert found[3] is ((path, headers) in IN_ORDER)


def test_only_gets_and_only_without_overrides() -> None:
    """Other methods are FastAPI's, and so is everything while a dependency is overridden."""
    app = application(short=True)
    assert answer(app, "DELETE", "/things", MINE)[::3] == (405, False)
    app.dependency_overrides[who] = lambda: "somebody"
    status, _, text, short = answer(app, "GET", "/things", MINE)
    assert (status, '"user":"somebody"' in text, short) == (200, True, False)
