"""Answers that are JSON bytes already: one record, a page in its envelope."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

from fastapi import HTTPException, Response

import outlive


async def one(repository: Any, key: Any, missing: str, **filters: Any) -> Response:
    """The record of a key that passes the filters. Raises 404 with the text `missing`."""
    body = await repository.get_json(key, **filters)
    if body is None:
        raise HTTPException(404, missing)
    return outlive.json_response(body)


def record(repository: Any, held: Any, status: int = 200) -> Response:
    """A record that is at hand, as the repository shows it in JSON."""
    return outlive.json_response(repository.encode_json(held), status)


async def page(
    repository: Any, name: str, *, limit: int, offset: int, order_by: Any = (), skip: str = "offset", **filters: Any
) -> Response:
    """`{name: [...], total, limit, offset}`; `skip` is what the offset is called there."""
    total, body = await counted(repository, limit=limit, offset=offset, order_by=order_by, **filters)
    return enveloped(name, body, total=total, limit=limit, **{skip: offset})


async def counted(
    repository: Any, *, limit: int, offset: int = 0, order_by: Any = (), **filters: Any
) -> tuple[int, bytes]:
    """(how many records pass the filters, the page of them as a JSON array)."""
    found = await repository.list_json(order_by=order_by, limit=limit, offset=offset, **filters)
    return found.total, found.items


def enveloped(name: str, body: bytes, **more: Any) -> Response:
    """`{name: body, ...more}`, where `body` is JSON already."""
    rest = json.dumps(more, ensure_ascii=False, separators=(",", ":"), allow_nan=False)[1:-1].encode()
    return outlive.json_response(b'{"' + name.encode() + b'":' + body + (b"," + rest if rest else b"") + b"}")


def given(**filters: Any) -> dict[str, Any]:
    """The filters that have a value."""
    return {name: value for name, value in filters.items() if value is not None}


def composed(**parts: Any) -> Response:
    """An object of these parts: bytes are JSON already, other values become JSON here, Decimals as numbers."""
    texts = (part if isinstance(part, bytes) else _text(part) for part in parts.values())
    pairs = (b'"' + name.encode() + b'":' + text for name, text in zip(parts, texts, strict=True))
    return outlive.json_response(b"{" + b",".join(pairs) + b"}")


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    """Dates as ISO text, Decimals as numbers: those without digits after the point without a point."""
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and "." not in str(value) else float(value)
    raise TypeError(f"{type(value).__qualname__} has no form in JSON")
