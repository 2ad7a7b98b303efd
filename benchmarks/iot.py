"""`python -m benchmarks.iot`: how many readings a second the IoT gateway takes, singly and in batches, in `database`.

Goal (issue 6): 2,000 a second singly and 10,000 in batches of 100, on two cores. Singly: messages to the in-process
handler, each acknowledged once durable. Batches: POST /sensor/batch through the application, without a socket.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from benchmarks.measure import header
from outlive.postgres.embedded import EmbeddedServer

SECONDS, DEVICES, CLIENTS, ROUNDS = 3.0, 200, 64, 5


async def rate(work: Callable[[int], Awaitable[int]]) -> float:
    """Readings a second over CLIENTS tasks that call `work(number)`, which answers how many it sent."""
    done, ends, began = 0, time.perf_counter() + SECONDS, time.perf_counter()

    async def client(number: int) -> None:
        nonlocal done
        while time.perf_counter() < ends:
            number += CLIENTS
            done += await work(number)

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return done / (time.perf_counter() - began)


async def measured(app: Any, on_message: Any) -> None:
    """Prints both rates."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        for number in range(DEVICES):
            body = {"device_id": f"d{number}", "tenant_id": "t", "field_id": "f", "device_type": "soil_sensor"}
            (await http.post("/device/register", json={**body, "name_ar": "a", "name_en": "e"})).raise_for_status()
        payload = json.dumps({"sensor_type": "soil_moisture", "value": 40.5, "unit": "%"})
        batch = [{"sensor_type": "soil_moisture", "value": 40.5}] * 100

        async def single(number: int) -> int:
            await on_message(f"sahool/sensors/t/f/d{number % DEVICES}", payload)
            return 1

        async def several(number: int) -> int:
            body = {"device_id": f"d{number % DEVICES}", "tenant_id": "t", "field_id": "f", "readings": batch}
            (await http.post("/sensor/batch", json=body)).raise_for_status()
            return 100

        rounds = [(await rate(single), await rate(several)) for _ in range(ROUNDS)]
    for name, rates, goal in (("singly", [r[0] for r in rounds], 2_000), ("batches", [r[1] for r in rounds], 10_000)):
        middle = sorted(rates)[len(rates) // 2]
        print(f"  {name:10} {middle:10,.0f} readings/s   goal {goal:,}: {middle / goal:.2f}x")


async def main() -> None:
    """One run."""
    from services.farm.iot_gateway import api, stores

    header("readings of the IoT gateway")
    async with stores.service.open_async():
        await measured(api.app, api.on_message)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, EmbeddedServer(f"{home}/pg") as address:
        os.environ |= {"DATABASE_URL": address.libpq_url(), "OUTLIVE_PHASE": "database", "OUTLIVE_HOME": home}
        asyncio.run(main())
