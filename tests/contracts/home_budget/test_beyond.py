"""What ours has beyond the first version, the same in every phase."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.contracts.home_budget.budget import body, create, ids, rows
from tests.contracts.home_budget.conftest import Form, Start, in_every_phase

pytestmark = in_every_phase


def test_get_one(client: httpx.Client, noun: str) -> None:
    """GET by id answers the bare record; an unknown id is 404 by name, an odd one 422."""
    create(client, noun)
    record = create(client, noun, notes="second", amount=7)
    answer = client.get(f"/api/v1/{noun}/2")
    assert (answer.status_code, answer.json()) == (200, record)
    missing = client.get(f"/api/v1/{noun}/9")
    assert (missing.status_code, missing.json()) == (404, {"detail": f"{noun.capitalize()} not found"})
    assert client.get(f"/api/v1/{noun}/x").status_code == 422


def test_put_replaces_every_field(client: httpx.Client, noun: str) -> None:
    """PUT answers like patch; what the body leaves out takes its default, and the record keeps its id and place."""
    for n in range(3):
        create(client, noun, notes=f"n{n}", currency="$")
    sent = body(date="2027-01-01", category="Rent", amount=900, account="Bank", colour="red", id=50)
    answer = client.put(f"/api/v1/{noun}/2", json=sent)
    business = {"business": None} if noun == "expense" else {}
    replaced = {**body(date="2027-01-01", category="Rent", amount=900, account="Bank"), **business}
    replaced |= {"currency": "₪", "notes": None, "id": 2}
    assert (answer.status_code, answer.json()) == (200, {"status": "updated", noun: replaced})
    assert rows(client, noun)[1] == replaced
    assert ids(client, noun) == [1, 2, 3]


def test_put_refuses_what_post_refuses(client: httpx.Client, noun: str) -> None:
    """PUT is 404 for an unknown record and 422 for an incomplete body."""
    create(client, noun)
    missing = client.put(f"/api/v1/{noun}/9", json=body())
    assert (missing.status_code, missing.json()) == (404, {"detail": f"{noun.capitalize()} not found"})
    answer = client.put(f"/api/v1/{noun}/1", json={"amount": 1})
    assert answer.status_code == 422
    assert [detail["loc"][1] for detail in answer.json()["detail"]] == ["date", "category", "account"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"start_date": "2026-02-01"}, [1, 3, 4]),
        ({"end_date": "2026-02-01"}, [2, 4, 5]),
        ({"start_date": "2026-01-15", "end_date": "2026-02-01"}, [4, 5]),
        ({"category": "Food"}, [1, 2, 5]),
        ({"category": "מזון"}, [3]),
        ({"category": "food"}, []),
        ({"category": ""}, []),
        ({"start_date": "2026-01-15", "category": "Food"}, [1, 5]),
        ({"start_date": "2027-01-01"}, []),
        ({"colour": "red"}, [1, 2, 3, 4, 5]),
    ],
)
def test_filters(client: httpx.Client, noun: str, query: dict[str, str], found: list[int]) -> None:
    """The list may be cut to days (both included) and a category, and stays in insertion order."""
    for day, category in (
        ("2026-03-01", "Food"),
        ("2026-01-01", "Food"),
        ("2026-02-02", "מזון"),
        ("2026-02-01", "Rent"),
        ("2026-01-15", "Food"),
    ):
        create(client, noun, date=day, category=category)
    assert [row["id"] for row in rows(client, noun, **query)] == found


@pytest.mark.parametrize("query", [{"start_date": "soon"}, {"end_date": "2026-02-30"}])
def test_a_filter_that_is_no_day(client: httpx.Client, noun: str, query: dict[str, str]) -> None:
    """A filter that names no day is 422."""
    assert client.get(f"/api/v1/{noun}", params=query).status_code == 422


def test_summary(client: httpx.Client, noun: str) -> None:
    """The summary gives exact totals by category in insertion order, and for filtered records theirs."""
    for category, amount, day in (
        ("Rent", 1200, "2026-01-01"),
        ("Food", 0.1, "2026-01-02"),
        ("Food", 0.2, "2026-02-01"),
    ):
        create(client, noun, category=category, amount=amount, date=day)
    assert client.get(f"/api/v1/{noun}/summary").json() == {
        "total": 1200.3,
        "formatted": "1200.30 ₪",
        "categories": [
            {"category": "Rent", "total": 1200, "formatted": "1200.00 ₪"},
            {"category": "Food", "total": 0.3, "formatted": "0.30 ₪"},
        ],
    }
    cut = client.get(f"/api/v1/{noun}/summary", params={"category": "Food", "end_date": "2026-01-31"}).json()
    assert (cut["total"], cut["categories"][0]["total"]) == (0.1, 0.1)


def test_summary_of_several_currencies(client: httpx.Client, noun: str) -> None:
    """Amounts in different currencies are shown without a sign, since no one sign would be true."""
    create(client, noun, amount=1)
    create(client, noun, amount=2, currency="$")
    assert client.get(f"/api/v1/{noun}/summary").json()["formatted"] == "3.00"


def test_summary_of_nothing(client: httpx.Client, noun: str) -> None:
    """Without records the total is 0 and there is no category."""
    assert client.get(f"/api/v1/{noun}/summary").json() == {"total": 0, "formatted": "0.00", "categories": []}


def test_summary_under_its_flags(start: Start) -> None:
    """ENHANCED_EXPENSE_STATS adds count, average, min, max; EXPENSE_AMOUNT_V2_FORMAT thousand separators."""
    service = start(SEED_DEMO_DATA="false", FF_ENHANCED_EXPENSE_STATS="yes", FF_EXPENSE_AMOUNT_V2_FORMAT="ON")
    with httpx.Client(base_url=service.url, timeout=30) as client:
        for category, amount in (("Rent", 4000), ("Food", 10.5), ("Food", 20)):
            create(client, "expense", category=category, amount=amount)
        answer = client.get("/api/v1/expense/summary").json()
        empty = client.get("/api/v1/income/summary").json()
    statistics = {"count": 3, "average": 1343.5, "min": 10.5, "max": 4000}
    rent = {"category": "Rent", "total": 4000, "formatted": "4,000.00 ₪", "count": 1, "average": 4000}
    food = {"category": "Food", "total": 30.5, "formatted": "30.50 ₪", "count": 2, "average": 15.25}
    categories = [{**rent, "min": 4000, "max": 4000}, {**food, "min": 10.5, "max": 20}]
    assert answer == {"total": 4030.5, "formatted": "4,030.50 ₪", **statistics, "categories": categories}
    assert (empty["count"], empty["average"], empty["min"], empty["max"]) == (0, None, None, None)


def test_health_says_whether_the_database_answers(client: httpx.Client, form: Form) -> None:
    """Health adds `database`, and is 200 either way."""
    expected = "connected" if form.has_database else "disconnected"
    assert client.get("/health").json() == {"status": "ok", "database": expected}


def test_concurrent_creates_get_ids_of_their_own(client: httpx.Client, noun: str) -> None:
    """Creates that overlap all succeed, with the ids 1 to n, each once."""
    count = 25

    def one(number: int) -> Any:
        return create(client, noun, notes=str(number))["id"]

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(one, range(count)))
    assert sorted(given) == list(range(1, count + 1))
    assert sorted(ids(client, noun)) == sorted(given)
