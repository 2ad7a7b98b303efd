"""The facts sheet of the home budget, row by row; the first version and every phase of ours answer alike."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.contracts.home_budget.budget import body, create, ids, patch, rows

TEXTS = [
    "مشتريات الأسبوع",
    "קניות שבועיות",
    "🛒👨‍👩‍👧‍👦 fruit",
    "\u200fmixed שלום and مرحبا\u200e",
    'quotes " \\ and / and tab\t and line\nbreak',
    "",
    "  kept  as  is  ",
    "$extract",
]
AMOUNTS = [0, 15, 0.1, 12.34, -5.5, 99999999.99, -99999999.99, 1e3]


def test_root(client: httpx.Client) -> None:
    """GET / says that the backend runs."""
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.json() == {"message": "Home Budget Web Backend running"}


@pytest.mark.parametrize("path", ["/health", "/api/v1/health"])
def test_health(client: httpx.Client, path: str) -> None:
    """Health answers 200 with status ok; more keys are allowed."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


def test_empty_list(client: httpx.Client, noun: str) -> None:
    """A list without records is a bare empty list."""
    assert rows(client, noun) == []


def test_create_answers_with_the_whole_record(client: httpx.Client) -> None:
    """POST answers 200 with status created and the record, absent optional fields as null."""
    answer = client.post("/api/v1/expense", json=body())
    record = {**body(), "business": None, "currency": "₪", "notes": None, "id": 1}
    assert (answer.status_code, answer.json()) == (200, {"status": "created", "expense": record})
    assert rows(client, "expense") == [record]


def test_an_income_has_no_business(client: httpx.Client) -> None:
    """Unknown body fields are ignored; for an income `business` is one of them."""
    record = create(client, "income", business="Acme", colour="red", id=77)
    assert record == {**body(), "currency": "₪", "notes": None, "id": 1}
    assert rows(client, "income") == [record]


def test_unknown_fields_of_an_expense_are_ignored(client: httpx.Client) -> None:
    """Unknown body fields are ignored, an id in the body too."""
    record = create(client, "expense", business="Acme", colour="red", id=77)
    assert record == {**body(), "business": "Acme", "currency": "₪", "notes": None, "id": 1}


@pytest.mark.parametrize(("given", "kept"), [(None, "₪"), ("", "₪"), ("₪", "₪"), ("$", "$"), ("ש״ח", "ש״ח")])
def test_currency(client: httpx.Client, noun: str, given: str | None, kept: str) -> None:
    """An empty or null currency becomes the shekel sign; any other stands."""
    assert create(client, noun, currency=given)["currency"] == kept
    assert rows(client, noun)[0]["currency"] == kept


def test_a_missing_currency_is_the_shekel(client: httpx.Client, noun: str) -> None:
    """A body without currency gives the shekel sign."""
    assert create(client, noun)["currency"] == "₪"


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back_as_sent(client: httpx.Client, noun: str, text: str) -> None:
    """Arabic, Hebrew, emoji, direction marks and white space survive create, patch and list."""
    record = create(client, noun, category=text, account=text, notes=text)
    assert patch(client, noun, record["id"], "notes", text + "!").status_code == 200
    (listed,) = rows(client, noun)
    assert (listed["category"], listed["account"], listed["notes"]) == (text, text, text + "!")


@pytest.mark.parametrize("amount", AMOUNTS)
def test_amounts_are_json_numbers(client: httpx.Client, noun: str, amount: float) -> None:
    """An amount comes back as the JSON number it was, in every answer that shows it."""
    record = create(client, noun, amount=amount)
    text = client.get(f"/api/v1/{noun}").text
    listed = json.loads(text, parse_float=float, parse_int=float)[0]["amount"]
    assert (record["amount"], listed) == (amount, amount)
    assert isinstance(json.loads(text)[0]["amount"], float)
    assert patch(client, noun, record["id"], "amount", amount + 0.25 if abs(amount) < 9e7 else 1.01).status_code == 200


