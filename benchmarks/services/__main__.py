"""Three farm services in phase `database` beside plain code on the very same tables, and what requirement 4 measured.

`python -m benchmarks.services --rows 1000000 --tenants 1000 --services tasks,alerts,equipment`. Each side is one
uvicorn worker with the same settings; the clients are one process of their own, and these, PostgreSQL and the side that
is asked share the machine. Before anything is measured both sides must give equal answers. Beside requests a second
stands the processor time that one request took, of the side's own process and of PostgreSQL's: it says the same on a
machine that is busy with other things. `--keep FOLDER` keeps the rows for the next run.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import itertools
import json
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.http import CLIENTS, Site, served
from benchmarks.measure import ROUND_S, ROUNDS, Measured, header, rotated
from benchmarks.ours import server
from benchmarks.services.load import Clients
from benchmarks.services.rows import fill
from outlive.postgres.address import Address
from outlive.postgres.embedded import EmbeddedServer

OURS, PLAIN = "outlive", "SQLAlchemy"
READ, STATS = 5.0, 1.0  # goals: times the other side's requests a second
P95_MS = 25.0
OPERATIONS_MS = {"create": 5, "get": 2, "list 100": 10, "update": 8, "delete": 6, "stats": 15}
TASKS, EQUIPMENT = "/api/v1/tasks", "/api/v1/equipment"
MOMENT = re.compile(r'(T\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|\+00:00)"')
TICKS = os.sysconf("SC_CLK_TCK")
ASKED = 4_000  # different requests, asked again and again
Path_ = Callable[[int, int], str]


def _uuid(number: int) -> str:
    import hashlib
    import uuid

    return str(uuid.UUID(hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()))


# What is asked of each service: the path, by a row's number and its tenant's, and the goal.
SERVICES: dict[str, dict[str, tuple[Path_, float]]] = {
    "tasks": {
        "get": (lambda n, _: f"{TASKS}/task_{n:012x}", READ),
        "list": (lambda n, _: TASKS, READ),
        "list by status": (lambda n, _: f"{TASKS}?status=pending", READ),
        "stats": (lambda n, _: f"{TASKS}/stats", STATS),
    },
    "alerts": {
        "get": (lambda n, _: f"/alerts/{_uuid(n)}", READ),
        "list": (lambda n, t: f"/alerts/field/tenant{t}_field{n % 20}", READ),
        "list by status": (lambda n, t: f"/alerts/field/tenant{t}_field{n % 20}?status=active", READ),
        "stats of a field": (lambda n, t: f"/alerts/stats?field_id=tenant{t}_field{n % 20}", STATS),
        "stats": (lambda n, _: "/alerts/stats", STATS),
    },
    "equipment": {
        "get": (lambda n, _: f"{EQUIPMENT}/eq_{n:08x}", READ),
        "list": (lambda n, _: EQUIPMENT, READ),
        "list by status": (lambda n, _: f"{EQUIPMENT}?status=operational", READ),
        "stats": (lambda n, _: f"{EQUIPMENT}/stats", STATS),
    },
}


def requests(path: Path_, rows: int, tenants: int) -> Iterator[str]:
    """Requests over tenants and rows in turn."""
    for turn in itertools.count(1):
        n = turn * 7919 % rows + 1
        line = f"GET {path(n, n % tenants)} HTTP/1.1"
        yield f"{line}\r\nHost: b\r\nX-Tenant-Id: tenant{n % tenants}\r\n\r\n"


async def agree(sites: dict[str, Site], asked: Iterator[str]) -> None:
    """Both sides give equal answers; times count as the moments that they are. Raises AssertionError."""
    for request in asked:
        answers = {name: await site.ask(request.encode()) for name, site in sites.items()}
        bodies = [(status, json.loads(MOMENT.sub(r'\1"', body.decode()))) for status, body in answers.values()]
        assert bodies[0] == bodies[1], (request, answers)


def cpu_s(pid: int, *, ended: bool = False) -> float:
    """Processor seconds that a process has taken, and with `ended` its children that are gone."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if ended else 13])) / TICKS


def postgres_s(postmaster: int) -> float:
    """Processor seconds that all of PostgreSQL has taken."""
    total = cpu_s(postmaster, ended=True)
    for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="utf-8").split():
        try:
            total += cpu_s(int(pid))
        except OSError:
            continue  # it has ended, and counts among the ended next time
    return total


@dataclass
class Figures:
    """What one side did in all rounds."""

    site: Site
    told: Measured = field(default_factory=Measured)
    own_s: float = 0.0
    postgres_s: float = 0.0

    def add(self, found: dict[str, Any], own_s: float, postgres_s: float) -> None:
        """Counts in a round."""
        self.told.rates.append(found["calls"] / found["seconds"])
        self.told.waits_ms += found["waits_ms"]
        self.own_s += own_s
        self.postgres_s += postgres_s

    @property
    def own_ms(self) -> float:
        """Processor time of the side's own process for one request."""
        return self.own_s * 1000 / len(self.told.waits_ms)

    @property
    def postgres_ms(self) -> float:
        """Processor time of PostgreSQL for one request."""
        return self.postgres_s * 1000 / len(self.told.waits_ms)


