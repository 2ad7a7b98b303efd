"""Answers that are encoded already, for Starlette and FastAPI."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.responses import Response

WITHOUT_BODY = frozenset({204, 304})


def json_response(body: bytes, status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response with these bytes as its JSON, sent as they are.

    return outlive.json_response(await tasks.repository.find_json(status="open", limit=50))
    """
    if headers or status_code in WITHOUT_BODY:
        from starlette import responses

        return responses.Response(body, status_code, headers, media_type="application/json")
    answer: Response = _kind()(body, status_code)
    return answer


@functools.cache
def _kind() -> Any:
    """The class of responses whose headers are known; Starlette is there by the time that one is made."""
    from starlette import responses

    class JsonBytes(responses.Response):
        media_type = "application/json"

        def __init__(self, body: bytes, status_code: int) -> None:
            self.status_code = status_code
            self.background = None
            self.body = body
            self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]

    return JsonBytes
