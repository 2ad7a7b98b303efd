"""Requests a second over HTTP, one uvicorn worker each, 32 clients, 100,000 records.

outlive from its image and from PostgreSQL, beside the requirements' own pattern (synchronous SQLAlchemy, a session a
request) and the plain in-memory service that scans its dict. What an endpoint answers that returns a constant is the
limit of server and client. Each is one uvicorn worker (with uvloop and httptools where they are installed); the clients
are one process of their own. Before anything is measured all four must give the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import sqlalchemy as sa

from benchmarks.measure import ROUND_S, ROUNDS, Measured, header, rotated, show
from benchmarks.ours import server
from benchmarks.services.load import Clients

CLIENTS = 32
APPS = {
    "outlive, image": "image", "outlive, PostgreSQL": "database", "SQLAlchemy, a session a request": "sessions",
    "plain dict, scanned": "plain",
}  # fmt: skip


class Site:
    """One served application and keep-alive connections to it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.pid = 0
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)  # a 204 tells none
        body = await reader.readexactly(size)
        self._free.append((reader, writer))
        return int(head[9:12]), body

    def close(self) -> None:
        """Ends the connections."""
        for _, writer in self._free:
            writer.close()


@contextlib.asynccontextmanager
async def served(name: str, home: str, target: str = "", **settings: str) -> AsyncIterator[Site]:
    """An application in a uvicorn of its own: `module:app`, or a factory of `http_apps`, with these settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", target or f"benchmarks.http_apps:{name}", "--port", str(port)]
    command += [] if target.endswith(".api:app") else ["--factory"]
    env = {**os.environ, "OUTLIVE_HOME": f"{home}/{name}", **settings}
    quietly = ["--log-level", "warning", "--no-access-log", "--timeout-keep-alive", "600"]
    process = await asyncio.create_subprocess_exec(*command, *quietly, env=env)
    site = Site(port)
    site.pid = process.pid
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError):
                await site.ask(b"GET /constant HTTP/1.1\r\nHost: b\r\n\r\n")
                break
            assert process.returncode is None, f"{name} did not start"
            await asyncio.sleep(0.1)
        yield site
    finally:
        site.close()
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


def prepare(folder: str) -> None:
    """The same records in both of outlive's tables and in the peer's."""
    from benchmarks import http_apps

    for phase in ("dual_write", "database"):
        os.environ["OUTLIVE_HOME"] = f"{folder}/load-{phase}"
        service, tasks = http_apps.store(phase)
        tasks.update({made.id: made for made in map(http_apps.task, range(http_apps.RECORDS))})
        with service.open():
            print(f"{http_apps.RECORDS:,} records in {phase}", flush=True)
    engine = http_apps.peer_engine()
    http_apps.Base.metadata.create_all(engine)
    with engine.begin() as conn:
        numbers = range(http_apps.RECORDS)
        for first in range(0, http_apps.RECORDS, 10_000):
            rows = [http_apps.task(number).model_dump() for number in numbers[first : first + 10_000]]
            conn.execute(sa.insert(http_apps.TaskRow), rows)
        conn.execute(sa.text("ANALYZE"))
    engine.dispose()


def get(path: str) -> str:
    """The request for a path."""
    return f"GET {path} HTTP/1.1\r\nHost: b\r\n\r\n"


def lists() -> Iterator[str]:
    """Requests for lists of 50, over tenants and statuses in turn."""
    from benchmarks.http_apps import STATUSES, TENANTS

    pairs = itertools.cycle(itertools.product(range(TENANTS), STATUSES))
    return (get(f"/tasks?tenant_id=tenant{tenant}&status={status}&limit=50") for tenant, status in pairs)


def singles() -> Iterator[str]:
    """Requests for single records."""
    from benchmarks.http_apps import RECORDS

    return (get(f"/tasks/t{number * 7919 % RECORDS:07d}") for number in itertools.count())


def creates() -> Iterator[str]:
    """Requests for new records."""
    from benchmarks.http_apps import task

    head = "POST /tasks HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nContent-Length: "
    for number in itertools.count(10_000_000):
        body = task(number).model_dump_json()
        yield f"{head}{len(body)}\r\n\r\n{body}"


async def agree(sites: dict[str, Site]) -> None:
    """All sites give the same bytes. Raises AssertionError."""
    for request in [*itertools.islice(lists(), 20), *itertools.islice(singles(), 20)]:
        answers = {name: await site.ask(request.encode()) for name, site in sites.items()}
        assert len(set(answers.values())) == 1, (request, answers)


async def compared(sites: dict[str, Site], clients: Clients, asked: Iterator[str], most: int) -> dict[str, Measured]:
    """Every site's figures, in rounds of up to `most` different requests; a short round before them does not count."""
    results = {name: Measured() for name in sites}
    for number in range(ROUNDS + 1):
        seconds = ROUND_S if number else min(0.5, ROUND_S)
        for name in rotated(list(sites), number):
            texts = list(itertools.islice(asked, most))
            found = await clients.round(sites[name].port, CLIENTS, seconds, texts)
            if number:
                results[name].rates.append(found["calls"] / found["seconds"])
                results[name].waits_ms += found["waits_ms"]
    return results


async def run(folder: str) -> None:
    """Serves all four and compares them, endpoint by endpoint."""
    async with contextlib.AsyncExitStack() as stack:
        sites = {name: await stack.enter_async_context(served(app, folder)) for name, app in APPS.items()}
        await agree(sites)
        print("all four give the same bytes for 20 lists and 20 records")
        clients = Clients()
        await clients.start()
        stack.push_async_callback(clients.stop)
        tasks = {
            "a constant": (itertools.cycle([get("/constant")]), 1), "list of 50": (lists(), 400),
            "get": (singles(), 4_000), "create": (creates(), 20_000),
        }  # fmt: skip
        for what, (asked, most) in tasks.items():
            results = await compared(sites, clients, asked, most)
            for ours in ("outlive, image", "outlive, PostgreSQL"):
                show(f"{what}, {CLIENTS} clients", results, ours, "requests/s")


def main() -> None:
    """The comparison on a PostgreSQL of its own, which is gone afterwards."""
    header("requests over HTTP")
    with server() as (address, folder):
        os.environ["DATABASE_URL"] = address.libpq_url()
        prepare(folder)
        asyncio.run(run(folder))


if __name__ == "__main__":
    main()
