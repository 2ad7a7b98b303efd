"""The satellite-service as it was: FastAPI over a generator that keeps its maps."""

from typing import Any

from fastapi import FastAPI, HTTPException, Query

from services.farm.satellite.before.vra_generator import VRAGenerator
from services.farm.vra import views
from services.farm.vra.records import VraType, ZoneMethod
from services.farm.vra.schemas import Map, VraRequest

app = FastAPI(title="SAHOOL VRA prescriptions")
generator = VRAGenerator()


@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "healthy", "service": "satellite-service"}


@app.post("/v1/vra/generate", response_model=Map)
async def generate(asked: VraRequest) -> Any:
    for names, given, what in ((VraType, asked.vra_type, "vra_type"), (ZoneMethod, asked.zone_method, "zone_method")):
        if given.lower() not in list(names):
            raise HTTPException(400, f"Invalid {what}. Must be one of: {', '.join(names)}")
    if asked.num_zones not in (3, 5):
        raise HTTPException(400, "num_zones must be 3 or 5")
    return views.whole(generator.generate(asked))


@app.get("/v1/vra/prescriptions/{field_id}")
async def get_field_prescriptions(field_id: str, limit: int = Query(10, ge=1, le=50)) -> dict[str, Any]:
    found = generator.get_field_prescriptions(field_id, limit)
    return {"field_id": field_id, "count": len(found), "prescriptions": [views.line(each) for each in found]}


@app.get("/v1/vra/prescription/{prescription_id}", response_model=Map)
async def get_prescription(prescription_id: str) -> Any:
    found = generator.get_prescription(prescription_id)
    if found is None:
        raise HTTPException(404, "Prescription not found")
    return views.whole(found)


@app.delete("/v1/vra/prescription/{prescription_id}")
async def delete_prescription(prescription_id: str) -> dict[str, Any]:
    if not generator.delete_prescription(prescription_id):
        raise HTTPException(404, "Prescription not found")
    told = {"message": "Prescription deleted successfully", "message_ar": "تم حذف الوصفة بنجاح"}
    return {"success": True, **told, "prescription_id": prescription_id}


@app.get("/v1/vra/export/{prescription_id}")
async def export_prescription(prescription_id: str, format: str = "geojson") -> dict[str, Any]:
    found = generator.get_prescription(prescription_id)
    if found is None:
        raise HTTPException(404, "Prescription not found")
    if format not in views.FORMATS:
        raise HTTPException(400, "Invalid format. Must be one of: geojson, shapefile, isoxml")
    return views.exported(found, format)
