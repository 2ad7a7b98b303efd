"""What the API's document says of the answer to a diagnosis."""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel, Field

from services.farm.crop_health.diseases import Crop, Severity, Treatment


class DiagnosisResult(BaseModel):
    diagnosis_id: str
    timestamp: dt.datetime
    disease_name: str
    disease_name_ar: str
    disease_description: str
    disease_description_ar: str
    confidence: float = Field(ge=0, le=1)
    severity: Severity
    affected_area_percent: float = Field(ge=0, le=100)
    detected_crop: Crop
    growth_stage: str | None = None
    treatments: list[Treatment]
    urgent_action_required: bool
    needs_expert_review: bool
    expert_review_reason: str | None = None
    weather_consideration: str | None = None
    prevention_tips: list[str] = []
    prevention_tips_ar: list[str] = []
    image_url: str | None = None
