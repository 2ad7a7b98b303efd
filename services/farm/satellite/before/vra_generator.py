"""What makes prescription maps, and keeps them in a dict that dies with the process."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from services.farm.vra import zones
from services.farm.vra.records import VraType, ZoneMethod


@dataclass
class PrescriptionMap:
    id: str
    field_id: str
    vra_type: str
    created_at: datetime
    target_rate: float
    min_rate: float
    max_rate: float
    unit: str
    num_zones: int
    zone_method: str
    total_area_ha: float
    total_product_needed: float
    flat_rate_product: float
    savings_percent: float
    savings_amount: float
    cost_savings: float | None = None
    notes: str | None = None
    notes_ar: str | None = None
    zones: list[dict[str, Any]] = field(default_factory=list)
    polygons: list[Any] = field(default_factory=list)


class VRAGenerator:
    def __init__(self) -> None:
        self._prescription_store: dict[str, PrescriptionMap] = {}

    def generate(self, asked: Any) -> PrescriptionMap:
        vra_type, method = VraType(asked.vra_type.lower()), ZoneMethod(asked.zone_method.lower())
        at = asked.latitude, asked.longitude
        least = asked.min_rate or 0.5 * asked.target_rate
        most = asked.max_rate or 1.5 * asked.target_rate
        made = [
            zones.zone(number, kind, at, zones.rate_of(kind, vra_type, asked.target_rate, least, most), asked.unit)
            for number, kind in enumerate(zones.DIVISIONS[asked.num_zones], 1)
        ]
        total = sum(each["total_product"] for each in made)
        flat = asked.target_rate * zones.AREA_HA
        cost = (flat - total) * (asked.product_price_per_unit or 0)
        prescription = PrescriptionMap(
            id=str(uuid4()), field_id=asked.field_id, vra_type=vra_type.value, created_at=datetime.now(),
            target_rate=asked.target_rate, min_rate=least, max_rate=most, unit=asked.unit, num_zones=asked.num_zones,
            zone_method=method.value, total_area_ha=zones.AREA_HA, total_product_needed=total, flat_rate_product=flat,
            savings_percent=round(100 * ((flat - total) / flat), 2), savings_amount=round(flat - total, 2),
            cost_savings=round(cost, 2) or None, notes=asked.notes, notes_ar=asked.notes_ar, zones=made,
            polygons=[zones.polygon(each["zone_id"], at) for each in made],
        )  # fmt: skip
        self._prescription_store[prescription.id] = prescription
        return prescription

    def get_prescription(self, prescription_id: str) -> PrescriptionMap | None:
        return self._prescription_store.get(prescription_id)

    def get_field_prescriptions(self, field_id: str, limit: int) -> list[PrescriptionMap]:
        found = [each for each in self._prescription_store.values() if each.field_id == field_id]
        return sorted(found, key=lambda each: each.created_at, reverse=True)[:limit]

    def delete_prescription(self, prescription_id: str) -> bool:
        return self._prescription_store.pop(prescription_id, None) is not None
