"""What the tests of the facts service share."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from tests.contracts.farm.running import Running

KEY = "the-key"
HEADERS = {"X-Api-Key": KEY}
ENVIRONMENT = {"API_KEY": KEY}
NOT_FOUND = {"detail": "Fact not found"}


def new_id() -> str:
    """An id that nobody used."""
    return f"fact-{uuid.uuid4().hex[:10]}"


def ask(http: Running, method: str, path: str, **options: Any) -> httpx.Response:
    """The answer to a request with the key."""
    return http.request(method, path, headers={**HEADERS, **options.pop("headers", {})}, **options)


def create(http: Running, **fields: Any) -> dict[str, Any]:
    """A new fact."""
    body = {"id": new_id(), "category": "c", "statement": "Water boils at 100 degrees", "tags": ["water"], **fields}
    answer = ask(http, "POST", "/facts", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def judge(http: Running, text: Any, **more: Any) -> dict[str, Any]:
    """The judgement of a text."""
    answer = ask(http, "POST", "/validate", json={"input_text": text, **more})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["validation"]
    return told
