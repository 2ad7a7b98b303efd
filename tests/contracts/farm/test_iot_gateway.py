"""The gateway's device registry, alike in every form."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from outlive.postgres.address import Address
from tests.contracts.farm.conftest import PHASES, Opened, in_every_phase, open_service
from tests.contracts.farm.running import Running

PACKAGE = "services.farm.iot_gateway"
NOT_FOUND = {"detail": "Device not found"}
FIELDS = {
    "device_id", "tenant_id", "field_id", "device_type", "name_ar", "name_en", "status", "last_seen", "last_reading",
    "battery_level", "location", "metadata", "created_at",
}  # fmt: skip


@pytest.fixture
def field() -> str:
    """A field that nobody used."""
    return f"field_{uuid.uuid4().hex[:8]}"


def register(http: Running, tenant: str, field: str, **more: Any) -> dict[str, Any]:
    """A device of the field."""
    body = {
        "device_id": f"dev_{uuid.uuid4().hex[:8]}", "tenant_id": tenant, "field_id": field,
        "device_type": "soil_sensor", "name_ar": "حساس", "name_en": "Sensor", **more,
    }  # fmt: skip
    answer = http.post("/device/register", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "ok"
    made: dict[str, Any] = answer.json()["device"]
    return made


def read(http: Running, device: dict[str, Any], **more: Any) -> Any:
    """The answer to a reading of the device."""
    who = {name: device[name] for name in ("device_id", "tenant_id", "field_id")}
    return http.post("/sensor/reading", json={**who, "sensor_type": "Soil_Moisture", "value": 40, "unit": "%", **more})


def test_registering_again_describes_anew(http: Running, tenant: str, field: str) -> None:
    """Creation time, status and readings stay; what is described is replaced."""
    made = register(http, tenant, field, location={"lat": 1.5, "lng": 2}, metadata=None)
    assert set(made) == FIELDS
    assert (made["status"], made["last_seen"], made["metadata"]) == ("unknown", None, {})
    assert read(http, made).status_code == 200
    again = register(http, tenant, field, device_id=made["device_id"], name_en="New", device_type="camera")
    assert (again["name_en"], again["device_type"], again["location"]) == ("New", "camera", None)
    assert (again["created_at"], again["status"]) == (made["created_at"], "online")
    assert again["last_reading"] == {"sensor_type": "soil_moisture", "value": 40, "unit": "%"}
    assert http.get(f"/device/{made['device_id']}").json() == again


def test_registrations_at_the_same_time(http: Running, tenant: str, field: str) -> None:
    """Of one device: all are answered, and it is registered once."""
    body = {
        "device_id": f"d_{uuid.uuid4().hex[:8]}", "tenant_id": tenant, "field_id": field, "device_type": "camera",
        "name_ar": "ا",
    }  # fmt: skip
    asked = [("POST", "/device/register", {"json": {**body, "name_en": f"n{number}"}}) for number in range(5)]
    told = http.together(*asked)
    assert [each.status_code for each in told] == [200] * 5
    assert len({each.json()["device"]["created_at"] for each in told}) == 1
    assert http.get(f"/field/{field}/devices").json()["count"] == 1


@pytest.mark.parametrize(
    "more", [{"device_id": ""}, {"device_id": "x" * 101}, {"name_ar": None}, {"device_type": "x" * 51}]
)
def test_what_is_no_device(http: Running, tenant: str, field: str, more: dict[str, Any]) -> None:
    """422."""
    body = {
        "device_id": "d", "tenant_id": tenant, "field_id": field, "device_type": "t", "name_ar": "a", "name_en": "e",
        **more,
    }  # fmt: skip
    assert http.post("/device/register", json=body).status_code == 422


def test_lists_are_in_order_of_registration(http: Running, tenant: str, field: str) -> None:
    """Of a field or of a type; where both are asked for, the field decides."""
    kind = f"kind_{uuid.uuid4().hex[:6]}"
    made = [register(http, tenant, field, device_type=kind if number else "camera") for number in range(3)]
    assert http.get("/devices", params={"field_id": field}).json() == {"devices": made, "count": 3}
    assert http.get("/devices", params={"device_type": kind}).json() == {"devices": made[1:], "count": 2}
    assert http.get("/devices", params={"device_type": kind, "field_id": field}).json()["count"] == 3
    assert http.get(f"/field/{field}/devices").json()["devices"] == made
    assert made[0] in http.get("/devices").json()["devices"]


def test_deleted_is_gone(http: Running, tenant: str, field: str) -> None:
    """200 with the id, then 404 everywhere."""
    made = register(http, tenant, field)
    path = f"/device/{made['device_id']}"
    answer = http.delete(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "device_id": made["device_id"]})
    for again in (http.delete(path), http.get(path), http.get(f"{path}/status")):
        assert (again.status_code, again.json()) == (404, NOT_FOUND)


def test_a_reading_brings_a_device_online(http: Running, tenant: str, field: str) -> None:
    """Its last reading, when, and that it is online; of a field, the last reading of each device that said one."""
    made, silent = register(http, tenant, field), register(http, tenant, field)
    assert http.get(f"/device/{silent['device_id']}/status").json()["is_online"] is False
    assert read(http, made, value=0).status_code == 200
    status = http.get(f"/device/{made['device_id']}/status").json()
    assert (status["status"], status["is_online"]) == ("online", True)
    assert status["last_reading"] == {"sensor_type": "soil_moisture", "value": 0, "unit": "%"}
    assert abs(dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(status["last_seen"])) < dt.timedelta(minutes=1)
    latest = http.get(f"/field/{field}/latest").json()
    assert [(each["device_id"], each["value"]) for each in latest["readings"]] == [(made["device_id"], 0)]


def test_readings_that_are_refused(http: Running, tenant: str, field: str) -> None:
    """Unknown devices 404, other tenants' and fields' 403, values out of range 422: nothing changes."""
    made = register(http, tenant, field)
    missing = read(http, made, device_id="nobody")
    assert (missing.status_code, missing.json()) == (
        404, {"detail": "Device nobody not registered. Please register device first."}
    )  # fmt: skip
    for other in ({"tenant_id": "other"}, {"field_id": "other"}):
        answer = read(http, made, **other)
        assert (answer.status_code, answer.json()) == (
            403, {"detail": "Device not authorized for this tenant or field"}
        )  # fmt: skip
    assert read(http, made, value=101).status_code == 422
    assert read(http, made, value="x").status_code == 422
    assert http.get(f"/device/{made['device_id']}").json() == made


def test_batches(http: Running, tenant: str, field: str) -> None:
    """Incomplete entries are skipped, one out of range refuses the batch, and the registry is left as it was."""
    made = register(http, tenant, field)
    who = {name: made[name] for name in ("device_id", "tenant_id", "field_id")}
    good = {"sensor_type": "soil_moisture", "value": 40}

    def send(*readings: dict[str, Any], **more: Any) -> Any:
        return http.post("/sensor/batch", json={**who, "readings": readings, **more})

    answer = send(good, {"sensor_type": "soil_moisture"}, {"value": 3}, {}, good, {**good, "value": None})
    assert (answer.status_code, answer.json()["count"]) == (200, 2)
    assert send({**good, "value": "40"}, {**good, "value": True}, {"sensor_type": "", "value": 1}).json()["count"] == 0
    assert send(good, {**good, "value": 1000}).status_code == 400
    assert send(good, device_id="nobody").status_code == 404
    assert send(good, tenant_id="other").status_code == 403
    assert [send(*[good] * size).status_code for size in (0, 100, 101)] == [422, 200, 422]
    assert http.get(f"/device/{made['device_id']}").json() == made


def test_stats(http: Running, tenant: str, field: str) -> None:
    """All devices, by status and by type."""
    before = http.get("/stats").json()["registry"]
    kind = f"kind_{uuid.uuid4().hex[:6]}"
    read(http, register(http, tenant, field, device_type=kind))
    after = http.get("/stats").json()["registry"]
    assert (after["total"] - before["total"], after["online"] - before["online"]) == (1, 1)
    assert after["by_type"][kind] == 1
    assert {"offline", "warning"} <= set(after)


def test_health(http: Running, form: Any) -> None:
    """Healthy in every form; ours says whether the database answers."""
    body = http.get("/healthz").json()
    assert (body["status"], "database" in body) == ("healthy", form.ours)


@in_every_phase
def test_a_first_message_registers_its_device(http: Running, opened: Opened, tenant: str, field: str) -> None:
    """Named after its id, of the type that has such a sensor; a low battery is a warning."""
    api = opened.module("api")
    device = f"m_{uuid.uuid4().hex[:8]}"

    def say(**body: Any) -> None:
        topic = f"sahool/sensors/{tenant}/{field}/{device}"
        http.run(api.on_message(topic, json.dumps(body)))

    say(sensor_type="air_temperature", value=21.5, unit="C", battery=80)
    made = http.get(f"/device/{device}").json()
    assert (made["name_ar"], made["name_en"]) == (f"جهاز {device}", f"Device {device}")
    assert (made["device_type"], made["status"], made["battery_level"]) == ("weather_station", "online", 80)
    say(sensor_type="air_temperature", value=22, battery=19.5)
    assert http.get(f"/device/{device}").json()["status"] == "warning"
    say(sensor_type="humidity", value=50)
    assert http.get(f"/device/{device}").json()["status"] == "online"


@in_every_phase
def test_messages_that_are_no_readings(http: Running, opened: Opened) -> None:
    """A wrong topic, a broken payload or an impossible value is refused with the reason, and registers nothing."""
    api, mqtt = opened.module("api"), opened.module("mqtt")
    before = http.get("/stats").json()
    for topic, payload in (
        ("sahool/sensors/t/f", "{}"), ("a/b/t/f/d", "{}"), ("sahool/sensors/t/f/d", b"\xff"),
        ("sahool/sensors/t/f/d", "[]"), ("sahool/sensors/t/f/d", '{"sensor_type": "ph", "value": 15}'),
        ("sahool/sensors/t/f/d", '{"sensor_type": "ph", "value": NaN}'),
    ):  # fmt: skip
        with pytest.raises(mqtt.BadMessage):
            http.run(api.on_message(topic, payload))
    assert http.get("/stats").json() == before


@in_every_phase
def test_many_readings_at_once(http: Running, opened: Opened, tenant: str, field: str) -> None:
    """Each is acknowledged, the last of each device is kept, and a full queue answers 503 with when to come again."""
    intake, ranges = opened.module("api").intake, opened.module("records")
    devices = [register(http, tenant, field) for _ in range(5)]

    async def flood() -> None:
        readings = [
            ranges.Reading(each["device_id"], tenant, field, "soil_moisture", float(value))
            for value in range(40)
            for each in devices
        ]
        await asyncio.gather(*(intake.take(reading) for reading in readings))

    http.run(flood())
    values = [each["last_reading"]["value"] for each in http.get(f"/field/{field}/devices").json()["devices"]]
    assert values == [39] * 5


@in_every_phase
def test_a_full_queue(http: Running, tenant: str, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After, and the device is as it was."""
    made = register(http, tenant, field)
    monkeypatch.setenv("IOT_QUEUE_SIZE", "0")
    answer = read(http, made)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert http.get(f"/device/{made['device_id']}").json() == made


