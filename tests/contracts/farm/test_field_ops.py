"""The field service's API, alike in every form."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from tests.contracts.farm.conftest import in_every_phase
from tests.contracts.farm.running import Running

PACKAGE = "services.farm.field_ops"
SHOWN = {"id", "tenant_id", "name", "name_ar", "area_hectares", "crop_type", "created_at", "updated_at"}
NO_FIELD, NO_OPERATION = {"detail": "Field not found"}, {"detail": "Operation not found"}


def create(http: Running, tenant: str, **more: Any) -> dict[str, Any]:
    """A new field of the tenant."""
    answer = http.post("/fields", json={"tenant_id": tenant, "name": "حقل", "area_hectares": 2.5, **more})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def operate(http: Running, tenant: str, field: str, **more: Any) -> dict[str, Any]:
    """A new operation."""
    answer = http.post("/operations", json={"tenant_id": tenant, "field_id": field, "operation_type": "plough", **more})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_field_without_what_is_only_listed(http: Running, tenant: str) -> None:
    """Geometry and metadata are kept and listed, and not part of single answers; created aware, updated naive."""
    geometry = {"type": "Point", "coordinates": [44.1, 15.3]}
    made = create(http, tenant, name_ar="ا", crop_type="qat", geometry=geometry, extra=1)
    assert set(made) == SHOWN
    assert uuid.UUID(made["id"])
    assert dt.datetime.fromisoformat(made["created_at"]).tzinfo is not None
    assert dt.datetime.fromisoformat(made["updated_at"]).tzinfo is None
    answer = http.get(f"/fields/{made['id']}")
    assert (answer.status_code, answer.json()) == (200, made)
    listed = http.get("/fields", params={"tenant_id": tenant}).json()
    assert listed == {"items": [{**made, "geometry": geometry, "metadata": {}}], "total": 1, "skip": 0, "limit": 50}


@pytest.mark.parametrize("more", [{"area_hectares": 0}, {"area_hectares": -1}, {"name": None}, {"area_hectares": "x"}])
def test_what_is_no_field(http: Running, tenant: str, more: dict[str, Any]) -> None:
    """422, and nothing is kept."""
    body = {"tenant_id": tenant, "name": "n", "area_hectares": 1, **more}
    assert http.post("/fields", json=body).status_code == 422
    assert http.get("/fields", params={"tenant_id": tenant}).json()["total"] == 0


def test_faults_are_told_in_the_order_of_the_fields(http: Running, tenant: str) -> None:
    """All at once, whatever the order in the body."""
    told = http.post("/fields", json={"crop_type": 1, "area_hectares": 0, "name_ar": 2, "tenant_id": tenant})
    assert [each["loc"][1] for each in told.json()["detail"]] == ["name", "name_ar", "area_hectares", "crop_type"]


def test_fields_come_as_they_were_made(http: Running, tenant: str) -> None:
    """In pages, of one tenant; without a tenant there is no list."""
    ids = [create(http, tenant, name=name)["id"] for name in "cab"]
    page = http.get("/fields", params={"tenant_id": tenant, "skip": 1, "limit": 1}).json()
    assert [each["id"] for each in page["items"]] == ids[1:2]
    assert (page["total"], page["skip"], page["limit"]) == (3, 1, 1)
    assert http.get("/fields").status_code == 422
    assert http.get("/fields", params={"tenant_id": tenant, "limit": 101}).status_code == 422


def test_an_update_skips_nulls(http: Running, tenant: str) -> None:
    """What is named and not null is set; the rest stays."""
    made = create(http, tenant, crop_type="qat", metadata={"a": 1})
    body = {"name": "new", "crop_type": None, "metadata": {"b": 2}, "area_hectares": 0.5}
    changed = http.put(f"/fields/{made['id']}", json=body).json()
    assert {**changed, "updated_at": ""} == {**made, "name": "new", "area_hectares": 0.5, "updated_at": ""}
    assert changed["updated_at"] > made["updated_at"]
    listed = http.get("/fields", params={"tenant_id": tenant}).json()["items"]
    assert listed[0]["metadata"] == {"b": 2}
    missing = http.put("/fields/none", json={})
    assert (missing.status_code, missing.json()) == (404, NO_FIELD)


def test_operations_outlive_their_field(http: Running, tenant: str) -> None:
    """A deleted field is gone, what was done on it is not."""
    field = create(http, tenant)["id"]
    made = operate(http, tenant, field, scheduled_date="soon")
    answer = http.delete(f"/fields/{field}")
    assert (answer.status_code, answer.json()) == (200, {"status": "deleted", "field_id": field})
    again = http.delete(f"/fields/{field}")
    assert (again.status_code, again.json()) == (404, NO_FIELD)
    assert http.get(f"/fields/{field}").json() == NO_FIELD
    assert http.get(f"/operations/{made['id']}").json() == made


def test_operations(http: Running, tenant: str) -> None:
    """Scheduled until completed, completed again as often as asked; the field need not exist."""
    field = f"f_{uuid.uuid4().hex[:8]}"
    made = [operate(http, tenant, field, notes=f"n{number}") for number in range(3)]
    assert set(made[0]) == {
        "id", "field_id", "operation_type", "status", "scheduled_date", "completed_date", "created_at",
    }  # fmt: skip
    assert (made[0]["status"], made[0]["completed_date"]) == ("scheduled", None)
    for _ in range(2):
        done = http.post(f"/operations/{made[1]['id']}/complete")
        assert (done.status_code, done.json()["status"]) == (200, "completed")
    assert http.get(f"/operations/{made[1]['id']}").json()["completed_date"] is not None
    body = http.get("/operations", params={"field_id": field, "status": "scheduled"}).json()
    assert ([each["notes"] for each in body["items"]], body["total"]) == (["n0", "n2"], 2)
    assert http.get("/operations", params={"field_id": field, "skip": 2}).json()["items"][0]["notes"] == "n2"
    for answer in (http.get("/operations/none"), http.post("/operations/none/complete")):
        assert (answer.status_code, answer.json()) == (404, NO_OPERATION)
    assert http.get("/operations").status_code == 422


def test_stats_of_a_tenant(http: Running, tenant: str) -> None:
    """Fields, their area, and operations by state."""
    empty = http.get(f"/stats/tenant/{tenant}").json()
    assert empty == {
        "tenant_id": tenant, "fields_count": 0, "total_area_hectares": 0,
        "operations": {"total": 0, "scheduled": 0, "completed": 0},
    }  # fmt: skip
    for area in (1.5, 2.25):
        create(http, tenant, area_hectares=area)
    first = operate(http, tenant, "f")
    operate(http, tenant, "g")
    http.post(f"/operations/{first['id']}/complete")
    body = http.get(f"/stats/tenant/{tenant}").json()
    assert (body["fields_count"], body["total_area_hectares"]) == (2, 3.75)
    assert body["operations"] == {"total": 2, "scheduled": 1, "completed": 1}


def test_changes_at_the_same_time(http: Running, tenant: str) -> None:
    """Updates and completions are all made, one after the other; of deletions one meets the field."""
    field = http.post("/fields", json={"tenant_id": tenant, "name": "n", "area_hectares": 1}).json()
    body = {"tenant_id": tenant, "field_id": field["id"], "operation_type": "x"}
    done = f"/operations/{http.post('/operations', json=body).json()['id']}/complete"
    path = f"/fields/{field['id']}"
    renamed = http.together(*[("PUT", path, {"json": {"name": f"n{number}"}}) for number in range(4)])
    assert [each.status_code for each in renamed] == [200] * 4
    assert http.get(path).json()["name"] in [each.json()["name"] for each in renamed]
    assert [each.status_code for each in http.together(*[("POST", done, {})] * 4)] == [200] * 4
    assert sorted(each.status_code for each in http.together(*[("DELETE", path, {})] * 3)) == [200, 404, 404]


def test_the_empty_name_is_a_tenant_too(http: Running, tenant: str) -> None:
    """Its fields and operations are its own."""
    kept = http.get("/fields", params={"tenant_id": ""}).json()["total"]
    made = http.post("/fields", json={"tenant_id": "", "name": "n", "area_hectares": 2}).json()
    http.post("/fields", json={"tenant_id": tenant, "name": "n", "area_hectares": 3})
    body = {"tenant_id": "", "field_id": made["id"], "operation_type": "x"}
    assert http.post("/operations", json=body).status_code == 200
    listed = http.get("/fields", params={"tenant_id": "", "limit": 100}).json()
    assert (listed["total"], listed["items"][-1]["id"]) == (kept + 1, made["id"])
    assert {each["tenant_id"] for each in listed["items"]} == {""}
    assert http.get("/operations", params={"field_id": made["id"]}).json()["total"] == 1


@in_every_phase
def test_strict_tenants(http: Running, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With STRICT_TENANTS a header is needed, and another tenant's records are not there."""
    field = create(http, tenant)["id"]
    made = operate(http, tenant, field)
    monkeypatch.setenv("STRICT_TENANTS", "true")
    mine, other = {"X-Tenant-Id": tenant}, {"X-Tenant-Id": "other"}
    paths = [f"/fields/{field}", f"/operations/{made['id']}"]
    for path in paths:
        assert [http.get(path, headers=who).status_code for who in ({}, other, mine)] == [400, 404, 200]
    assert http.put(paths[0], headers=other, json={"name": "x"}).status_code == 404
    assert http.delete(paths[0], headers=other).status_code == 404
    assert http.post(f"{paths[1]}/complete", headers=other).status_code == 404
    assert http.get("/operations", params={"field_id": field}, headers=other).json()["total"] == 0
    for path in (f"/stats/tenant/{tenant}", f"/fields?tenant_id={tenant}"):
        assert [http.get(path, headers=who).status_code for who in (other, mine)] == [403, 200]
    body = {"tenant_id": tenant, "name": "n", "area_hectares": 1}
    assert http.post("/fields", json=body, headers=other).status_code == 403
    assert http.get(paths[0], headers=mine).json()["name"] == "حقل"


def test_health(http: Running, form: Any) -> None:
    """Healthy in every form; ours says whether the database answers."""
    body = http.get("/healthz").json()
    assert (body["status"], "database" in body) == ("healthy", form.ours)
