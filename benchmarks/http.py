"""Requests a second over HTTP, one uvicorn worker each, 32 clients, 100,000 records.

outlive from its image and from PostgreSQL, beside the requirements' own pattern (synchronous SQLAlchemy, a session a
request) and the plain in-memory service that scans its dict. What an endpoint answers that returns a constant is the
limit of server and client. Before anything is measured all four must give the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import sqlalchemy as sa

from benchmarks.measure import compare, header, show
from benchmarks.ours import server

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

    def get(self, paths: Iterator[str]) -> Callable[[], Any]:
        """One request of the next path, which may have headers of its own after its first line."""

        async def act() -> None:
            path, _, more = next(paths).partition("\n")
            status, body = await self.ask(f"GET {path} HTTP/1.1\r\nHost: b\r\n{more}\r\n".encode())
            assert status == 200, body

        return act

    def post(self, bodies: Iterator[bytes]) -> Callable[[], Any]:
        """One new record."""

        async def act() -> None:
            body = next(bodies)
            head = f"POST /tasks HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            status, answer = await self.ask(head.encode() + b"\r\n\r\n" + body)
            assert status == 201, answer

        return act

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


def lists() -> Iterator[str]:
    """Paths of lists of 50, over tenants and statuses in turn."""
    from benchmarks.http_apps import STATUSES, TENANTS

    pairs = itertools.cycle(itertools.product(range(TENANTS), STATUSES))
    return (f"/tasks?tenant_id=tenant{tenant}&status={status}&limit=50" for tenant, status in pairs)


def singles() -> Iterator[str]:
    """Paths of single records."""
    from benchmarks.http_apps import RECORDS

    return (f"/tasks/t{number * 7919 % RECORDS:07d}" for number in itertools.count())


def creates() -> Iterator[bytes]:
    """Bodies of new records."""
    from benchmarks.http_apps import task

    return (task(number).model_dump_json().encode() for number in itertools.count(10_000_000))


async def agree(sites: dict[str, Site]) -> None:
    """All sites give the same bytes. Raises AssertionError."""
    for path in [*itertools.islice(lists(), 20), *itertools.islice(singles(), 20)]:
        request = f"GET {path} HTTP/1.1\r\nHost: b\r\n\r\n".encode()
        answers = {name: await site.ask(request) for name, site in sites.items()}
        assert len(set(answers.values())) == 1, (path, answers)


async def run(folder: str) -> None:
    """Serves all four and compares them, endpoint by endpoint."""
    async with contextlib.AsyncExitStack() as stack:
        sites = {name: await stack.enter_async_context(served(app, folder)) for name, app in APPS.items()}
        await agree(sites)
        print("all four give the same bytes for 20 lists and 20 records")
        tasks: dict[str, Callable[[Site], Callable[[], Any]]] = {
            "a constant": lambda site: site.get(itertools.cycle(["/constant"])),
            "list of 50": lambda site: site.get(lists()),
            "get": lambda site: site.get(singles()),
            "create": lambda site: site.post(creates()),
        }
        for what, make in tasks.items():
            results = await compare({name: make(site) for name, site in sites.items()}, CLIENTS)
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
