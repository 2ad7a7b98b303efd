"""One farm service: its outlive service, its FastAPI application, and how it is started."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

import outlive
from outlive.errors import BadQuery, Conflict, ForeignTenant, KeyTaken, Unholdable
from outlive.settings import load_dotenv
from services.farm.common import settings
from services.farm.common.events import Events
from services.farm.common.reads import Reads


def declare(name: str, file: str) -> outlive.Service:
    """The outlive service of the package whose module lies at `file`, with `migrations` beside it."""
    service = outlive.Service(name)
    service.configure(migrations=Path(file).parent / "migrations", version_table=f"{name}_version")
    return service


def build(
    service: outlive.Service,
    title: str,
    *routers: APIRouter,
    health: dict[str, Any] | Callable[[], dict[str, Any]],
    health_paths: tuple[str, ...] = ("/healthz",),
) -> FastAPI:
    """The application: the routers, `health` (or what it answers) with the state of the database, outlive around it."""
    app = FastAPI(title=title)
    for router in routers:
        app.include_router(router)

    async def healthz() -> dict[str, Any]:
        outlive.show_unsettled()
        told = health() if callable(health) else health
        return {**told, "database": "connected" if await outlive.is_connected(service) else "disconnected"}

    for path in health_paths:
        app.get(path)(healthz)
    routes = [route for router in routers for route in router.routes]
    app.router.routes.insert(0, Reads(routes, app.dependency_overrides))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Unholdable, _unholdable)
    app.add_exception_handler(BadQuery, _bad_query)
    app.add_exception_handler(KeyTaken, _key_taken)
    app.add_exception_handler(Conflict, _conflict)
    app.add_exception_handler(ForeignTenant, _foreign)
    outlive.install(app, service=service)
    app.add_middleware(Events, service=service.service)  # outside of outlive: what it sees go out is durable
    return app


def serve(app: str, port: int) -> None:
    """Serve `module:app` on PORT, else `port`, with the settings of environment and `.env`."""
    load_dotenv()
    uvicorn.run(app, host=settings.host(), port=settings.port(port), log_level=settings.log_level())


def refused(message: str, *place: str | int, kind: str = "value_error") -> HTTPException:
    """A 422 in the form of every validation error."""
    return HTTPException(422, [{"type": kind, "loc": list(place), "msg": message}])


async def _invalid(request: Request, error: Any) -> Response:
    """The usual answer; without what was sent where JSON has no form for it, as for NaN and half a character, or where
    it is nested too deeply."""
    try:
        return await request_validation_exception_handler(request, error)
    except (ValueError, RecursionError):
        detail = [{name: each[name] for name in ("type", "loc", "msg")} for each in error.errors()]
        return Response(json.dumps({"detail": detail}), 422, media_type="application/json")


async def _unholdable(_: Request, error: Any) -> JSONResponse:
    """What PostgreSQL cannot hold, with the field as its place."""
    field = error.field.split(".", 1)[0].split("[", 1)[0]
    detail = {"type": "unholdable", "loc": ["body", field], "msg": f"{field}: {error.reason}"}
    return JSONResponse({"detail": [detail]}, 422)


async def _bad_query(_: Request, error: Any) -> JSONResponse:
    detail = {"type": "bad_query", "loc": ["query", str(error.field)], "msg": str(error)}
    return JSONResponse({"detail": [detail]}, 422)


async def _key_taken(_: Request, error: Any) -> JSONResponse:
    return JSONResponse({"detail": f"{error.key} is taken"}, 409)


async def _conflict(_: Request, error: Any) -> JSONResponse:
    """A unit that a route waited for itself."""
    return JSONResponse({"detail": str(error)}, 409)


async def _foreign(_: Request, _error: Any) -> JSONResponse:
    return JSONResponse({"detail": "Not found"}, 404)
