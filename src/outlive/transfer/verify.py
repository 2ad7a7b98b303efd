"""Verification: the image against its table, record by record, every field (I7).

One snapshot of the table is compared with the image as it stood. Records that a unit was writing meanwhile, or whose
versions differ, are compared again once they have settled. Equal versions with unequal bytes are always a difference.
Each live record is encoded anew, so that what the tracking missed is seen too. On every run a difference is planted in
a scratch copy and must be found by the same comparison, or the verification counts for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from outlive.commit.unit import ABSENT
from outlive.errors import Unholdable
from outlive.postgres.upsert import Statements
from outlive.records import canonical, key_name, parse
from outlive.stores.store import Store
from outlive.transfer.fill import read_rows

EXAMPLES = 20
Side = dict[Any, tuple[bytes, int]]  # key -> (canonical document, version)


@dataclass(slots=True)
class Difference:
    """One record that differs: which field, and both sides' values."""

    key: str
    kind: str
    field: str = ""
    image: Any = None
    table: Any = None

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Parity:
    """What a verification found."""

    compared: int = 0
    different: int = 0
    missing: int = 0
    extra: int = 0
    planted_found: bool = False
    settled_late: int = 0
    seconds: float = 0.0
    examples: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """No record differs, is missing or is extra, and the planted difference was found."""
        return self.planted_found and not (self.different or self.missing or self.extra)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        examples = [example.facts() for example in self.examples]
        return {"examples": examples, "settled_late": self.settled_late, "seconds": round(self.seconds, 3)}


def verify(
    store: Store, conn: psycopg.Connection[Any], *, settle: Callable[[], None], tries: int = 5, pause_s: float = 0.05
) -> Parity:
    """Parity of image and table. `settle` waits until what is being written has landed."""
    began = time.perf_counter()
    parity = Parity()
    settle()
    image, pending = snapshot(store)
    table = {key: (encoded, version) for key, encoded, version, _ in read_rows(conn, store)}
    parity.compared = len(image.keys() | table.keys())
    suspects = set(differing(image, table)) | pending
    for attempt in range(tries):
        if not suspects:
            break
        settle()
        time.sleep(pause_s * attempt)
        suspects = _again(store, conn, suspects, image, table)
        parity.settled_late += 1
    for key in suspects:
        _count(parity, key, image.get(key), table.get(key))
    parity.planted_found = finds_planted(image)
    parity.seconds = time.perf_counter() - began
    return parity


def snapshot(store: Store) -> tuple[Side, set[Any]]:
    """The image as it stands, every record encoded anew, and the keys that units are writing now."""
    with store.units.lock:
        items = list(store.image_items())
        kept = {key: (entry.encoded, entry.version) for key, entry in store.kept.items()}
        pending = set(store.unsettled)
        side: Side = {}
        for key, record in items:
            encoded, version = kept.get(key, (b"", 0))
            try:
                live = canonical(store.record_type.document(record))
            except Unholdable:
                live = encoded
            side[key] = (live, version)
    return side, pending


def differing(image: Side, table: Side) -> list[Any]:
    """Keys whose sides are not equal in bytes and version."""
    return [key for key in image.keys() | table.keys() if image.get(key) != table.get(key)]


def finds_planted(image: Side) -> bool:
    """Whether the comparison sees one changed byte, one missing and one extra record in a scratch copy."""
    scratch = dict(image) or {"planted": (b'{"value":1}', 1)}
    base = dict(scratch)
    key = next(iter(scratch))
    encoded, version = scratch[key]
    scratch[key] = (encoded[:-1] + bytes([encoded[-1] ^ 1]), version)
    changed = differing(base, scratch) == [key]
    del scratch[key]
    return changed and differing(base, scratch) == [key] and differing(scratch, base) == [key]


def _again(store: Store, conn: psycopg.Connection[Any], keys: set[Any], image: Side, table: Side) -> set[Any]:
    assert store.table is not None
    with store.units.lock:
        for key in keys:
            record, kept = store.image_get(key), store.kept.get(key)
            if record is ABSENT:
                image.pop(key, None)
            else:
                image[key] = (_encoded(store, record, kept), kept.version if kept is not None else 0)
        pending = {key for key in keys if store.unsettled.get(key)}
    literals = sorted(_literals(store, keys))
    statement, values = Statements.of(store.table).select_keys(literals)
    held = {stored.key: stored for stored in map(store.table.read, conn.execute(statement, values).fetchall())}
    for key in keys:
        stored = held.get(key)
        if stored is None:
            table.pop(key, None)
        else:
            table[key] = (canonical(stored.document), stored.version)
    return {key for key in keys if key in pending or image.get(key) != table.get(key)}


def _encoded(store: Store, record: Any, kept: Any) -> bytes:
    try:
        return canonical(store.record_type.document(record))
    except Unholdable:
        return kept.encoded if kept is not None else b""


def _literals(store: Store, keys: set[Any]) -> list[str]:
    assert store.table is not None
    literals = []
    for key in keys:
        try:
            literals.append(store.table.key_literal(key))
        except Unholdable:
            continue
    return literals


def _count(parity: Parity, key: Any, image: tuple[bytes, int] | None, table: tuple[bytes, int] | None) -> None:
    name = key_name(key)
    if image is None and table is None:
        return
    if table is None:
        parity.missing += 1
        _example(parity, Difference(name, "missing"))
    elif image is None:
        parity.extra += 1
        _example(parity, Difference(name, "extra"))
    else:
        parity.different += 1
        for example in _fields(name, image, table):
            _example(parity, example)


def _fields(name: str, image: tuple[bytes, int], table: tuple[bytes, int]) -> list[Difference]:
    if image[0] == table[0]:
        return [Difference(name, "version", "outlive_version", image[1], table[1])]
    mine, theirs = parse(image[0]), parse(table[0])
    fields = [f for f in {**mine, **theirs} if canonical({"v": mine.get(f)}) != canonical({"v": theirs.get(f)})]
    found = [Difference(name, "different", f, mine.get(f), theirs.get(f)) for f in fields]
    return found or [Difference(name, "different", "", list(mine), list(theirs))]


def _example(parity: Parity, difference: Difference) -> None:
    if len(parity.examples) < EXAMPLES:
        parity.examples.append(difference)
