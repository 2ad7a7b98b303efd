"""The equipment service's API, alike in every form."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.contracts.farm.conftest import in_every_phase
from tests.contracts.farm.running import Running

PACKAGE = "services.farm.equipment"
BASE = "/api/v1/equipment"
BAD = [
    {}, {"name": "", "equipment_type": "pump"}, {"name": "x" * 201, "equipment_type": "pump"}, {"name": "x"},
    {"name": "x", "equipment_type": "boat"}, {"name": None, "equipment_type": "pump"},
]  # fmt: skip
NOT_FOUND = {"detail": "Equipment not found"}
FIELDS = {
    "equipment_id", "tenant_id", "name", "name_ar", "equipment_type", "status", "brand", "model", "serial_number",
    "year", "purchase_date", "purchase_price", "field_id", "location_name", "horsepower", "fuel_capacity_liters",
    "current_fuel_percent", "current_hours", "current_lat", "current_lon", "last_maintenance_at", "next_maintenance_at",
    "next_maintenance_hours", "created_at", "updated_at", "metadata", "qr_code",
}  # fmt: skip


def create(http: Running, tenant: str, **fields: Any) -> dict[str, Any]:
    """A new machine of the tenant."""
    body = {"name": "Tractor", "equipment_type": "tractor", **fields}
    answer = http.post(BASE, params={"x_tenant_id": tenant}, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def listed(http: Running, tenant: str, **query: Any) -> dict[str, Any]:
    """The list's answer."""
    answer = http.get(BASE, params={"x_tenant_id": tenant, **query})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_create_answers_the_whole_record(http: Running, tenant: str) -> None:
    """A new machine is operational, has an id and a QR code, and null for all that nobody said."""
    made = create(
        http, tenant, name="جرار North 8R", name_ar="جرار", year=2020, purchase_date="2024-01-02T00:00:00",
        purchase_price=1234.567, horsepower=410, fuel_capacity_liters=0, metadata={"z": 1, "a": [1.5, None]}, other=1,
    )  # fmt: skip
    assert set(made) == FIELDS
    assert made["equipment_id"].startswith("eq_")
    assert len(made["equipment_id"]) == 11
    assert made["qr_code"] == f"QR_{made['equipment_id'].upper()}_جرارNorth8"
    assert made["status"] == "operational"
    assert (made["purchase_price"], made["fuel_capacity_liters"]) == (1234.567, 0)
    assert made["purchase_date"] == "2024-01-02T00:00:00"
    assert made["metadata"] == {"z": 1, "a": [1.5, None]}
    assert [made[name] for name in ("current_hours", "last_maintenance_at", "brand")] == [None, None, None]
    assert dt.datetime.fromisoformat(made["created_at"]).tzinfo is None
    read = http.get(f"{BASE}/{made['equipment_id']}", params={"x_tenant_id": tenant})
    assert (read.status_code, read.json()) == (200, made)


@pytest.mark.parametrize("given", ["2024-01-02T03:04:05Z", "2024-01-02T03:04:05+03:00", "2024-01-02T03:04:05"])
def test_a_purchase_date_comes_back_as_it_was_given(http: Running, tenant: str, given: str) -> None:
    """With its zone or without."""
    made = create(http, tenant, purchase_date=given)
    assert made["purchase_date"] == given
    assert http.get(f"{BASE}/{made['equipment_id']}", params={"x_tenant_id": tenant}).json() == made


@pytest.mark.parametrize("body", BAD)
def test_a_body_that_is_no_machine_is_refused(http: Running, tenant: str, body: dict[str, Any]) -> None:
    """422 with the places of what is wrong, and nothing is stored."""
    answer = http.post(BASE, params={"x_tenant_id": tenant}, json=body)
    assert answer.status_code == 422
    assert {"type", "loc", "msg"} <= set(answer.json()["detail"][0])
    assert listed(http, tenant)["total"] == 0


def test_the_list_is_by_name_and_in_pages(http: Running, tenant: str) -> None:
    """By code point, ties as they came; the total counts before the page is cut."""
    names = ["b", "Z", "a", "ا", "א", "a"]
    made = {create(http, tenant, name=name)["equipment_id"]: name for name in names}
    body = listed(http, tenant)
    assert [each["name"] for each in body["equipment"]] == sorted(names)
    first, second = (key for key, name in made.items() if name == "a")
    assert [each["equipment_id"] for each in body["equipment"] if each["name"] == "a"] == [first, second]
    page = listed(http, tenant, limit=2, offset=1)
    assert page["equipment"] == body["equipment"][1:3]
    assert {name: page[name] for name in ("total", "limit", "offset")} == {"total": 6, "limit": 2, "offset": 1}
    assert listed(http, tenant, offset=99)["equipment"] == []
    for wrong in ({"limit": 0}, {"limit": 101}, {"offset": -1}, {"status": "broken"}):
        assert http.get(BASE, params={"x_tenant_id": tenant, **wrong}).status_code == 422


