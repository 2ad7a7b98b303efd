"""Readings over MQTT: what a broker's client calls for each message. No broker is part of this service.

Topic `sahool/sensors/<tenant>/<field>/<device>`; payload `{"sensor_type", "value", "unit"?, "battery"?}` as JSON.
"""

from __future__ import annotations

import json
import math

from services.farm.iot_gateway.intake import Intake
from services.farm.iot_gateway.ranges import in_range
from services.farm.iot_gateway.records import Reading

PREFIX = ("sahool", "sensors")


class BadMessage(ValueError):
    """A message that is no reading; the text says why."""


async def on_message(intake: Intake, topic: str, payload: bytes | str) -> None:
    """Returns once the reading is durable; an unknown device is registered by it. Raises BadMessage, Full, Foreign."""
    await intake.take(parse(topic, payload))


def parse(topic: str, payload: bytes | str) -> Reading:
    """The reading of a message. Raises BadMessage."""
    parts = tuple(topic.split("/"))
    if len(parts) != 5 or parts[:2] != PREFIX or not all(0 < len(part) <= 100 for part in parts):
        raise BadMessage(f"{topic!r} is not sahool/sensors/<tenant>/<field>/<device>")
    try:
        body = json.loads(payload)
        kind, value = body["sensor_type"], float(body["value"])
        battery = None if body.get("battery") is None else float(body["battery"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadMessage(f"{topic}: the payload is no reading: {error}") from None
    if not isinstance(kind, str) or not kind or not math.isfinite(value) or not in_range(kind, value):
        raise BadMessage(f"{topic}: {kind!r} cannot be {value}")
    unit = body.get("unit")
    return Reading(parts[4], parts[2], parts[3], kind, value, unit if isinstance(unit, str) else "", battery, True)
