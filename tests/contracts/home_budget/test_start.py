"""What a service begins with, and what it leaves in its two files."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.contracts.home_budget.conftest import Form, Start

DEMO = {
    "expense": [
        (1, "2025-11-01", "SuperSal", "Groceries", 142.5, "Visa 1234", "₪", "Weekly shopping"),
        (2, "2025-11-05", "Rav-Kav", "Transport", 15, "Cash", "₪", "Bus to work"),
    ],
    "income": [
        (1, "2025-11-01", "Salary", 8200, "Bank Leumi", "₪", "November salary"),
        (2, "2025-11-10", "Freelance", 1250, "PayPal", "₪", "Client project"),
    ],
}


def test_the_demo_rows_are_there_on_a_first_start(start: Start) -> None:
    """Without a data file the service begins with the demo rows, and the next id follows them."""
    service = start()
    for noun, demo in DEMO.items():
        listed = httpx.get(f"{service.url}/api/v1/{noun}").json()
        assert [tuple(row.values()) for row in listed] == demo
        sent = {"date": "2026-01-02", "category": "Food", "amount": 1, "account": "Cash"}
        assert httpx.post(f"{service.url}/api/v1/{noun}", json=sent).json()[noun]["id"] == 3


@pytest.mark.parametrize("word", ["false", "0", "no", "OFF"])
def test_no_demo_rows_when_told_so(start: Start, form: Form, word: str) -> None:
    """SEED_DEMO_DATA=false begins empty."""
    service = start(SEED_DEMO_DATA=word)
    assert httpx.get(f"{service.url}/api/v1/expense").json() == []
    assert httpx.get(f"{service.url}/api/v1/income").json() == []


def test_records_survive_a_restart(start: Start) -> None:
    """Records, their order and a deleted demo row are as they were after a stop and a start."""
    service = start()
    for field, value in (("notes", "שלום 🛒"), ("amount", 7.25)):
        httpx.patch(f"{service.url}/api/v1/expense/1", json={"field": field, "value": value}).raise_for_status()
    httpx.delete(f"{service.url}/api/v1/income/1").raise_for_status()
    earlier = [httpx.get(f"{service.url}/api/v1/{noun}").text for noun in DEMO]
    service.stop()
    service.start()
    assert [httpx.get(f"{service.url}/api/v1/{noun}").text for noun in DEMO] == earlier
    assert json.loads(earlier[1])[0]["id"] == 2


def test_an_emptied_collection_stays_empty(start: Start) -> None:
    """Demo rows that were deleted do not come back with the next start."""
    service = start()
    httpx.post(f"{service.url}/api/v1/expense/bulk-delete", json={"ids": [1, 2]}).raise_for_status()
    service.stop()
    service.start()
    assert httpx.get(f"{service.url}/api/v1/expense").json() == []