def test_the_lists_filters(http: Running, tenant: str) -> None:
    """Type, status and field narrow it, alone and together."""
    create(http, tenant, name="a", equipment_type="pump", field_id="f1")
    create(http, tenant, name="b", equipment_type="pump", field_id="f2")
    drone = create(http, tenant, name="c", equipment_type="drone", field_id="f1")
    http.post(f"{BASE}/{drone['equipment_id']}/status", params={"x_tenant_id": tenant, "status": "repair"})
    for query, names in (
        ({"equipment_type": "pump"}, "ab"), ({"field_id": "f1"}, "ac"), ({"status": "repair"}, "c"),
        ({"equipment_type": "pump", "field_id": "f1"}, "a"), ({"field_id": "none"}, ""), ({"field_id": ""}, "abc"),
    ):  # fmt: skip
        assert "".join(each["name"] for each in listed(http, tenant, **query)["equipment"]) == names


def test_an_update_sets_what_it_names(http: Running, tenant: str) -> None:
    """Null clears, zero stays zero, metadata is replaced as a whole, what cannot be updated is ignored."""
    made = create(http, tenant, brand="B", metadata={"a": 1, "b": 2}, horsepower=5, purchase_price=9.5)
    path, params = f"{BASE}/{made['equipment_id']}", {"x_tenant_id": tenant}
    body = {
        "brand": None,
        "metadata": {"c": 3},
        "current_hours": 0,
        "horsepower": 9,
        "purchase_price": 1,
        "status": "inactive",
    }
    changed = http.put(path, params=params, json=body).json()
    expected = {**made, "brand": None, "metadata": {"c": 3}, "current_hours": 0, "status": "inactive"}
    assert {**changed, "updated_at": made["updated_at"]} == expected
    assert changed["updated_at"] > made["updated_at"]
    assert http.put(path, params=params, json={"metadata": None}).json()["metadata"] is None
    assert http.get(path, params=params).json()["current_hours"] == 0
    assert http.put(path, params=params, json={}).json()["brand"] is None


def test_status_location_and_telemetry(http: Running, tenant: str) -> None:
    """Zero is a value, what is absent is kept, and no parameter at all is still an answer."""
    made = create(http, tenant, location_name="Hall")
    path = f"{BASE}/{made['equipment_id']}"

    def post(what: str, **query: Any) -> Any:
        return http.post(f"{path}/{what}", params={"x_tenant_id": tenant, **query})

    assert post("status", status="maintenance").json()["status"] == "maintenance"
    assert post("status").status_code == 422
    assert post("status", status="gone").status_code == 422
    moved = post("location", lat=0, lon=-0.5, location_name="").json()
    assert (moved["current_lat"], moved["current_lon"], moved["location_name"]) == (0, -0.5, "Hall")
    assert post("location", lat=1.5, lon=2, location_name="Yard").json()["location_name"] == "Yard"
    assert post("location", lat=1.5).status_code == 422
    told = post("telemetry", fuel_percent=0, hours=10.25).json()
    assert (told["current_fuel_percent"], told["current_hours"], told["current_lat"]) == (0, 10.25, 1.5)
    assert post("telemetry").json()["current_hours"] == 10.25


def test_maintenance_is_newest_first_and_counted(http: Running, tenant: str) -> None:
    """Count is of all records, not of the page; the machine was last maintained at the newest one's time."""
    made = create(http, tenant)
    path = f"{BASE}/{made['equipment_id']}/maintenance"
    for number in range(3):
        query = {"x_tenant_id": tenant, "maintenance_type": "repair", "description": f"d{number}", "cost": number / 3}
        answer = http.post(path, params=query, json=["filter", "زيت"] if number == 2 else None)
        assert answer.status_code == 201, answer.text
    record = answer.json()
    assert set(record) == {
        "record_id", "equipment_id", "maintenance_type", "description", "description_ar", "performed_at",
        "performed_by", "cost", "notes", "parts_replaced",
    }  # fmt: skip
    assert record["record_id"].startswith("maint_")
    assert (record["parts_replaced"], record["cost"]) == (["filter", "زيت"], 2 / 3)
    body = http.get(path, params={"x_tenant_id": tenant, "limit": 2}).json()
    assert (body["equipment_id"], body["count"]) == (made["equipment_id"], 3)
    assert [each["description"] for each in body["records"]] == ["d2", "d1"]
    assert body["records"][0] == record
    machine = http.get(f"{BASE}/{made['equipment_id']}", params={"x_tenant_id": tenant}).json()
    assert machine["last_maintenance_at"] == machine["updated_at"] == record["performed_at"]
    assert http.post(path, params={"x_tenant_id": tenant, "maintenance_type": "repair"}).status_code == 422


