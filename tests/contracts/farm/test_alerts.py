"""The alert service's API, alike in every form."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from tests.contracts.farm.conftest import Form, Opened, in_every_phase
from tests.contracts.farm.running import Running

PACKAGE = "services.farm.alerts"
REQUIRED = {"detail": "X-Tenant-Id header is required"}
FIELDS = {
    "id", "field_id", "tenant_id", "type", "severity", "status", "title", "title_en", "message", "message_en",
    "recommendations", "recommendations_en", "metadata", "source_service", "correlation_id", "created_at", "expires_at",
    "acknowledged_at", "acknowledged_by", "dismissed_at", "dismissed_by", "resolved_at", "resolved_by",
    "resolution_note",
}  # fmt: skip
RULE = {
    "field_id": "f1", "name": "dry", "condition": {"metric": "soil_moisture", "operator": "lt", "value": 20},
    "alert_config": {"type": "soil_moisture", "severity": "high", "title": "جاف"},
}  # fmt: skip


@pytest.fixture
def field() -> str:
    """A field that nobody used."""
    return f"field_{uuid.uuid4().hex[:8]}"


def create(http: Running, tenant: str, **more: Any) -> dict[str, Any]:
    """A new alert of the tenant."""
    body = {"field_id": "f1", "type": "pest", "severity": "high", "title": "آفة", "message": "m", **more}
    answer = http.post("/alerts", headers={"X-Tenant-Id": tenant}, json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def asked(http: Running, method: str, path: str, tenant: str, **options: Any) -> tuple[int, Any]:
    """Status and body of a request of the tenant."""
    answer = http.request(method, path, headers={"X-Tenant-Id": tenant}, **options)
    return answer.status_code, answer.json()


def test_create_answers_the_whole_record(http: Running, tenant: str) -> None:
    """An alert begins active; null lists and metadata become empty; times are aware."""
    made = create(http, tenant, recommendations=None, metadata=None, recommendations_en=["a"], other=1)
    assert set(made) == FIELDS
    assert uuid.UUID(made["id"])
    assert (made["status"], made["tenant_id"]) == ("active", tenant)
    assert (made["recommendations"], made["recommendations_en"], made["metadata"]) == ([], ["a"], {})
    assert made["created_at"].endswith("+00:00")
    assert made["resolution_note"] is None
    full = create(http, tenant, metadata={"z": {"b": 1, "a": [None, 2.5]}}, source_service="s", title_en="t" * 200)
    assert asked(http, "GET", f"/alerts/{full['id']}", tenant) == (200, full)


@pytest.mark.parametrize(
    "more", [{"title": ""}, {"title": "x" * 201}, {"message": "x" * 2001}, {"type": "x"}, {"severity": None}]
)
def test_what_is_no_alert(http: Running, tenant: str, more: dict[str, Any]) -> None:
    """422, and no alert."""
    body = {"field_id": "f1", "type": "pest", "severity": "high", "title": "t", "message": "m", **more}
    assert asked(http, "POST", "/alerts", tenant, json=body)[0] == 422


def test_whose_alert(http: Running, tenant: str) -> None:
    """Without a tenant 400; another's alert 403; an unknown or malformed id 404; a foreign tenant in the body 403."""
    made = create(http, tenant, tenant_id=tenant)
    path = f"/alerts/{made['id']}"
    for method, where in (("GET", path), ("PATCH", path), ("DELETE", path), ("POST", f"{path}/dismiss?user_id=u")):
        options = {"json": {}} if method == "PATCH" else {}
        answer = http.request(method, where, **options)
        assert (answer.status_code, answer.json()) == (400, REQUIRED)
        assert asked(http, method, where, "somebody", **options) == (403, {"detail": "Access denied"})
        for unknown in (str(uuid.uuid4()), "x"):
            elsewhere = where.replace(made["id"], unknown)
            assert asked(http, method, elsewhere, tenant, **options) == (404, {"detail": "Alert not found"})
    assert http.get("/alerts/field/f1", headers={"X-Tenant-Id": ""}).status_code == 400
    body = {"field_id": "f", "type": "pest", "severity": "low", "title": "t", "message": "m", "tenant_id": "other"}
    assert asked(http, "POST", "/alerts", tenant, json=body) == (403, {"detail": "Tenant ID mismatch"})
    assert asked(http, "GET", path, tenant) == (200, made)


