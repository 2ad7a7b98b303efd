"""The demo records of the first version; `due`: hours after today's beginning, `created`, `done`: hours ago."""

from typing import Any

TASKS: list[dict[str, Any]] = [
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
