"""The field service as it was: FastAPI over two dicts of dicts that die with the process."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, Field

app = FastAPI(title="Field operations")

FIELDS: dict[str, dict[str, Any]] = {}
OPERATIONS: dict[str, dict[str, Any]] = {}


class FieldCreate(BaseModel):
    tenant_id: str
    name: str
    name_ar: str | None = None
    area_hectares: float = Field(gt=0)
    crop_type: str | None = None
    geometry: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class FieldUpdate(BaseModel):
    name: str | None = None
    name_ar: str | None = None
    area_hectares: float | None = Field(None, gt=0)
    crop_type: str | None = None
    geometry: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class FieldResponse(BaseModel):
    id: str
    tenant_id: str
    name: str
    name_ar: str | None
    area_hectares: float
    crop_type: str | None
    created_at: str
    updated_at: str


class OperationCreate(BaseModel):
    tenant_id: str
    field_id: str
    operation_type: str
    scheduled_date: str | None = None
    notes: str | None = None
    metadata: dict[str, Any] | None = None


class OperationResponse(BaseModel):
    id: str
    field_id: str
    operation_type: str
    status: str
    scheduled_date: str | None
    completed_date: str | None
    created_at: str


@app.get("/health")
@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "healthy", "service": "field-ops"}


@app.post("/fields")
async def create_field(data: FieldCreate) -> FieldResponse:
    now = datetime.now(UTC)
    field = {
        "id": str(uuid4()),
        **data.model_dump(),
        "metadata": data.metadata or {},
        "created_at": now.isoformat(),
        "updated_at": now.replace(tzinfo=None).isoformat(),
    }
    FIELDS[field["id"]] = field
    return FieldResponse(**field)


@app.get("/fields")
async def list_fields(
    tenant_id: str, skip: int = Query(0, ge=0), limit: int = Query(50, ge=1, le=100)
) -> dict[str, Any]:
    found = [f for f in FIELDS.values() if f["tenant_id"] == tenant_id]
    return {"items": found[skip : skip + limit], "total": len(found), "skip": skip, "limit": limit}


@app.get("/fields/{field_id}")
async def get_field(field_id: str) -> FieldResponse:
    if field_id not in FIELDS:
        raise HTTPException(404, "Field not found")
    return FieldResponse(**FIELDS[field_id])


@app.put("/fields/{field_id}")
async def update_field(field_id: str, data: FieldUpdate) -> FieldResponse:
    if field_id not in FIELDS:
        raise HTTPException(404, "Field not found")
    field = FIELDS[field_id]
    for name, value in data.model_dump().items():
        if value is not None:
            field[name] = value
    field["updated_at"] = datetime.now(UTC).replace(tzinfo=None).isoformat()
    return FieldResponse(**field)


@app.delete("/fields/{field_id}")
async def delete_field(field_id: str) -> dict[str, str]:
    if field_id not in FIELDS:
        raise HTTPException(404, "Field not found")
    del FIELDS[field_id]
    return {"status": "deleted", "field_id": field_id}


@app.post("/operations")
async def create_operation(data: OperationCreate) -> OperationResponse:
    operation = {
        "id": str(uuid4()),
        **data.model_dump(),
        "metadata": data.metadata or {},
        "status": "scheduled",
        "completed_date": None,
        "created_at": datetime.now(UTC).isoformat(),
    }
    OPERATIONS[operation["id"]] = operation
    return OperationResponse(**operation)


@app.get("/operations")
async def list_operations(
    field_id: str, status: str | None = None, skip: int = Query(0, ge=0), limit: int = Query(50, ge=1, le=100)
) -> dict[str, Any]:
    found = [o for o in OPERATIONS.values() if o["field_id"] == field_id]
    if status:
        found = [o for o in found if o["status"] == status]
    return {"items": found[skip : skip + limit], "total": len(found), "skip": skip, "limit": limit}


@app.get("/operations/{operation_id}")
async def get_operation(operation_id: str) -> OperationResponse:
    if operation_id not in OPERATIONS:
        raise HTTPException(404, "Operation not found")
    return OperationResponse(**OPERATIONS[operation_id])


@app.post("/operations/{operation_id}/complete")
async def complete_operation(operation_id: str) -> dict[str, str]:
    if operation_id not in OPERATIONS:
        raise HTTPException(404, "Operation not found")
    OPERATIONS[operation_id]["status"] = "completed"
    OPERATIONS[operation_id]["completed_date"] = datetime.now(UTC).isoformat()
    return {"status": "completed", "operation_id": operation_id}


@app.get("/stats/tenant/{tenant_id}")
async def tenant_stats(tenant_id: str) -> dict[str, Any]:
    fields = [f for f in FIELDS.values() if f["tenant_id"] == tenant_id]
    operations = [o for o in OPERATIONS.values() if o["tenant_id"] == tenant_id]
    return {
        "tenant_id": tenant_id,
        "fields_count": len(fields),
        "total_area_hectares": sum(f["area_hectares"] for f in fields),
        "operations": {
            "total": len(operations),
            "scheduled": sum(o["status"] == "scheduled" for o in operations),
            "completed": sum(o["status"] == "completed" for o in operations),
        },
    }
