"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Response

import outlive
from services.farm.common import answers, clock, settings
from services.farm.common.alone import alone
from services.farm.common.app import build
from services.farm.common.tenant import TenantHeader, nameless, scoped
from services.farm.field_ops.records import COMPLETED, SCHEDULED, Field, Operation
from services.farm.field_ops.schemas import FieldCreate, FieldUpdate, OperationCreate
from services.farm.field_ops.stores import FIELD, OPERATION, fields, operations, service

NO_FIELD, NO_OPERATION = "Field not found", "Operation not found"
Skip = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=1, le=100)]
router = APIRouter()


async def asking_tenant(header: TenantHeader = None) -> str | None:
    """Whose records may be answered: with STRICT_TENANTS=true the header's tenant, else None, which is everybody's."""
    if not settings.switched("STRICT_TENANTS"):
        return None
    if not header:
        raise HTTPException(400, "X-Tenant-Id header is required")
    return header


Asking = Annotated[str | None, Depends(asking_tenant)]


@router.post("/fields")
async def create_field(asking: Asking, body: FieldCreate) -> Response:
    _may(asking, body.tenant_id)
    now = clock.now()
    given = {**dict(body), "metadata": body.metadata or {}}
    made = Field(**given, id=str(uuid.uuid4()), created_at=now, updated_at=now)
    await scoped(fields, body.tenant_id).insert(made)
    return _field(made)


@router.get("/fields")
async def list_fields(asking: Asking, tenant_id: str, skip: Skip = 0, limit: Limit = 50) -> Response:
    _may(asking, tenant_id)
    return await answers.page(
        scoped(fields, tenant_id), "items", limit=limit, offset=skip, skip="skip", **nameless(tenant_id)
    )


@router.get("/fields/{field_id}")
async def get_field(asking: Asking, field_id: str) -> Response:
    return _field(await scoped(fields, asking).get(field_id))


@router.put("/fields/{field_id}")
async def update_field(asking: Asking, field_id: str, body: FieldUpdate) -> Response:
    """Of updates at the same time each is made, one after the other."""
    changes = body.model_dump(exclude_none=True)

    async def once() -> Field | None:
        held: Field | None = await scoped(fields, asking).patch(field_id, **changes, updated_at=clock.now())
        return held

    return _field(await alone(service, ("field", field_id), once))


@router.delete("/fields/{field_id}")
async def delete_field(asking: Asking, field_id: str) -> dict[str, str]:
    """The field goes; its operations stay."""

    async def once() -> bool:
        there: bool = await scoped(fields, asking).delete(field_id)
        return there

    if not await alone(service, ("field", field_id), once):
        raise HTTPException(404, NO_FIELD)
    return {"status": "deleted", "field_id": field_id}


@router.post("/operations")
async def create_operation(asking: Asking, body: OperationCreate) -> Response:
    _may(asking, body.tenant_id)
    given = {**dict(body), "metadata": body.metadata or {}}
    made = Operation(**given, id=str(uuid.uuid4()), created_at=clock.now())
    await scoped(operations, body.tenant_id).insert(made)
    return _operation(made)


@router.get("/operations")
async def list_operations(
    asking: Asking, field_id: str, status: str | None = None, skip: Skip = 0, limit: Limit = 50
) -> Response:
    return await answers.page(
        scoped(operations, asking), "items", limit=limit, offset=skip, skip="skip", field_id=field_id,
        **answers.given(status=status or None),
    )  # fmt: skip


@router.get("/operations/{operation_id}")
async def get_operation(asking: Asking, operation_id: str) -> Response:
    return _operation(await scoped(operations, asking).get(operation_id))


@router.post("/operations/{operation_id}/complete")
async def complete_operation(asking: Asking, operation_id: str) -> dict[str, str]:
    """Completed now, also if it was before."""

    async def once() -> bool:
        now = clock.now()
        return await scoped(operations, asking).patch(operation_id, status=COMPLETED, completed_date=now) is not None

    if not await alone(service, ("operation", operation_id), once):
        raise HTTPException(404, NO_OPERATION)
    return {"status": COMPLETED, "operation_id": operation_id}


@router.get("/stats/tenant/{tenant_id}")
async def tenant_stats(asking: Asking, tenant_id: str) -> dict[str, Any]:
    _may(asking, tenant_id)
    held, own = scoped(fields, tenant_id), nameless(tenant_id)
    done = await scoped(operations, tenant_id).count(by="status", **own)
    return {
        "tenant_id": tenant_id,
        "fields_count": await held.count(**own),
        "total_area_hectares": float(await held.sum("area_hectares", **own)),
        "operations": {
            "total": sum(done.values()), "scheduled": done.get(SCHEDULED, 0), "completed": done.get(COMPLETED, 0),
        },
    }  # fmt: skip


def _may(asking: str | None, tenant: str) -> None:
    if asking is not None and asking != tenant:
        raise HTTPException(403, "Access denied")


def _field(held: Field | None) -> Response:
    if held is None:
        raise HTTPException(404, NO_FIELD)
    return outlive.json_response(outlive.encode_json(held, FIELD))


def _operation(held: Operation | None) -> Response:
    if held is None:
        raise HTTPException(404, NO_OPERATION)
    return outlive.json_response(outlive.encode_json(held, OPERATION))


app = build(
    service, "Field operations", router, health={"status": "healthy", "service": "field-ops"},
    health_paths=("/health", "/healthz"),
)  # fmt: skip
