"""What clients send."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from pydantic import BaseModel, Field

from services.farm.tasks.records import TaskPriority, TaskStatus, TaskType

Title = Annotated[str, Field(min_length=1, max_length=200)]
Score = Annotated[int, Field(ge=1, le=10)]


class Kind(BaseModel):
    """What is to be done, where and by whom. Bodies are put together so that their fields stand in the contract's
    order, which is the order of what a 422 lists: a base further to the right comes first."""

    title: Title
    title_ar: str | None = None
    description: str | None = None
    description_ar: str | None = None
    task_type: TaskType = TaskType.OTHER
    priority: TaskPriority = TaskPriority.MEDIUM
    field_id: str | None = None
    zone_id: str | None = None
    assigned_to: str | None = None


class Due(BaseModel):
    due_date: dt.datetime | None = None


class Length(BaseModel):
    scheduled_time: str | None = None
    estimated_duration_minutes: int | None = None


class Free(BaseModel):
    metadata: dict[str, Any] | None = None


class Sky(BaseModel):
    """What a calendar of the moon says of a due date."""

    astronomical_score: Score | None = None
    moon_phase_at_due_date: str | None = None
    lunar_mansion_at_due_date: str | None = None
    optimal_time_of_day: str | None = None
    suggested_by_calendar: bool = False
    astronomical_recommendation: dict[str, Any] | None = None


class TaskCreate(Sky, Free, Length, Due, Kind):
    pass


class State(BaseModel):
    status: TaskStatus = TaskStatus.PENDING


class TaskUpdate(Sky, Free, State, Length, Due, Kind):
    """Fields that the body names are set, null included; what every task has cannot be null."""

    title: str = ""


class TaskComplete(BaseModel):
    notes: str | None = None
    notes_ar: str | None = None
    photo_urls: list[str] | None = None
    actual_duration_minutes: int | None = None
    completion_metadata: dict[str, Any] | None = None


class TemplateCreate(Free, Length, Kind):
    name: Title


class TaskFromTemplate(TaskCreate):
    """Fields that the body names take the place of the template's."""

    title: Title = ""
