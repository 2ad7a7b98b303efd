"""A map out of a request."""

from __future__ import annotations

import math
import uuid

from services.farm.common import clock
from services.farm.common.app import refused
from services.farm.vra import zones
from services.farm.vra.records import Prescription, VraType, ZoneMethod
from services.farm.vra.schemas import VraRequest


def prescribe(asked: VraRequest, vra_type: VraType, method: ZoneMethod) -> Prescription:
    """The map, with what it saves beside a flat rate. Raises 422 for rates that no number can hold multiplied."""
    at = asked.latitude, asked.longitude
    least = 0.5 * asked.target_rate if asked.min_rate is None else asked.min_rate
    most = 1.5 * asked.target_rate if asked.max_rate is None else asked.max_rate
    made = [
        zones.zone(number, kind, at, zones.rate_of(kind, vra_type, asked.target_rate, least, most), asked.unit)
        for number, kind in enumerate(zones.DIVISIONS[asked.num_zones], 1)
    ]
    total = sum(each["total_product"] for each in made)
    flat = asked.target_rate * zones.AREA_HA
    saved = flat - total
    cost = 0.0 if asked.product_price_per_unit is None else saved * asked.product_price_per_unit
    percent = 100 * (saved / flat)
    if not all(map(math.isfinite, (least, most, total, flat, saved, cost, percent))):
        raise refused("the amounts are larger than any number", "body", "target_rate")
    return Prescription(
        id=uuid.uuid4(), field_id=asked.field_id, vra_type=vra_type, created_at=clock.now(),
        target_rate=asked.target_rate, min_rate=least, max_rate=most, unit=asked.unit, num_zones=asked.num_zones,
        zone_method=method, total_area_ha=zones.AREA_HA, total_product_needed=total, flat_rate_product=flat,
        savings_percent=round(percent, 2), savings_amount=round(saved, 2),
        cost_savings=round(cost, 2) or None, notes=asked.notes, notes_ar=asked.notes_ar, zones=made,
        polygons=[zones.polygon(each["zone_id"], at) for each in made],
    )  # fmt: skip