@pytest.mark.parametrize("amount", [12.5, 15.0, 100, 0.3])
def test_the_bytes_of_an_answer_do_not_depend_on_where_it_came_from(
    client: httpx.Client, noun: str, amount: float
) -> None:
    """Field order and number format of a listed record are those of the first version."""
    create(client, noun, amount=amount)
    business = '"business":null,' if noun == "expense" else ""
    assert client.get(f"/api/v1/{noun}").text == (
        f'[{{"date":"2026-01-02",{business}"category":"Food","amount":{float(amount)},'
        f'"account":"Cash","currency":"₪","notes":null,"id":1}}]'
    )


@pytest.mark.parametrize("missing", ["date", "category", "amount", "account"])
def test_a_required_field_is_missing(client: httpx.Client, noun: str, missing: str) -> None:
    """A body without a required field is 422 with a list of details that locates it; nothing is stored."""
    answer = client.post(f"/api/v1/{noun}", json={k: v for k, v in body().items() if k != missing})
    assert answer.status_code == 422
    (detail,) = answer.json()["detail"]
    assert {"type": "missing", "loc": ["body", missing], "msg": "Field required"}.items() <= detail.items()
    assert rows(client, noun) == []


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("amount", "much", "float_parsing"),
        ("amount", None, "float_type"),
        ("date", 20260102, "string_type"),
        ("date", None, "string_type"),
        ("category", None, "string_type"),
        ("account", 7, "string_type"),
        ("notes", 7, "string_type"),
        ("currency", 7, "string_type"),
    ],
)
def test_a_field_of_the_wrong_type(client: httpx.Client, noun: str, field: str, value: Any, kind: str) -> None:
    """A value of the wrong JSON type is 422 and located; nothing is stored."""
    answer = client.post(f"/api/v1/{noun}", json=body(**{field: value}))
    assert answer.status_code == 422
    (detail,) = answer.json()["detail"]
    assert (detail["loc"], detail["type"]) == (["body", field], kind)
    assert rows(client, noun) == []


def test_an_amount_in_text_is_taken_as_number(client: httpx.Client, noun: str) -> None:
    """An amount that arrives as numeric text is stored as the number, as the body model always did."""
    assert create(client, noun, amount="12.5")["amount"] == 12.5


def test_a_body_that_is_no_json(client: httpx.Client, noun: str) -> None:
    """A broken body is 422 with a list of details."""
    answer = client.post(f"/api/v1/{noun}", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "json_invalid"


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_an_id_that_is_no_integer(client: httpx.Client, noun: str, method: str) -> None:
    """A path id that is no integer is 422, located by the path parameter's name."""
    answer = client.request(method, f"/api/v1/{noun}/abc", json={"field": "notes", "value": "x"})
    assert answer.status_code == 422
    (detail,) = answer.json()["detail"]
    assert (detail["loc"], detail["type"]) == (["path", f"{noun}_id"], "int_parsing")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("date", "2027-12-31"),
        ("category", "Rent"),
        ("amount", 99.95),
        ("account", "Visa"),
        ("currency", "€"),
        ("notes", "שלום"),
        ("notes", None),
        ("notes", ""),
    ],
)
def test_patch(client: httpx.Client, noun: str, field: str, value: Any) -> None:
    """PATCH changes the one field, answers with the whole record and leaves its neighbours alone."""
    records = [create(client, noun, notes=f"n{n}") for n in range(3)]
    answer = patch(client, noun, 2, field, value)
    changed = {**records[1], field: value}
    assert (answer.status_code, answer.json()) == (200, {"status": "updated", noun: changed})
    assert rows(client, noun) == [records[0], changed, records[2]]


@pytest.mark.parametrize("value", ["Shop", None])
def test_patch_business(client: httpx.Client, value: str | None) -> None:
    """The business of an expense may be set and emptied."""
    create(client, "expense", business="Acme")
    assert patch(client, "expense", 1, "business", value).json()["expense"]["business"] == value


