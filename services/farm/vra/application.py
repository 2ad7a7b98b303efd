"""The store, the routes, and the application under one of its names.

FastAPI reads the annotations, so they are evaluated here and not kept as text.
"""

import uuid
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, FastAPI, HTTPException, Query

import outlive
from services.farm.common.app import build, declare
from services.farm.vra import models, views
from services.farm.vra.prescribe import prescribe
from services.farm.vra.records import Prescription, VraType, ZoneMethod
from services.farm.vra.schemas import Map, VraRequest
from services.farm.vra.zones import DIVISIONS

NOT_FOUND = "Prescription not found"
Named = TypeVar("Named", bound=StrEnum)


def application(name: str) -> FastAPI:
    """A service of this name; all of them share one outlive service and one table."""
    service = declare("vra", __file__)
    store = outlive.mapping(
        "vra_prescriptions", Prescription, key="id", model=models.PrescriptionRow, service=service,
        indexes=[("field_id", "-created_at")],
    )  # fmt: skip
    return build(service, "SAHOOL VRA prescriptions", routes(store.repository), health=_health(name))


def _health(name: str) -> dict[str, Any]:
    return {"status": "healthy", "service": name}


def routes(prescriptions: Any) -> APIRouter:
    """The API over a repository."""
    router = APIRouter(prefix="/v1/vra")

    async def held(prescription_id: str) -> Prescription:
        found: Prescription | None = await prescriptions.get(known(prescription_id))
        if found is None:
            raise HTTPException(404, NOT_FOUND)
        return found

    @router.post("/generate", response_model=Map)
    async def generate(asked: VraRequest) -> dict[str, Any]:
        vra_type, method = of(VraType, asked.vra_type, "vra_type"), of(ZoneMethod, asked.zone_method, "zone_method")
        if asked.num_zones not in DIVISIONS:
            raise HTTPException(400, "num_zones must be 3 or 5")
        made = prescribe(asked, vra_type, method)
        await prescriptions.insert(made)
        return views.whole(made)

    @router.get("/prescriptions/{field_id}")
    async def list_prescriptions(field_id: str, limit: Annotated[int, Query(ge=1, le=50)] = 10) -> dict[str, Any]:
        """The field's maps, newest first; `count` is that of the page."""
        found = await prescriptions.find(field_id=field_id, order_by="-created_at", limit=limit)
        return {"field_id": field_id, "count": len(found), "prescriptions": [views.line(each) for each in found]}

    @router.get("/prescription/{prescription_id}", response_model=Map)
    async def get_prescription(prescription_id: str) -> dict[str, Any]:
        return views.whole(await held(prescription_id))

    @router.delete("/prescription/{prescription_id}")
    async def delete_prescription(prescription_id: str) -> dict[str, Any]:
        if not await prescriptions.delete(known(prescription_id)):
            raise HTTPException(404, NOT_FOUND)
        told = {"message": "Prescription deleted successfully", "message_ar": "تم حذف الوصفة بنجاح"}
        return {"success": True, **told, "prescription_id": prescription_id}

    @router.get("/export/{prescription_id}")
    async def export_prescription(prescription_id: str, format: str = "geojson") -> dict[str, Any]:
        """The map in the form that was asked for; that it is there is looked at first."""
        found = await held(prescription_id)
        if format not in views.FORMATS:
            raise HTTPException(400, f"Invalid format. Must be one of: {', '.join(views.FORMATS)}")
        return views.exported(found, format)

    return router


def of(names: type[Named], text: str, what: str) -> Named:
    """The member of a name in any case of letters. Raises 400 with the names that there are."""
    try:
        return names(text.lower())
    except ValueError:
        raise HTTPException(400, f"Invalid {what}. Must be one of: {', '.join(names)}") from None


def known(prescription_id: str) -> uuid.UUID:
    """The id as the store has it. Raises 404 for a text that never was one."""
    try:
        found = uuid.UUID(prescription_id)
    except ValueError:
        raise HTTPException(404, NOT_FOUND) from None
    if str(found) != prescription_id:
        raise HTTPException(404, NOT_FOUND)
    return found
