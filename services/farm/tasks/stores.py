"""The stores: this module is all that outlive asks of the service, beside `outlive.install`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import outlive
from outlive.errors import ForeignTenant
from services.farm.common.app import declare
from services.farm.tasks import models
from services.farm.tasks.records import Evidence, Task, TaskEvent, TaskTemplate

service = declare("tasks", __file__)


class TaskRepository(outlive.Repository):
    """Deleted tasks stay in the table, with their history, and are left out of every other answer."""

    json_view = outlive.JsonView(hide=("due_at", "deleted_at"), utc="")

    async def live(self, task_id: str) -> Task | None:
        """The task of an id that is not deleted."""
        held: Task | None = await self.get(task_id)
        return held if held is not None and held.deleted_at is None else None

    async def change(self, task_id: str, how: Callable[[Task], dict[str, Any]]) -> tuple[Task, Task] | None:
        """A task before and after the fields that `how` gives for it were set; None if it is deleted, another
        tenant's, or was never there. What `how` raises leaves it as it was."""
        seen: list[Task] = []

        def fields(held: Task) -> dict[str, Any]:
            if held.deleted_at is not None:
                return {}
            seen.append(held)
            return how(held)

        try:
            after: Task | None = await self.update(task_id, fields)
        except ForeignTenant:
            return None
        return None if after is None or not seen else (seen[0], after)


class OwnedRepository(outlive.Repository):
    """What is shown without its tenant."""

    json_view = outlive.JsonView(hide=("tenant_id",), utc="")


class TemplateRepository(outlive.Repository):
    """Templates, times without a zone as tasks have them."""

    json_view = outlive.JsonView(utc="")


tasks = outlive.mapping(
    "tasks", Task, key="task_id", tenant="tenant_id", model=models.TaskRow, repository=TaskRepository, service=service,
    indexes=[("tenant_id", "due_at"), ("tenant_id", "status"), ("tenant_id", "assigned_to"), ("tenant_id", "field_id")],
)  # fmt: skip
evidence = outlive.mapping(
    "task_evidence", Evidence, key="evidence_id", tenant="tenant_id", model=models.EvidenceRow, place=("lat", "lon"),
    service=service, indexes=["task_id"],
)  # fmt: skip
history = outlive.mapping(
    "task_history", TaskEvent, key="history_id", tenant="tenant_id", model=models.HistoryRow,
    repository=OwnedRepository, service=service, indexes=["task_id"],
)  # fmt: skip
templates = outlive.mapping(
    "task_templates", TaskTemplate, key="template_id", tenant="tenant_id", model=models.TemplateRow,
    repository=TemplateRepository, service=service, indexes=[("tenant_id", "name")],
)  # fmt: skip


def tasks_of(tenant: str) -> TaskRepository:
    """One tenant's tasks."""
    return cast(TaskRepository, tasks.repository).for_tenant(tenant)
