"""Writes a second while PostgreSQL is away: outlive's journal beside a bare grouped fdatasync and the usual peer.

outlive's own PostgreSQL is stopped first; each write returns when it is fsync'd in the journal. The bare side appends
as many bytes for as many clients to a file and syncs once for all that wait: what any journal can reach at most. The
peer has a PostgreSQL of its own that stays up, because without one it writes nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.measure import compare, header, show
from benchmarks.ours import Outlive, server
from benchmarks.peer import session_peer
from outlive.postgres.embedded import EmbeddedServer

CLIENTS = (1, 16, 64)
FRAME_BYTES = 300


class Bare:
    """A file that is synced once for all writes that wait."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self) -> None:
        """Returns when the bytes are on the disk."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append(done)
        if self._task is None:
            self._task = loop.create_task(self._serve())
        await done

    async def _serve(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            await asyncio.to_thread(self._sync, bytes(FRAME_BYTES * len(group)))
            for done in group:
                done.set_result(None)
        self._task = None

    def _sync(self, content: bytes) -> None:
        os.write(self._file, content)
        os.fdatasync(self._file)


@asynccontextmanager
async def without_postgres(folder: str) -> AsyncIterator[Outlive]:
    """outlive with its own PostgreSQL stopped under it."""
    away = EmbeddedServer(Path(folder) / "away")
    ours = Outlive(away.start(), folder, "dual_write")
    await ours.service.start_async()
    await ours.write()
    away.stop(force=True)
    await ours.write()
    try:
        yield ours
    finally:
        ours.service.crash()


async def run() -> None:
    """Compares the three at every number of clients."""
    with server() as (address, folder), session_peer(address) as sessions:
        bare = Bare(Path(folder) / "bare")
        async with without_postgres(folder) as ours:
            sides = {"outlive": ours.write, "bare grouped fdatasync": bare.write, "SQLAlchemy, 20+10": sessions.write}
            for clients in CLIENTS:
                show(f"{clients} clients", await compare(sides, clients), "outlive", "writes/s")
            print(f"\noutlive: {ours.service.journal_units():,} units in the journal")


def main() -> None:
    """The comparison on folders of its own, which are gone afterwards."""
    header("writes while PostgreSQL is away, fsync'd in the journal")
    asyncio.run(run())


if __name__ == "__main__":
    main()
