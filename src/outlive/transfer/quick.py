"""Quick verification: digests by bucket, and only what lies in an unequal bucket is looked at record by record.

PostgreSQL's side is one pass over the table that sends a digest a bucket. The image's side is what `learned` knows: of
each record the digest of the row that it was proven equal to, field by field, the last time. A record that was never
proven, or has changed since, is proven first. What it says is 'no difference seen': records that changed behind the
tracking are not looked at, so it opens no gate.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import psycopg

from outlive.errors import Unholdable
from outlive.records import canonical
from outlive.stores.store import Store
from outlive.transfer.learned import Learned, learned
from outlive.transfer.quiet import collector_paused
from outlive.transfer.rows import Rows
from outlive.transfer.verify import Comparison, Parity, Side, literals, settle_suspects

FEWEST, MOST = 16, 65_536
RECORDS_A_BUCKET = 64
KEYS_AT_ONCE = 5000
Buckets = dict[int, tuple[int, int]]  # bucket -> (records, exclusive or of their digests)


def quick(
    store: Store, conn: psycopg.Connection[Any], *, settle: Callable[[], None], tries: int = 5, pause_s: float = 0.05
) -> Parity:
    """Whether a difference is seen, by digests. `settle` waits until what is being written has landed."""
    assert store.table is not None
    began = time.perf_counter()
    parity = Parity(mode="quick")
    settle()
    known, rows = learned(store), Rows(conn, store.table)
    with collector_paused():
        with store.units.lock:
            image: Side = {key: (kept.encoded, kept.version) for key, kept in store.kept.items()}
            pending = set(store.unsettled)
        with conn.transaction():
            conn.execute("SELECT set_config('statement_timeout', '0', true)")
            suspects = _prove(store, rows, image, known) | pending
            count = bucket_count(len(image))
            mine, theirs = _mine(store, image, known, count), rows.buckets(count)
            seen = unequal(mine, theirs)
            if seen:
                suspects |= _in_buckets(store, rows, image, known, seen, count)
            parity.planted_found = finds_planted(theirs) and rows.sees_a_change()
        known.prune(image)
    parity.compared = len(image.keys() | suspects)
    settle_suspects(store, conn, parity, image, suspects, settle, tries, pause_s)
    parity.seconds = time.perf_counter() - began
    return parity


def bucket_count(records: int) -> int:
    """A power of two, so that a bucket holds some 64 records."""
    wanted = max(FEWEST, min(MOST, records // RECORDS_A_BUCKET))
    return 1 << (wanted.bit_length() - 1)


def unequal(mine: Buckets, theirs: Buckets) -> list[int]:
    """Buckets whose number of records or whose digest differs."""
    return sorted(bucket for bucket in mine.keys() | theirs.keys() if mine.get(bucket) != theirs.get(bucket))


def finds_planted(buckets: Buckets) -> bool:
    """Whether one changed, one missing and one extra record are seen in a scratch copy of the digests."""
    base = dict(buckets) or {0: (1, 1)}
    bucket, (records, digest) = next(iter(base.items()))
    changed = {**base, bucket: (records, digest ^ 1)}
    lacking = {**base, bucket: (records - 1, digest)}
    without = {other: held for other, held in base.items() if other != bucket}
    return all(unequal(base, scratch) == [bucket] for scratch in (changed, lacking, without)) and not unequal(
        base, dict(base)
    )


def _prove(store: Store, rows: Rows, image: Side, known: Learned) -> set[Any]:
    """Compares the records that nothing is known of, field by field; returns those that differ."""
    fresh = [key for key, (encoded, version) in image.items() if known.proven(key, encoded, version) is None]
    if len(fresh) > len(image) // 2:
        comparison = Comparison(image, rows, known)
        for line, digest in rows.lines(digests=True):
            comparison.feed(line, digest)
        return comparison.suspects()
    unproven = set(fresh)
    for start in range(0, len(fresh), KEYS_AT_ONCE):
        for stored, digest in rows.of_keys(literals(store, fresh[start : start + KEYS_AT_ONCE])):
            side = image.get(stored.key)
            if side == (canonical(stored.document), stored.version):
                known.note_row(stored.key, side[0], side[1], None, digest)
                unproven.discard(stored.key)
    return unproven


def _mine(store: Store, image: Side, known: Learned, count: int) -> Buckets:
    """The image's buckets; a record that is not proven counts as one of digest 0."""
    mask = count - 1
    numbers, digests = [0] * count, [0] * count
    for key, (encoded, version) in image.items():
        entry = known.proven(key, encoded, version)
        if entry is None:
            place, digest = _place(store, key), 0
        else:
            if entry.bucket is None:
                entry.bucket = _place(store, key)
            place, digest = entry.bucket, entry.row or 0
        numbers[place & mask] += 1
        digests[place & mask] ^= digest
    return {at: (number, digests[at]) for at, number in enumerate(numbers) if number}


def _place(store: Store, key: Any) -> int:
    """Where the key falls among 65,536 places, as PostgreSQL computes it."""
    assert store.table is not None
    try:
        literal = store.table.key_literal(key)
    except Unholdable:
        return 0
    return int.from_bytes(hashlib.md5(literal.encode(), usedforsecurity=False).digest()[:2])


def _in_buckets(
    store: Store, rows: Rows, image: Side, known: Learned, buckets: list[int], count: int
) -> set[Any]:  # fmt: skip
    """Keys in unequal buckets whose rows have another digest than the one that was proven."""
    assert store.table is not None
    theirs = rows.of_buckets(buckets, count)
    wanted, suspects = set(buckets), set()
    for key, (encoded, version) in image.items():
        entry = known.proven(key, encoded, version)
        place = entry.bucket if entry is not None and entry.bucket is not None else _place(store, key)
        if place & (count - 1) in wanted:
            for literal in literals(store, [key]) or [""]:
                held = theirs.pop(literal, None)
                if entry is None or held != entry.row:
                    suspects.add(key)
    extra = sorted(theirs)
    for start in range(0, len(extra), KEYS_AT_ONCE):
        suspects |= {stored.key for stored, _ in rows.of_keys(extra[start : start + KEYS_AT_ONCE])}
    return suspects
