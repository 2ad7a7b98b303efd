"""Three farm services in phase `database` beside plain code on the very same tables, and what requirement 4 measured.

`python -m benchmarks.services --rows 1000000 --tenants 1000 --services tasks,alerts,equipment`. Each side is one
uvicorn worker; the clients, both sides and PostgreSQL share the machine. Before anything is measured both sides must
give equal answers. Beside requests a second stands the processor time that the side's own process took for one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.http import CLIENTS, Site, served
from benchmarks.measure import Measured, compare, header
from benchmarks.ours import server
from benchmarks.services.rows import fill
from outlive.postgres.address import Address

OURS, PLAIN = "outlive", "SQLAlchemy"
GOALS = {"get": 5.0, "list": 5.0, "list by status": 5.0, "stats": 1.0}
P95_MS = 25.0
OPERATIONS_MS = {"create": 5, "get": 2, "list 100": 10, "update": 8, "delete": 6, "stats": 15}
TASKS = "/api/v1/tasks"
MOMENT = re.compile(r'(T\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|\+00:00)"')
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Asked:
    """The paths of one service's endpoints, as functions of a row's number and its tenant's."""

    get: Callable[[int, int], str]
    list: Callable[[int], str]
    status: str
    stats: str


SERVICES = {
    "tasks": Asked(lambda n, _: f"{TASKS}/task_{n:012x}", lambda _: TASKS, "pending", f"{TASKS}/stats"),
    "alerts": Asked(
        lambda n, _: f"/alerts/{_uuid(n)}", lambda t: f"/alerts/field/tenant{t}_field{t % 20}", "active",
        "/alerts/stats",
    ),
    "equipment": Asked(
        lambda n, _: f"/api/v1/equipment/eq_{n:08x}", lambda _: "/api/v1/equipment", "operational",
        "/api/v1/equipment/stats",
    ),
}  # fmt: skip


def _uuid(number: int) -> str:
    import hashlib
    import uuid

    return str(uuid.UUID(hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()))


def paths(asked: Asked, what: str, rows: int, tenants: int) -> Iterator[str]:
    """Paths with their tenant, over tenants and rows in turn."""
    for turn in itertools.count(1):
        n = turn * 7919 % rows + 1
        t = n % tenants
        listed = asked.list(t)
        path = {
            "get": asked.get(n, t), "list": listed, "list by status": f"{listed}?status={asked.status}",
            "stats": asked.stats,
        }[what]  # fmt: skip
        yield f"{path}\nX-Tenant-Id: tenant{t}\r\n"


async def agree(sites: dict[str, Site], found: Callable[[], Iterator[str]]) -> None:
    """Both sides give equal answers; times count as the moments that they are. Raises AssertionError."""
    for path in itertools.islice(found(), 20):
        line, _, more = path.partition("\n")
        request = f"GET {line} HTTP/1.1\r\nHost: b\r\n{more}\r\n".encode()
        answers = {name: await site.ask(request) for name, site in sites.items()}
        bodies = [(status, json.loads(MOMENT.sub(r'\1"', body.decode()))) for status, body in answers.values()]
        assert bodies[0] == bodies[1], (line, answers)


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has taken."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def measured(title: str, sites: dict[str, Site], found: Callable[[], Iterator[str]], goal: float) -> None:
    """Prints both sides' figures of one endpoint."""
    before = {name: cpu_s(site.pid) for name, site in sites.items()}
    results = await compare({name: site.get(found()) for name, site in sites.items()}, CLIENTS)
    cpu = {name: (cpu_s(site.pid) - before[name]) * 1000 / calls(results[name]) for name, site in sites.items()}
    ratio = results[OURS].rate / results[PLAIN].rate
    print(f"\n{title}, {CLIENTS} clients (load {os.getloadavg()[0]:.1f}): {ratio:.2f}x requests/s,"
          f" {cpu[PLAIN] / cpu[OURS]:.2f}x by processor time; goal {goal:g}x, p95 {P95_MS:g} ms")  # fmt: skip
    for name, each in results.items():
        print(f"  {name:<12} {each.rate:>9,.0f} requests/s   p95 {each.p95_ms:>8.2f} ms   {cpu[name]:>7.3f} ms of"
              " processor a request", flush=True)  # fmt: skip


