"""The demo records of `tenant_demo`, dates relative to the start; a store takes them once in its life."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.farm.common import settings
from services.farm.equipment.records import Alert, Equipment, EquipmentStatus, EquipmentType, MaintenanceType, Priority
from services.farm.equipment.stores import alerts, equipment

TENANT = "tenant_demo"
ROWS: list[dict[str, Any]] = [
    {
        "equipment_id": "eq_001", "name": "John Deere 8R 410", "name_ar": "جون ديري 8R 410",
        "equipment_type": "tractor", "brand": "John Deere", "model": "8R 410", "serial_number": "JD8R410-2023-001",
        "year": 2023,
        "purchase_date": dt.datetime.fromisoformat("2023-03-15"), "horsepower": 410, "fuel_capacity_liters": 800.0,
        "current_fuel_percent": 75.0, "current_hours": 1250.0, "field_id": "field_north",
        "location_name": "الحقل الشمالي - القطاع C", "current_lat": 15.3694, "current_lon": 44.1910,
        "last": 30, "next": 60, "next_maintenance_hours": 1500.0, "created": 365, "qr_code": "QR_EQ001_JD8R410",
    },
    {
        "equipment_id": "eq_002", "name": "DJI Agras T40", "name_ar": "درون دي جي آي أجراس T40",
        "equipment_type": "drone", "status": "maintenance", "brand": "DJI", "model": "Agras T40",
        "serial_number": "DJI-T40-2024-012", "year": 2024, "purchase_date": dt.datetime.fromisoformat("2024-01-10"),
        "current_fuel_percent": 100.0, "current_hours": 320.0, "location_name": "الورشة", "last": 5,
        "metadata": {"battery_cycles": 120, "max_payload_kg": 40}, "created": 180, "qr_code": "QR_EQ002_DJIT40",
    },
    {
        "equipment_id": "eq_003", "name": "Grundfos Submersible Pump", "name_ar": "مضخة غاطسة جروندفوس",
        "equipment_type": "pump", "brand": "Grundfos", "model": "SP 46-7", "serial_number": "GF-SP467-2022-045",
        "year": 2022, "horsepower": 15, "current_hours": 8500.0, "field_id": "field_north",
        "location_name": "البئر رقم 1", "last": 90, "next": 30,
        "metadata": {"flow_rate_m3h": 46, "head_m": 150}, "created": 500, "qr_code": "QR_EQ003_GFPUMP",
    },
    {
        "equipment_id": "eq_004", "name": "New Holland CR9.90", "name_ar": "حاصدة نيو هولاند",
        "equipment_type": "harvester", "status": "inactive", "brand": "New Holland", "model": "CR9.90",
        "serial_number": "NH-CR990-2021-008", "year": 2021, "horsepower": 653, "fuel_capacity_liters": 1100.0,
        "current_fuel_percent": 40.0, "current_hours": 890.0, "location_name": "المخزن", "last": 120,
        "created": 800, "qr_code": "QR_EQ004_NHCR9",
    },
    {
        "equipment_id": "eq_005", "name": "Valley Center Pivot", "name_ar": "رشاش محوري فالي",
        "equipment_type": "pivot", "brand": "Valley", "model": "8000 Series", "serial_number": "VL-8K-2020-023",
        "year": 2020, "current_hours": 15000.0, "field_id": "field_south", "location_name": "الحقل الجنوبي",
        "last": 45, "next": 45, "metadata": {"coverage_ha": 50, "spans": 7}, "created": 1200,
        "qr_code": "QR_EQ005_VPIVOT",
    },
]  # fmt: skip


def fill(now: dt.datetime) -> None:
    """Puts the demo records into stores that never held any, unless SEED_DEMO_DATA=false."""
    if not settings.seeds_demo_data():
        return
    for row in ROWS:
        equipment[row["equipment_id"]] = _equipment(dict(row), now)
    alerts["alert_001"] = Alert(
        "alert_001", "eq_001", TENANT, "John Deere 8R", MaintenanceType.OIL_CHANGE, "Engine oil change required",
        Priority.MEDIUM, now - dt.timedelta(days=5), description_ar="تغيير زيت المحرك مطلوب", due_hours=1300.0,
    )  # fmt: skip
    alerts["alert_002"] = Alert(
        "alert_002", "eq_002", TENANT, "DJI Agras T40", MaintenanceType.BATTERY_CHECK, "Battery inspection overdue",
        Priority.HIGH, now - dt.timedelta(days=10), description_ar="فحص البطارية متأخر",
        due_at=now - dt.timedelta(days=2), is_overdue=True,
    )  # fmt: skip


def _equipment(row: dict[str, Any], now: dt.datetime) -> Equipment:
    last, following, created = row.pop("last"), row.pop("next", None), row.pop("created")
    return Equipment(
        **{
            **row,
            "tenant_id": TENANT,
            "equipment_type": EquipmentType(row["equipment_type"]),
            "status": EquipmentStatus(row.get("status", "operational")),
            "last_maintenance_at": now - dt.timedelta(days=last),
            "next_maintenance_at": None if following is None else now + dt.timedelta(days=following),
            "created_at": now - dt.timedelta(days=created),
            "updated_at": now,
        }
    )
