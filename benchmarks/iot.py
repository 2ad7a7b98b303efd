"""`python -m benchmarks.iot`: how many readings a second the IoT gateway takes, singly and in batches, in `database`.

Goal (issue 6): 2,000 a second singly and 10,000 in batches of 100, on two cores. Singly: messages to the in-process
handler, and the same by POST /sensor/reading; each is acknowledged once durable. Batches: POST /sensor/batch. Requests
go to the application without a socket, so what this process uses is the gateway's; PostgreSQL's share stands beside it.
The processor time of a reading says what two cores of one's own would take, also where others use these: `room` is
how many readings a second fit into two cores, with as many gateways as fill them.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import machine
from outlive.postgres.embedded import EmbeddedServer

DEVICES, CLIENTS, ROUNDS = 200, 64, 5
TICKS = os.sysconf("SC_CLK_TCK")
Work = Callable[[int], Awaitable[None]]


class Round(NamedTuple):
    """One round: readings a second, and processor seconds a reading of the gateway and of PostgreSQL."""

    rate: float
    ours_s: float
    postgres_s: float


def processor_s(postmaster: int) -> float:
    """Processor seconds of PostgreSQL so far: of the server and of what it started."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, fields = int(path.parent.name), path.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if postmaster in (number, int(fields[1])):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


async def measured(work: Work, calls: int, size: int, postmaster: int) -> Round:
    """`calls` calls of `work(number)` by CLIENTS tasks; each call holds `size` readings."""
    left = iter(range(calls))

    async def client() -> None:
        for number in left:
            await work(number)

    before, began = (time.process_time(), processor_s(postmaster)), time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    took_s = time.perf_counter() - began
    ours_s, postgres_s = time.process_time() - before[0], processor_s(postmaster) - before[1]
    readings = calls * size
    return Round(readings / took_s, ours_s / readings, postgres_s / readings)


def poster(app: Any, path: str) -> Callable[[Any], Awaitable[None]]:
    """POSTs a body to the application. Raises AssertionError for another status than 200."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": ("c", 1),
        "server": ("gateway", 80), "headers": [(b"host", b"gateway"), (b"content-type", b"application/json")],
    }  # fmt: skip

    async def post(body: Any) -> None:
        waiting = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]
        said: list[Any] = []

        async def receive() -> Any:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            said.append(message)

        await app({**scope, "state": {}}, receive, send)
        assert said[0]["status"] == 200, said

    return post


async def compare(app: Any, on_message: Any, postmaster: int) -> None:
    """Prints what each way takes."""
    register, reading, batch = (poster(app, path) for path in ("/device/register", "/sensor/reading", "/sensor/batch"))
    said = {"sensor_type": "soil_moisture", "value": 40.5}
    payload, who = json.dumps({**said, "unit": "%"}), {"tenant_id": "t", "field_id": "f"}
    for number in range(DEVICES):
        named = {"device_type": "soil_sensor", "name_ar": "a", "name_en": "e"}
        await register({"device_id": f"d{number}", **who, **named})
    ways: dict[str, tuple[Work, int, int, int]] = {
        "singly, messages": (lambda n: on_message(f"sahool/sensors/t/f/d{n % DEVICES}", payload), 2_000, 1, 2_000),
        "singly, POST": (lambda n: reading({"device_id": f"d{n % DEVICES}", **who, **said}), 1_000, 1, 2_000),
        "batches of 100": (
            lambda n: batch({"device_id": f"d{n % DEVICES}", **who, "readings": [said] * 100}), 300, 100, 10_000,
        ),
    }  # fmt: skip
    print(f"  {'':18} {'readings/s':>10} {'gateway us':>10} {'PostgreSQL us':>13} {'room/s':>10} {'goal/s':>8}")
    rounds: dict[str, list[Round]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (work, calls, size, _goal) in ways.items():
            rounds[name].append(await measured(work, calls, size, postmaster))
    for name, taken in rounds.items():
        rate, ours_s, postgres_s = (sorted(column)[ROUNDS // 2] for column in zip(*taken, strict=True))
        room = 2 / (ours_s + postgres_s)
        print(
            f"  {name:18} {rate:10,.0f} {ours_s * 1e6:10.0f} {postgres_s * 1e6:13.0f} {room:10,.0f} {ways[name][3]:8,}"
        )


async def main(postmaster: int) -> None:
    """One run."""
    from services.farm.iot_gateway import api, stores

    print(f"readings of the IoT gateway\n{machine()}\nmedians of {ROUNDS} rounds, {CLIENTS} clients", flush=True)
    async with stores.service.open_async():
        await compare(api.app, api.on_message, postmaster)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, EmbeddedServer(f"{home}/pg") as address:
        os.environ |= {"DATABASE_URL": address.libpq_url(), "OUTLIVE_PHASE": "database", "OUTLIVE_HOME": home}
        [pid_file] = Path(home).rglob("postmaster.pid")
        asyncio.run(main(int(pid_file.read_text(encoding="utf-8").split()[0])))
