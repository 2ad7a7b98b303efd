"""The equipment service with its demo records: machines and alerts, alike in every form, and what is due."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import psycopg
import pytest

import outlive
from tests.contracts.farm.conftest import Opened, in_database, in_every_phase
from tests.contracts.farm.running import Running
from tests.contracts.farm.test_equipment import BASE, FIELDS, create, listed

PACKAGE = "services.farm.equipment"
SEEDED = True
DAY = dt.timedelta(days=1)
# name, Arabic name, type, status, brand, model, serial number, year, QR code; days from the first record to the start,
# since the last maintenance, until the next
ROWS: dict[str, tuple[Any, ...]] = {
    "eq_001": (
        "John Deere 8R 410", "جون ديري 8R 410", "tractor", "operational", "John Deere", "8R 410", "JD8R410-2023-001",
        2023, "QR_EQ001_JD8R410", 365, 30, 60,
    ),
    "eq_002": (
        "DJI Agras T40", "درون دي جي آي أجراس T40", "drone", "maintenance", "DJI", "Agras T40", "DJI-T40-2024-012",
        2024, "QR_EQ002_DJIT40", 180, 5, None,
    ),
    "eq_003": (
        "Grundfos Submersible Pump", "مضخة غاطسة جروندفوس", "pump", "operational", "Grundfos", "SP 46-7",
        "GF-SP467-2022-045", 2022, "QR_EQ003_GFPUMP", 500, 90, 30,
    ),
    "eq_004": (
        "New Holland CR9.90", "حاصدة نيو هولاند", "harvester", "inactive", "New Holland", "CR9.90",
        "NH-CR990-2021-008", 2021, "QR_EQ004_NHCR9", 800, 120, None,
    ),
    "eq_005": (
        "Valley Center Pivot", "رشاش محوري فالي", "pivot", "operational", "Valley", "8000 Series", "VL-8K-2020-023",
        2020, "QR_EQ005_VPIVOT", 1200, 45, 45,
    ),
}  # fmt: skip
NAMES = ("name", "name_ar", "equipment_type", "status", "brand", "model", "serial_number", "year", "qr_code")
DETAILS: dict[str, dict[str, Any]] = {
    "eq_001": {
        "purchase_date": "2023-03-15T00:00:00", "horsepower": 410, "fuel_capacity_liters": 800,
        "current_fuel_percent": 75, "current_hours": 1250, "field_id": "field_north",
        "location_name": "الحقل الشمالي - القطاع C", "current_lat": 15.3694, "current_lon": 44.1910,
        "next_maintenance_hours": 1500,
    },
    "eq_002": {
        "purchase_date": "2024-01-10T00:00:00", "current_fuel_percent": 100, "current_hours": 320,
        "location_name": "الورشة", "metadata": {"battery_cycles": 120, "max_payload_kg": 40},
    },
    "eq_003": {
        "horsepower": 15, "current_hours": 8500, "field_id": "field_north", "location_name": "البئر رقم 1",
        "metadata": {"flow_rate_m3h": 46, "head_m": 150},
    },
    "eq_004": {
        "horsepower": 653, "fuel_capacity_liters": 1100, "current_fuel_percent": 40, "current_hours": 890,
        "location_name": "المخزن",
    },
    "eq_005": {
        "current_hours": 15000, "field_id": "field_south", "location_name": "الحقل الجنوبي",
        "metadata": {"coverage_ha": 50, "spans": 7},
    },
}  # fmt: skip


def read(http: Running, path: str = "", **query: Any) -> Any:
    """The answer for the demo tenant."""
    answer = http.get(f"{BASE}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def at(text: str) -> dt.datetime:
    """A time of an answer."""
    return dt.datetime.fromisoformat(text)


def test_the_demo_machines(http: Running) -> None:
    """Five of tenant_demo by name, with all that is said of them and null for the rest, relative to the start."""
    body = read(http)
    assert [each["equipment_id"] for each in body["equipment"]] == ["eq_002", "eq_003", "eq_001", "eq_004", "eq_005"]
    assert (body["total"], body["limit"], body["offset"]) == (5, 50, 0)
    for each in body["equipment"]:
        *said, age, since, until = ROWS[each["equipment_id"]]
        assert (set(each), each["tenant_id"]) == (FIELDS, "tenant_demo")
        assert [each[name] for name in NAMES] == said
        created = at(each["created_at"])
        assert at(each["updated_at"]) - created == age * DAY
        assert at(each["last_maintenance_at"]) - created == (age - since) * DAY
        assert (each["next_maintenance_at"] is None) == (until is None)
        assert until is None or at(each["next_maintenance_at"]) - created == (age + until) * DAY
        details = DETAILS[each["equipment_id"]]
        assert {name: each[name] for name in details} == details
        told = {*NAMES, *details, "equipment_id", "tenant_id", "created_at", "updated_at", "last_maintenance_at"}
        rest = FIELDS - told - {"next_maintenance_at"}
        assert {each[name] for name in rest} <= {None}
        assert read(http, f"/{each['equipment_id']}") == read(http, f"/qr/{each['qr_code']}") == each
        assert read(http, f"/{each['equipment_id']}/maintenance")["records"] == []
    assert read(http, x_tenant_id="other")["total"] == 0


def test_the_demo_alerts(http: Running) -> None:
    """Overdue first; filtered by priority and by what is overdue; of this tenant alone."""
    body = read(http, "/alerts")
    second, first = body["alerts"]
    assert (body["count"], body["overdue_count"]) == (2, 1)
    start = at(read(http, "/eq_004")["updated_at"])
    assert first == {
        "alert_id": "alert_001", "equipment_id": "eq_001", "equipment_name": "John Deere 8R",
        "maintenance_type": "oil_change", "description": "Engine oil change required",
        "description_ar": "تغيير زيت المحرك مطلوب", "priority": "medium", "due_at": None, "due_hours": 1300,
        "is_overdue": False, "created_at": (start - 5 * DAY).isoformat(),
    }  # fmt: skip
    assert second == {
        "alert_id": "alert_002", "equipment_id": "eq_002", "equipment_name": "DJI Agras T40",
        "maintenance_type": "battery_check", "description": "Battery inspection overdue",
        "description_ar": "فحص البطارية متأخر", "priority": "high", "due_at": (start - 2 * DAY).isoformat(),
        "due_hours": None, "is_overdue": True, "created_at": (start - 10 * DAY).isoformat(),
    }  # fmt: skip
    assert read(http, "/alerts", priority="medium") == {"alerts": [first], "count": 1, "overdue_count": 0}
    assert read(http, "/alerts", overdue_only=True) == {"alerts": [second], "count": 1, "overdue_count": 1}
    assert read(http, "/alerts", overdue_only=True, priority="medium")["count"] == 0
    nothing = {"alerts": [], "count": 0, "overdue_count": 0}
    assert read(http, "/alerts", x_tenant_id="other") == nothing
    for wrong in ({"priority": "urgent"}, {"overdue_only": "maybe"}):
        assert http.get(f"{BASE}/alerts", params=wrong).status_code == 422
    said = http.get(f"{BASE}/alerts", params={"priority": "urgent"}).json()["detail"][0]["msg"]
    assert said == "Input should be 'low', 'medium', 'high' or 'critical'"


@in_every_phase
def test_alerts_are_sorted_by_urgency(opened: Opened, http: Running, tenant: str) -> None:
    """What is overdue comes first, then critical, high, medium and low."""
    machine = create(http, tenant)["equipment_id"]
    records, stores = opened.module("records"), opened.module("stores")
    now = dt.datetime.now(dt.UTC)

    async def add() -> None:
        async with outlive.unit(service=stores.service):
            for word in ("low", "critical", "medium", "high"):
                for late in (False, True):
                    await stores.alerts.repository.for_tenant(tenant).insert(
                        records.Alert(
                            uuid.uuid4().hex, machine, tenant, "m", records.MaintenanceType.OTHER, f"{word} {late}",
                            records.Priority(word), now, is_overdue=late,
                        )
                    )  # fmt: skip

    http.run(add())
    shown = [each["description"] for each in read(http, "/alerts", x_tenant_id=tenant)["alerts"]]
    assert shown == [f"{word} {late}" for late in (True, False) for word in ("critical", "high", "medium", "low")]
    assert http.delete(f"{BASE}/{machine}", params={"x_tenant_id": tenant}).status_code == 204
    assert read(http, "/alerts", x_tenant_id=tenant)["alerts"] == []


@in_every_phase
def test_due_by_date(http: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the very moment that lies so many days before the date; overdue once the date is past, not on it."""
    from services.farm.common import clock

    date = at(read(http, "/eq_003")["next_maintenance_at"]).replace(tzinfo=dt.UTC)

    def due(now: dt.datetime, **query: Any) -> list[tuple[Any, ...]]:
        monkeypatch.setattr(clock, "now", lambda: now)
        found = read(http, "/maintenance-due", **query)
        assert found["count"] == len(found["equipment"])
        assert found["overdue_count"] == sum(each["is_overdue"] for each in found["equipment"])
        return [
            (each["reasons"], each["is_overdue"]) for each in found["equipment"] if each["equipment_id"] == "eq_003"
        ]

    blink = dt.timedelta(microseconds=1)
    assert due(date - 7 * DAY - blink) == []
    assert due(date - 7 * DAY) == [(["date"], False)]
    assert due(date - 8 * DAY, days=8) == [(["date"], False)]
    assert due(date - blink, days=0) == []
    assert due(date, days=0) == [(["date"], False)]
    assert due(date + blink, days=0) == [(["date"], True)]
    assert due(date + blink, x_tenant_id="other") == []


