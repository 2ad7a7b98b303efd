"""Quick verification: digests by bucket, and only what lies in an unequal bucket is looked at record by record.

PostgreSQL's side is one pass over the table that sends a digest a bucket. The image's side is what `proofs` knows: of
each record the digest of the row that it was proven equal to, field by field, the last time. A record that was never
proven, or has changed since, is proven first, in the same snapshot. What it says is 'no difference seen': records that
changed behind the tracking are not looked at, so it opens no gate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

from outlive.records import canonical
from outlive.stores.store import Store
from outlive.transfer.learned import learned
from outlive.transfer.proofs import Buckets, Proofs
from outlive.transfer.quiet import collector_paused
from outlive.transfer.rows import Rows
from outlive.transfer.verify import Parity, Side, compare, literals, settle_suspects

FEWEST, MOST = 16, 65_536
RECORDS_A_BUCKET = 64
KEYS_AT_ONCE = 5000
_AS_ONE = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


def quick(
    store: Store, conn: psycopg.Connection[Any], *, settle: Callable[[], None], tries: int = 5, pause_s: float = 0.05
) -> Parity:
    """Whether a difference is seen, by digests. `settle` waits until what is being written has landed."""
    assert store.table is not None
    began = time.perf_counter()
    parity = Parity(mode="quick")
    settle()
    image: Side = {}
    with collector_paused(), conn.transaction():
        conn.execute(_AS_ONE)
        conn.execute("SELECT set_config('statement_timeout', '0', true)")
        proofs, rows = learned(store).proofs, Rows(conn, store.table)
        with store.units.lock:
            kept, pending = dict(store.kept), set(store.unsettled)
        suspects = _prove(store, conn, rows, kept, proofs, image) | pending
        count = bucket_count(len(kept))
        theirs = rows.buckets(count)
        seen = unequal(proofs.buckets(count), theirs)
        if seen:
            suspects |= _in_buckets(store, rows, proofs, seen, count)
        parity.planted_found = finds_planted(theirs) and rows.sees_a_change()
    parity.compared = len(kept.keys() | suspects)
    settle_suspects(store, conn, parity, image, suspects, settle, tries, pause_s)
    proofs.drop(suspects)
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


def _prove(
    store: Store, conn: psycopg.Connection[Any], rows: Rows, kept: dict[Any, Any], proofs: Proofs, image: Side
) -> set[Any]:
    """Compares the records whose rows have no proof, field by field; returns those that differ."""
    fresh = proofs.unproven(list(kept), list(kept.values()))
    if len(fresh) > len(kept) // 2:
        return _prove_all(store, conn, rows, kept, proofs, image)
    differing = set(fresh)
    for start in range(0, len(fresh), KEYS_AT_ONCE):
        for stored, digest, place in rows.of_keys(literals(store, fresh[start : start + KEYS_AT_ONCE])):
            held = kept.get(stored.key)
            if held is not None and (held.version, held.encoded) == (stored.version, canonical(stored.document)):
                proofs.add(stored.key, held, digest, place)
                differing.discard(stored.key)
    return differing


def _prove_all(
    store: Store, conn: psycopg.Connection[Any], rows: Rows, kept: dict[Any, Any], proofs: Proofs, image: Side
) -> set[Any]:
    suspects, _, _ = compare(store, conn, image)
    proofs.clear()
    told = {key: (version, digest, place) for key, version, digest, place in rows.digests()}
    for key, held in kept.items():
        version, digest, place = told.get(key, (None, 0, 0))
        if version == held.version and key not in suspects:
            proofs.add(key, held, digest, place)
        else:
            suspects.add(key)
    return suspects


def _in_buckets(store: Store, rows: Rows, proofs: Proofs, buckets: list[int], count: int) -> set[Any]:
    """Keys in unequal buckets whose rows have another digest than the one that was proven, or no proof."""
    theirs = rows.of_buckets(buckets, count)
    suspects = set()
    for key, digest in proofs.within(set(buckets), count):
        if [theirs.pop(literal, None) for literal in literals(store, [key])] != [digest]:
            suspects.add(key)
    extra = sorted(theirs)
    for start in range(0, len(extra), KEYS_AT_ONCE):
        suspects |= {stored.key for stored, _, _ in rows.of_keys(extra[start : start + KEYS_AT_ONCE])}
    return suspects