def test_a_fields_alerts_are_newest_first(http: Running, tenant: str, field: str) -> None:
    """Filtered, in pages, of this tenant alone; has_more looks beyond the page."""
    made = [create(http, tenant, field_id=field, severity=severity) for severity in ("low", "high", "high")]
    create(http, "somebody_else", field_id=field)
    create(http, tenant, field_id="other")
    path = f"/alerts/field/{field}"
    newest = made[::-1]
    assert asked(http, "GET", path, tenant) == (
        200, {"items": newest, "total": 3, "skip": 0, "limit": 50, "has_more": False}
    )  # fmt: skip
    page = asked(http, "GET", f"{path}?skip=1&limit=1", tenant)[1]
    assert page == {"items": newest[1:2], "total": 3, "skip": 1, "limit": 1, "has_more": True}
    assert asked(http, "GET", f"{path}?skip=2&limit=1", tenant)[1]["has_more"] is False
    assert asked(http, "GET", f"{path}?severity=high", tenant)[1]["items"] == newest[:2]
    assert asked(http, "GET", f"{path}?severity=high&type=weather", tenant)[1]["total"] == 0
    asked(http, "POST", f"/alerts/{made[0]['id']}/dismiss?user_id=u", tenant)
    assert asked(http, "GET", f"{path}?status=active&type=pest", tenant)[1]["total"] == 2
    assert asked(http, "GET", f"{path}?limit=101", tenant)[0] == 422


def test_an_end_keeps_its_zone_or_none(http: Running, tenant: str) -> None:
    """What was given is answered, with an offset where it had a zone."""
    for given, answered in (
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05"), ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05.5+03:00", "2026-01-02T03:04:05.500000+03:00"),
    ):  # fmt: skip
        made = create(http, tenant, expires_at=given)
        assert made["expires_at"] == answered
        assert asked(http, "GET", f"/alerts/{made['id']}", tenant) == (200, made)


def test_patch_without_a_body_changes_nothing(http: Running, tenant: str) -> None:
    """The contract's document does not require one."""
    made = create(http, tenant)
    assert asked(http, "PATCH", f"/alerts/{made['id']}", tenant) == (200, made)
    assert asked(http, "PATCH", f"/alerts/{made['id']}", tenant, json=None) == (200, made)


def test_what_is_wrong_is_listed_in_the_contracts_order(http: Running, tenant: str) -> None:
    """As the document lists the fields."""
    body = {"field_id": 1, "tenant_id": 1, "type": 1, "severity": 1, "title": 1, "title_en": 1, "message": 1}
    said = asked(http, "POST", "/alerts", tenant, json=body)[1]["detail"]
    assert [each["loc"][1] for each in said] == list(body)


def test_patch_stamps_a_status_and_nothing_else(http: Running, tenant: str) -> None:
    """Without a status nothing changes; stamps of earlier states stay; any status may follow any other."""
    made = create(http, tenant)
    path = f"/alerts/{made['id']}"
    assert asked(http, "PATCH", path, tenant, json={"resolved_by": "x", "resolution_note": "n"}) == (200, made)
    one = asked(http, "PATCH", path, tenant, json={"status": "acknowledged", "acknowledged_by": "ali"})[1]
    assert (one["status"], one["acknowledged_by"]) == ("acknowledged", "ali")
    assert dt.datetime.fromisoformat(one["acknowledged_at"]).tzinfo is not None
    two = asked(http, "PATCH", path, tenant, json={"status": "resolved", "resolved_by": "b", "resolution_note": "تم"})[
        1
    ]
    assert (two["acknowledged_at"], two["resolved_by"], two["resolution_note"]) == (one["acknowledged_at"], "b", "تم")
    three = asked(http, "PATCH", path, tenant, json={"status": "active"})[1]
    assert three == {**two, "status": "active"}
    assert asked(http, "PATCH", path, tenant, json={"resolution_note": "x" * 1001})[0] == 422


