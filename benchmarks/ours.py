"""outlive's side: the record, the store, and a PostgreSQL that lasts as long as the benchmark."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from outlive.postgres.address import Address
from outlive.postgres.embedded import EmbeddedServer


@dataclass
class Task:
    """The record that all sides write."""

    task_id: str
    title: str
    hours: float
    created_at: datetime


class Outlive:
    """Durable single-record writes through a mapping, one unit of work each, and reads through its repository."""

    def __init__(self, address: Address, home: str, phase: str) -> None:
        import outlive

        env = {"DATABASE_URL": address.libpq_url(), "OUTLIVE_HOME": home, "OUTLIVE_JOURNAL_MAY_BE_LOST": "1"}
        self.service = outlive.Service("bench", env=env)
        self.tasks: Any = outlive.mapping(
            "tasks", Task, key="task_id", service=self.service, phase=phase,  # type: ignore[arg-type]
            journal_may_be_lost=True,
        )  # fmt: skip
        self._numbers = itertools.count()
        self.keys = itertools.cycle([""])

    async def write(self) -> None:
        """Returns when one new record is durable."""
        key = f"{next(self._numbers):09d}"
        async with self.service.unit():
            self.tasks[key] = Task(key, "plough", 1.5, datetime.now(UTC))

    async def read(self) -> Any:
        """One record, built from its row."""
        return await self.tasks.repository.get(next(self.keys))

    async def fill(self, keys: list[str]) -> None:
        """These records, stored; `read` takes them in turn."""
        now = datetime.now(UTC)
        for first in range(0, len(keys), 1000):
            async with self.service.unit():
                for key in keys[first : first + 1000]:
                    await self.tasks.repository.put(Task(key, "plough", 1.5, now))
        self.keys = itertools.cycle(keys)

    async def agrees(self) -> str:
        """Acknowledged writes against rows, in words. Raises AssertionError when they differ."""
        written, held = next(self._numbers), await self.tasks.repository.count()
        assert written == held, f"{written} acknowledged, {held} in PostgreSQL"
        return f"{written:,} acknowledged, {held:,} in PostgreSQL"


@contextmanager
def server() -> Iterator[tuple[Address, str]]:
    """A PostgreSQL of the benchmark's own with fsync on, and a folder; both are gone afterwards."""
    scratch = os.environ.get("BENCH_FOLDER")
    with tempfile.TemporaryDirectory(prefix="outlive-bench-", dir=scratch) as folder:
        settings = {"max_connections": "200", "shared_buffers": "256MB"}
        with EmbeddedServer(Path(folder) / "server", settings) as address:
            yield address, folder
