"""Who looks at a picture: an interface, and a stand-in that always says the same of the same picture.

A model is put in its place by `judge_by(model)`; it gets the image's bytes and what the farmer said of it, and answers
with a known disease.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol

from services.farm.crop_health.diseases import DISEASES, HEALTHY, Crop, Disease, Severity

SURE = 0.5


@dataclass(frozen=True)
class Finding:
    """What a picture shows: a key of DISEASES, and how sure that is, 0 to 1."""

    disease_id: str
    confidence: float

    @property
    def disease(self) -> Disease:
        """The disease that was found."""
        return DISEASES[self.disease_id]

    @property
    def severity(self) -> Severity:
        """How bad it is; nothing unsure is worse than low."""
        return self.disease.severity if self.confidence >= SURE else Severity.LOW


class Diagnoser(Protocol):
    """Names the disease that an image shows."""

    def judge(self, image: bytes, crop: Crop | None, symptoms: str | None) -> Finding:
        """The finding for one image; called on a thread."""


class ByDigest:
    """Draws disease and confidence from a digest of the bytes: no model, and equal in every process."""

    def judge(self, image: bytes, crop: Crop | None, symptoms: str | None) -> Finding:
        """The finding of these bytes alone, with a confidence from 0.3 to 1."""
        digest = hashlib.blake2b(image, digest_size=16).digest()
        known = [*DISEASES]
        drawn = int.from_bytes(digest[8:], "big") / 2**64
        return Finding(known[int.from_bytes(digest[:8], "big") % len(known)], round(0.3 + 0.7 * drawn, 4))


_diagnoser: Diagnoser = ByDigest()


def judge(image: bytes, crop: Crop | None = None, symptoms: str | None = None) -> Finding:
    """What the diagnoser in use says of an image."""
    return _diagnoser.judge(image, crop, symptoms)


def judge_by(diagnoser: Diagnoser) -> None:
    """Uses this diagnoser from now on."""
    global _diagnoser
    _diagnoser = diagnoser


def result(diagnosis_id: str, timestamp: Any, image_url: str | None, found: Finding) -> dict[str, Any]:
    """The answer to the farmer: `DiagnosisResult` of the API."""
    disease, severity = found.disease, found.severity
    unsure = found.confidence < SURE
    doubt = f"الثقة {found.confidence:.1%} فقط: اسأل مختصاً قبل العلاج."
    return {
        "diagnosis_id": diagnosis_id,
        "timestamp": timestamp,
        "disease_name": disease.name,
        "disease_name_ar": disease.name_ar,
        "disease_description": disease.description,
        "disease_description_ar": disease.description_ar,
        "confidence": found.confidence,
        "severity": severity,
        "affected_area_percent": 0.0 if found.disease_id == HEALTHY else round(100 * found.confidence, 2),
        "detected_crop": disease.crop,
        "growth_stage": None,
        "treatments": list(disease.treatments),
        "urgent_action_required": severity in {Severity.HIGH, Severity.CRITICAL},
        "needs_expert_review": unsure,
        "expert_review_reason": doubt if unsure else None,
        "weather_consideration": "لا ترش قبيل المطر" if disease.treatments else None,
        "prevention_tips": list(disease.prevention),
        "prevention_tips_ar": list(disease.prevention_ar),
        "image_url": image_url,
    }


def batch(field_id: str | None, findings: list[tuple[str | None, Finding]]) -> dict[str, Any]:
    """The answer to a batch of (file name, finding): what a record would say of each, and no ids, for none is kept."""
    return {
        "field_id": field_id,
        "total": len(findings),
        "results": [
            {
                "filename": name,
                "disease_id": found.disease_id,
                "disease_name": found.disease.name,
                "disease_name_ar": found.disease.name_ar,
                "confidence": found.confidence,
                "severity": found.severity,
                "crop_type": found.disease.crop,
            }
            for name, found in findings
        ],
    }
