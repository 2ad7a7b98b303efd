"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.farm.common import answers
from services.farm.common.app import build
from services.farm.common.tenant import scoped
from services.farm.inventory.records import AlertSettings
from services.farm.inventory.schemas import AlertSettingsModel
from services.farm.inventory.stores import service, settings

router = APIRouter(prefix="/v1/alerts")
Tenant = Annotated[str, Query(alias="tenant_id", pattern=r"^[^\x00]*$")]


@router.get("/settings")
async def get_settings(tenant: Tenant = "tenant_demo") -> Response:
    """The tenant's settings, or the defaults."""
    repository = scoped(settings, tenant)
    return answers.record(repository, await repository.get(tenant) or AlertSettings(tenant))


@router.put("/settings")
async def put_settings(body: AlertSettingsModel, tenant: Tenant = "tenant_demo") -> Response:
    """Replaces the whole of the tenant's settings; of two that come at the same time the later one counts."""
    repository = settings.repository.across_tenants()  # the key is the tenant, so a put meets its own record alone
    held = AlertSettings(tenant, **dict(body))
    await repository.put(held)
    return answers.record(repository, held)


app = build(service, "Inventory service", router, health={"status": "healthy", "service": "sahool-inventory-service"})
