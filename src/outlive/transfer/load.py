"""Loading a file of records into a store's table, chunk by chunk, as a member like any other.

A chunk is one transaction: its rows, and how far the load is. So a load that is killed goes on behind what landed, and
a load that is repeated changes nothing. All records of a load bear one version: a row that is newer stays, a key that
was deleted later stays deleted, a key that stands twice in the file is rejected the second time. Where the load made
the table, its key and indexes are made once the rows are in.

What is bad is kept, one JSON line a record, with line, key, path, reason and text; the rest lands.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from outlive.commit import failpoints
from outlive.commit.verdicts import is_refusal
from outlive.errors import PhaseRefused
from outlive.postgres.connect import Database
from outlive.postgres.derive import check_tables, ensure_derived
from outlive.postgres.relations import ancestors
from outlive.postgres.tables import Row, StoreTable
from outlive.records import canonical_text
from outlive.transfer import joining, sources
from outlive.transfer.bulk import Bulk, own_column, relation
from outlive.transfer.deduce import Kinds
from outlive.transfer.fit import Fit
from outlive.transfer.joining import Counts, Joined
from outlive.transfer.layout import HEAD_BYTES, Layout
from outlive.transfer.quiet import collector_paused
from outlive.transfer.reader import TWICE, Reader
from outlive.transfer.sources import Bad, Batch, Checksum, Lines, Spot

CHUNK_ROWS = 25_000
_TIMEOUT = "SELECT set_config('statement_timeout', %s, true)"
_CHECK = "SET CONSTRAINTS ALL IMMEDIATE"  # a deferred one would refuse the whole chunk at its commit
_TOMBSTONES = "SELECT 1 FROM outlive.tombstone WHERE service = %s AND store = %s LIMIT 1"
_COUNTER = """
INSERT INTO outlive.counter (service, store, value) VALUES (%s, %s, %s)
ON CONFLICT (service, store) DO UPDATE SET value = greatest(outlive.counter.value, excluded.value), updated_at = now()
"""


@dataclass(slots=True)
class Target:
    """The store that is loaded: its table, and how its records find their keys."""

    service: str
    store: str
    table: StoreTable
    key_field: str | None
    kind: str = "mapping"
    phase: str = "dual_write"
    given: bool = False  # the table is the service's own, made by its migrations
    kinds: Kinds | None = None  # columns that were deduced from data, where no service declares the store

    @property
    def name(self) -> str:
        """SERVICE/STORE."""
        return f"{self.service}/{self.store}"

    def fit(self) -> Fit:
        """What checks this store's records."""
        numbered, elements = self.kind == "log", self.kind == "set"
        return Fit(self.table.record_type, self.key_field, numbered=numbered, elements=elements)


@dataclass(slots=True)
class Options:
    """How an operator wants a load done."""

    actor: str
    rejects: Path
    rows_per_second: float | None = None
    chunk_rows: int = CHUNK_ROWS
    restart: bool = False
    force: bool = False
    reason: str = ""
    counters: dict[str, str] = field(default_factory=dict)
    tell: Callable[[Counts, int], None] = lambda counts, size: None


@dataclass(slots=True)
class Loaded:
    """What a load did; `bad` holds the first records that were rejected."""

    counts: Counts
    resumed: bool
    seconds: float
    bad: list[Bad] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        counts = {name: value for name, value in asdict(self.counts).items() if name not in ("offset", "line")}
        counts["records"] = counts.pop("ordinal")
        return {
            **counts,
            "resumed": self.resumed,
            "seconds": round(self.seconds, 3),
            "sequences": self.moved,
            "counters": self.counters,
            "examples": [asdict(bad) for bad in self.bad],
        }


BAD_SHOWN = 20


class _Twice(Exception):
    """A key of this chunk was met before: which of its records, only the long way tells."""


