"""The first version's heart: diagnoses in a list that an object holds, newest first, cut at a thousand."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from services.farm.crop_health.diagnosis import batch, judge, result
from services.farm.crop_health.diseases import DISEASES, Crop
from services.farm.crop_health.images import keep

MAX_HISTORY_SIZE = 1000


class DiagnosisService:
    def __init__(self) -> None:
        self._history: list[dict[str, Any]] = []

    def diagnose(
        self,
        image_bytes: bytes,
        filename: str | None,
        field_id: str | None = None,
        crop_type: Crop | None = None,
        symptoms: str | None = None,
        governorate: str | None = None,
        lat: float | None = None,
        lng: float | None = None,
        farmer_id: str | None = None,
    ) -> dict[str, Any]:
        diagnosis_id = str(uuid4())
        timestamp = datetime.now(UTC).replace(tzinfo=None)
        finding = judge(image_bytes, crop_type, symptoms)
        image_url = keep(diagnosis_id, filename, image_bytes)
        self._history.insert(
            0,
            {
                "id": diagnosis_id,
                "image_url": image_url,
                "thumbnail_url": image_url,
                "disease_id": finding.disease_id,
                "disease_name": finding.disease.name,
                "disease_name_ar": finding.disease.name_ar,
                "confidence": finding.confidence,
                "severity": finding.severity.value,
                "crop_type": finding.disease.crop.value,
                "field_id": field_id,
                "governorate": governorate,
                "location": {"lat": lat, "lng": lng} if lat and lng else None,
                "status": "pending",
                "timestamp": timestamp.isoformat(),
                "farmer_id": farmer_id,
            },
        )
        if len(self._history) > MAX_HISTORY_SIZE:
            self._history.pop()
        return result(diagnosis_id, timestamp, image_url, finding)

    def batch_diagnose(self, images: list[tuple[str | None, bytes]], field_id: str | None) -> dict[str, Any]:
        return batch(field_id, [(name, judge(content)) for name, content in images])

    def get_history(
        self, status: str | None, severity: str | None, governorate: str | None, limit: int, offset: int
    ) -> list[dict[str, Any]]:
        found = self._history
        if status:
            found = [d for d in found if d["status"] == status]
        if severity:
            found = [d for d in found if d["severity"] == severity]
        if governorate:
            found = [d for d in found if d["governorate"] == governorate]
        return found[offset : offset + limit]

    def get_diagnosis(self, diagnosis_id: str) -> dict[str, Any] | None:
        for record in self._history:
            if record["id"] == diagnosis_id:
                disease = DISEASES[record["disease_id"]]
                return {**record, "treatments": disease.treatments, "prevention_tips_ar": disease.prevention_ar}
        return None

    def update_status(self, diagnosis_id: str, status: str, expert_notes: str | None) -> dict[str, Any] | None:
        for record in self._history:
            if record["id"] == diagnosis_id:
                record["status"] = status
                if expert_notes:
                    record["expert_notes"] = expert_notes
                record["updated_at"] = datetime.now(UTC).replace(tzinfo=None).isoformat()
                return {"success": True, "diagnosis_id": diagnosis_id, "status": status}
        return None

    def get_stats(self) -> dict[str, Any]:
        by_disease: dict[str, int] = {}
        by_governorate: dict[str, int] = {}
        for d in self._history:
            by_disease[d["disease_name_ar"]] = by_disease.get(d["disease_name_ar"], 0) + 1
            governorate = d["governorate"] or "غير محدد"
            by_governorate[governorate] = by_governorate.get(governorate, 0) + 1
        stats = {
            "total": len(self._history),
            "pending": sum(d["status"] == "pending" for d in self._history),
            "confirmed": sum(d["status"] == "confirmed" for d in self._history),
            "treated": sum(d["status"] == "treated" for d in self._history),
            "critical_count": sum(d["severity"] == "critical" for d in self._history),
            "high_count": sum(d["severity"] == "high" for d in self._history),
            "by_disease": by_disease,
            "by_governorate": by_governorate,
        }
        if self._history:
            stats["last_updated"] = datetime.now(UTC).replace(tzinfo=None).isoformat()
        return stats


diagnosis_service = DiagnosisService()
