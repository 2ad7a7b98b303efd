"""Readings on their way into the registry: a bounded queue, and one unit of work for all that waits in it.

Single readings come faster than transactions can. Those that wait are taken together: one query for their devices, one
unit for what changes, of several readings of one device the last. A reading is acknowledged when that unit is durable.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import os
import random
from collections import deque
from typing import Any

import outlive
from outlive.errors import Conflict, KeyTaken
from services.farm.common import clock
from services.farm.common.alone import ATTEMPTS
from services.farm.iot_gateway.ranges import device_type_of
from services.farm.iot_gateway.records import LOW_BATTERY, Device, Reading, Status
from services.farm.iot_gateway.stores import registry, service

AT_ONCE = 500  # readings in one unit


class Full(Exception):
    """The queue holds as many readings as it may: come again later."""


class Unknown(Exception):
    """No such device is registered."""


class Foreign(Exception):
    """The device belongs to another tenant or field."""


class Intake:
    """The queue of one process; it holds at most IOT_QUEUE_SIZE readings (10,000)."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Reading, asyncio.Future[None]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def take(self, reading: Reading) -> None:
        """Returns once the reading is durable. Raises Full, Unknown, Foreign, and what refuses the write."""
        if len(self._waiting) >= int(os.environ.get("IOT_QUEUE_SIZE") or 10_000):
            raise Full
        landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((reading, landed))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), context=contextvars.Context())
        await landed

    async def _work(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            for (_, landed), refused in zip(batch, await _outcomes([reading for reading, _ in batch]), strict=True):
                if landed.done():
                    continue
                if refused is None:
                    landed.set_result(None)
                else:
                    landed.set_exception(refused)


async def _outcomes(readings: list[Reading]) -> list[Exception | None]:
    """What `_land` answers; what refuses the whole unit refuses each of its readings.

    A unit that met another process at the same device leaves nothing behind, and is tried again.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await _land(readings)
        except (Conflict, KeyTaken) as error:
            if attempt == ATTEMPTS:
                return [error] * len(readings)
            await asyncio.sleep(random.uniform(0, 0.002 * min(attempt, 20)))
        except Exception as error:  # noqa: BLE001 - every waiting reading must be told
            return [error] * len(readings)
    raise AssertionError("the last attempt returns")


async def _land(readings: list[Reading]) -> list[Exception | None]:
    """Why each reading is refused, None where it is durable now."""
    refused: list[Exception | None] = [None] * len(readings)
    of_device: dict[str, list[int]] = {}
    for at, reading in enumerate(readings):
        of_device.setdefault(reading.device_id, []).append(at)

    def heard(device: Device) -> dict[str, Any]:
        """What the last of its readings changes that may speak for it."""
        said: dict[str, Any] = {}
        for at in of_device[device.device_id]:
            if (readings[at].tenant_id, readings[at].field_id) == (device.tenant_id, device.field_id):
                said = _said(readings[at])
            else:
                refused[at] = Foreign(device.device_id)
        return said

    async with outlive.unit("readings", service=service):
        known = await registry().bulk_update(of_device, heard)
        for key in of_device.keys() - known.keys():
            for at in of_device[key]:
                refused[at] = None if readings[at].registers else Unknown(key)
            of_device[key] = [at for at in of_device[key] if readings[at].registers]
            if of_device[key]:
                made = _made(readings[of_device[key][0]])
                await registry(made.tenant_id).insert(dataclasses.replace(made, **heard(made)))
    return refused


def _made(reading: Reading) -> Device:
    """The device that a first reading registers."""
    key = reading.device_id
    return Device(
        key, reading.tenant_id, reading.field_id, device_type_of(reading.sensor_type), f"جهاز {key}", f"Device {key}",
        clock.now(),
    )  # fmt: skip


def _said(reading: Reading) -> dict[str, Any]:
    """What a reading changes of its device."""
    said: dict[str, Any] = {
        "last_reading": {"sensor_type": reading.sensor_type.lower(), "value": reading.value, "unit": reading.unit},
        "last_seen": clock.now(),
        "status": Status.ONLINE,
    }
    if reading.battery is not None:
        low = reading.battery < LOW_BATTERY
        said |= {"battery_level": reading.battery, "status": Status.WARNING if low else Status.ONLINE}
    return said
