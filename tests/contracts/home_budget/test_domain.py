"""Values that a typed column cannot hold: as ever without it, kept aside beside it, refused where it answers."""

from __future__ import annotations

import time
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.contracts.home_budget.budget import create, patch, rows
from tests.contracts.home_budget.conftest import Form, Start
from tests.contracts.home_budget.process import Service

OUTSIDE_ON_CREATE = [
    ("date", "yesterday"),
    ("date", ""),
    ("date", "2026-02-30"),
    ("date", "2026-1-2"),
    ("date", "20260102"),
    ("date", "2026-01-02T00:00:00"),
    ("date", "0000-01-01"),
    ("date", "infinity"),
    ("amount", 0.001),
    ("amount", 10.005),
    ("amount", 123456789.0),
    ("amount", 1e22),
    ("category", "x" * 101),
    ("account", "ح" * 101),
    ("currency", "shekelshekel"),
    ("notes", "nul \0 inside"),
]
OUTSIDE_ON_PATCH = [
    *OUTSIDE_ON_CREATE,
    ("date", None),
    ("date", 20260102),
    ("amount", None),
    ("amount", "much"),
    ("category", None),
    ("category", 7),
    ("account", None),
    ("notes", 7.5),
]


@pytest.mark.parametrize(("field", "value"), OUTSIDE_ON_CREATE)
def test_create(client: httpx.Client, server: Service, form: Form, noun: str, field: str, value: Any) -> None:
    """What no column holds is stored as ever, stands and is unlanded in dual_write, and is 422 from dual_read on."""
    sent = {"date": "2026-01-02", "category": "Food", "amount": 12.5, "account": "Cash", field: value}
    answer = client.post(f"/api/v1/{noun}", json=sent)
    if form.strict:
        assert_names(answer, field)
        assert rows(client, noun) == []
        return
    assert answer.status_code == 200
    assert rows(client, noun)[0][field] == value
    if form.has_database:
        assert_unlanded(server, noun, [("1", field)])


@pytest.mark.parametrize(("field", "value"), OUTSIDE_ON_PATCH)
def test_patch(client: httpx.Client, server: Service, form: Form, noun: str, field: str, value: Any) -> None:
    """The same for a change of one field: where it is refused, the record is as it was."""
    record = create(client, noun)
    answer = patch(client, noun, 1, field, value)
    if form.strict:
        assert_names(answer, field)
        assert rows(client, noun) == [record]
        return
    changed = {**record, field: value}
    assert (answer.status_code, answer.json()) == (200, {"status": "updated", noun: changed})
    assert rows(client, noun) == [changed]
    if form.has_database:
        assert_unlanded(server, noun, [("1", field)])


def test_the_next_value_lands(client: httpx.Client, server: Service, form: Form, noun: str) -> None:
    """A value that can be held supersedes one that could not; no other change of the record is lost in between."""
    create(client, noun)
    create(client, noun)
    patch(client, noun, 1, "date", "soon")
    patch(client, noun, 1, "notes", "written meanwhile").raise_for_status()
    patch(client, noun, 2, "notes", "fine").raise_for_status()
    patch(client, noun, 1, "date", "2026-05-05").raise_for_status()
    listed = [(row["date"], row["notes"]) for row in rows(client, noun)]
    assert listed == [("2026-05-05", "written meanwhile"), ("2026-01-02", "fine")]
    if form.has_database:
        assert_unlanded(server, noun, [])
        assert table(server, noun) == listed


def test_unlanded_records_survive_a_restart(start: Start, form: Form) -> None:
    """A record that only the file and `unlanded` hold is still listed, in its place, after a restart."""
    service = start(SEED_DEMO_DATA="false")
    with httpx.Client(base_url=service.url) as client:
        for day in ("2026-01-01", "soon", "2026-01-03"):
            sent = {"date": day, "category": "Food", "amount": 1, "account": "Cash"}
            assert client.post("/api/v1/expense", json=sent).status_code == (
                422 if form.strict and day == "soon" else 200
            )
        earlier = client.get("/api/v1/expense").text
    service.stop()
    service.start()
    assert httpx.get(f"{service.url}/api/v1/expense").text == earlier


@pytest.mark.parametrize("value", [None, "abc", 7.5, 2**31])
def test_an_id_that_is_none(start: Start, form: Form, value: Any) -> None:
    """An id that is no integer of the column is taken by the file alone; from dual_read on it is 422."""
    service = start()
    with httpx.Client(base_url=service.url, timeout=30) as client:
        records = rows(client, "expense")
        answer = patch(client, "expense", 1, "id", value)
        if form.strict:
            assert_names(answer, "id")
            assert rows(client, "expense") == records
        else:
            changed = {**records[0], "id": value}
            assert (answer.status_code, answer.json()) == (200, {"status": "updated", "expense": changed})
            assert rows(client, "expense") == [changed, records[1]]
        highest = int(value) if isinstance(value, int | float) and not form.strict else 2
        assert create(client, "expense")["id"] == max(highest, 2) + 1


def test_an_id_that_is_taken(start: Start, form: Form) -> None:
    """The file holds two records of one id; from dual_read on the change is refused and both stay as they are."""
    service = start()
    with httpx.Client(base_url=service.url, timeout=30) as client:
        records = rows(client, "expense")
        answer = patch(client, "expense", 1, "id", 2)
        if form.strict:
            assert answer.status_code in {409, 422}
            assert rows(client, "expense") == records
        else:
            assert answer.status_code == 200
            assert rows(client, "expense") == [{**records[0], "id": 2}, records[1]]


def assert_names(answer: httpx.Response, field: str) -> None:
    """A 422 whose details, in the form of every validation error, name the field."""
    assert answer.status_code == 422, answer.text
    (detail,) = answer.json()["detail"]
    assert detail["loc"] == ["body", field]
    assert field in detail["msg"]
    assert isinstance(detail["type"], str)


def assert_unlanded(server: Service, noun: str, expected: list[tuple[str, str]]) -> None:
    """(key, field) of what PostgreSQL has refused and nobody has settled; a superseded entry is settled soon after."""
    deadline = time.monotonic() + 10
    while (found := unlanded(server, noun)) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == expected


def unlanded(server: Service, noun: str) -> list[tuple[str, str]]:
    """The open entries now."""
    with psycopg.connect(server.environment["DATABASE_URL"]) as conn:
        return conn.execute(
            "SELECT key, field FROM outlive.unlanded"
            " WHERE service = 'home_budget' AND store = %s AND settled_at IS NULL ORDER BY id",
            [f"{noun}s"],
        ).fetchall()


def table(server: Service, noun: str) -> list[tuple[str, str | None]]:
    """(date, notes) of the rows, in order of insertion."""
    statement = sql.SQL("SELECT date::text, notes FROM {} ORDER BY outlive_position")
    with psycopg.connect(server.environment["DATABASE_URL"]) as conn:
        return conn.execute(statement.format(sql.Identifier(f"{noun}s"))).fetchall()
