"""The inventory service's alert settings, alike in every form."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.contracts.farm.conftest import Form, Opened, in_database, in_every_phase
from tests.contracts.farm.running import Running

PACKAGE = "services.farm.inventory"
PATH = "/v1/alerts/settings"
DEFAULTS = {
    "expiry_warning_days": 30, "expiry_critical_days": 7, "enable_email_alerts": True, "enable_push_alerts": True,
    "alert_check_interval": 60,
}  # fmt: skip


def get(http: Running, **query: Any) -> Any:
    """The settings that a GET answers."""
    answer = http.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_unknown_tenant_has_the_defaults(http: Running, tenant: str) -> None:
    """And asking for them stores nothing; without a tenant it is tenant_demo's."""
    assert get(http, tenant_id=tenant) == get(http, tenant_id=tenant) == DEFAULTS
    assert http.put(PATH, json={"alert_check_interval": 5}).json() == {**DEFAULTS, "alert_check_interval": 5}
    assert get(http) == get(http, tenant_id="tenant_demo") == {**DEFAULTS, "alert_check_interval": 5}
    assert get(http, tenant_id=tenant) == DEFAULTS


def test_put_replaces_the_whole(http: Running, tenant: str) -> None:
    """What is absent returns to its default, any number is taken, unknown fields are ignored."""
    params = {"tenant_id": tenant}
    given = {
        "expiry_warning_days": -5, "expiry_critical_days": 0, "enable_email_alerts": False, "enable_push_alerts": False,
        "alert_check_interval": 2**62,
    }  # fmt: skip
    answer = http.put(PATH, params=params, json={**given, "other": 1})
    assert (answer.status_code, answer.json()) == (200, given)
    assert get(http, tenant_id=tenant) == given
    assert http.put(PATH, params=params, json={"expiry_critical_days": 3}).json() == {
        **DEFAULTS,
        "expiry_critical_days": 3,
    }
    assert http.put(PATH, params=params, json={}).json() == get(http, tenant_id=tenant) == DEFAULTS


def test_what_are_no_settings(http: Running, tenant: str) -> None:
    """422 with the place, and nothing changes."""
    params = {"tenant_id": tenant}
    http.put(PATH, params=params, json={"expiry_critical_days": 3})
    for wrong in (
        {"expiry_warning_days": None},
        {"expiry_warning_days": 1.5},
        {"enable_push_alerts": "maybe"},
        [],
        None,
    ):
        answer = http.put(PATH, params=params, json=wrong)
        assert answer.status_code == 422
        assert {"type", "loc", "msg"} <= set(answer.json()["detail"][0])
    assert http.put(PATH, params=params).json()["detail"][0]["loc"] == ["body"]
    assert get(http, tenant_id=tenant)["expiry_critical_days"] == 3


def test_no_tenant_sees_another(http: Running, tenant: str) -> None:
    """Each has its own; names are compared to the letter, and may be in any script."""
    names = [tenant, tenant + " ", tenant.upper(), tenant + "مزرعة"]
    for number, name in enumerate(names):
        http.put(PATH, params={"tenant_id": name}, json={"expiry_warning_days": number})
    assert [get(http, tenant_id=name)["expiry_warning_days"] for name in names] == [0, 1, 2, 3]


def test_settings_at_the_same_time(http: Running, tenant: str) -> None:
    """One of them counts as a whole, and all are answered."""
    asked = [("PUT", PATH, {"params": {"tenant_id": tenant}, "json": {"expiry_warning_days": n}}) for n in range(6)]
    assert [each.status_code for each in http.together(*asked)] == [200] * 6
    assert get(http, tenant_id=tenant) in [{**DEFAULTS, "expiry_warning_days": n} for n in range(6)]


def test_the_empty_name_is_a_tenant_too(http: Running) -> None:
    """As any other that nobody forbade."""
    assert http.put(PATH, params={"tenant_id": ""}, json={"expiry_warning_days": 4}).status_code == 200
    assert get(http, tenant_id="")["expiry_warning_days"] == 4
    assert get(http, tenant_id=" ") == DEFAULTS


@in_every_phase
def test_a_name_that_names_no_tenant(http: Running) -> None:
    """One with a NUL: 422."""
    assert http.get(PATH, params={"tenant_id": "a\x00"}).status_code == 422
    assert http.put(PATH, params={"tenant_id": "a\x00"}, json={}).status_code == 422


def test_health(http: Running, form: Form) -> None:
    """Healthy in every form; ours says whether the database answers."""
    body = http.get("/healthz").json()
    assert (body["status"], body["service"]) == ("healthy", "sahool-inventory-service")
    if form.ours:
        assert body["database"] == ("disconnected" if form.phase == "legacy" else "connected")


@in_database
def test_the_table(opened: Opened, http: Running, tenant: str) -> None:
    """One row a tenant in inventory_alert_settings, under forced row-level security."""
    http.put(PATH, params={"tenant_id": tenant}, json={"enable_push_alerts": False})
    http.put(PATH, params={"tenant_id": tenant}, json={"enable_email_alerts": False})
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        rows = conn.execute(
            "SELECT expiry_warning_days, enable_email_alerts, enable_push_alerts FROM inventory_alert_settings"
            " WHERE tenant_id = %s",
            (tenant,),
        ).fetchall()
        assert rows == [(30, False, True)]
        forced = conn.execute("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'inventory_alert_settings'")
        assert forced.fetchone() == (True,)
