"""Answers that are encoded already, for Starlette and FastAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.responses import Response


def json_response(body: bytes, status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response with these bytes as its JSON, sent as they are.

    return outlive.json_response(await tasks.repository.find_json(status="open", limit=50))
    """
    from starlette.responses import Response

    return Response(body, status_code, headers, media_type="application/json")
