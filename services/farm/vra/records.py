"""What the service keeps: prescription maps. Times are aware, in UTC."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class VraType(StrEnum):
    FERTILIZER = "fertilizer"
    SEED = "seed"
    LIME = "lime"
    PESTICIDE = "pesticide"
    IRRIGATION = "irrigation"


class ZoneMethod(StrEnum):
    NDVI = "ndvi"
    YIELD = "yield"
    SOIL = "soil"
    COMBINED = "combined"


@dataclass(kw_only=True)
class Prescription:
    """One map. Rates are `unit` a hectare.

    `zones` are as the API shows them; `polygons` holds the rings of each zone, in the same order, as the coordinates
    of a GeoJSON MultiPolygon: [zone][ring][corner][longitude, latitude].
    """

    id: uuid.UUID
    field_id: str
    vra_type: VraType
    created_at: dt.datetime
    target_rate: float
    min_rate: float
    max_rate: float
    unit: str
    num_zones: int
    zone_method: ZoneMethod
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