def test_by_qr_code(http: Running, tenant: str) -> None:
    """The code finds its machine, for its tenant."""
    made = create(http, tenant)
    path = f"{BASE}/qr/{made['qr_code']}"
    assert http.get(path, params={"x_tenant_id": tenant}).json() == made
    assert (http.get(path).status_code, http.get(path).json()) == (404, NOT_FOUND)
    assert http.get(f"{BASE}/qr/QR_none", params={"x_tenant_id": tenant}).status_code == 404


def test_stats_count_by_type_and_status(http: Running, tenant: str) -> None:
    """Only what is there is listed; machines under repair count as in maintenance."""
    empty = {"total": 0, "by_type": {}, "by_status": {}, "operational": 0, "maintenance": 0, "inactive": 0}
    assert http.get(f"{BASE}/stats", params={"x_tenant_id": tenant}).json() == empty
    for kind, status in (("pump", "operational"), ("pump", "repair"), ("drone", "maintenance"), ("drone", "inactive")):
        made = create(http, tenant, equipment_type=kind)
        http.post(f"{BASE}/{made['equipment_id']}/status", params={"x_tenant_id": tenant, "status": status})
    assert http.get(f"{BASE}/stats", params={"x_tenant_id": tenant}).json() == {
        "total": 4,
        "by_type": {"pump": 2, "drone": 2},
        "by_status": {"operational": 1, "repair": 1, "maintenance": 1, "inactive": 1},
        "operational": 1,
        "maintenance": 2,
        "inactive": 1,
    }


def test_deleted_is_gone(http: Running, tenant: str) -> None:
    """204 and no body, 404 from then on, out of list and stats."""
    made = create(http, tenant)
    path, params = f"{BASE}/{made['equipment_id']}", {"x_tenant_id": tenant}
    answer = http.delete(path, params=params)
    assert (answer.status_code, answer.content) == (204, b"")
    for again in (
        http.delete(path, params=params),
        http.get(path, params=params),
        http.put(path, params=params, json={}),
    ):
        assert (again.status_code, again.json()) == (404, NOT_FOUND)
    assert http.get(f"{path}/maintenance", params=params).status_code == 404
    assert http.get(f"{BASE}/qr/{made['qr_code']}", params=params).status_code == 404
    assert listed(http, tenant)["total"] == 0
    assert http.get(f"{BASE}/stats", params=params).json()["total"] == 0


def test_another_tenants_machine_is_not_there(http: Running, tenant: str) -> None:
    """Every path that names a machine answers 404 to others, and nothing changes; the header counts as the query."""
    made = create(http, tenant)
    path, other = f"{BASE}/{made['equipment_id']}", {"x_tenant_id": "tenant_other"}
    refused = [
        http.get(path, params=other), http.put(path, params=other, json={"brand": "x"}),
        http.delete(path, params=other),
        http.get(f"{path}/maintenance", params=other), http.post(f"{path}/telemetry", params={**other, "hours": 5}),
        http.post(f"{path}/status", params={**other, "status": "repair"}),
        http.post(f"{path}/location", params={**other, "lat": 1, "lon": 2}),
        http.post(f"{path}/maintenance", params={**other, "maintenance_type": "repair", "description": "x"}),
        http.get(path),
    ]  # fmt: skip
    assert [(each.status_code, each.json()) for each in refused] == [(404, NOT_FOUND)] * len(refused)
    assert http.get(path, headers={"X-Tenant-Id": tenant}).json() == made


def test_health(http: Running, form: Any) -> None:
    """Healthy in every form; ours says whether the database answers."""
    body = http.get("/healthz").json()
    assert (body["status"], body["service"]) == ("healthy", "sahool-equipment-service")
    if form.ours:
        assert body["database"] == ("disconnected" if form.phase == "legacy" else "connected")