def test_transitions(http: Running, tenant: str) -> None:
    """Only what is active is acknowledged; nothing is resolved or dismissed twice."""
    made = create(http, tenant)
    path = f"/alerts/{made['id']}"
    assert asked(http, "POST", f"{path}/acknowledge", tenant)[0] == 422
    done = asked(http, "POST", f"{path}/acknowledge?user_id=ali", tenant)[1]
    assert (done["status"], done["acknowledged_by"]) == ("acknowledged", "ali")
    again = asked(http, "POST", f"{path}/acknowledge?user_id=ali", tenant)
    assert again == (400, {"detail": "Cannot acknowledge alert with status: acknowledged"})
    dismissed = asked(http, "POST", f"{path}/dismiss?user_id=d", tenant)[1]
    assert (dismissed["status"], dismissed["dismissed_by"]) == ("dismissed", "d")
    assert asked(http, "POST", f"{path}/dismiss?user_id=d", tenant) == (400, {"detail": "Alert is already dismissed"})
    resolved = asked(http, "POST", f"{path}/resolve?user_id=r&note=ok", tenant)[1]
    assert (resolved["status"], resolved["resolved_by"], resolved["resolution_note"]) == ("resolved", "r", "ok")
    assert asked(http, "POST", f"{path}/resolve?user_id=r", tenant) == (400, {"detail": "Alert is already resolved"})


OWN: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "", {}), ("PATCH", "", {"json": {"status": "resolved"}}), ("DELETE", "", {}),
    ("POST", "/acknowledge?user_id=u", {}), ("POST", "/resolve?user_id=u", {}), ("POST", "/dismiss?user_id=u", {}),
    ("GET", "/history", {}),
]  # fmt: skip
UNSCOPED = {
    ("POST", "/alerts/rules"), ("GET", "/alerts/rules"), ("DELETE", "/alerts/rules/{rule_id}"),
    ("GET", "/alerts/stats"), ("POST", "/alerts/expire-due"),
    ("GET", "/health"), ("GET", "/healthz"), ("GET", "/readyz"),
}  # fmt: skip


@in_every_phase
def test_no_tenant_sees_another(http: Running, tenant: str, field: str) -> None:
    """Every route that is not named as unscoped: 400 without a tenant, 403 for another's alert, and nothing changes."""
    made = create(http, tenant, field_id=field)
    documented = http.get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, way in documented.items() for method in way} == {
        *UNSCOPED, ("POST", "/alerts"), ("GET", "/alerts/field/{field_id}"),
        *((method, f"/alerts/{{alert_id}}{path.partition('?')[0]}") for method, path, _ in OWN),
    }  # fmt: skip
    for method, path, options in OWN:
        where = f"/alerts/{made['id']}{path}"
        assert asked(http, method, where, "somebody", **options) == (403, {"detail": "Access denied"})
        assert asked(http, method, where, "", **options) == (400, REQUIRED)
    assert asked(http, "GET", f"/alerts/field/{field}", "somebody")[1]["total"] == 0
    assert asked(http, "GET", f"/alerts/field/{field}", tenant)[1]["items"] == [made]


def test_deleted_is_gone(http: Running, tenant: str) -> None:
    """200 with the id, then 404."""
    made = create(http, tenant)
    path = f"/alerts/{made['id']}"
    assert asked(http, "DELETE", path, tenant) == (200, {"status": "deleted", "alert_id": made["id"]})
    assert asked(http, "DELETE", path, tenant) == (404, {"detail": "Alert not found"})


def test_rules(http: Running, field: str) -> None:
    """Created without a tenant, listed as they came, filtered, deleted once."""
    made = [http.post("/alerts/rules", json={**RULE, "field_id": field, "enabled": n != 1}).json() for n in range(3)]
    first = made[0]
    assert set(first) == {
        "id", "field_id", "tenant_id", "name", "name_en", "enabled", "condition", "alert_config", "cooldown_hours",
        "last_triggered_at", "created_at", "updated_at",
    }  # fmt: skip
    assert first["condition"] == {"metric": "soil_moisture", "operator": "lt", "value": 20.0, "duration_minutes": 0}
    assert first["alert_config"] == {
        "type": "soil_moisture", "severity": "high", "title": "جاف", "title_en": None, "message_template": None,
    }  # fmt: skip
    assert (first["cooldown_hours"], first["last_triggered_at"], first["tenant_id"]) == (24, None, None)
    assert http.get("/alerts/rules", params={"field_id": field}).json() == made
    assert http.get("/alerts/rules", params={"field_id": field, "enabled": "false"}).json() == made[1:2]
    gone = http.delete(f"/alerts/rules/{first['id']}")
    assert (gone.status_code, gone.json()) == (200, {"status": "deleted", "rule_id": first["id"]})
    again = http.delete(f"/alerts/rules/{first['id']}")
    assert (again.status_code, again.json()) == (404, {"detail": "Rule not found"})
    assert http.post("/alerts/rules", json={**RULE, "cooldown_hours": 169}).status_code == 422


