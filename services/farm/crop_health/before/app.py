"""The crop health service as it was: FastAPI over one object that forgets all but the newest thousand."""

from typing import Any
from uuid import uuid4

from fastapi import FastAPI, File, HTTPException, Query, UploadFile

from services.farm.crop_health import images as pictures
from services.farm.crop_health.before.service import diagnosis_service
from services.farm.crop_health.deprecated import Deprecated
from services.farm.crop_health.diseases import Crop
from services.farm.crop_health.schemas import DiagnosisResult

app = FastAPI(title="سهول فيجن - Sahool Vision", version="2.2.0")
app.add_middleware(Deprecated)


@app.get("/healthz")
async def health() -> dict[str, Any]:
    return {"status": "healthy", "service": "crop-health-ai", "version": "2.2.0"}


@app.post("/v1/diagnose", response_model=DiagnosisResult)
async def diagnose_plant_disease(
    image: UploadFile = File(...),
    field_id: str | None = Query(None),
    crop_type: Crop | None = Query(None),
    symptoms: str | None = Query(None),
    governorate: str | None = Query(None),
    lat: float | None = Query(None),
    lng: float | None = Query(None),
    farmer_id: str | None = Query(None),
) -> dict[str, Any]:
    content = await pictures.read(image)
    return diagnosis_service.diagnose(
        content, image.filename, field_id, crop_type, symptoms, governorate, lat, lng, farmer_id
    )


@app.post("/v1/diagnose/batch")
async def batch_diagnose(images: list[UploadFile] = File(...), field_id: str | None = Query(None)) -> dict[str, Any]:
    return diagnosis_service.batch_diagnose(await pictures.read_batch(images), field_id)


@app.post("/v1/expert-review")
async def request_expert_review(
    diagnosis_id: str = Query(...),
    image: UploadFile = File(...),  # noqa: ARG001
    farmer_notes: str | None = Query(None),  # noqa: ARG001
    urgency: str = Query("normal"),
) -> dict[str, Any]:
    return {
        "success": True,
        "review_id": str(uuid4()),
        "diagnosis_id": diagnosis_id,
        "urgency": urgency,
        "status": "pending",
    }


@app.get("/v1/diagnoses")
async def get_diagnosis_history(
    status: str | None = Query(None),
    severity: str | None = Query(None),
    governorate: str | None = Query(None),
    limit: int = Query(50, ge=1, le=200),
    offset: int = Query(0, ge=0),
) -> list[dict[str, Any]]:
    return diagnosis_service.get_history(status, severity, governorate, limit, offset)


@app.get("/v1/diagnoses/stats")
async def get_diagnosis_stats() -> dict[str, Any]:
    return diagnosis_service.get_stats()


@app.get("/v1/diagnoses/{diagnosis_id}")
async def get_diagnosis_by_id(diagnosis_id: str) -> dict[str, Any]:
    found = diagnosis_service.get_diagnosis(diagnosis_id)
    if not found:
        raise HTTPException(404, "التشخيص غير موجود")
    return found


@app.patch("/v1/diagnoses/{diagnosis_id}")
async def update_diagnosis_status(
    diagnosis_id: str, status: str = Query(...), expert_notes: str | None = Query(None)
) -> dict[str, Any]:
    found = diagnosis_service.update_status(diagnosis_id, status, expert_notes)
    if not found:
        raise HTTPException(404, "التشخيص غير موجود")
    return found
