"""Reads of single records, and of all of them in turn.

`get` from PostgreSQL with records built: outlive, whose concurrent callers travel as one statement, beside a SQLAlchemy
session a call and a raw asyncpg pool that builds nothing. `get` from the image beside the builtin dict, and iteration
of both; the first touch (from a plain dict to a store that is tracked and copied) and the bytes of a record beside
them.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from benchmarks.measure import compare, header, show, timed
from benchmarks.ours import Outlive, Task, server
from benchmarks.peer import asyncpg_peer, session_peer

CLIENTS = (1, 16, 64)
KEYS = 20_000
RECORDS = int(os.environ.get("BENCH_RECORDS", "100000"))


async def from_postgres() -> None:
    """Single reads in phase database."""
    keys = [f"k{number:07d}" for number in range(KEYS)]
    random.Random(3).shuffle(keys)
    with server() as (address, folder), session_peer(address) as sessions:
        ours = Outlive(address, folder, "database")
        async with ours.service.open_async(), asyncpg_peer(address) as raw:
            await ours.fill(keys)
            await raw.fill(keys)
            sessions.fill(keys)
            sides = {"outlive": ours.read, "SQLAlchemy, a session a call": sessions.read, "asyncpg, row only": raw.read}
            for clients in CLIENTS:
                show(f"get from PostgreSQL, {clients} clients", await compare(sides, clients), "outlive", "gets/s")


def _gets(held: Mapping[str, Any], keys: list[str]) -> Callable[[], None]:
    def act() -> None:
        get = held.get
        for key in keys:
            get(key)

    return act


def _items(held: Mapping[str, Any], keys: list[str]) -> Callable[[], None]:
    def act() -> None:
        for key in keys:
            held[key]

    return act


def _values(held: Mapping[str, Any]) -> Callable[[], None]:
    def act() -> None:
        for _ in range(5):
            for record in held.values():
                record.title  # noqa: B018  touching it is what is measured

    return act


def from_memory() -> None:
    """The image of a tracked store beside a dict."""
    now = datetime.now(UTC)
    records = {f"k{number:07d}": Task(f"k{number:07d}", "plough", 1.5, now) for number in range(RECORDS)}
    keys = random.Random(5).sample(list(records), RECORDS)
    with server() as (address, _), tempfile.TemporaryDirectory() as home:
        ours = Outlive(address, home, "legacy")
        ours.tasks.update({key: Task(key, "plough", 1.5, now) for key in records})
        ours.service.env["OUTLIVE_PHASE"] = "dual_write"
        began = time.perf_counter()
        with ours.service.open():
            touched_s = time.perf_counter() - began
            for what, acts in {
                "get": {"outlive": _gets(ours.tasks, keys), "dict": _gets(records, keys)},
                "[key]": {"outlive": _items(ours.tasks, keys), "dict": _items(records, keys)},
                "iteration": {"outlive": _values(ours.tasks), "dict": _values(records)},
            }.items():
                found = timed(acts)
                print(f"  image {what:<10} {found['outlive'] / found['dict']:.2f} times the builtin dict's")
            store = ours.tasks._store
            print(f"  first touch: {RECORDS:,} records tracked, encoded and copied in {touched_s:.1f} s")
            print(f"  {store.gauge.record_bytes(store):,} bytes a record, with what is kept beside it")


def main() -> None:
    """Both comparisons on a PostgreSQL of their own, which is gone afterwards."""
    header("reads of single records")
    asyncio.run(from_postgres())
    print(f"\nfrom memory, {RECORDS:,} records")
    from_memory()


if __name__ == "__main__":
    main()
