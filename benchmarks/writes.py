"""Durable single-record writes a second: outlive beside a SQLAlchemy session a request and a raw asyncpg pool.

Each call writes one new record to one PostgreSQL with fsync on and returns when it is committed. At the end the rows
are counted against the acknowledged writes.
"""

from __future__ import annotations

import asyncio

from benchmarks.measure import compare, header, show
from benchmarks.ours import Outlive, server
from benchmarks.peer import asyncpg_peer, session_peer

CLIENTS = (1, 16, 64)


async def run() -> None:
    """Compares the three at every number of clients."""
    with server() as (address, folder), session_peer(address) as sessions:
        ours = Outlive(address, folder, "dual_read")
        async with ours.service.open_async(), asyncpg_peer(address) as raw:
            sides = {"outlive": ours.write, "SQLAlchemy, psycopg2, 20+10": sessions.write, "asyncpg pool": raw.write}
            for clients in CLIENTS:
                show(f"{clients} clients", await compare(sides, clients), "outlive", "writes/s")
            print(f"\noutlive: {await ours.agrees()}\nSQLAlchemy: {sessions.agrees()}")


def main() -> None:
    """The comparison on a PostgreSQL of its own, which is gone afterwards."""
    header("durable single-record writes")
    asyncio.run(run())


if __name__ == "__main__":
    main()