def test_stats_of_a_field(http: Running, tenant: str, field: str) -> None:
    """Counts by what is there, rates in percent by current status, no average without a resolution."""
    assert http.get("/alerts/stats", params={"field_id": field}).json() == {
        "total_alerts": 0, "active_alerts": 0, "by_type": {}, "by_severity": {}, "by_status": {},
        "acknowledged_rate": 0.0, "resolved_rate": 0.0, "average_resolution_hours": None,
    }  # fmt: skip
    made = [create(http, tenant, field_id=field, type=kind) for kind in ("pest", "pest", "weather")]
    asked(http, "POST", f"/alerts/{made[0]['id']}/acknowledge?user_id=u", tenant)
    asked(http, "POST", f"/alerts/{made[1]['id']}/resolve?user_id=u", tenant)
    body = http.get("/alerts/stats", params={"field_id": field, "period": "7d"}).json()
    assert http.get("/alerts/stats", params={"field_id": field, "period": "7"}).json() == body
    assert (body["total_alerts"], body["active_alerts"]) == (3, 1)
    assert body["by_type"] == {"pest": 2, "weather": 1}
    assert body["by_severity"] == {"high": 3}
    assert body["by_status"] == {"acknowledged": 1, "resolved": 1, "active": 1}
    assert (body["acknowledged_rate"], body["resolved_rate"]) == (33.33, 33.33)
    assert body["average_resolution_hours"] == 0.0


def test_health(http: Running, form: Form) -> None:
    """Three paths, one answer; ours says whether the database answers."""
    for path in ("/health", "/healthz", "/readyz"):
        body = http.get(path).json()
        assert (body["service"], body["version"]) == ("alert-service", "16.0.0")
        assert "database" in body or not form.ours


@in_every_phase
def test_several_fields_and_a_place(http: Running, tenant: str, field: str) -> None:
    """An alert about several fields is found by each of them; what was not given is not shown."""
    made = create(http, tenant, field_ids=[field, "x"], governorate="ibb", location={"lat": 0, "lng": 44.5})
    assert (made["field_ids"], made["governorate"]) == ([field, "x"], "ibb")
    assert made["location"] == {"lat": 0, "lng": 44.5}
    found = asked(http, "GET", f"/alerts/field/{field}", tenant)[1]
    assert found["items"] == [made]
    assert http.get("/alerts/stats", params={"field_id": field}).json()["total_alerts"] == 1


@in_every_phase
def test_history_outlives_its_alert(http: Running, tenant: str) -> None:
    """Who moved it from what to what, in order; others see none of it."""
    made = create(http, tenant, source_service="ndvi")
    path = f"/alerts/{made['id']}"
    asked(http, "POST", f"{path}/acknowledge?user_id=ali", tenant)
    asked(http, "POST", f"{path}/resolve?user_id=sara&note=done", tenant)
    asked(http, "DELETE", path, tenant)
    lines = asked(http, "GET", f"{path}/history", tenant)[1]["history"]
    assert [(each["old_status"], each["new_status"], each["performed_by"], each["note"]) for each in lines] == [
        (None, "active", "ndvi", None), ("active", "acknowledged", "ali", None),
        ("acknowledged", "resolved", "sara", "done"),
    ]  # fmt: skip
    assert asked(http, "GET", f"{path}/history", "other") == (404, {"detail": "Alert not found"})


@in_every_phase
def test_expiry(http: Running, opened: Opened, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An active alert whose time is over expires, a time without a zone being UTC; one that was handled, or has time,
    does not."""
    assert http.post("/alerts/expire-due").status_code == 200
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
    due, handled = create(http, tenant, expires_at=soon), create(http, tenant, expires_at=soon)
    naive = create(http, tenant, expires_at=soon.removesuffix("+00:00"))
    later = create(http, tenant, expires_at=(dt.datetime.now(dt.UTC) + dt.timedelta(hours=3)).isoformat())
    asked(http, "POST", f"/alerts/{handled['id']}/dismiss?user_id=u", tenant)
    clock = opened.module("changes").clock
    now = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
    monkeypatch.setattr(clock, "now", lambda: now)
    assert http.post("/alerts/expire-due").json() == {"expired": 2}
    each_of = (due, naive, handled, later)
    states = [asked(http, "GET", f"/alerts/{each['id']}", tenant)[1]["status"] for each in each_of]
    assert states == ["expired", "expired", "dismissed", "active"]
