"""Prescription maps, alike in every form, under both names of the service."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psycopg
import pytest

from outlive.postgres.address import Address
from tests.contracts.farm.conftest import PHASES, Opened, in_both_builds, in_every_phase, open_service
from tests.contracts.farm.running import Running

PACKAGE = "services.farm.vegetation"
NOT_FOUND = {"detail": "Prescription not found"}
LINE = {
    "id", "vra_type", "created_at", "target_rate", "unit", "num_zones", "total_area_ha", "total_product_needed",
    "savings_percent", "savings_amount", "cost_savings", "notes", "notes_ar",
}  # fmt: skip
WHOLE = LINE | {
    "field_id", "min_rate", "max_rate", "zone_method", "zones", "flat_rate_product", "geojson_url", "shapefile_url",
    "isoxml_url",
}  # fmt: skip
FACTORS = {
    "fertilizer": (1.3, 1.15, 1.0, 0.85, 0.7), "seed": (0.8, 0.9, 1.0, 1.1, 1.15), "lime": (1.4, 1.2, 1.0, 0.8, 0.6),
    "pesticide": (0.7, 0.85, 1.0, 1.15, 1.25), "irrigation": (1.3, 1.15, 1.0, 0.85, 0.75),
}  # fmt: skip
BODY = {
    "field_id": "f", "latitude": 15.5, "longitude": 44.25, "vra_type": "fertilizer", "target_rate": 100,
    "unit": "kg/ha",
}  # fmt: skip


@pytest.fixture
def field() -> str:
    """A field that nobody used."""
    return f"field_{uuid.uuid4().hex[:8]}"


def generate(http: Running, field: str, **more: Any) -> dict[str, Any]:
    """A new map."""
    answer = http.post("/v1/vra/generate", json={**BODY, "field_id": field, **more})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def lines(http: Running, field: str, **query: Any) -> list[dict[str, Any]]:
    """The maps of a field."""
    body = http.get(f"/v1/vra/prescriptions/{field}", params=query).json()
    assert (body["field_id"], body["count"]) == (field, len(body["prescriptions"]))
    found: list[dict[str, Any]] = body["prescriptions"]
    return found


def test_a_map_of_three_zones(http: Running, field: str) -> None:
    """Areas, rates, names and colours are as they are described, and the stored map is the answered one."""
    made = generate(http, field, product_price_per_unit=2.5, notes="n", notes_ar="ملاحظة", other=1)
    assert set(made) == WHOLE
    assert [(made[name]) for name in ("min_rate", "max_rate", "total_area_ha", "num_zones", "zone_method")] == [
        50, 150, 10, 3, "ndvi",
    ]  # fmt: skip
    assert made["zones"][0] == {
        "zone_id": 1, "zone_name": "Low", "zone_name_ar": "منخفض", "zone_level": "low", "ndvi_min": 0,
        "ndvi_max": 0.4, "area_ha": 2.5, "percentage": 25, "centroid": [44.251, 15.5], "recommended_rate": 115,
        "unit": "kg/ha", "total_product": 287.5, "color": "#d62728",
    }  # fmt: skip
    assert [zone["recommended_rate"] for zone in made["zones"]] == [115, 100, 85]
    assert (made["total_product_needed"], made["flat_rate_product"]) == (1000, 1000)
    assert [made[name] for name in ("savings_percent", "savings_amount", "cost_savings")] == [0, 0, None]
    assert dt.datetime.fromisoformat(made["created_at"]).tzinfo is None
    assert made["isoxml_url"] == f"/v1/vra/export/{made['id']}?format=isoxml"
    read = http.get(f"/v1/vra/prescription/{made['id']}")
    assert (read.status_code, read.json()) == (200, made)
    assert lines(http, field) == [{name: made[name] for name in LINE}]


@pytest.mark.parametrize("vra_type", FACTORS)
def test_a_map_of_five_zones(http: Running, field: str, vra_type: str) -> None:
    """Each type has its factors; savings are beside a flat rate, to two decimals."""
    made = generate(http, field, vra_type=vra_type.upper(), zone_method="Soil", num_zones=5, target_rate=33.33,
                    product_price_per_unit=1.5)  # fmt: skip
    assert (made["vra_type"], made["zone_method"]) == (vra_type, "soil")
    zones = made["zones"]
    assert [zone["percentage"] for zone in zones] == [15, 20, 30, 20, 15]
    assert [zone["zone_name"] for zone in zones] == ["Very Low", "Low", "Medium", "High", "Very High"]
    assert [zone["zone_name_ar"] for zone in zones] == ["منخفض جداً", "منخفض", "متوسط", "عالي", "عالي جداً"]
    assert [zone["color"] for zone in zones] == ["#d62728", "#ff7f0e", "#ffdd00", "#98df8a", "#2ca02c"]
    assert [zone["ndvi_max"] for zone in zones] == [0.3, 0.45, 0.55, 0.7, 1.0]
    assert [zone["recommended_rate"] for zone in zones] == [round(33.33 * each, 2) for each in FACTORS[vra_type]]
    saved = 33.33 * 10 - sum(zone["total_product"] for zone in zones)
    assert made["savings_amount"] == round(saved, 2)
    assert made["savings_percent"] == round(saved / 333.3 * 100, 2)
    assert made["cost_savings"] == (round(saved * 1.5, 2) or None)


def test_rates_keep_within_their_limits(http: Running, field: str) -> None:
    """Given limits count in place of half and one and a half times the target; a price of 0 saves nothing."""
    made = generate(http, field, min_rate=90, max_rate=105, product_price_per_unit=0)
    assert [zone["recommended_rate"] for zone in made["zones"]] == [105, 100, 90]
    assert (made["min_rate"], made["max_rate"], made["savings_amount"], made["cost_savings"]) == (90, 105, 12.5, None)


def test_what_is_no_request_is_refused(http: Running, field: str) -> None:
    """Unknown names are 400 with those that there are, as are four zones; wrong fields are 422; nothing is stored."""
    for wrong, text in (
        ({"vra_type": "x"}, "Invalid vra_type. Must be one of: fertilizer, seed, lime, pesticide, irrigation"),
        ({"zone_method": "x"}, "Invalid zone_method. Must be one of: ndvi, yield, soil, combined"),
        ({"num_zones": 4}, "num_zones must be 3 or 5"),
    ):
        answer = http.post("/v1/vra/generate", json={**BODY, "field_id": field, **wrong})
        assert (answer.status_code, answer.json()) == (400, {"detail": text})
    for wrong in (
        {"num_zones": 2}, {"num_zones": 6}, {"latitude": 91}, {"longitude": -181}, {"target_rate": 0}, {"unit": None},
        {"min_rate": 0}, {"max_rate": 0}, {"product_price_per_unit": "much"}, {"num_zones": None}, {"vra_type": None},
    ):  # fmt: skip
        assert http.post("/v1/vra/generate", json={**BODY, "field_id": field, **wrong}).status_code == 422, wrong
    missing = http.post("/v1/vra/generate", json={"field_id": field}).json()["detail"]
    assert [each["loc"][1] for each in missing] == ["latitude", "longitude", "vra_type", "target_rate", "unit"]
    assert lines(http, field) == []


@in_every_phase
def test_amounts_larger_than_any_number(http: Running, field: str) -> None:
    """422, and nothing is stored."""
    assert http.post("/v1/vra/generate", json={**BODY, "field_id": field, "target_rate": 1e308}).status_code == 422
    assert lines(http, field) == []


def test_the_list_is_newest_first(http: Running, field: str) -> None:
    """Of one field, at most `limit`."""
    made = [generate(http, field)["id"] for _ in range(3)]
    assert [each["id"] for each in lines(http, field)] == made[::-1]
    assert [each["id"] for each in lines(http, field, limit=2)] == made[::-1][:2]
    for wrong in (0, 51):
        assert http.get(f"/v1/vra/prescriptions/{field}", params={"limit": wrong}).status_code == 422


def test_deleted_is_gone(http: Running, field: str) -> None:
    """With its texts; then, like any unknown id, it is 404 everywhere."""
    key = generate(http, field)["id"]
    answer = http.delete(f"/v1/vra/prescription/{key}")
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "success": True, "message": "Prescription deleted successfully", "message_ar": "تم حذف الوصفة بنجاح",
            "prescription_id": key,
        },
    )  # fmt: skip
    for unknown in (key, "none", key.upper()):
        for answer in (
            http.get(f"/v1/vra/prescription/{unknown}"), http.delete(f"/v1/vra/prescription/{unknown}"),
            http.get(f"/v1/vra/export/{unknown}"), http.get(f"/v1/vra/export/{unknown}", params={"format": "x"}),
        ):  # fmt: skip
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert lines(http, field) == []


def test_exports(http: Running, field: str) -> None:
    """GeoJSON, shapefile form and ISO-XML say the same of each zone; another format is 400."""
    field += '"<&'
    made = generate(http, field, num_zones=5, longitude=44, latitude=0.0005)
    path = f"/v1/vra/export/{made['id']}"
    geo = http.get(path).json()
    assert geo == http.get(path, params={"format": "geojson"}).json()
    assert (geo["type"], len(geo["features"])) == ("FeatureCollection", 5)
    shape = http.get(path, params={"format": "shapefile"}).json()
    assert (shape["type"], shape["crs"]) == ("shapefile", "EPSG:4326")
    [listed] = lines(http, field)
    assert geo["metadata"] == shape["metadata"] == {"prescription_id": listed.pop("id"), "field_id": field, **listed}
    xml = http.get(path, params={"format": "isoxml"}).json()
    assert (set(xml), xml["format"], xml["prescription_id"]) == (
        {"format", "prescription_id", "xml"}, "ISO-XML", made["id"],
    )  # fmt: skip
    task = ElementTree.fromstring(xml["xml"].encode()).find("TSK")  # noqa: S314 - our own answer
    assert task is not None
    assert task.attrib["B"] == f"fertilizer {field}"
    for zone, feature, form, part in zip(
        made["zones"], geo["features"], shape["features"], task.iter("TZN"), strict=True
    ):
        lon, lat = zone["centroid"]
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1] == pytest.approx([lon - 0.002, lat - 0.002], abs=1e-12)
        assert ring[2] == pytest.approx([lon + 0.002, lat + 0.002], abs=1e-12)
        assert form["geometry"] == feature["geometry"]
        assert [[float(at.get("D", "")), float(at.get("C", ""))] for at in part.iter("PNT")] == ring
        rate = zone["recommended_rate"]
        assert [part.get("B"), part.find("PDV").attrib] == [  # type: ignore[union-attr]
            zone["zone_name"], {"A": "0006", "B": str(round(rate * 100))},
        ]  # fmt: skip
        assert feature["properties"] == {name: value for name, value in zone.items() if name != "centroid"}
        assert (
            form["properties"].items()
            >= {"rate": rate, "zone_id": zone["zone_id"], "name_ar": zone["zone_name_ar"]}.items()
        )
        assert max(map(len, form["properties"])) <= 10
    for other in ("kml", "", "GeoJSON"):
        answer = http.get(path, params={"format": other})
        assert (answer.status_code, answer.json()) == (
            400, {"detail": "Invalid format. Must be one of: geojson, shapefile, isoxml"},
        )  # fmt: skip


def test_health(http: Running, form: Any) -> None:
    """It is healthy under its name; ours says whether the database answers."""
    told = {"status": "healthy", "service": "vegetation-analysis-service"}
    if form.ours:
        told["database"] = "disconnected" if form.phase == "legacy" else "connected"
    assert http.get("/healthz").json() == told


@in_both_builds
def test_postgis_keeps_the_shape_of_the_zones(opened: Opened, http: Running, form: Any, field: str) -> None:
    """A polygon a zone where PostGIS is; where it is not, the table does without."""
    generate(http, field, num_zones=5)
    generate(http, f"{field}_line", longitude=180, latitude=90)
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        known = conn.execute(
            "SELECT count(*) FROM information_schema.columns WHERE table_name = 'vra_prescriptions'"
            " AND column_name = 'shape'"
        ).fetchone()
        assert known == (int(form.postgis),)
        if form.postgis:
            shape = conn.execute(
                "SELECT ST_NumGeometries(shape), ST_XMin(shape), ST_YMax(shape) FROM vra_prescriptions"
                " WHERE field_id = %s", [field],
            ).fetchone()  # fmt: skip
            assert shape == (5, pytest.approx(44.249), pytest.approx(15.502))


def test_both_names_are_one_service(new_database: Callable[..., Address], tmp_path: Path, field: str) -> None:
    """A map that one makes is listed, exported and deleted by the other."""
    address = new_database()
    with (
        open_service("services.farm.vegetation", PHASES[-1], address, tmp_path / "v", {}) as vegetation,
        open_service("services.farm.satellite", PHASES[-1], address, tmp_path / "s", {}) as satellite,
    ):
        made = generate(vegetation.http, field)
        assert lines(satellite.http, field) == lines(vegetation.http, field)
        assert satellite.http.get(f"/v1/vra/export/{made['id']}").status_code == 200
        assert satellite.http.get("/healthz").json()["service"] == "satellite-service"
        assert satellite.http.delete(f"/v1/vra/prescription/{made['id']}").status_code == 200
        assert vegetation.http.get(f"/v1/vra/prescription/{made['id']}").json() == NOT_FOUND
