"""How a field is divided and what each zone gets. The field is simulated: ten hectares round its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.farm.vra.records import VraType

AREA_HA = 10.0
HALF_SIDE, STEP = 0.002, 0.001  # degrees
ARABIC = {"very_low": "منخفض جداً", "low": "منخفض", "medium": "متوسط", "high": "عالي", "very_high": "عالي جداً"}
LEVELS = tuple(ARABIC)
FACTORS = {
    VraType.FERTILIZER: (1.3, 1.15, 1.0, 0.85, 0.7),
    VraType.SEED: (0.8, 0.9, 1.0, 1.1, 1.15),
    VraType.LIME: (1.4, 1.2, 1.0, 0.8, 0.6),
    VraType.PESTICIDE: (0.7, 0.85, 1.0, 1.15, 1.25),
    VraType.IRRIGATION: (1.3, 1.15, 1.0, 0.85, 0.75),
}


@dataclass(frozen=True)
class Kind:
    """One zone of a division: its part of the field, from which NDVI to which, and its colour on a map."""

    level: str
    part: float
    ndvi: tuple[float, float]
    color: str


DIVISIONS = {
    3: (
        Kind("low", 0.25, (0.0, 0.4), "#d62728"),
        Kind("medium", 0.50, (0.4, 0.6), "#ff7f0e"),
        Kind("high", 0.25, (0.6, 1.0), "#2ca02c"),
    ),
    5: (
        Kind("very_low", 0.15, (0.0, 0.3), "#d62728"),
        Kind("low", 0.20, (0.3, 0.45), "#ff7f0e"),
        Kind("medium", 0.30, (0.45, 0.55), "#ffdd00"),
        Kind("high", 0.20, (0.55, 0.7), "#98df8a"),
        Kind("very_high", 0.15, (0.7, 1.0), "#2ca02c"),
    ),
}


def zone(number: int, kind: Kind, at: tuple[float, float], rate: float, unit: str) -> dict[str, Any]:
    """The zone of a number from 1; `at` is the field's (latitude, longitude)."""
    area = round(AREA_HA * kind.part, 2)
    return {
        "zone_id": number,
        "zone_name": kind.level.replace("_", " ").title(),
        "zone_name_ar": ARABIC[kind.level],
        "zone_level": kind.level,
        "ndvi_min": kind.ndvi[0],
        "ndvi_max": kind.ndvi[1],
        "area_ha": area,
        "percentage": round(100 * kind.part, 1),
        "centroid": [at[1] + number * STEP, at[0]],
        "recommended_rate": rate,
        "unit": unit,
        "total_product": rate * area,
        "color": kind.color,
    }


def polygon(number: int, at: tuple[float, float]) -> list[list[list[float]]]:
    """The rings of a zone: one square round its middle, closed, corners as [longitude, latitude]."""
    lat, lon = at
    west, east = lon - HALF_SIDE + number * STEP, lon + HALF_SIDE + number * STEP
    south, north = lat - HALF_SIDE, lat + HALF_SIDE
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


def rate_of(kind: Kind, vra_type: VraType, target: float, least: float, most: float) -> float:
    """The rate of a zone, within its limits, to two decimals."""
    wanted = target * FACTORS[vra_type][LEVELS.index(kind.level)]
    return round(max(least, min(wanted, most)), 2)
