"""Reads on a short way: a GET whose parameters are in order goes straight to its function.

FastAPI stays the owner of every route. It documents them, and it answers what is not in order, so that each refusal is
its own. A route is left to it altogether that asks for more than plain parameters and coroutine functions as
dependencies, or that answers with anything but a Response or an object of plain values. What is skipped costs more
processor time than a read itself.
"""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl

from fastapi import Response, params
from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

import outlive

PLACES: dict[type, str] = {params.Query: "query", params.Path: "path", params.Header: "header"}
TEXTS = frozenset({str, int, float, bool, dt.date, dt.datetime, type(None)})
OBJECT = TypeAdapter(dict[str, Any])
FOUND = "farm.read"  # where a request's scope keeps what was found
Values = dict[str, Any]


class Plan(NamedTuple):
    """How a function is called: its parameters with place, name there, type and default, and its dependencies."""

    function: Callable[..., Awaitable[Any]]
    plain: tuple[tuple[str, str, str | bytes, Callable[[Any], Any], Any], ...]
    needed: tuple[tuple[str, Plan], ...]

    def values(self, given: Mapping[str, Mapping[Any, Any]]) -> tuple[Values, list[Values]]:
        """The function's arguments, and those of its dependencies. Raises KeyError, ValidationError."""
        own = {}
        for parameter, place, name, check, default in self.plain:
            value = given[place].get(name)
            if value is None:
                if default is inspect.Parameter.empty:
                    raise KeyError(name)
                own[parameter] = default
            else:
                own[parameter] = check(value)
        return own, [plan.values(given)[0] for _, plan in self.needed]


class Reads(BaseRoute):
    """The first of an application's routes; those that it knows nothing of follow."""

    def __init__(self, routes: Iterable[BaseRoute], overridden: Mapping[Any, Any]) -> None:
        """`overridden`: FastAPI's overrides of dependencies; while there are any, nothing goes the short way."""
        self._overridden = overridden
        self._routes = [(each, _route_plan(each)) for each in routes if isinstance(each, APIRoute) and _is_get(each)]
        self._fixed: dict[str, Plan | None] = {}
        for route, _ in self._routes:
            if not route.param_convertors:
                self._fixed[route.path] = self._first(route.path)[0]

    def _first(self, path: str) -> tuple[Plan | None, dict[str, Any]]:
        for route, plan in self._routes:
            found = route.path_regex.match(path)
            if found is not None:
                convert = route.param_convertors
                return plan, {name: convert[name].convert(text) for name, text in found.groupdict().items()}
        return None, {}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Full for a request whose parameters are in order."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope.get("root_path") or self._overridden:
            return Match.NONE, {}
        path = scope["path"]
        plan, ways = (self._fixed[path], {}) if path in self._fixed else self._first(path)
        if plan is None:
            return Match.NONE, {}
        text = scope["query_string"]
        given = {
            "path": ways,
            "query": dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True)) if text else {},
            "header": dict(reversed(scope["headers"])),
        }
        try:
            return Match.FULL, {FOUND: (plan, *plan.values(given))}
        except (KeyError, ValidationError):
            return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers. Raises what the function raises."""
        plan, values, needed = scope[FOUND]
        for (name, each), own in zip(plan.needed, needed, strict=True):
            values[name] = await each.function(**own)
        answer = await plan.function(**values)
        if not isinstance(answer, Response):
            answer = outlive.json_response(OBJECT.dump_json(OBJECT.validate_python(answer), by_alias=True))
        await answer(scope, receive, send)


def _is_get(route: APIRoute) -> bool:
    return "GET" in (route.methods or ())


def _route_plan(route: APIRoute) -> Plan | None:
    returned = typing.get_type_hints(route.endpoint).get("return")
    plain = isinstance(returned, type) and issubclass(returned, Response)
    usual = isinstance(route.response_class, DefaultPlaceholder) and route.status_code in (None, 200)
    plain = plain or (usual and returned == route.response_model == dict[str, Any])
    return _plan(route.endpoint, route.param_convertors) if plain and not route.dependencies else None


def _plan(function: Callable[..., Any], ways: Iterable[str]) -> Plan | None:
    """None for a function that asks for more than a request's plain parameters."""
    if not inspect.iscoroutinefunction(function):
        return None
    plain, needed = [], []
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        annotation, marks = hints[name], getattr(hints[name], "__metadata__", ())
        mark = next((each for each in marks if isinstance(each, params.Depends | params.Param | params.Body)), None)
        if isinstance(mark, params.Depends):
            below = None if mark.dependency is None else _plan(mark.dependency, ways)
            if below is None or below.needed:
                return None
            needed.append((name, below))
            continue
        place = "path" if name in ways else "query" if mark is None else PLACES.get(type(mark))
        if place is None or not _is_plain(annotation) or isinstance(parameter.default, params.Param):
            return None
        plain.append((name, place, *_there(place, getattr(mark, "alias", None), name, annotation), parameter.default))
    return Plan(function, tuple(plain), tuple(needed))


def _there(place: str, alias: str | None, name: str, annotation: Any) -> tuple[str | bytes, Callable[[Any], Any]]:
    """What a parameter is called in its place, and what makes its value of what stands there."""
    check = TypeAdapter(annotation).validate_python
    if place == "header":
        key = (alias or name.replace("_", "-")).lower().encode()
        return key, lambda value: check(value.decode("latin-1"))
    return alias or name, check


def _is_plain(annotation: Any) -> bool:
    """Whether one text is all that a parameter of this type takes."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _is_plain(parts[0])
    if origin in (typing.Union, types.UnionType):
        return all(map(_is_plain, parts))
    return annotation in TEXTS or (isinstance(annotation, type) and issubclass(annotation, enum.Enum))
