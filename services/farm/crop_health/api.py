"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

import asyncio
import json
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, File, HTTPException, Query, Response, UploadFile
from fastapi.staticfiles import StaticFiles
from pydantic import FiniteFloat
from pydantic_core import to_json

import outlive
from services.farm.common import answers, clock
from services.farm.common.app import build, refused
from services.farm.crop_health import diagnosis, epidemics, images, outbreaks
from services.farm.crop_health import stats as dashboard
from services.farm.crop_health.clusters import TooDense
from services.farm.crop_health.deprecated import Deprecated
from services.farm.crop_health.diseases import DISEASES, Crop
from services.farm.crop_health.records import Diagnosis
from services.farm.crop_health.schemas import DiagnosisResult
from services.farm.crop_health.stores import NEWEST, diagnoses, service

NOT_FOUND = "التشخيص غير موجود"
TOO_DENSE = "too many cases lie this close to each other: ask for a smaller radius_km, or for fewer days"
Days = Annotated[int, Query(ge=1, le=365)]
router = APIRouter(prefix="/v1")


@router.post("/diagnose", response_model=DiagnosisResult)
async def diagnose(
    image: Annotated[UploadFile, File()],
    field_id: str | None = None,
    crop_type: Crop | None = None,
    symptoms: str | None = None,
    governorate: str | None = None,
    lat: FiniteFloat | None = None,
    lng: FiniteFloat | None = None,
    farmer_id: str | None = None,
) -> dict[str, Any]:
    """What the picture shows, stored as one diagnosis."""
    content = await images.read(image)
    found = await asyncio.to_thread(diagnosis.judge, content, crop_type, symptoms)
    made, now = uuid.uuid4(), clock.now()
    address = await asyncio.to_thread(images.keep, str(made), image.filename, content)
    placed = bool(lat and lng)
    await diagnoses.insert(
        Diagnosis(
            id=made, image_url=address, thumbnail_url=address, disease_id=found.disease_id,
            disease_name=found.disease.name, disease_name_ar=found.disease.name_ar, confidence=found.confidence,
            severity=found.severity, crop_type=found.disease.crop, field_id=field_id, governorate=governorate,
            lat=lat if placed else None, lng=lng if placed else None, created_at=now, farmer_id=farmer_id,
        )
    )  # fmt: skip
    return diagnosis.result(str(made), now.replace(tzinfo=None), address, found)


@router.post("/diagnose/batch")
async def diagnose_batch(
    images_: Annotated[list[UploadFile], File(alias="images")], field_id: str | None = None
) -> dict[str, Any]:
    """What several pictures show; nothing is stored."""
    contents = await images.read_batch(images_)
    findings = [(name, await asyncio.to_thread(diagnosis.judge, content)) for name, content in contents]
    return diagnosis.batch(field_id, findings)


@router.post("/expert-review")
async def request_expert_review(
    image: Annotated[UploadFile, File()],  # noqa: ARG001 - asked for, and read by nobody
    diagnosis_id: str,
    farmer_notes: str | None = None,  # noqa: ARG001
    urgency: Annotated[str, Query(json_schema_extra={"enum": ["low", "normal", "high", "urgent"]})] = "normal",
) -> dict[str, Any]:
    """The request's number; neither the diagnosis is looked up nor anything stored."""
    review = str(uuid.uuid4())
    return {
        "success": True, "review_id": review, "diagnosis_id": diagnosis_id, "urgency": urgency, "status": "pending",
    }  # fmt: skip


@router.get("/diagnoses")
async def list_diagnoses(
    status: str | None = None,
    severity: str | None = None,
    governorate: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """A bare list, newest first; an empty filter is none."""
    filters = answers.given(status=status or None, severity=severity or None, governorate=governorate or None)
    return outlive.json_response(await diagnoses.find_json(order_by=NEWEST, limit=limit, offset=offset, **filters))


@router.get("/diagnoses/stats")
async def stats() -> dict[str, Any]:
    return await dashboard.totals()


@router.get("/diagnoses/nearest")
async def nearest(
    lat: Annotated[FiniteFloat, Query(ge=-90, le=90)],
    lng: Annotated[FiniteFloat, Query(ge=-180, le=180)],
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> dict[str, Any]:
    """Diagnoses with a place, the nearest first."""
    found = await diagnoses.nearest(lat, lng, limit)
    shown = [{**json.loads(diagnoses.encode_json(each)), "distance_km": round(km, 3)} for km, each in found]
    return {"lat": lat, "lng": lng, "diagnoses": shown, "count": len(shown)}


@router.get("/diagnoses/{diagnosis_id}")
async def get_diagnosis(diagnosis_id: str) -> Response:
    """The record with what helps against the disease."""
    held: Diagnosis | None = await diagnoses.get(_known(diagnosis_id))
    if held is None:
        raise HTTPException(404, NOT_FOUND)
    disease = DISEASES[held.disease_id]
    advice = to_json({"treatments": disease.treatments, "prevention_tips_ar": disease.prevention_ar})
    return outlive.json_response(diagnoses.encode_json(held)[:-1] + b"," + advice[1:])


@router.patch("/diagnoses/{diagnosis_id}")
async def update_diagnosis(
    diagnosis_id: str,
    status: Annotated[str, Query(json_schema_extra={"enum": ["pending", "confirmed", "rejected", "treated"]})],
    expert_notes: str | None = None,
) -> dict[str, Any]:
    """Sets the status, and the notes where some are given."""
    noted = answers.given(expert_notes=expert_notes or None)
    if await diagnoses.patch(_known(diagnosis_id), status=status, updated_at=clock.now(), **noted) is None:
        raise HTTPException(404, NOT_FOUND)
    return {"success": True, "diagnosis_id": diagnosis_id, "status": status}


@router.get("/epidemics")
async def list_epidemics(governorate: str | None = None, days: Days = 30) -> dict[str, Any]:
    """Cases by governorate and disease, beside as many days before."""
    found = await epidemics.of(days, governorate)
    return {"days": days, "governorate": governorate, "epidemics": found, "count": len(found)}


@router.get("/outbreaks")
async def list_outbreaks(
    radius_km: Annotated[FiniteFloat, Query(gt=0, le=500)] = 5.0,
    min_cases: Annotated[int, Query(ge=2, le=100_000)] = 10,
    days: Days = 30,
) -> dict[str, Any]:
    """Where cases of one disease crowd: at least `min_cases` within `radius_km` of one of them."""
    try:
        found, cases = await outbreaks.of(radius_km, min_cases, days)
    except TooDense:
        raise refused(TOO_DENSE, "query", "radius_km") from None
    return {
        "radius_km": radius_km,
        "min_cases": min_cases,
        "days": days,
        "cases_examined": cases,
        "outbreaks": found,
        "count": len(found),
    }


def _known(diagnosis_id: str) -> uuid.UUID:
    """The id as the store has it. Raises 404 for a text that never was one."""
    try:
        held = uuid.UUID(diagnosis_id)
    except ValueError:
        raise HTTPException(404, NOT_FOUND) from None
    if str(held) != diagnosis_id:
        raise HTTPException(404, NOT_FOUND)
    return held


HEALTH = {"status": "healthy", "service": "crop-health-ai", "version": "2.2.0"}
app = build(service, "سهول فيجن - Sahool Vision", router, health=HEALTH)
app.add_middleware(Deprecated)
if folder := images.folder():
    app.mount(images.PATH, StaticFiles(directory=folder, check_dir=False))