def calls(side: Measured) -> int:
    """How many requests a side answered, the warm-up not counted."""
    return len(side.waits_ms)


def bare(method: str, path: str, tenant: str, body: Any = None) -> bytes:
    """A request as it goes over the wire."""
    text = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: b\r\nX-Tenant-Id: {tenant}\r\nContent-Type: application/json\r\n"
    return head.encode() + f"Content-Length: {len(text)}\r\n\r\n".encode() + text


async def operations(site: Site, tenant: str, times: int = 100) -> None:
    """Prints what one client waits for each of requirement 4's operations."""
    waits: dict[str, list[float]] = {name: [] for name in OPERATIONS_MS}

    async def act(name: str, expected: int, *request: Any) -> bytes:
        began = time.perf_counter()
        status, body = await site.ask(bare(*request))
        waits[name].append((time.perf_counter() - began) * 1000)
        assert status == expected, (name, status, body)
        return body

    new = {"title": "Irrigate", "task_type": "irrigation", "priority": "high", "field_id": "field1"}
    before = cpu_s(site.pid)
    for number in range(times):
        made = json.loads(await act("create", 201, "POST", TASKS, tenant, new))["task_id"]
        await act("get", 200, "GET", f"{TASKS}/{made}", tenant)
        await act("list 100", 200, "GET", f"{TASKS}?limit=100", tenant)
        await act("update", 200, "PUT", f"{TASKS}/{made}", tenant, {"title": f"Irrigate {number}"})
        await act("stats", 200, "GET", f"{TASKS}/stats", tenant)
        await act("delete", 204, "DELETE", f"{TASKS}/{made}", tenant)
    cpu = (cpu_s(site.pid) - before) * 1000 / times
    load = os.getloadavg()[0]
    print(f"\nrequirement 4, one client, {times} times (load {load:.1f}; {cpu:.1f} ms of processor for all six)")
    for name, limit in OPERATIONS_MS.items():
        middle, quick = statistics.median(waits[name]), min(waits[name])
        verdict = "" if middle <= limit else "  SLOWER"
        print(
            f"  {name:<10} median {middle:>7.2f} ms   least {quick:>7.2f} ms   there {limit:>3} ms{verdict}", flush=True
        )


def _database(address: Address, name: str) -> Address:
    with psycopg.connect(address.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return address.with_database(name)


async def one_service(name: str, address: Address, folder: str, rows: int, tenants: int) -> None:
    """Fills a service's tables and compares its endpoints."""
    own = {"DATABASE_URL": address.libpq_url(), "SERVICE": name, "SEED_DEMO_DATA": "false"}
    ours = served(f"{name}-ours", folder, f"services.farm.{name}.api:app", OUTLIVE_PHASE="database", **own)
    plain = served(f"{name}-plain", folder, "benchmarks.services.plain:app", **own)
    async with ours as our_site, plain as plain_site:
        began = time.perf_counter()
        await asyncio.to_thread(fill, address, name, rows, tenants)
        print(f"\n{name}: {rows:,} rows over {tenants:,} tenants in {time.perf_counter() - began:.0f} s", flush=True)
        sites = {OURS: our_site, PLAIN: plain_site}
        for what, goal in GOALS.items():

            def found(what: str = what) -> Iterator[str]:
                return paths(SERVICES[name], what, rows, tenants)

            await agree(sites, found)
            await measured(f"{name}, {what}", sites, found, goal)
        if name == "tasks":
            await operations(our_site, "tenant7")


def main() -> None:
    """The comparison on a PostgreSQL of its own, which is gone afterwards."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.services", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--services", default=",".join(SERVICES))
    given = parser.parse_args()
    header("farm services over HTTP")
    with server() as (address, folder):
        for name in given.services.split(","):
            asyncio.run(one_service(name, _database(address, name), folder, given.rows, given.tenants))


if __name__ == "__main__":
    sys.exit(main())
