"""How maps are shown: whole, as a line of a list, and in the forms that machines read.

The contract names the three forms and their outer keys; what is inside is this module's choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import quoteattr

FORMATS = ("geojson", "shapefile", "isoxml")
LINE = (
    "vra_type", "target_rate", "unit", "num_zones", "total_area_ha", "total_product_needed", "savings_percent",
    "savings_amount", "cost_savings", "notes", "notes_ar",
)  # fmt: skip
WHOLE = (*LINE, "field_id", "min_rate", "max_rate", "zone_method", "zones", "flat_rate_product")
# Fields of a shapefile have names of at most ten letters.
SHORT = {"zone_name_ar": "name_ar", "recommended_rate": "rate", "total_product": "product"}
# What a rate is in ISO 11783-11, and its whole number there for 1 a hectare: mg and mm3 a square metre, a thousandth
# of a seed a square metre.
MASS, VOLUME, COUNT = ("0006", 100.0), ("0001", 100.0), ("000B", 0.1)
DICTIONARY = {"fertilizer": MASS, "lime": MASS, "seed": COUNT, "pesticide": VOLUME, "irrigation": VOLUME}


def created(held: Any) -> str:
    """When a map was made: local time without a zone, as the API always had it."""
    moment: str = held.created_at.astimezone().replace(tzinfo=None).isoformat()
    return moment


def whole(held: Any) -> dict[str, Any]:
    """A map with its zones, and where its exports are."""
    urls = {f"{form}_url": f"/v1/vra/export/{held.id}?format={form}" for form in FORMATS}
    return {**{name: getattr(held, name) for name in WHOLE}, "id": str(held.id), "created_at": created(held), **urls}


def line(held: Any) -> dict[str, Any]:
    """A map in a list."""
    return {"id": str(held.id), "created_at": created(held), **{name: getattr(held, name) for name in LINE}}


def exported(held: Any, form: str) -> dict[str, Any]:
    """A map in one of FORMATS."""
    return {"geojson": geojson, "shapefile": shapefile, "isoxml": isoxml}[form](held)


def geojson(held: Any) -> dict[str, Any]:
    """A FeatureCollection, a zone a feature with all that the API says of it."""
    return {"type": "FeatureCollection", "features": _features(held, {}), "metadata": _about(held)}


def shapefile(held: Any) -> dict[str, Any]:
    """What a shapefile is written from."""
    return {"type": "shapefile", "crs": "EPSG:4326", "features": _features(held, SHORT), "metadata": _about(held)}


def isoxml(held: Any) -> dict[str, Any]:
    """A task for a machine on the ISOBUS, in the elements of ISO 11783-10."""
    return {"format": "ISO-XML", "prescription_id": str(held.id), "xml": "\n".join(_task(held)) + "\n"}


def _features(held: Any, names: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": rings},
            "properties": {names.get(name, name): value for name, value in zone.items() if name != "centroid"},
        }
        for zone, rings in zip(held.zones, held.polygons, strict=True)
    ]


def _about(held: Any) -> dict[str, Any]:
    shown = line(held)
    return {"prescription_id": shown.pop("id"), "field_id": held.field_id, **shown}


def _task(held: Any) -> Iterator[str]:
    """A treatment zone (TZN) a zone, each with its rate (PDV) and its outline (PLN)."""
    ddi, factor = DICTIONARY[held.vra_type]
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<ISO11783_TaskData VersionMajor="4" VersionMinor="0" DataTransferOrigin="1">'
    yield f'  <TSK A="TSK1" B={quoteattr(f"{held.vra_type} {held.field_id}")} G="1">'
    for zone, rings in zip(held.zones, held.polygons, strict=True):
        yield f'    <TZN A="{zone["zone_id"]}" B="{zone["zone_name"]}">'
        yield f'      <PDV A="{ddi}" B="{round(zone["recommended_rate"] * factor)}"/>'
        yield '      <PLN A="1"><LSG A="1">'
        yield from (f'        <PNT A="2" C="{lat}" D="{lon}"/>' for ring in rings for lon, lat in ring)
        yield "      </LSG></PLN>"
        yield "    </TZN>"
    yield "  </TSK>"
    yield "</ISO11783_TaskData>"