@in_every_phase
def test_strict_tenants(http: Running, tenant: str, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With STRICT_TENANTS a header is needed, and another tenant's devices are not there."""
    made = register(http, tenant, field)
    monkeypatch.setenv("STRICT_TENANTS", "true")
    mine, other = {"X-Tenant-Id": tenant}, {"X-Tenant-Id": "other"}
    path = f"/device/{made['device_id']}"
    assert [http.get(path, headers=who).status_code for who in ({}, other, mine)] == [400, 404, 200]
    assert http.delete(path, headers=other).status_code == 404
    assert http.get(f"/field/{field}/devices", headers=other).json()["count"] == 0
    assert http.get("/stats", headers=mine).json()["registry"]["total"] == 1
    who = {name: made[name] for name in ("device_id", "tenant_id", "field_id")}
    body = {**who, "sensor_type": "ph", "value": 5}
    assert [http.post("/sensor/reading", json=body, headers=h).status_code for h in (other, mine)] == [403, 200]


def test_two_gateways_hear_one_device(new_database: Callable[..., Address], tmp_path: Path) -> None:
    """Readings of one device that two processes take at once all land, and one that nobody knew is registered once."""
    address = new_database()
    with ExitStack() as opened:
        gateways = []
        for name in ("one", "two"):
            service = opened.enter_context(open_service(PACKAGE, PHASES[-1], address, tmp_path / name, {}))
            gateways.append((service.http, service.module("api").on_message))
        known = register(gateways[0][0], "t", "f")["device_id"]

        async def say(on_message: Any) -> None:
            for value in range(5):
                said = json.dumps({"sensor_type": "soil_ph", "value": value})
                await asyncio.gather(*(on_message(f"sahool/sensors/t/f/{each}", said) for each in (known, "new")))

        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(http.run, say(on_message)) for http, on_message in gateways]
            assert [each.result(60) for each in both] == [None, None]
        for http, _ in gateways:
            assert http.get("/devices").json()["count"] == 2
