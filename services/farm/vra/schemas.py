"""What clients send and what they get."""

from __future__ import annotations

from pydantic import BaseModel, Field, FiniteFloat


class VraRequest(BaseModel):
    """A request for a map; the names of type and method are checked by the route, in any case of letters."""

    field_id: str
    latitude: FiniteFloat = Field(ge=-90, le=90)
    longitude: FiniteFloat = Field(ge=-180, le=180)
    vra_type: str
    target_rate: FiniteFloat = Field(gt=0)
    unit: str
    num_zones: int = Field(default=3, ge=3, le=5)
    zone_method: str = "ndvi"
    min_rate: FiniteFloat | None = Field(default=None, gt=0)
    max_rate: FiniteFloat | None = Field(default=None, gt=0)
    product_price_per_unit: FiniteFloat | None = None
    notes: str | None = None
    notes_ar: str | None = None


class Zone(BaseModel):
    zone_id: int
    zone_name: str
    zone_name_ar: str
    zone_level: str
    ndvi_min: float
    ndvi_max: float
    area_ha: float
    percentage: float
    centroid: list[float]
    recommended_rate: float
    unit: str
    total_product: float
    color: str


class Map(BaseModel):
    id: str
    field_id: str
    vra_type: str
    created_at: str
    target_rate: float
    min_rate: float
    max_rate: float
    unit: str
    num_zones: int
    zone_method: str
    zones: list[Zone]
    total_area_ha: float
    total_product_needed: float
    flat_rate_product: float
    savings_percent: float
    savings_amount: float
    cost_savings: float | None
    notes: str | None
    notes_ar: str | None
    geojson_url: str | None
    shapefile_url: str | None
    isoxml_url: str | None