OF_ONE: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "", {}), ("PUT", "", {"json": {"brand": "x"}}), ("DELETE", "", {}), ("GET", "/maintenance", {}),
    ("POST", "/maintenance", {"params": {"maintenance_type": "repair", "description": "x"}}),
    ("POST", "/status", {"params": {"status": "repair"}}), ("POST", "/location", {"params": {"lat": 1, "lon": 2}}),
    ("POST", "/telemetry", {"params": {"hours": 5}}), ("GET", "/photos", {}),
    ("POST", "/photos", {"json": {"url": "u"}}), ("DELETE", "/photos/{photo_id}", {}),
]  # fmt: skip
OF_ALL: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "", {}), ("GET", "/stats", {}), ("GET", "/alerts", {}), ("GET", "/maintenance-due", {}),
    ("GET", "/nearby", {"params": {"lat": 1, "lon": 2}}),
]  # fmt: skip


@in_every_phase
def test_no_tenant_sees_another(http: Running, tenant: str) -> None:
    """Every route but /healthz: another tenant's machine is 404 and stays as it is, and is in nobody else's lists."""
    made = create(http, tenant, serial_number="only-here")
    params = {"x_tenant_id": tenant}
    http.post(f"{BASE}/{made['equipment_id']}/location", params={**params, "lat": 1, "lon": 2})
    photo = http.post(f"{BASE}/{made['equipment_id']}/photos", params=params, json={"url": "u"}).json()
    before = listed(http, tenant)
    documented = http.get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, way in documented.items() for method in way} == {
        *((method, f"{BASE}{path}") for method, path, _ in OF_ALL), ("POST", BASE), ("GET", "/healthz"),
        *((method, f"{BASE}/{{equipment_id}}{path}") for method, path, _ in OF_ONE), ("GET", BASE + "/qr/{qr_code}"),
    }  # fmt: skip
    other = {"X-Tenant-Id": f"{tenant}_other"}
    for method, path, options in OF_ONE:
        where = f"{BASE}/{made['equipment_id']}{path.format(**photo)}"
        answer = http.request(method, where, headers=other, **options)
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert http.get(f"{BASE}/qr/{made['qr_code']}", headers=other).status_code == 404
    for method, path, options in OF_ALL:
        answer = http.request(method, BASE + path, headers=other, **options)
        assert (answer.status_code, made["equipment_id"] in answer.text) == (200, False)
    assert listed(http, tenant) == before
    assert http.get(f"{BASE}/{made['equipment_id']}/photos", params=params).json()["photos"] == [photo]


@in_every_phase
def test_photos(http: Running, tenant: str) -> None:
    """Newest first, of one machine, gone when deleted; a photo of another machine is not found here."""
    one, other = create(http, tenant), create(http, tenant)
    path, params = f"{BASE}/{one['equipment_id']}/photos", {"x_tenant_id": tenant}
    for number in (1, 3, 2):
        body = {
            "url": f"https://example.org/{number}.jpg",
            "caption": f"c{number}",
            "taken_at": f"2024-01-0{number}T00:00:00Z",
        }
        assert http.post(path, params=params, json=body).status_code == 201
    body = http.get(path, params=params).json()
    assert ([each["caption"] for each in body["photos"]], body["count"]) == (["c3", "c2", "c1"], 3)
    photo = body["photos"][0]
    assert photo["taken_at"] == "2024-01-03T00:00:00"
    wrong = f"{BASE}/{other['equipment_id']}/photos/{photo['photo_id']}"
    assert http.delete(wrong, params=params).status_code == 404
    assert http.delete(f"{path}/{photo['photo_id']}", params=params).status_code == 204
    assert http.get(path, params=params).json()["count"] == 2


@in_every_phase
def test_nearby(http: Running, tenant: str) -> None:
    """What stands within the circle, the nearest first, over the date line too."""
    for name, lat, lon in (("a", 15.37, 44.19), ("b", 15.38, 44.19), ("far", 16.0, 44.19), ("line", -17.0, -179.99)):
        made = create(http, tenant, name=name)
        http.post(f"{BASE}/{made['equipment_id']}/location", params={"x_tenant_id": tenant, "lat": lat, "lon": lon})
    create(http, tenant, name="nowhere")

    def near(lat: float, lon: float, km: float) -> list[str]:
        query = {"x_tenant_id": tenant, "lat": lat, "lon": lon, "radius_km": km}
        return [each["name"] for each in http.get(f"{BASE}/nearby", params=query).json()["equipment"]]

    assert near(15.3805, 44.19, 5) == ["b", "a"]
    assert near(-17.0, 179.99, 5) == ["line"]
    assert near(15.37, 44.19, 100) == ["a", "b", "far"]
    assert http.get(f"{BASE}/nearby", params={"lat": 91, "lon": 0}).status_code == 422
