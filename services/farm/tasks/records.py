"""What the service keeps: tasks, their evidence and history, and templates. Times are aware, in UTC."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class TaskType(StrEnum):
    IRRIGATION = "irrigation"
    FERTILIZATION = "fertilization"
    SPRAYING = "spraying"
    SCOUTING = "scouting"
    MAINTENANCE = "maintenance"
    SAMPLING = "sampling"
    HARVEST = "harvest"
    PLANTING = "planting"
    OTHER = "other"


class TaskPriority(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class TaskStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    OVERDUE = "overdue"


OPEN = (TaskStatus.PENDING, TaskStatus.IN_PROGRESS, TaskStatus.OVERDUE)


class Action(StrEnum):
    """What happened to a task."""

    CREATED = "created"
    UPDATED = "updated"
    STARTED = "started"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DELETED = "deleted"


@dataclass
class Task:
    """One piece of work.

    `due_date` is the text that clients see, in the zone they gave; `due_at` is that moment, by which tasks are found
    and sorted. `evidence` is what `task_evidence` holds of this task, as it is shown.
    """

    task_id: str
    tenant_id: str
    title: str
    created_at: dt.datetime
    updated_at: dt.datetime
    task_type: TaskType = TaskType.OTHER
    priority: TaskPriority = TaskPriority.MEDIUM
    status: TaskStatus = TaskStatus.PENDING
    created_by: str = "user_system"
    title_ar: str | None = None
    description: str | None = None
    description_ar: str | None = None
    field_id: str | None = None
    zone_id: str | None = None
    assigned_to: str | None = None
    due_date: str | None = None
    due_at: dt.datetime | None = None
    scheduled_time: str | None = None
    estimated_duration_minutes: int | None = None
    actual_duration_minutes: int | None = None
    completed_at: dt.datetime | None = None
    completion_notes: str | None = None
    evidence: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    astronomical_score: int | None = None
    moon_phase_at_due_date: str | None = None
    lunar_mansion_at_due_date: str | None = None
    optimal_time_of_day: str | None = None
    suggested_by_calendar: bool = False
    astronomical_recommendation: dict[str, Any] | None = None
    astronomical_warnings: list[str] = field(default_factory=list)
    deleted_at: dt.datetime | None = None


@dataclass
class Evidence:
    """A photo, note, voice or measurement that belongs to a task, and where it was made."""

    evidence_id: str
    task_id: str
    tenant_id: str
    type: str
    content: str
    captured_at: dt.datetime
    lat: float | None = None
    lon: float | None = None


@dataclass
class TaskEvent:
    """What was done to a task: by whom, from which status to which, which fields from what to what, as text."""

    history_id: uuid.UUID
    task_id: str
    tenant_id: str
    action: Action
    old_status: TaskStatus | None
    new_status: TaskStatus | None
    performed_by: str
    created_at: dt.datetime
    changes: dict[str, Any] | None = None
    notes: str | None = None


@dataclass
class TaskTemplate:
    """What tasks of a kind have in common."""

    template_id: str
    tenant_id: str
    name: str
    title: str
    created_at: dt.datetime
    task_type: TaskType = TaskType.OTHER
    priority: TaskPriority = TaskPriority.MEDIUM
    title_ar: str | None = None
    description: str | None = None
    description_ar: str | None = None
    field_id: str | None = None
    zone_id: str | None = None
    assigned_to: str | None = None
    scheduled_time: str | None = None
    estimated_duration_minutes: int | None = None
    metadata: dict[str, Any] | None = None
