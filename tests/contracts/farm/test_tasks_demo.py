"""The task service with its demo records, alike in every form."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.contracts.farm.running import Running
from tests.contracts.farm.test_tasks import read, today

PACKAGE = "services.farm.tasks"
SEEDED = True
DEMO = "tenant_demo"
ROWS: dict[str, tuple[Any, ...]] = {
    "task_001": ("Irrigate North Field", "ري الحقل الشمالي", "irrigation", "high", "pending", "field_north", 10, 24),
    "task_002": ("Pest Inspection", "فحص الحشرات", "scouting", "medium", "completed", "field_greenhouse", 12, 48),
    "task_003": ("Collect Soil Samples", "جمع عينات التربة", "sampling", "medium", "pending", "field_south", 16, 12),
    "task_004": ("Apply NPK Fertilizer", "تسميد التربة (NPK)", "fertilization", "low", "pending", "field_south", 24, 6),
    "task_005": (
        "Irrigation System Maintenance", "صيانة نظام الري", "maintenance", "medium", "pending", "field_north", 48, 3,
    ),
    "task_006": ("Fungicide Spray", "رش مبيد فطري", "spraying", "high", "pending", "field_east", 72, 1),
}  # fmt: skip
DETAILS: dict[str, dict[str, Any]] = {
    "task_001": {
        "assigned_to": "user_ahmed", "scheduled_time": "08:00", "estimated_duration_minutes": 120,
        "description": "Sector C needs irrigation using pump #2", "completed_at": None,
        "description_ar": "القطاع C يحتاج ري باستخدام مضخة رقم 2",
        "metadata": {"pump_id": "pump_2", "water_volume_m3": 500},
    },
    "task_002": {
        "assigned_to": "user_ahmed", "scheduled_time": "10:30", "estimated_duration_minutes": 60, "metadata": None,
        "description": "Weekly pest inspection for tomato greenhouse",
        "description_ar": "فحص أسبوعي للحشرات في بيت الطماطم المحمي",
        "actual_duration_minutes": 45, "completion_notes": "No pests found. Healthy plants.",
    },
    "task_003": {
        "assigned_to": "user_ahmed", "scheduled_time": "14:00", "estimated_duration_minutes": 90, "metadata": None,
        "description": "Collect samples for nutrient analysis", "description_ar": "جمع عينات لتحليل المغذيات",
        "actual_duration_minutes": None, "completion_notes": None, "zone_id": None,
    },
    "task_004": {
        "description": "Apply 50kg/ha NPK to south field", "description_ar": "تطبيق 50 كجم/هكتار NPK للحقل الجنوبي",
        "assigned_to": "user_mohammed", "scheduled_time": "07:00", "estimated_duration_minutes": 180,
        "metadata": {"fertilizer_type": "NPK 20-20-20", "rate_kg_ha": 50},
    },
    "task_005": {
        "assigned_to": "user_tech", "scheduled_time": None, "estimated_duration_minutes": None, "metadata": None,
        "description": "Check filters and valves", "description_ar": "فحص الفلاتر والصمامات",
    },
    "task_006": {
        "assigned_to": "user_ahmed", "scheduled_time": "06:00", "estimated_duration_minutes": 150,
        "description": "Preventive spray for east field", "description_ar": "رش وقائي للحقل الشرقي",
        "metadata": {"chemical": "Mancozeb", "rate_ml_ha": 2500},
    },
}  # fmt: skip


def test_the_demo_tasks(http: Running) -> None:
    """Six tasks of tenant_demo, by due date, relative to the start, made by user_admin."""
    body = read(http, DEMO)
    assert [each["task_id"] for each in body["tasks"]] == list(ROWS)
    for each in body["tasks"]:
        title, title_ar, kind, priority, status, field, due, created = ROWS[each["task_id"]]
        said = (each["title"], each["title_ar"], each["task_type"], each["priority"], each["status"], each["field_id"])
        assert said == (title, title_ar, kind, priority, status, field)
        assert (each["created_by"], each["evidence"], each["tenant_id"]) == ("user_admin", [], DEMO)
        assert each["due_date"] == (today() + dt.timedelta(hours=due)).isoformat()
        age = dt.datetime.fromisoformat(each["updated_at"]) - dt.datetime.fromisoformat(each["created_at"])
        assert age == dt.timedelta(hours=created)
        details = DETAILS.get(each["task_id"], {})
        assert {name: each[name] for name in details} == details
        if each["completed_at"]:
            done = dt.datetime.fromisoformat(each["updated_at"]) - dt.datetime.fromisoformat(each["completed_at"])
            assert done == dt.timedelta(hours=2)
        assert (each["completed_at"] is None) == (status != "completed")
        assert read(http, DEMO, f"/{each['task_id']}") == each


def test_the_demo_figures(http: Running) -> None:
    """Three are due today, the open ones of the next days are coming up."""
    assert [each["task_id"] for each in read(http, DEMO, "/today")["tasks"]] == ["task_001", "task_002", "task_003"]
    coming = [each["task_id"] for each in read(http, DEMO, "/upcoming")["tasks"]]
    assert coming == ["task_004", "task_005", "task_006"]
    stats = read(http, DEMO, "/stats")
    assert [stats[name] for name in ("total", "pending", "in_progress", "completed")] == [6, 5, 0, 1]
    assert read(http, "tenant_other")["total"] == 0
