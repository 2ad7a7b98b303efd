"""Facts over HTTP, alike in every phase."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.contracts.facts import facts
from tests.contracts.facts.facts import NOT_FOUND, ask, create, new_id
from tests.contracts.farm.conftest import PHASES, Opened, in_every_phase, in_forms
from tests.contracts.farm.running import Running

PACKAGE = "services.facts"
ENVIRONMENT = facts.ENVIRONMENT
in_two_phases = in_forms(PHASES[0], PHASES[-1])
UNHOLDABLE = [{"id": "a\x00b"}, {"statement": "a\x00b"}, {"tags": ["\x00"]}, {"metadata": {"a": "\x00"}}]


@in_every_phase
def test_create_answers_the_whole_fact(http: Running) -> None:
    """A fact with all fields, and one with those that are needed; unknown fields are ignored."""
    body = {
        "id": new_id(), "category": "علوم", "statement": "الماء يغلي", "verified": True,
        "timestamp": "2026-01-02T03:04:05.678+02:00", "tags": ["ماء", "b"],
        "metadata": {"source": {"page": 3}, "share": 0.1},
    }  # fmt: skip
    made = create(http, **body, other=1)
    assert made == {**body, "timestamp": "2026-01-02T01:04:05.678000+00:00"}
    assert ask(http, "GET", f"/facts/{body['id']}").json() == made
    least = ask(http, "POST", "/facts", json={"id": new_id(), "category": "", "statement": ""}).json()
    assert (least["verified"], least["tags"], least["metadata"]) == (False, [], {})
    assert least["timestamp"].endswith("+00:00")


@in_every_phase
def test_an_id_is_given_once(http: Running) -> None:
    """A second fact with an id is a 409 with the registry's text, also when both come at once."""
    made = create(http)
    answer = ask(http, "POST", "/facts", json=made)
    taken = {"detail": f"Fact with ID '{made['id']}' already exists"}
    assert (answer.status_code, answer.json()) == (409, taken)
    body = {"id": new_id(), "category": "c", "statement": "s"}
    request = ("POST", "/facts", {"json": body, "headers": facts.HEADERS})
    assert sorted(each.status_code for each in http.together(*[request] * 5)) == [201, 409, 409, 409, 409]


@in_two_phases
@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"id": ""}, "id"), ({"id": "  "}, "id"), ({"id": None}, "id"), ({"id": 3}, "id"),
        ({"category": None}, "category"),
        ({"statement": None}, "statement"), ({"verified": "x"}, "verified"), ({"timestamp": "soon"}, "timestamp"),
        ({"tags": "a"}, "tags"), ({"tags": [1]}, "tags"), ({"metadata": []}, "metadata"),
        ({"verified": None}, "verified"),
    ],
)  # fmt: skip
def test_what_is_no_fact(http: Running, fields: dict[str, Any], place: str) -> None:
    """A blank id is a 422 with the registry's text, a field that is missing or of another type a 422 that names it."""
    answer = ask(http, "POST", "/facts", json={"id": new_id(), "category": "c", "statement": "s", **fields})
    detail = answer.json()["detail"][0]
    assert (answer.status_code, detail["loc"][:2]) == (422, ["body", place])
    if isinstance(fields.get("id"), str):
        assert detail == {"type": "value_error", "loc": ["body", "id"], "msg": "Fact ID cannot be empty"}


@in_every_phase
def test_lists(http: Running) -> None:
    """By category, tag and verified, together too, in the order of registration, a page at a time."""
    category, tag = uuid.uuid4().hex, uuid.uuid4().hex
    made = [
        create(http, category=category, verified=number % 2 == 0, tags=["x", tag] if number < 3 else ["x"])
        for number in range(5)
    ]

    def listed(**query: Any) -> Any:
        return ask(http, "GET", "/facts", params={"category": category, **query}).json()

    assert listed() == {"facts": made, "total": 5, "limit": 50, "offset": 0}
    assert listed(verified="true")["facts"] == made[::2]
    assert listed(verified="false")["facts"] == made[1::2]
    assert ask(http, "GET", "/facts", params={"tag": tag}).json()["facts"] == made[:3]
    assert listed(tag=tag, verified="true")["facts"] == [made[0], made[2]]
    assert listed(limit=2, offset=1) == {"facts": made[1:3], "total": 5, "limit": 2, "offset": 1}
    assert listed(offset=9) == {"facts": [], "total": 5, "limit": 50, "offset": 9}
    assert listed(tag=tag[:-1])["facts"] == []
    for query in ({"limit": 0}, {"limit": 1001}, {"offset": -1}, {"verified": "perhaps"}):
        assert ask(http, "GET", "/facts", params=query).status_code == 422


