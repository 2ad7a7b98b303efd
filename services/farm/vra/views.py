"""How maps are shown: whole, as a line of a list, and in the forms that machines read."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import quoteattr

from services.farm.vra.records import Prescription

FORMATS = ("geojson", "shapefile", "isoxml")
VERSION = 'VersionMajor="4" VersionMinor="0" ManagementSoftwareManufacturer="SAHOOL" ManagementSoftwareVersion="1.0"'
LINE = (
    "vra_type", "target_rate", "unit", "num_zones", "total_area_ha", "total_product_needed", "savings_percent",
    "savings_amount", "cost_savings", "notes", "notes_ar",
)  # fmt: skip
WHOLE = (*LINE, "field_id", "min_rate", "max_rate", "zone_method", "zones", "flat_rate_product")


def created(held: Prescription) -> str:
    """When a map was made: local time without a zone, as the API always had it."""
    return held.created_at.astimezone().replace(tzinfo=None).isoformat()


def whole(held: Prescription) -> dict[str, Any]:
    """A map with its zones, and where its exports are."""
    urls = {f"{form}_url": f"/v1/vra/export/{held.id}?format={form}" for form in FORMATS}
    return {**{name: getattr(held, name) for name in WHOLE}, "id": str(held.id), "created_at": created(held), **urls}


def line(held: Prescription) -> dict[str, Any]:
    """A map in a list."""
    return {"id": str(held.id), "created_at": created(held), **{name: getattr(held, name) for name in LINE}}


def exported(held: Prescription, form: str) -> dict[str, Any]:
    """A map in one of FORMATS."""
    return {"geojson": geojson, "shapefile": shapefile, "isoxml": isoxml}[form](held)


def geojson(held: Prescription) -> dict[str, Any]:
    """A FeatureCollection, a zone a feature."""
    shown = ("zone_id", "zone_name", "zone_name_ar", "zone_level", "ndvi_min", "ndvi_max", "area_ha", "percentage")
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": rings},
            "properties": {
                **{name: zone[name] for name in shown},
                "rate": zone["recommended_rate"],
                **{name: zone[name] for name in ("unit", "total_product", "color")},
            },
        }
        for zone, rings in zip(held.zones, held.polygons, strict=True)
    ]
    properties = {
        "prescription_id": str(held.id),
        "field_id": held.field_id,
        "vra_type": held.vra_type,
        "created_at": created(held),
        "target_rate": held.target_rate,
        "unit": held.unit,
        "total_area_ha": held.total_area_ha,
        "total_product": held.total_product_needed,
        "savings_percent": held.savings_percent,
    }
    return {"type": "FeatureCollection", "features": features, "properties": properties}


def shapefile(held: Prescription) -> dict[str, Any]:
    """What a shapefile is written from; names of at most ten letters."""
    names = {
        "ZONE_ID": "zone_id", "ZONE_NAME": "zone_name", "ZONE_AR": "zone_name_ar", "RATE": "recommended_rate",
        "UNIT": "unit", "AREA_HA": "area_ha", "TOTAL_PROD": "total_product",
    }  # fmt: skip
    features = [
        {
            "geometry": {"type": "Polygon", "coordinates": rings},
            "properties": {short: zone[name] for short, name in names.items()},
        }
        for zone, rings in zip(held.zones, held.polygons, strict=True)
    ]
    metadata = {
        "prescription_id": str(held.id),
        "field_id": held.field_id,
        "vra_type": held.vra_type,
        "created": created(held),
    }
    return {"type": "shapefile", "crs": "EPSG:4326", "features": features, "metadata": metadata}


def isoxml(held: Prescription) -> dict[str, Any]:
    """A task for a machine on the ISOBUS."""
    return {"format": "ISO-XML", "prescription_id": str(held.id), "xml": "\n".join(_task(held)) + "\n"}


def _task(held: Prescription) -> list[str]:
    name = quoteattr(f"{held.vra_type}_{held.field_id}")
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<ISO11783_TaskData {VERSION}>",
        f'  <Task TaskDesignator={name} TaskStatus="1">',
        '    <TreatmentZone TreatmentZoneCode="1" TreatmentZoneDesignator="VRA Prescription">',
    ]
    for zone, rings in zip(held.zones, held.polygons, strict=True):
        rate = zone["recommended_rate"]
        lines += [f'      <ProcessDataVariable ProcessDataValue="{rate}" ProcessDataDDI="0006">']
        lines += ['        <Polygon PolygonType="1">']
        lines += [f'          <Point PointEast="{lon}" PointNorth="{lat}"/>' for ring in rings for lon, lat in ring]
        lines += ["        </Polygon>", "      </ProcessDataVariable>"]
    return [*lines, "    </TreatmentZone>", "  </Task>", "</ISO11783_TaskData>"]
