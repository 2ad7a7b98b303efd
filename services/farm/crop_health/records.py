"""What the service keeps: diagnoses. Times are aware, in UTC."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from services.farm.crop_health.diseases import Crop, Severity


@dataclass(kw_only=True)
class Diagnosis:
    """What one picture showed. `lat` and `lng` are both there or both None; they may be no place on the earth, and are
    then found by no distance. `status` is any text: the API never enforced its list."""

    id: uuid.UUID
    image_url: str | None
    thumbnail_url: str | None
    disease_id: str
    disease_name: str
    disease_name_ar: str
    confidence: float
    severity: Severity
    crop_type: Crop
    field_id: str | None = None
    governorate: str | None = None
    lat: float | None = None
    lng: float | None = None
    status: str = "pending"
    created_at: dt.datetime
    farmer_id: str | None = None
    expert_notes: str | None = None
    updated_at: dt.datetime | None = None