@in_every_phase
def test_update_sets_what_is_named(http: Running) -> None:
    """A field that the body names is set, all others stay, and so does the fact's place; null is no value."""
    category = uuid.uuid4().hex
    first, second = create(http, category=category, metadata={"a": 1}), create(http, category=category)
    path = f"/facts/{first['id']}"
    answer = ask(http, "PUT", path, json={"statement": "", "tags": [], "verified": True, "id": "other"})
    changed = {**first, "statement": "", "tags": [], "verified": True}
    assert (answer.status_code, answer.json()) == (200, changed)
    assert ask(http, "GET", "/facts", params={"category": category}).json()["facts"] == [changed, second]
    moved = ask(http, "PUT", path, json={"timestamp": "2026-01-02T03:04:05", "metadata": {}}).json()
    assert moved == {**changed, "timestamp": "2026-01-02T03:04:05+00:00", "metadata": {}}
    assert ask(http, "PUT", path, json={}).json() == moved
    for name in ("category", "statement", "verified", "timestamp", "tags", "metadata"):
        assert ask(http, "PUT", path, json={name: None}).status_code == 422
    answer = ask(http, "PUT", "/facts/nobody", json={})
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


@in_every_phase
def test_delete(http: Running) -> None:
    """The first time a 204 without body, then a 404; and the id is free again."""
    made = create(http)
    path = f"/facts/{made['id']}"
    answer = ask(http, "DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("DELETE", "GET"):
        answer = ask(http, method, path)
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert create(http, id=made["id"])["id"] == made["id"]


@in_every_phase
def test_ids_of_all_kinds(http: Running) -> None:
    """A slash, a space, an accent and Arabic may stand in an id; one that PostgreSQL cannot hold is not there."""
    for fact_id in (f"a/b {uuid.uuid4().hex}", f"ف{uuid.uuid4().hex}"):
        made = create(http, id=fact_id)
        assert ask(http, "GET", f"/facts/{fact_id}").json() == made
        assert ask(http, "POST", f"/facts/{fact_id}/validate").json()["fact_id"] == fact_id
        assert ask(http, "DELETE", f"/facts/{fact_id}").status_code == 204
    assert ask(http, "GET", "/facts/%00").status_code == 404


@in_forms(*PHASES[2:])
@pytest.mark.parametrize("fields", UNHOLDABLE)
def test_what_postgresql_cannot_hold(http: Running, fields: dict[str, Any]) -> None:
    """A character NUL is a 422 that names the field."""
    answer = ask(http, "POST", "/facts", json={"id": new_id(), "category": "c", "statement": "s", **fields})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", next(iter(fields))])


@in_every_phase
def test_facts_need_the_key(http: Running) -> None:
    """Every route of facts is a 401 without it."""
    for method, path in (
        ("GET", "/facts"), ("POST", "/facts"), ("GET", "/facts/x"), ("PUT", "/facts/x"), ("DELETE", "/facts/x"),
        ("POST", "/facts/x/validate"), ("POST", "/facts/register-and-validate"), ("GET", "/facts/summary"),
        ("GET", "/facts/coherence-report"),
    ):  # fmt: skip
        answer = http.request(method, path)
        assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid or missing API key"})


@in_every_phase
def test_validate_a_fact(http: Running, opened: Opened) -> None:
    """The result is answered and kept as the fact's latest one; the fact itself looks as before."""
    made = create(http, statement="It is wrong", tags=[])
    answer = ask(http, "POST", f"/facts/{made['id']}/validate")
    told = answer.json()
    assert told.pop("timestamp").endswith("+00:00")
    assert answer.status_code == 200
    assert told == {
        "fact_id": made["id"], "status": "suspicious", "confidence": 0.85 * 0.55,
        "findings": ["No tags present - affects discoverability", "Deception detected: user_correction"],
        "metadata": {"rules_checked": 4, "deception_checked": True},
    }  # fmt: skip
    ask(http, "PUT", f"/facts/{made['id']}", json={"statement": "It is right", "tags": ["a"]})
    assert ask(http, "POST", f"/facts/{made['id']}/validate").json()["confidence"] == 1.0
    stores = opened.module("stores")

    async def kept() -> Any:
        fact = await stores.facts.repository.get(made["id"])
        result = await stores.results.repository.get(made["id"])
        return fact.validation_status, fact.validation_score, result.status, result.fact_id

    assert http.run(kept()) == ("coherent", 1.0, "coherent", made["id"])
    assert ask(http, "GET", f"/facts/{made['id']}").json()["statement"] == "It is right"
    answer = ask(http, "POST", "/facts/nobody/validate")
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    together = http.together(*[("POST", f"/facts/{made['id']}/validate", {"headers": facts.HEADERS})] * 5)
    assert [each.status_code for each in together] == [200] * 5


@in_every_phase
def test_register_and_validate(http: Running) -> None:
    """A good fact is registered, a bad one and a known one are not; each time the result is kept."""
    body = {"id": new_id(), "category": "c", "statement": "Rivers lead somewhere", "tags": ["a"]}
    before = ask(http, "GET", "/facts/summary").json()["total_validated"]
    answer = ask(http, "POST", "/facts/register-and-validate", json=body)
    told = answer.json()
    assert (answer.status_code, told["success"], told["fact_id"], told["error"]) == (200, True, body["id"], None)
    assert set(told["validation"]) == {"fact_id", "status", "confidence", "findings", "metadata", "timestamp"}
    assert told["validation"].items() >= {"status": "coherent", "confidence": 1.0, "findings": []}.items()
    assert ask(http, "GET", f"/facts/{body['id']}").json()["statement"] == "Rivers lead somewhere"
    told = ask(http, "POST", "/facts/register-and-validate", json=body).json()
    assert (told["success"], told["error"]) == (False, f"Fact with ID '{body['id']}' already exists")
    bad = {"id": new_id(), "category": "c", "statement": "404"}
    told = ask(http, "POST", "/facts/register-and-validate", json=bad).json()
    assert (told["success"], told["error"]) == (False, "Fact rejected due to low quality/coherence")
    assert told["validation"]["status"] == "noise"
    assert ask(http, "GET", f"/facts/{bad['id']}").status_code == 404
    assert ask(http, "GET", "/facts/summary").json()["total_validated"] == before + 2
    answer = ask(http, "POST", "/facts/register-and-validate", json={**body, "id": " "})
    assert (answer.status_code, answer.json()["detail"][0]["msg"]) == (422, "Fact ID cannot be empty")


@in_every_phase
def test_report_and_summary(http: Running, opened: Opened) -> None:
    """The coherence report counts facts, verified and by category; the summary counts results."""
    stores = opened.module("stores")

    async def empty() -> None:
        for store in (stores.facts, stores.results):
            await store.repository.bulk_delete(await store.repository.keys())

    http.run(empty())
    assert ask(http, "GET", "/facts/coherence-report").json() == {
        "total_facts": 0, "verified_facts": 0, "unverified_facts": 0, "verification_rate": 0.0,
        "category_breakdown": {}, "categories_count": 0,
    }  # fmt: skip
    assert ask(http, "GET", "/facts/summary").json() == {
        "total_validated": 0, "coherent": 0, "suspicious": 0, "noise": 0, "average_confidence": 0.0,
        "coherence_rate": 0.0,
    }  # fmt: skip
    good = create(http, category="b", verified=True)
    fair = create(http, category="a", tags=[], statement="It is wrong")
    create(http, category="b")
    assert ask(http, "GET", "/facts/coherence-report").json() == {
        "total_facts": 3, "verified_facts": 1, "unverified_facts": 2, "verification_rate": 1 / 3 * 100,
        "category_breakdown": {"b": 2, "a": 1}, "categories_count": 2,
    }  # fmt: skip
    for made in (good, fair):
        ask(http, "POST", f"/facts/{made['id']}/validate")
    ask(http, "POST", "/facts/register-and-validate", json={"id": new_id(), "category": "", "statement": "404"})
    assert ask(http, "GET", "/facts/summary").json() == {
        "total_validated": 3, "coherent": 1, "suspicious": 1, "noise": 1,
        "average_confidence": 0.519, "coherence_rate": 33.33,  # (1 + 0.4675 + 0.15 x 0.6) / 3
    }  # fmt: skip


@in_two_phases
@pytest.mark.parametrize("depth", [98, 101, 900])
def test_metadata_is_not_nested_without_end(http: Running, depth: int) -> None:
    """A hundred levels are stored, more are a 422, for a fact and for a product."""
    nest = "[" * depth + "]" * depth
    fact = f'{{"id": "{new_id()}", "category": "c", "statement": "s", "metadata": {{"a": {nest}}}}}'
    product = f'[{{"make": "m", "model": "o", "category": "c", "price": 1, "attributes": {{"a": {nest}}}}}]'
    for path, body in (("/facts", fact), ("/api/process-products", product)):
        answer = ask(http, "POST", path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == (422 if depth > 100 else 201 if path == "/facts" else 200)
