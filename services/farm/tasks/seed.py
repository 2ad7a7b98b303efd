"""The demo records of `tenant_demo`, dates relative to the start; a store takes them once in its life."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.farm.common import clock, settings
from services.farm.tasks.records import Task, TaskPriority, TaskStatus, TaskType
from services.farm.tasks.sky import moon_phase
from services.farm.tasks.stores import tasks

TENANT = "tenant_demo"
# due: hours after the beginning of the day; created, done: hours before the start
ROWS: list[dict[str, Any]] = [
    {
        "task_id": "task_001", "title": "Irrigate North Field", "title_ar": "ري الحقل الشمالي",
        "description": "Sector C needs irrigation using pump #2",
        "description_ar": "القطاع C يحتاج ري باستخدام مضخة رقم 2",
        "task_type": "irrigation", "priority": "high", "field_id": "field_north", "assigned_to": "user_ahmed",
        "due": 10, "scheduled_time": "08:00", "estimated_duration_minutes": 120,
        "metadata": {"pump_id": "pump_2", "water_volume_m3": 500}, "created": 24,
    },
    {
        "task_id": "task_002", "title": "Pest Inspection", "title_ar": "فحص الحشرات",
        "description": "Weekly pest inspection for tomato greenhouse",
        "description_ar": "فحص أسبوعي للحشرات في بيت الطماطم المحمي",
        "task_type": "scouting", "priority": "medium", "status": "completed", "field_id": "field_greenhouse",
        "assigned_to": "user_ahmed", "due": 12, "scheduled_time": "10:30", "estimated_duration_minutes": 60,
        "actual_duration_minutes": 45, "done": 2, "completion_notes": "No pests found. Healthy plants.", "created": 48,
    },
    {
        "task_id": "task_003", "title": "Collect Soil Samples", "title_ar": "جمع عينات التربة",
        "description": "Collect samples for nutrient analysis", "description_ar": "جمع عينات لتحليل المغذيات",
        "task_type": "sampling", "priority": "medium", "field_id": "field_south", "assigned_to": "user_ahmed",
        "due": 16, "scheduled_time": "14:00", "estimated_duration_minutes": 90, "created": 12,
    },
    {
        "task_id": "task_004", "title": "Apply NPK Fertilizer", "title_ar": "تسميد التربة (NPK)",
        "description": "Apply 50kg/ha NPK to south field", "description_ar": "تطبيق 50 كجم/هكتار NPK للحقل الجنوبي",
        "task_type": "fertilization", "priority": "low", "field_id": "field_south", "assigned_to": "user_mohammed",
        "due": 24, "scheduled_time": "07:00", "estimated_duration_minutes": 180,
        "metadata": {"fertilizer_type": "NPK 20-20-20", "rate_kg_ha": 50}, "created": 6,
    },
    {
        "task_id": "task_005", "title": "Irrigation System Maintenance", "title_ar": "صيانة نظام الري",
        "description": "Check filters and valves", "description_ar": "فحص الفلاتر والصمامات",
        "task_type": "maintenance", "priority": "medium", "field_id": "field_north", "assigned_to": "user_tech",
        "due": 48, "created": 3,
    },
    {
        "task_id": "task_006", "title": "Fungicide Spray", "title_ar": "رش مبيد فطري",
        "description": "Preventive spray for east field", "description_ar": "رش وقائي للحقل الشرقي",
        "task_type": "spraying", "priority": "high", "field_id": "field_east", "assigned_to": "user_ahmed",
        "due": 72, "scheduled_time": "06:00", "estimated_duration_minutes": 150,
        "metadata": {"chemical": "Mancozeb", "rate_ml_ha": 2500}, "created": 1,
    },
]  # fmt: skip


def fill(now: dt.datetime) -> None:
    """Puts the demo records into a store that never held any, unless SEED_DEMO_DATA=false."""
    if settings.seeds_demo_data():
        for row in ROWS:
            tasks[row["task_id"]] = _task(dict(row), now)


def _task(row: dict[str, Any], now: dt.datetime) -> Task:
    due = clock.today() + dt.timedelta(hours=row.pop("due"))
    done, created = row.pop("done", None), row.pop("created")
    return Task(
        **{
            **row,
            "tenant_id": TENANT,
            "created_by": "user_admin",
            "task_type": TaskType(row["task_type"]),
            "priority": TaskPriority(row["priority"]),
            "status": TaskStatus(row.get("status", "pending")),
            "due_at": due,
            "due_date": due.replace(tzinfo=None).isoformat(),
            "moon_phase_at_due_date": moon_phase(due),
            "completed_at": None if done is None else now - dt.timedelta(hours=done),
            "created_at": now - dt.timedelta(hours=created),
            "updated_at": now,
        }
    )