def test_patching_currency_to_null_gives_the_shekel(client: httpx.Client, noun: str) -> None:
    """A currency patched to null becomes the shekel sign."""
    create(client, noun, currency="$")
    assert patch(client, noun, 1, "currency", None).json()[noun]["currency"] == "₪"
    assert rows(client, noun)[0]["currency"] == "₪"


def test_patching_the_id_moves_the_record(client: httpx.Client, noun: str) -> None:
    """The id may be patched: the record keeps its place, the old id is gone, the next id follows the highest."""
    records = [create(client, noun, notes=f"n{n}") for n in range(3)]
    answer = patch(client, noun, 2, "id", 40)
    moved = {**records[1], "id": 40}
    assert (answer.status_code, answer.json()) == (200, {"status": "updated", noun: moved})
    assert rows(client, noun) == [records[0], moved, records[2]]
    assert patch(client, noun, 2, "notes", "x").status_code == 404
    assert patch(client, noun, 40, "notes", "x").status_code == 200
    assert create(client, noun)["id"] == 41


@pytest.mark.parametrize("field", ["colour", "", "Amount", "outlive_version", "__class__"])
def test_patch_of_an_unknown_field(client: httpx.Client, noun: str, field: str) -> None:
    """An unknown field is 400 `Invalid field` and changes nothing."""
    record = create(client, noun)
    answer = patch(client, noun, 1, field, "x")
    assert (answer.status_code, answer.json()) == (400, {"detail": "Invalid field"})
    assert rows(client, noun) == [record]


def test_an_income_has_no_business_to_patch(client: httpx.Client) -> None:
    """`business` is an unknown field of an income."""
    create(client, "income")
    assert patch(client, "income", 1, "business", "x").status_code == 400


@pytest.mark.parametrize("field", ["notes", "colour"])
def test_patch_of_an_unknown_record(client: httpx.Client, noun: str, field: str) -> None:
    """A record that is not there is 404 by name, whatever the field."""
    answer = patch(client, noun, 99, field, "x")
    assert (answer.status_code, answer.json()) == (404, {"detail": f"{noun.capitalize()} not found"})


@pytest.mark.parametrize("sent", [{"field": "notes"}, {"value": "x"}, {"field": 1, "value": "x"}, {}])
def test_patch_body(client: httpx.Client, noun: str, sent: dict[str, Any]) -> None:
    """A patch needs both `field` (text) and `value`."""
    create(client, noun)
    assert client.patch(f"/api/v1/{noun}/1", json=sent).status_code == 422


@pytest.mark.parametrize("value", [["x"], {"a": 1}])
def test_patch_value_is_text_number_or_null(client: httpx.Client, noun: str, value: Any) -> None:
    """A list or an object is no value for a field."""
    create(client, noun)
    assert patch(client, noun, 1, "notes", value).status_code == 422


def test_delete(client: httpx.Client, noun: str) -> None:
    """DELETE answers with the id and takes away that record alone; a second time it is 404."""
    records = [create(client, noun) for _ in range(3)]
    answer = client.delete(f"/api/v1/{noun}/2")
    assert (answer.status_code, answer.json()) == (200, {"status": "deleted", "id": 2})
    assert rows(client, noun) == [records[0], records[2]]
    again = client.delete(f"/api/v1/{noun}/2")
    assert (again.status_code, again.json()) == (404, {"detail": f"{noun.capitalize()} not found"})


@pytest.mark.parametrize(
    ("asked", "count", "left"),
    [
        ([1, 3], 2, [2, 4]),
        ([1, 1, 1], 1, [2, 3, 4]),
        ([9, 8], 0, [1, 2, 3, 4]),
        ([], 0, [1, 2, 3, 4]),
        ([4, 9, 2, 2, -1], 2, [1, 3]),
        ([4, 3, 2, 1], 4, []),
    ],
)
def test_bulk_delete_counts_what_existed(
    client: httpx.Client, noun: str, asked: list[int], count: int, left: list[int]
) -> None:
    """Bulk delete answers the number of records that existed, repeated and unknown ids not counted."""
    for _ in range(4):
        create(client, noun)
    answer = client.post(f"/api/v1/{noun}/bulk-delete", json={"ids": asked})
    assert (answer.status_code, answer.json()) == (200, {"status": "deleted", "count": count})
    assert ids(client, noun) == left