@in_every_phase
def test_due_by_hours(http: Running) -> None:
    """From so many hours before the limit on; overdue once the limit is reached; no hours are due never."""

    def due(used: float, **query: Any) -> list[tuple[Any, ...]]:
        assert http.post(f"{BASE}/eq_001/telemetry", params={"hours": used}).status_code == 200
        found = read(http, "/maintenance-due", days=0, **query)["equipment"]
        return [
            (each["reasons"], each["is_overdue"], each["due_hours"], each["current_hours"])
            for each in found
            if each["equipment_id"] == "eq_001"
        ]

    assert due(1449.99) == []
    assert due(1450) == [(["hours"], False, 1500, 1450)]
    assert due(1499.99) == [(["hours"], False, 1500, 1499.99)]
    assert due(1500) == [(["hours"], True, 1500, 1500)]
    assert due(1499.99, hours=0) == []
    assert due(1500, hours=0) == [(["hours"], True, 1500, 1500)]
    http.put(f"{BASE}/eq_001", json={"current_hours": None})
    assert read(http, "/maintenance-due", days=0)["equipment"] == []
    for wrong in ({"days": -1}, {"days": 366}, {"hours": -1}):
        assert http.get(f"{BASE}/maintenance-due", params=wrong).status_code == 422


def test_deleted_equipment_leaves_list_totals_and_alerts(http: Running) -> None:
    """Its alert is not shown any more, and the other tenants' lists are as they were."""
    assert http.delete(f"{BASE}/eq_002").status_code == 204
    assert [each["alert_id"] for each in read(http, "/alerts")["alerts"]] == ["alert_001"]
    assert read(http, "/stats")["by_type"] == {"tractor": 1, "pump": 1, "harvester": 1, "pivot": 1}
    assert read(http)["total"] == 4
    assert http.get(f"{BASE}/qr/QR_EQ002_DJIT40").status_code == 404


