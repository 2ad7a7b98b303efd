"""Durable single-record writes a second: outlive beside a SQLAlchemy session a request, in one run.

Both write one new record a request, on one event loop, to one PostgreSQL with fsync on, and both wait until it is
committed. Rounds alternate, so that a slow minute of the machine hits both. At the end the rows of each are counted
against its acknowledged writes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

CLIENTS = (1, 16, 64)
ROUNDS = 3
ROUND_S = 2.0


class Side(Protocol):
    """One of the two that are compared."""

    name: str

    async def write(self, key: str) -> None:
        """Returns when the record is durable."""

    async def count(self) -> int:
        """Records that PostgreSQL holds."""


@dataclass
class Task:
    """The record that both sides write."""

    task_id: str
    title: str
    hours: float
    created_at: datetime


@dataclass
class Measured:
    """What one side did at one number of clients."""

    rates: list[float] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Median writes a second over the rounds."""
        return statistics.median(self.rates)

    @property
    def p95_ms(self) -> float:
        """95th percentile of the time a request waited."""
        return statistics.quantiles(self.waits_ms, n=20)[18]


class Outlive:
    """Durable single-record writes through a mapping, one unit of work each."""

    name = "outlive"

    def __init__(self) -> None:
        import outlive

        outlive.configure(service="bench")
        self._outlive = outlive
        self._tasks = outlive.mapping("tasks", Task, key="task_id")

    async def write(self, key: str) -> None:
        """Returns when the unit is committed."""
        async with self._outlive.unit():
            self._tasks[key] = Task(key, "plough", 1.5, datetime.now(UTC))

    async def count(self) -> int:
        """Records that the repository counts, in SQL."""
        return await self._tasks.repository.count()


async def one_round(side: Side, clients: int, keys: Iterator[int], into: Measured) -> None:
    """Adds ROUND_S seconds of `clients` concurrent writers to `into`."""
    until = time.perf_counter() + ROUND_S
    done = 0

    async def client() -> None:
        nonlocal done
        while (began := time.perf_counter()) < until:
            await side.write(f"{next(keys):09d}")
            into.waits_ms.append((time.perf_counter() - began) * 1000)
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    into.rates.append(done / (time.perf_counter() - began))


async def compare(ours: Side, peer: Side) -> None:
    """Prints a line for each number of clients, then proves that every acknowledged write is there."""
    keys = {ours.name: itertools.count(), peer.name: itertools.count()}
    print(f"{'clients':>7}  {'outlive/s':>10} {'p95 ms':>7}  {'peer/s':>10} {'p95 ms':>7}  ratio")
    for clients in CLIENTS:
        results = {ours.name: Measured(), peer.name: Measured()}
        for _ in range(ROUNDS):
            for side in (ours, peer):
                await one_round(side, clients, keys[side.name], results[side.name])
        one, two = results[ours.name], results[peer.name]
        print(
            f"{clients:>7}  {one.rate:>10,.0f} {one.p95_ms:>7.1f}  {two.rate:>10,.0f} {two.p95_ms:>7.1f}"
            f"  {one.rate / two.rate:.2f}"
        )
    for side in (ours, peer):
        written, held = next(keys[side.name]), await side.count()
        assert written == held, f"{side.name}: {written} acknowledged, {held} in PostgreSQL"
        print(f"{side.name}: {written:,} acknowledged, {held:,} in PostgreSQL")


async def run(url: str) -> None:
    """Opens both sides on one database and compares them."""
    import outlive
    from benchmarks.peer import open_peer

    ours = Outlive()
    async with outlive.open(), open_peer(url) as peer:
        await compare(ours, peer)


def main() -> None:
    """The comparison on a PostgreSQL of its own, which is gone afterwards."""
    from outlive.postgres.embedded import EmbeddedServer

    with tempfile.TemporaryDirectory(prefix="outlive-bench-") as folder, EmbeddedServer(Path(folder)) as address:
        os.environ |= {
            "DATABASE_URL": address.url().render_as_string(hide_password=False),
            "OUTLIVE_HOME": folder,
            "OUTLIVE_PHASE": "dual_read",
        }
        print(f"durable single-record writes, {ROUNDS} rounds of {ROUND_S:.0f} s each, {os.cpu_count()} cores")
        asyncio.run(run(os.environ["DATABASE_URL"]))


if __name__ == "__main__":
    main()