class _Load:
    def __init__(
        self, db: Database, conn: psycopg.Connection[Any], target: Target, path: Path, layout: Layout, options: Options
    ) -> None:
        self.db, self.conn, self.target, self.path, self.layout = db, conn, target, path, layout
        self.options = options
        self.bulk = Bulk(conn, target.table)
        self.shown: list[Bad] = []
        self.timeout_ms = str(int(db.settings.migration_timeout_s * 1000))

    def run(self, fresh: bool) -> Loaded:
        began = time.monotonic()
        joined = joining.join(
            self.conn, self.target.service, self.target.store, self.options.actor, self._wanted(fresh),
            phase=self.target.phase, restart=self.options.restart, force=self.options.force,
        )  # fmt: skip
        try:
            self._prepare(joined, fresh)
            with collector_paused():
                self._copy(joined)
            moved, counters = self._complete(joined)
            detail = {"source": str(self.path), "reason": self.options.reason, "forced": self.options.force}
            joined.finish(self.options.actor, detail)
        finally:
            joined.leave()
        seconds = time.monotonic() - began
        return Loaded(joined.counts, joined.resumed, seconds, self.shown[:BAD_SHOWN], moved, counters)

    def _wanted(self, fresh: bool) -> dict[str, Any]:
        status = self.path.stat()
        with self.path.open("rb") as file:
            head = hashlib.blake2b(file.read(HEAD_BYTES), digest_size=16).hexdigest()
        kinds = None if self.target.kinds is None else [list(pair) for pair in self.target.kinds]
        return {
            "source": str(self.path.resolve()), "size": status.st_size, "head": head, "fresh": fresh,
            "layout": self.layout.facts(), "kinds": kinds, "key": self.target.key_field,
        }  # fmt: skip

    def _prepare(self, joined: Joined, fresh: bool) -> None:
        """A table that this load has made stands without key and indexes until the rows are in."""
        secured = self.bulk.secured()  # PostgreSQL copies into no table under row-level security
        table = self.target.table
        bound = table.references or table.partitioned or any(index.unique for index in table.options.indexes)
        bare = not secured and not bound
        if fresh and not joined.resumed and bare:
            with self.conn.transaction():
                self.bulk.clear()
                self.bulk.drop_indexes()
        names = (self.target.service, self.target.store)
        free = self.bulk.empty() and not self.conn.execute(_TOMBSTONES, names).fetchall()
        self.direct = free and not (joined.resumed or secured or table.partitioned)
        self.unkeyed = not (table.partitioned or self.bulk.keyed()) and bool(joined.args.get("fresh"))
        # An equal row keeps its old version, so over rows from before only memory tells that a key stands twice.
        self.watchful = not (self.direct or self.unkeyed)
        if not joined.resumed:
            self.options.rejects.unlink(missing_ok=True)
        elif self.options.rejects.exists():
            os.truncate(self.options.rejects, joined.counts.rejects_bytes)

    def _copy(self, joined: Joined) -> None:
        reader = Reader(self.target, self.path, self.layout, joined.version)
        counts = joined.counts
        rate = self.options.rows_per_second
        size = self.options.chunk_rows if rate is None else max(1, min(self.options.chunk_rows, int(rate)))
        whole = self.path.stat().st_size
        began, before = time.monotonic(), counts.records
        at = Spot(counts.offset, counts.ordinal, counts.line)
        checksum = Checksum(self.path)
        if checksum.upto(at.offset) != counts.checksum and counts.checksum:
            reason = f"{self.path} has changed before byte {at.offset}, which was loaded; --restart loads all of it"
            raise PhaseRefused(store=self.target.name, reason=reason)
        if self.watchful and at.ordinal:
            self._remember(reader, at.ordinal)
        for batch in reader.batches(at, size):
            with self.conn.transaction():
                self.conn.execute(_TIMEOUT, (self.timeout_ms,))
                joined.step(alone=self.target.table.partitioned)
                self._chunk(joined, reader, batch)
                counts.checksum = checksum.upto(counts.offset)
                joined.stand()
            failpoints.hit("load.chunk")
            self.options.tell(counts, whole)
            if rate is not None:
                time.sleep(max(0.0, (counts.records - before) / rate - (time.monotonic() - began)))

    def _remember(self, reader: Reader, ordinal: int) -> None:
        """The keys that an earlier run of this load has met."""
        for batch in reader.batches(Spot(), self.options.chunk_rows):
            past: Batch | Lines = batch
            if batch.after.ordinal > ordinal:
                past = reader.records(batch)
                past.items = [item for item in past.items if item.ordinal < ordinal]
            for _ in reader.text(past):
                pass
            reader.seen.update(reader.known())
            if batch.after.ordinal >= ordinal:
                return

    def _chunk(self, joined: Joined, reader: Reader, batch: Batch | Lines) -> None:
        counts = joined.counts
        if self.unkeyed:
            self.bulk.copy(reader.text(batch))
            counts.landed += reader.taken
        elif not (self.direct and self._straight(reader, batch, counts)):
            self.direct = False
            if not self._merged(joined, reader, batch):
                rows = list(reader.rows(batch))
                self._settle(joined, reader, self._upserted(reader, batch, rows))
            if self.watchful:
                reader.seen.update(reader.known())
        counts.offset, counts.ordinal, counts.line = batch.after
        self._keep(reader.bad, counts)

    def _merged(self, joined: Joined, reader: Reader, batch: Batch | Lines) -> bool:
        """Whether the chunk could be merged at once: no key of it stands twice, and PostgreSQL refuses none."""
        if isinstance(batch, Batch) or self.target.table.partitioned:
            return False
        try:
            with self.conn.transaction():
                merged = self.bulk.merge(reader.text(batch), joined.version)
                keys = reader.known()
                if merged.twice or len(set(keys)) != len(keys) or not reader.seen.isdisjoint(keys):
                    raise _Twice
                self.conn.execute(_CHECK)
        except _Twice:
            return False
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            return False
        counts = joined.counts
        counts.landed, counts.equal = counts.landed + merged.landed, counts.equal + merged.equal
        counts.newer, counts.deleted = counts.newer + merged.newer, counts.deleted + merged.deleted
        return True

    def _straight(self, reader: Reader, batch: Batch | Lines, counts: Counts) -> bool:
        """Whether the rows could go straight into the table, because it held none of their keys."""
        try:
            with self.conn.transaction():
                self.bulk.copy(reader.text(batch))
                self.conn.execute(_CHECK)
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            return False
        counts.landed += reader.taken
        return True

    def _upserted(self, reader: Reader, batch: Batch | Lines, rows: list[Row]) -> set[str]:
        """Keys of the rows that landed; what PostgreSQL refuses is found by halves and rejected, the rest lands."""
        try:
            with self.conn.transaction():
                landed = self.bulk.upsert(rows)
                self.conn.execute(_CHECK)
                return landed
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            if len(rows) > 1:
                half = len(rows) // 2
                return self._upserted(reader, batch, rows[:half]) | self._upserted(reader, batch, rows[half:])
            literal = str(rows[0][0])
            ordinal, line = reader.lines.pop(literal)
            items = reader.records(batch).items
            text = next(canonical_text(item.value) for item in items if item.ordinal == ordinal)
            reason = f"{error.diag.message_primary or type(error).__name__} [{error.sqlstate}]"
            path = error.diag.column_name or error.diag.constraint_name or ""
            reader.bad.append(Bad(ordinal, line, literal, path, reason, text[: sources.SHOWN_CHARS]))
            return set()

    def _settle(self, joined: Joined, reader: Reader, landed: set[str]) -> None:
        """Count what became of each row of a chunk."""
        counts = joined.counts
        counts.landed += len(landed)
        rest = [key for key in reader.lines if key not in landed]
        held = self.bulk.held(rest) if rest else {}
        for key in rest:
            version = held.get(key)
            if version is None:
                counts.deleted += 1
            elif version > joined.version:
                counts.newer += 1
            elif version == joined.version:
                ordinal, line = reader.lines[key]
                reader.bad.append(Bad(ordinal, line, key, "", TWICE))
            else:
                counts.equal += 1

    def _keep(self, bad: list[Bad], counts: Counts) -> None:
        """Rejected records, on disk before the transaction that counts them."""
        if not bad:
            return
        bad = sorted(bad, key=lambda one: one.ordinal)
        self.shown += bad[: BAD_SHOWN - len(self.shown)] if len(self.shown) < BAD_SHOWN else []
        lines = "".join(
            json.dumps({**asdict(one), "ordinal": one.ordinal + 1}, ensure_ascii=False) + "\n" for one in bad
        )
        self.options.rejects.parent.mkdir(parents=True, exist_ok=True)
        with self.options.rejects.open("ab") as file:
            file.truncate(counts.rejects_bytes)
            file.write(lines.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
            counts.rejects_bytes = file.tell()
        counts.rejected += len(bad)

    def _complete(self, joined: Joined) -> tuple[list[str], dict[str, int]]:
        """Key and indexes, sequences and counters, statistics; and the rows are counted once more."""
        with self.conn.transaction():
            self.conn.execute(_TIMEOUT, (self.timeout_ms,))
            joined.step(alone=self.target.table.partitioned)
            if self.unkeyed:
                twice = self.bulk.make_indexes()
                joined.counts.landed -= len(twice)
                self._keep(self._lines_of({position - joined.version: key for key, position in twice}), joined.counts)
            self._count_again(joined)
            moved = self.bulk.raise_sequences()
            counters = self._raise_counters()
            joined.stand()
        self.bulk.analyze()
        return moved, counters

    def _lines_of(self, ordinals: dict[int, str]) -> list[Bad]:
        """Records whose key stood before, with their lines, which the rows do not know."""
        if not ordinals:
            return []
        found = []
        for batch in sources.read(self.path, self.layout, Spot(), self.options.chunk_rows):
            for item in batch.items:
                if item.ordinal in ordinals:
                    text = canonical_text(item.value)[: sources.SHOWN_CHARS]
                    found.append(Bad(item.ordinal, item.line, ordinals[item.ordinal], "", TWICE, text))
        return found

    def _count_again(self, joined: Joined) -> None:
        held, landed = self.bulk.count(joined.version), joined.counts.landed
        if held > landed:
            reason = f"{landed} records landed, and the table holds {held} of this load: its position is not its own"
            raise PhaseRefused(store=self.target.name, reason=reason)

    def _raise_counters(self) -> dict[str, int]:
        raised = {}
        for name, field_name in self.options.counters.items():
            largest = self.bulk.largest(own_column(self.target.table, field_name))
            if largest is not None:
                self.conn.execute(_COUNTER, (self.target.service, name, largest))
                raised[name] = largest
        return raised


def load(db: Database, target: Target, path: Path, layout: Layout, options: Options) -> Loaded:
    """Loads a file into a store's table; goes on where an earlier load of the same file was cut short.

    Raises FileMalformed, PhaseRefused (the load would not be seen, or another one is unfinished), SchemaMismatch,
    Unreachable; what landed before stays, and the next call goes on behind it.
    """
    with db.connect() as conn:
        unfinished = joining.unfinished(conn, target.service, target.store)
        place = relation(target.table).as_string(conn)
        fresh = bool(conn.execute("SELECT to_regclass(%s) IS NULL", (place,)).fetchall()[0][0])
        if target.given:
            check_tables(db, [target.table])
        elif unfinished is not None and unfinished["fresh"] and not fresh:
            fresh = not Bulk(conn, target.table).keyed()
        else:
            ensure_derived(db, [*(each for each in ancestors(target.table) if not each.strict), target.table])
        return _Load(db, conn, target, path, layout, options).run(fresh and not target.given)


def look(target: Target, path: Path, layout: Layout, tell: Callable[[Counts, int], None]) -> tuple[Counts, list[Bad]]:
    """A load without a table: how many records would be taken, and the first that would not. Raises FileMalformed."""
    reader = Reader(target, path, layout, 1)
    counts = Counts()
    bad: list[Bad] = []
    whole = path.stat().st_size
    with collector_paused():
        for batch in reader.batches(Spot(), CHUNK_ROWS):
            for _ in reader.text(batch):
                pass
            counts.landed += reader.taken
            counts.rejected += len(reader.bad)
            counts.offset, counts.ordinal, counts.line = batch.after
            bad += (
                sorted(reader.bad, key=lambda one: one.ordinal)[: BAD_SHOWN - len(bad)] if len(bad) < BAD_SHOWN else []
            )
            tell(counts, whole)
    return counts, bad


__all__ = ["Loaded", "Options", "Target", "load", "look"]
