"""Templates: what tasks of a kind have in common. FastAPI reads the annotations, so they are evaluated here."""

from dataclasses import fields
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response

from services.farm.common import answers, clock
from services.farm.common.ids import prefixed
from services.farm.common.tenant import Tenant
from services.farm.tasks.records import TaskTemplate
from services.farm.tasks.schemas import TemplateCreate
from services.farm.tasks.stores import templates

NOT_FOUND = "Task template not found"
OWN = {"template_id", "tenant_id", "name", "created_at"}
router = APIRouter(prefix="/api/v1/task-templates")


@router.get("")
async def list_templates(
    tenant: Tenant,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    repository = templates.repository.for_tenant(tenant)
    return await answers.page(repository, "templates", limit=limit, offset=offset, order_by="name")


@router.post("", status_code=201)
async def create_template(tenant: Tenant, body: TemplateCreate) -> Response:
    repository = templates.repository.for_tenant(tenant)
    made = TaskTemplate(prefixed("tmpl_", 12), tenant, created_at=clock.now(), **dict(body))
    await repository.insert(made)
    return answers.record(repository, made, 201)


@router.get("/{template_id}")
async def get_template(tenant: Tenant, template_id: str) -> Response:
    return await answers.one(templates.repository.for_tenant(tenant), template_id, NOT_FOUND)


@router.delete("/{template_id}", status_code=204)
async def delete_template(tenant: Tenant, template_id: str) -> None:
    """Tasks that were made from it stay as they are."""
    await found(tenant, template_id)
    await templates.repository.for_tenant(tenant).delete(template_id)


async def found(tenant: str, template_id: str) -> TaskTemplate:
    """A tenant's template. Raises 404."""
    held: TaskTemplate | None = await templates.repository.for_tenant(tenant).get(template_id)
    if held is None:
        raise HTTPException(404, NOT_FOUND)
    return held


def fields_of(template: TaskTemplate) -> dict[str, Any]:
    """What a task takes from it."""
    return {each.name: getattr(template, each.name) for each in fields(template) if each.name not in OWN}