async def measured(
    title: str, sites: dict[str, Site], clients: Clients, asked: list[str], goal: float, pid: int
) -> None:
    """Prints both sides' figures of one endpoint."""
    sides = {name: Figures(site) for name, site in sites.items()}
    for number in range(ROUNDS + 1):
        for name in rotated(list(sides), number):
            side = sides[name]
            own, postgres = cpu_s(side.site.pid), postgres_s(pid)
            found = await clients.round(side.site.port, CLIENTS, ROUND_S if number else min(0.5, ROUND_S), asked)
            if number:  # the first round warms up
                side.add(found, cpu_s(side.site.pid) - own, postgres_s(pid) - postgres)
    ours, plain = sides[OURS], sides[PLAIN]
    ratio = ours.told.rate / plain.told.rate
    cpu = (plain.own_ms + plain.postgres_ms) / (ours.own_ms + ours.postgres_ms)
    print(f"\n{title}, {CLIENTS} clients (load {os.getloadavg()[0]:.1f}): {ratio:.2f}x requests/s,"
          f" {cpu:.2f}x by processor time; goal {goal:g}x, p95 {P95_MS:g} ms")  # fmt: skip
    for name, each in sides.items():
        print(f"  {name:<12} {each.told.rate:>9,.0f} requests/s   p95 {each.told.p95_ms:>9.2f} ms   processor a"
              f" request: own {each.own_ms:>7.3f} ms, PostgreSQL {each.postgres_ms:>8.3f} ms", flush=True)  # fmt: skip


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


def _prepared(address: Address, name: str) -> tuple[Address, bool]:
    """The address of a database of this name, and whether it is new."""
    with psycopg.connect(address.conninfo(), autocommit=True) as conn:
        known = conn.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
        if known is None:
            conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return address.with_database(name), known is None


def _postmaster(folder: str) -> int:
    text = (Path(folder) / "server" / "postgres" / "data" / "postmaster.pid").read_text(encoding="utf-8")
    return int(text.split()[0])


async def one_service(name: str, address: Address, folder: str, rows: int, tenants: int) -> None:
    """Fills a service's tables, unless a run before this one did, and compares its endpoints."""
    address, new = _prepared(address, f"{name}_{rows}_{tenants}")
    own = {"DATABASE_URL": address.libpq_url(), "SERVICE": name, "SEED_DEMO_DATA": "false"}
    ours = served(f"{name}-ours", folder, f"services.farm.{name}.api:app", OUTLIVE_PHASE="database", **own)
    plain = served(f"{name}-plain", folder, "benchmarks.services.plain:app", **own)
    clients = Clients()
    async with ours as our_site, plain as plain_site:
        began = time.perf_counter()
        if new:
            await asyncio.to_thread(fill, address, name, rows, tenants)
        print(f"\n{name}: {rows:,} rows over {tenants:,} tenants in {time.perf_counter() - began:.0f} s", flush=True)
        sites = {OURS: our_site, PLAIN: plain_site}
        await clients.start()
        try:
            for what, (path, goal) in SERVICES[name].items():
                asked = list(itertools.islice(requests(path, rows, tenants), ASKED))
                await agree(sites, iter(asked[:20]))
                await measured(f"{name}, {what}", sites, clients, asked, goal, _postmaster(folder))
        finally:
            await clients.stop()
        if name == "tasks":
            await operations(our_site, "tenant7")


@contextmanager
def _kept(folder: str) -> Iterator[tuple[Address, str]]:
    """A server whose rows outlive the run."""
    settings = {"max_connections": "200", "shared_buffers": "256MB"}
    with EmbeddedServer(Path(folder) / "server", settings) as address:
        yield address, folder


def main() -> None:
    """The comparison on a PostgreSQL of its own, which is gone afterwards unless it is kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.services", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--services", default=",".join(SERVICES))
    parser.add_argument("--keep", default=os.environ.get("BENCH_KEEP", ""), help="folder that keeps the rows")
    given = parser.parse_args()
    header("farm services over HTTP")
    quick = [name for name in ("uvloop", "httptools") if importlib.util.find_spec(name)]
    print(f"both sides: one uvicorn worker with {' and '.join(quick) or 'neither uvloop nor httptools'}", flush=True)
    with ExitStack() as stack:
        where: AbstractContextManager[tuple[Address, str]] = _kept(given.keep) if given.keep else server()
        address, folder = stack.enter_context(where)
        for name in given.services.split(","):
            asyncio.run(one_service(name, address, folder, given.rows, given.tenants))


if __name__ == "__main__":
    main()
