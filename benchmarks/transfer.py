"""Bulk work beside its peers: load, upsert, verify, rehydration; on one PostgreSQL, the same records, in one run.

`python -m benchmarks.transfer --rows 1000000`. Order rotates, medians of the rounds. Peers that are no part of the
development set (dlt, reladiff) are installed into .bench/ by this command; `--no-peers` leaves them out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import outlive
from benchmarks.measure import ROUNDS, header, timed
from benchmarks.million import Task, write_records
from benchmarks.ours import server
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.migrate import upgrade_control
from outlive.postgres.tables import StoreTable
from outlive.records import RecordType
from outlive.settings import Settings
from outlive.transfer import fill
from outlive.transfer.bulk import copy_line
from outlive.transfer.layout import find_layout
from outlive.transfer.learned import forget
from outlive.transfer.load import Options, Target, load
from outlive.transfer.quick import quick
from outlive.transfer.quiet import collector_paused
from outlive.transfer.verify import verify

PEERS = Path(__file__).resolve().parent.parent / ".bench" / "peers"
NEEDED = ("dlt[postgres]", "reladiff", "psycopg2-binary")
TYPES = ("text", "text", "int8", "float8", "bool", "timestamptz", "text")
NAMES = tuple(field.name for field in fields(Task))
Act = Callable[[], Any]


class Base(DeclarativeBase):
    """The peers' tables."""


class TaskRow(Base):
    """The record as an ORM has it."""

    __tablename__ = "orm_tasks"
    task_id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    field_no: Mapped[int] = mapped_column(sa.BigInteger)
    hours: Mapped[float] = mapped_column(sa.Double)
    done: Mapped[bool]
    created_at: Mapped[Any] = mapped_column(sa.DateTime(timezone=True))
    note: Mapped[str | None]


class Bench:
    """One database, one file of records, and both sides' ways."""

    def __init__(self, address: Address, folder: Path, rows: int) -> None:
        self.rows, self.folder, self.url = rows, folder, address.libpq_url()
        self.source = folder / "tasks.jsonl"
        write_records(self.source, rows)
        self.db = Database(address, Settings(service="farm"))
        upgrade_control(self.db)
        self.conn = psycopg.connect(self.url, autocommit=True)
        self.engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(self.url))
        self.table = StoreTable.derive("farm", "tasks", RecordType.of(Task), "task_id")
        self.target = Target("farm", "tasks", self.table, "task_id")

    def parsed(self) -> Iterator[dict[str, Any]]:
        """The file's records, as a script would read them."""
        import datetime as dt

        with self.source.open(encoding="utf-8") as file:
            for line in file:
                task = json.loads(line)
                task["created_at"] = dt.datetime.fromisoformat(task["created_at"])
                yield task

    # Loads into an empty table.

    def ours_new(self) -> None:
        """outlive: checked, resumable, key made last."""
        self.conn.execute("DROP TABLE IF EXISTS farm.tasks")
        self.ours_again()

    def ours_again(self) -> None:
        """outlive, whatever the table holds."""
        options = Options(actor="bench", rejects=self.folder / "rejects.jsonl", restart=True)
        found = load(self.db, self.target, self.source, find_layout(self.source), options)
        assert found.counts.landed + found.counts.equal == self.rows

    def copy_new(self) -> None:
        """psycopg binary COPY, key afterwards."""
        self.conn.execute("DROP TABLE IF EXISTS copied")
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
            for name, kind in zip(NAMES, TYPES, strict=True)
        )
        self.conn.execute(sql.SQL("CREATE TABLE copied ({})").format(columns))
        with self.conn.cursor() as cursor, cursor.copy("COPY copied FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(TYPES)
            for task in self.parsed():
                copy.write_row([task[name] for name in NAMES])
        self.conn.execute("ALTER TABLE copied ADD PRIMARY KEY (task_id)")
        self.conn.execute("ANALYZE copied")

    def orm_new(self) -> None:
        """SQLAlchemy add_all, 10,000 at a time."""
        Base.metadata.drop_all(self.engine)
        Base.metadata.create_all(self.engine)
        with Session(self.engine) as session:
            held: list[TaskRow] = []
            for task in self.parsed():
                held.append(TaskRow(**task))
                if len(held) == 10_000:
                    session.add_all(held)
                    session.commit()
                    held = []
            session.add_all(held)
            session.commit()

    def dlt_new(self) -> float:
        """dlt, from the same file; its own seconds without its imports."""
        return peer(DLT, str(self.source), self.url)

    # The same again, over rows.

    def change_all(self) -> None:
        """Every row differs from the file in one field."""
        self.conn.execute("UPDATE farm.tasks SET hours = hours + 1, outlive_version = 1")

    def encode(self) -> bytes:
        """The rows as COPY takes them, encoded beforehand."""
        lines = []
        for at, task in enumerate(self.parsed()):
            document = self.table.record_type.document(Task(**task))
            lines.append(copy_line(self.table.row(task["task_id"], document, 2, at)))
        return "".join(lines).encode()

    def replay(self, encoded: bytes) -> None:
        """The encoded stream into a staging table, and an upsert from it."""
        columns = sql.SQL(", ").join(map(sql.Identifier, self.table.column_names))
        others = [sql.Identifier(name) for name in self.table.column_names[1:]]
        assigned = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in others)
        with self.conn.transaction(), self.conn.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE stage (LIKE farm.tasks) ON COMMIT DROP")
            copied = sql.SQL("COPY stage ({}) FROM STDIN WITH (NULL 'null')").format(columns)
            with cursor.copy(copied) as copy:
                copy.write(encoded)
            upsert = "INSERT INTO farm.tasks ({}) SELECT {} FROM stage ON CONFLICT (task_id) DO UPDATE SET {}"
            cursor.execute(sql.SQL(upsert).format(columns, columns, assigned))

    # Comparing, and reading back.

    @contextmanager
    def service(self) -> Iterator[Any]:
        """A running service that holds the records."""
        env = {"DATABASE_URL": self.url, "OUTLIVE_HOME": str(self.folder / "home"), "OUTLIVE_SCRUB_S": "3600"}
        farm = outlive.Service("farm", env=env)
        outlive.mapping("tasks", Task, key="task_id", service=farm, phase="dual_write")
        with farm.open():
            yield farm

    def orm_compare(self, held: dict[str, Any]) -> None:
        """Every row as an ORM object, every field against memory."""
        with Session(self.engine) as session:
            for row in session.scalars(sa.select(TaskRow).execution_options(yield_per=5000)):
                task = held[row.task_id]
                assert all(getattr(row, name) == getattr(task, name) for name in NAMES)
                session.expunge(row)

    def orm_read(self) -> int:
        """Every row as an ORM object, in a dict, with the collector off."""
        with collector_paused(), Session(self.engine) as session:
            return len({row.task_id: row for row in session.scalars(sa.select(TaskRow))})


