"""What clients send."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from pydantic import BaseModel, Field

from services.farm.tasks.records import TaskPriority, TaskStatus, TaskType

Title = Annotated[str, Field(min_length=1, max_length=200)]
Score = Annotated[int, Field(ge=1, le=10)]


class Details(BaseModel):
    """What tasks and templates have alike; all of it may be left out."""

    title_ar: str | None = None
    description: str | None = None
    description_ar: str | None = None
    task_type: TaskType = TaskType.OTHER
    priority: TaskPriority = TaskPriority.MEDIUM
    field_id: str | None = None
    zone_id: str | None = None
    assigned_to: str | None = None
    scheduled_time: str | None = None
    estimated_duration_minutes: int | None = None
    metadata: dict[str, Any] | None = None


class Planned(Details):
    """A due date, and what a calendar of the moon says of it."""

    due_date: dt.datetime | None = None
    astronomical_score: Score | None = None
    moon_phase_at_due_date: str | None = None
    lunar_mansion_at_due_date: str | None = None
    optimal_time_of_day: str | None = None
    suggested_by_calendar: bool = False
    astronomical_recommendation: dict[str, Any] | None = None


class TaskCreate(Planned):
    title: Title


class TaskUpdate(Planned):
    """Fields that the body names are set, null included; what every task has cannot be null."""

    title: str = ""
    status: TaskStatus = TaskStatus.PENDING


class TaskComplete(BaseModel):
    notes: str | None = None
    notes_ar: str | None = None
    photo_urls: list[str] | None = None
    actual_duration_minutes: int | None = None
    completion_metadata: dict[str, Any] | None = None


class TemplateCreate(Details):
    name: Title
    title: Title


class TaskFromTemplate(Planned):
    """Fields that the body names take the place of the template's."""

    title: Title = ""
