"""Short words for the requests that every test makes."""

from __future__ import annotations

from typing import Any

import httpx

Row = dict[str, Any]


def body(**fields: Any) -> Row:
    """A complete, valid body for both collections (`business` is an unknown field to incomes)."""
    given = {"date": "2026-01-02", "category": "Food", "amount": 12.5, "account": "Cash"}
    return {**given, **fields}


def create(client: httpx.Client, noun: str, **fields: Any) -> Row:
    """The record that a POST made."""
    answer = client.post(f"/api/v1/{noun}", json=body(**fields))
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "created"
    row: Row = answer.json()[noun]
    return row


def patch(client: httpx.Client, noun: str, record_id: int, field: str, value: Any) -> httpx.Response:
    """The answer to a change of one field."""
    return client.patch(f"/api/v1/{noun}/{record_id}", json={"field": field, "value": value})


def rows(client: httpx.Client, noun: str, **query: str) -> list[Row]:
    """The list as it stands."""
    answer = client.get(f"/api/v1/{noun}", params=query)
    assert answer.status_code == 200, answer.text
    listed: list[Row] = answer.json()
    return listed


def ids(client: httpx.Client, noun: str) -> list[int]:
    """The ids of the list, in its order."""
    return [row["id"] for row in rows(client, noun)]