DLT = """
import json, os, sys, time
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
import dlt
source, url = sys.argv[1:3]
def records():
    with open(source, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(url), dataset_name="dlt_bench", progress=None)
pipeline.drop()
began = time.perf_counter()
pipeline.run(records(), table_name="tasks", primary_key="task_id", write_disposition="replace")
print(time.perf_counter() - began)
"""
RELADIFF = """
import sys, time
from reladiff import connect_to_table, diff_tables
url = sys.argv[1]
columns = ("title", "field_no", "hours", "done", "created_at", "note")
began = time.perf_counter()
sides = [connect_to_table(url, name, "task_id", extra_columns=columns) for name in (("farm", "tasks"), "orm_tasks")]
found = list(diff_tables(*sides))
taken = time.perf_counter() - began
assert not found, found[:3]
print(taken)
"""


def peer(script: str, *arguments: str) -> float:
    """Seconds that a script in the peers' environment says it took."""
    python = PEERS / "bin" / "python"
    done = subprocess.run([str(python), "-c", script, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"a peer failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def install_peers() -> None:
    """dlt and reladiff in an environment of their own; nothing where it is there."""
    mark = PEERS / "installed"
    if mark.exists():
        return
    venv.create(PEERS, with_pip=True, clear=True)
    subprocess.run([str(PEERS / "bin" / "python"), "-m", "pip", "install", "-q", *NEEDED], check=True)
    mark.touch()


def told(title: str, taken: dict[str, float], ours: str, rows: int) -> None:
    """Prints seconds, records a second, and how many times faster ours is."""
    print(f"\n{title}")
    for name, seconds in taken.items():
        ratio = "" if name == ours else f"  {ours}: {seconds / taken[ours]:6.2f}x"
        print(f"  {name:<44} {seconds:>9.2f} s {rows / seconds:>12,.0f} /s{ratio}", flush=True)


def _load(bench: Bench, rounds: int, peers: bool) -> None:
    acts: dict[str, Act] = {"outlive": bench.ours_new, "psycopg binary COPY, key after": bench.copy_new}
    acts["ORM add_all"] = bench.orm_new
    if peers:
        acts["dlt"] = bench.dlt_new
    told("load into an empty table", timed(acts, rounds), "outlive", bench.rows)


def _upsert(bench: Bench, rounds: int) -> None:
    encoded = bench.encode()
    bench.ours_new()
    upserts: dict[str, list[float]] = {"outlive, from the file": [], "replaying the encoded stream": []}
    for number in range(rounds):
        acts: list[tuple[str, Act]] = list(zip(upserts, (bench.ours_again, lambda: bench.replay(encoded)), strict=True))
        for name, act in acts if number % 2 else acts[::-1]:
            bench.change_all()
            bench.conn.execute("VACUUM farm.tasks")
            began = time.perf_counter()
            act()
            upserts[name].append(time.perf_counter() - began)
    middle = {name: sorted(seconds)[len(seconds) // 2] for name, seconds in upserts.items()}
    told("upsert over rows that all differ", middle, "outlive, from the file", bench.rows)


def _verify(bench: Bench, rounds: int, peers: bool) -> None:
    bench.ours_new()
    bench.orm_new()
    with bench.service() as farm:
        store = farm.stores["tasks"]
        held = dict(store.image_items())

        def unproven() -> None:
            forget(store)
            assert quick(store, bench.conn, settle=farm.flush_blocking).equal

        def full() -> None:
            assert verify(store, bench.conn, settle=farm.flush_blocking).equal

        def by_digests() -> None:
            assert quick(store, bench.conn, settle=farm.flush_blocking).equal

        acts = {
            "every field": full,
            "by digests": by_digests,
            "by digests, nothing known yet": unproven,  # what it proves, the next one by digests finds
            "ORM fetch and compare": lambda: bench.orm_compare(held),
        }
        unproven()
        if peers:
            acts["reladiff, table with table"] = lambda: peer(RELADIFF, bench.url)
        taken = timed(acts, rounds)
        told("verify", taken, "every field", bench.rows)
        told("verify", {name: taken[name] for name in taken if name != "every field"}, "by digests", bench.rows)


def _rehydrate(bench: Bench, rounds: int) -> None:
    """From the table into an empty image, emptied outside the time, beside every row as an ORM object."""
    bench.ours_new()
    bench.orm_new()
    with bench.service() as farm:
        _filled(bench, farm.stores["tasks"], rounds)


def _filled(bench: Bench, store: Any, rounds: int) -> None:
    taken: dict[str, list[float]] = {"outlive, all records built": [], "ORM objects": []}
    for number in range(rounds + 1):
        both: tuple[Act, Act] = (lambda: fill.fill(store, bench.conn), bench.orm_read)
        acts = list(zip(taken, both, strict=True))
        for name, act in acts if number % 2 else acts[::-1]:
            fill.empty(store)
            store.image_reset([])
            began = time.perf_counter()
            act()
            if number:  # the first round warms up
                taken[name].append(time.perf_counter() - began)
    middle = {name: sorted(seconds)[len(seconds) // 2] for name, seconds in taken.items()}
    told("rehydration", middle, "outlive, all records built", bench.rows)


def main() -> None:
    """The comparisons on a PostgreSQL of its own, which is gone afterwards."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=("load", "upsert", "verify", "rehydrate"), help="one of the four")
    parser.add_argument("--no-peers", action="store_true", help="leave out what would have to be installed")
    chosen = parser.parse_args()
    header(f"bulk work on {chosen.rows:,} records")
    if not chosen.no_peers:
        install_peers()
    with server() as (address, _), tempfile.TemporaryDirectory(prefix="outlive-bench-") as folder:
        bench, peers, rounds = Bench(address, Path(folder), chosen.rows), not chosen.no_peers, chosen.rounds
        parts: dict[str, Act] = {
            "load": lambda: _load(bench, rounds, peers),
            "upsert": lambda: _upsert(bench, rounds),
            "verify": lambda: _verify(bench, rounds, peers),
            "rehydrate": lambda: _rehydrate(bench, rounds),
        }
        for name, part in parts.items():
            if chosen.only in (None, name):
                part()


if __name__ == "__main__":
    sys.exit(main())
