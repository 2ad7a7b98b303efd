"""The two JSON files: the bytes of the first version, and those of whoever wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.contracts.home_budget.budget import create, patch
from tests.contracts.home_budget.conftest import FORMS, Form, Start
from tests.contracts.home_budget.process import Service

WITH_FILES = pytest.mark.parametrize("form", ["legacy", "dual_write", "dual_read"], indirect=True, scope="session")
IN_LEGACY = pytest.mark.parametrize("form", ["legacy"], indirect=True, scope="session")
FILES = ("expenses.json", "incomes.json")


def ordinary_day(client: httpx.Client, noun: str) -> None:
    """Requests of every kind, all within what a column holds."""
    for number, text in enumerate(["שלום", "مرحبا", '🛒 "quoted" \\ /', "tab\tline\n", ""]):
        create(client, noun, category=text, amount=number * 1.1 if number < 2 else 0.1 * number // 0.01 / 100)
    patch(client, noun, 4, "amount", 15).raise_for_status()
    patch(client, noun, 1, "currency", None).raise_for_status()
    patch(client, noun, 3, "notes", None).raise_for_status()
    patch(client, noun, 7, "id", 40).raise_for_status()
    client.delete(f"/api/v1/{noun}/5").raise_for_status()
    create(client, noun, amount=99999999.99, currency="$")
    client.post(f"/api/v1/{noun}/bulk-delete", json={"ids": [2, 6, 77]}).raise_for_status()
    create(client, noun, notes="last")


def odd_day(client: httpx.Client, noun: str) -> None:
    """What only a file takes."""
    create(client, noun, date="the day before", amount=1e22)
    patch(client, noun, 1, "date", None).raise_for_status()
    patch(client, noun, 3, "amount", "much").raise_for_status()
    patch(client, noun, 4, "category", 7.5).raise_for_status()


def test_the_reference_is_plain_json(tmp_path: Path) -> None:
    """The first version writes what `json.dump(rows, file, indent=2)` writes, which the others are held against."""
    for content in first_version(tmp_path, [ordinary_day]):
        text = content.decode("ascii")
        assert text == json.dumps(json.loads(text), indent=2)


@WITH_FILES
def test_files_are_those_of_the_first_version(start: Start, tmp_path: Path) -> None:
    """The same requests leave the same bytes in both files, wherever the records live."""
    service = start()
    drive(service, [ordinary_day])
    service.stop()
    assert [(service.data / name).read_bytes() for name in FILES] == first_version(tmp_path, [ordinary_day])


@IN_LEGACY
def test_legacy_writes_each_change_at_once(start: Start, tmp_path: Path) -> None:
    """In legacy the file is complete when the answer is there, odd values included."""
    service = start()
    drive(service, [ordinary_day, odd_day])
    written = [(service.data / name).read_bytes() for name in FILES]
    assert written == first_version(tmp_path, [ordinary_day, odd_day])


@WITH_FILES
def test_a_file_keeps_the_form_it_was_found_in(start: Start, tmp_path: Path) -> None:
    """Unescaped text, key order, extra fields and the final newline stay as they were found."""
    first = {"id": 5, "notes": "שלום 🛒", "amount": 7, "account": "Cash", "category": "Food", "date": "2026-01-02"}
    second = {"id": 2, "date": "2026-01-01", "category": "x", "amount": 1.5, "account": "y", "tags": ["a", {}]}
    rows = [{**row, "currency": "₪"} for row in (first, second)]
    folder = tmp_path / "0" / "data"
    folder.mkdir(parents=True)
    (folder / "expenses.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    service = start()
    assert httpx.get(f"{service.url}/api/v1/expense").json() == rows
    sent = {"field": "amount", "value": 8.25}
    httpx.patch(f"{service.url}/api/v1/expense/5", json=sent).raise_for_status()
    service.stop()
    rows[0]["amount"] = 8.25
    expected = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    assert (folder / "expenses.json").read_text(encoding="utf-8") == expected


@WITH_FILES
def test_ours_takes_over_from_the_first_version(start: Start, form: Form, tmp_path: Path) -> None:
    """Started on the first version's files, ours lists the same records and goes on from the same ids."""
    first = Service(FORMS["before"].module, tmp_path / "0").start()
    drive(first, [ordinary_day])
    listed = [httpx.get(f"{first.url}/api/v1/{noun}").text for noun in ("expense", "income")]
    first.stop()
    service = start()
    assert [httpx.get(f"{service.url}/api/v1/{noun}").text for noun in ("expense", "income")] == listed
    with httpx.Client(base_url=service.url) as client:
        assert create(client, "expense")["id"] == json.loads(listed[0])[-1]["id"] + 1


def drive(service: Service, days: list) -> None:
    """The same requests to both collections."""
    with httpx.Client(base_url=service.url, timeout=30) as client:
        for noun in ("expense", "income"):
            for day in days:
                day(client, noun)


def first_version(tmp_path: Path, days: list) -> list[bytes]:
    """The files that the first version leaves after the same requests."""
    service = Service(FORMS["before"].module, tmp_path / "before").start()
    drive(service, days)
    service.stop()
    return [(service.data / name).read_bytes() for name in FILES]