@pytest.mark.parametrize("sent", [{}, {"ids": None}, {"ids": "1"}, {"ids": ["x"]}, [1]])
def test_bulk_delete_body(client: httpx.Client, noun: str, sent: Any) -> None:
    """Bulk delete needs a list of integers; otherwise it is 422 and nothing goes."""
    create(client, noun)
    assert client.post(f"/api/v1/{noun}/bulk-delete", json=sent).status_code == 422
    assert ids(client, noun) == [1]


def test_ids_follow_the_highest(client: httpx.Client, noun: str) -> None:
    """A new id is the highest existing one plus 1: the highest is re-used after its deletion, a gap is not filled."""
    for _ in range(4):
        create(client, noun)
    client.delete(f"/api/v1/{noun}/2").raise_for_status()
    assert create(client, noun)["id"] == 5
    client.post(f"/api/v1/{noun}/bulk-delete", json={"ids": [4, 5]}).raise_for_status()
    assert create(client, noun)["id"] == 4
    assert ids(client, noun) == [1, 3, 4]


def test_ids_begin_again_when_all_is_deleted(client: httpx.Client, noun: str) -> None:
    """An emptied collection counts from 1 again."""
    create(client, noun)
    create(client, noun)
    client.post(f"/api/v1/{noun}/bulk-delete", json={"ids": [1, 2]}).raise_for_status()
    assert create(client, noun)["id"] == 1


def test_a_reused_id_is_a_new_record(client: httpx.Client, noun: str) -> None:
    """Nothing of a deleted record shows in the one that took its id."""
    create(client, noun, notes="old", currency="$", amount=1)
    client.delete(f"/api/v1/{noun}/1").raise_for_status()
    create(client, noun, amount=2)
    (listed,) = rows(client, noun)
    assert (listed["id"], listed["notes"], listed["currency"], listed["amount"]) == (1, None, "₪", 2)


def test_insertion_order(client: httpx.Client, noun: str) -> None:
    """The list keeps the order of insertion: not the date's, and not changed by a patch or a deletion."""
    for day in ("2026-03-01", "2026-01-01", "2026-02-01", "2025-12-31"):
        create(client, noun, date=day)
    patch(client, noun, 1, "amount", 1.5).raise_for_status()
    patch(client, noun, 3, "date", "2020-01-01").raise_for_status()
    client.delete(f"/api/v1/{noun}/2").raise_for_status()
    create(client, noun, date="2019-01-01")
    assert ids(client, noun) == [1, 3, 4, 5]


def test_the_collections_are_apart(client: httpx.Client) -> None:
    """Expenses and incomes count their ids and lose their records each for itself."""
    create(client, "expense")
    create(client, "expense")
    assert create(client, "income")["id"] == 1
    client.delete("/api/v1/expense/1").raise_for_status()
    assert (ids(client, "expense"), ids(client, "income")) == ([2], [1])


@pytest.mark.parametrize("value", [0, -3, 2**31 - 1])
def test_a_path_id_may_be_any_integer(client: httpx.Client, noun: str, value: int) -> None:
    """An integer that no record has is 404, negative and large ones too."""
    assert client.delete(f"/api/v1/{noun}/{value}").status_code == 404


@pytest.mark.parametrize("value", [2**31, 2**63, 10**30])
def test_a_path_id_beyond_the_column_is_not_found(client: httpx.Client, noun: str, value: int) -> None:
    """An id that no column could hold is an id that no record has."""
    assert client.delete(f"/api/v1/{noun}/{value}").status_code == 404
    assert patch(client, noun, value, "notes", "x").status_code == 404
    assert client.post(f"/api/v1/{noun}/bulk-delete", json={"ids": [value]}).json()["count"] == 0