def test_serial_numbers_may_stand_twice(http: Running, tenant: str) -> None:
    """Of one tenant and of two, and those of deleted machines."""
    first = create(http, tenant, serial_number="SN-1")
    http.delete(f"{BASE}/{first['equipment_id']}", params={"x_tenant_id": tenant})
    made = [create(http, who, serial_number="SN-1") for who in (tenant, tenant, f"{tenant}_b")]
    assert {each["serial_number"] for each in made} == {"SN-1"}
    assert listed(http, tenant)["total"] == 2


@in_database
def test_maintenance_outlives_its_machine(opened: Opened, http: Running, tenant: str) -> None:
    """The record and the machine's row stay, and PostgreSQL refuses to take the row away."""
    made = create(http, tenant)["equipment_id"]
    params = {"x_tenant_id": tenant}
    query = {**params, "maintenance_type": "repair", "description": "d"}
    assert http.post(f"{BASE}/{made}/maintenance", params=query).status_code == 201
    assert http.delete(f"{BASE}/{made}", params=params).status_code == 204
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo(), autocommit=True) as conn:
        kept = conn.execute(
            "SELECT e.deleted_at IS NOT NULL, m.description FROM equipment e"
            " JOIN equipment_maintenance m USING (equipment_id) WHERE e.equipment_id = %s",
            [made],
        ).fetchall()
        assert kept == [(True, "d")]
        with pytest.raises(psycopg.errors.RestrictViolation):
            conn.execute("DELETE FROM equipment WHERE equipment_id = %s", [made])
