"""Full verification: the image against its table, record by record, every field as PostgreSQL holds it (I7).

One snapshot of the table is compared with the image as it stood. Records that a unit was writing meanwhile, or whose
versions differ, are compared again once they have settled. Equal versions with unequal bytes are always a difference.
Each live record is looked at anew, so that what the tracking missed is seen too. Records of plain values are compared
with their rows by value; what is not equal so, and all other records, as documents, where `learned` spares the encoding
of one that holds the very objects it held before, and the taking apart of a row whose text is the same. On every run
differences are planted in a scratch copy and must be found by the same comparison, or the result counts for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from outlive.commit.unit import ABSENT
from outlive.errors import Unholdable
from outlive.postgres.upsert import Statements
from outlive.records import canonical, key_name, parse
from outlive.stores.store import Store
from outlive.transfer import values
from outlive.transfer.learned import Learned, learned
from outlive.transfer.quiet import collector_paused
from outlive.transfer.rows import Rows

EXAMPLES = 20
OF_A_GROUP = 3
SLICE_S = 0.005
SAMPLE_ROWS = 50
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
    """What a verification found; `groups` counts differences by kind and field, with the first of each."""

    compared: int = 0
    different: int = 0
    missing: int = 0
    extra: int = 0
    planted_found: bool = False
    settled_late: int = 0
    seconds: float = 0.0
    mode: str = "full"
    examples: list[Difference] = field(default_factory=list)
    groups: dict[tuple[str, str], tuple[int, list[Difference]]] = field(default_factory=dict)
    keys: dict[Any, str] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """No record differs, is missing or is extra, and the planted difference was found."""
        return self.planted_found and not (self.different or self.missing or self.extra)

    def note(self, difference: Difference) -> None:
        """Counts one difference in its group."""
        if len(self.examples) < EXAMPLES:
            self.examples.append(difference)
        count, shown = self.groups.get((difference.kind, difference.field), (0, []))
        if len(shown) < OF_A_GROUP:
            shown.append(difference)
        self.groups[difference.kind, difference.field] = (count + 1, shown)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        groups = [
            {"kind": kind, "field": name, "count": count, "examples": [each.facts() for each in shown]}
            for (kind, name), (count, shown) in sorted(self.groups.items(), key=lambda group: -group[1][0])
        ]
        return {
            "examples": [example.facts() for example in self.examples],
            "groups": groups,
            "settled_late": self.settled_late,
            "seconds": round(self.seconds, 3),
        }


def verify(
    store: Store, conn: psycopg.Connection[Any], *, settle: Callable[[], None], tries: int = 5, pause_s: float = 0.05
) -> Parity:
    """Parity of image and table. `settle` waits until what is being written has landed."""
    assert store.table is not None
    began = time.perf_counter()
    parity = Parity()
    image: Side = {}
    settle()
    with collector_paused(), conn.transaction():
        suspects, parity.compared, parity.planted_found = compare(store, conn, image)
    settle_suspects(store, conn, parity, image, suspects, settle, tries, pause_s)
    parity.seconds = time.perf_counter() - began
    return parity


def compare(store: Store, conn: psycopg.Connection[Any], image: Side) -> tuple[set[Any], int, bool]:
    """(keys whose sides were not seen to be equal, records compared, whether a planted difference was found).

    To be called inside a transaction; `image` gets what was encoded of the live records.
    """
    assert store.table is not None
    straight = values.Values.of(store.table)
    return _by_documents(store, conn, image) if straight is None else _by_values(store, conn, straight, image)


def _by_values(
    store: Store, conn: psycopg.Connection[Any], straight: values.Values, image: Side
) -> tuple[set[Any], int, bool]:
    table = store.table
    assert table is not None
    with store.units.lock:
        pending = set(store.unsettled)
    pairs, sample = values.pair(store, conn, straight)
    suspects = set(pairs.keys)
    with store.units.lock:
        pending.update(store.unsettled)
        _encode_live(store, pairs.keys, image)
    for row in pairs.rows.values():
        stored = table.read((*row, 0))
        side = (canonical(stored.document), stored.version)
        if stored.key in suspects and image.get(stored.key) == side:
            suspects.discard(stored.key)
        else:
            suspects.add(stored.key)
    extra = len(pairs.rows.keys() - pairs.keys.keys())
    return suspects | pending, pairs.live + extra, values.finds_planted(straight, sample)


def _by_documents(store: Store, conn: psycopg.Connection[Any], image: Side) -> tuple[set[Any], int, bool]:
    assert store.table is not None
    held, pending = snapshot(store)
    image.update(held)
    known = learned(store)
    rows = Rows(conn, store.table)
    comparison = Comparison(image, rows, known)
    sample: list[bytes] = []
    conn.execute("SELECT set_config('statement_timeout', '0', true)")
    for line in rows.lines():
        comparison.feed(line)
        if len(sample) < SAMPLE_ROWS:
            sample.append(line)
    known.prune(image)
    planted = finds_planted(image) and _stream_finds_planted(sample, rows)
    return comparison.suspects() | pending, comparison.compared, planted


def settle_suspects(
    store: Store,
    conn: psycopg.Connection[Any],
    parity: Parity,
    image: Side,
    suspects: set[Any],
    settle: Callable[[], None],
    tries: int,
    pause_s: float,
) -> None:
    """Compares these records again until they have settled, and counts those that still differ."""
    table: Side = {}
    for attempt in range(tries):
        if not suspects:
            return
        settle()
        time.sleep(pause_s * attempt)
        suspects = _again(store, conn, suspects, image, table)
        parity.settled_late += 1
    for key in suspects:
        _count(parity, key, image.get(key), table.get(key))


class Comparison:
    """The image against rows that come in any order, each looked at once."""

    def __init__(self, image: Side, rows: Rows, known: Learned) -> None:
        self.image, self.rows, self.known = image, rows, known
        self.compared = len(image)
        self._unseen = set(image)
        self._suspects: set[Any] = set()

    def feed(self, line: bytes) -> None:
        """One row more."""
        key = self.rows.key(line)
        side = None if key is None else self.image.get(key)
        if side is not None and self.known.same_row(key, side[0], side[1], hash(line)):
            self._unseen.discard(key)
            return
        stored = self.rows.stored(line)
        key, encoded = stored.key, canonical(stored.document)
        side = self.image.get(key)
        if side is None:
            self.compared += 1
            self._suspects.add(key)
            return
        self._unseen.discard(key)
        if side != (encoded, stored.version):
            self._suspects.add(key)
            return
        self.known.note_row(key, side[0], side[1], hash(line))

    def suspects(self) -> set[Any]:
        """Keys whose sides were not equal, once all rows were fed."""
        return self._suspects | self._unseen


def snapshot(store: Store) -> tuple[Side, set[Any]]:
    """The image as it stands, every record looked at anew, and the keys that units are writing.

    In slices, so that nobody waits for it; what changes between two of them differs in its version from its row.
    """
    with store.units.lock:
        items = list(store.image_items())
    side: Side = {}
    known = learned(store)
    feed = iter(items)
    while True:
        ends = time.perf_counter() + SLICE_S
        with store.units.lock:
            if not _look(store, feed, side, known, ends):
                return side, set(store.unsettled)


def _look(store: Store, feed: Iterator[tuple[Any, Any]], side: Side, known: Learned, ends: float) -> bool:
    """Whether there is more to look at behind this slice."""
    for count, (key, was) in enumerate(feed, 1):
        record = store.image_get(key)
        if record is not ABSENT:
            entry = store.kept.get(key)
            encoded, version = (b"", 0) if entry is None else (entry.encoded, entry.version)
            if record is was and known.same_record(key, record, encoded):
                side[key] = (encoded, version)
            else:
                side[key] = (_live(store, key, record, encoded, known), version)
        if count % 50 == 0 and time.perf_counter() > ends:
            return True
    return False


def _live(store: Store, key: Any, record: Any, encoded: bytes, known: Learned) -> bytes:
    """The record's bytes now: those that are kept where they are equal."""
    try:
        live = canonical(store.record_type.document(record))
    except Unholdable:
        return encoded
    if live != encoded:
        return live
    known.note_record(key, record, encoded)
    return encoded


def differing(image: Side, table: Side) -> list[Any]:
    """Keys whose sides are not equal in bytes and version."""
    return [key for key in image.keys() | table.keys() if image.get(key) != table.get(key)]


def finds_planted(image: Side) -> bool:
    """Whether the comparison sees one changed byte, one missing and one extra record in a scratch copy."""
    key = next(iter(image), "planted")
    base = {key: image.get(key) or (b'{"value":1}', 1)}
    scratch = dict(base)
    encoded, version = scratch[key]
    scratch[key] = (encoded[:-1] + bytes([encoded[-1] ^ 1]) if encoded else b"x", version)
    changed = differing(base, scratch) == [key]
    del scratch[key]
    return changed and differing(base, scratch) == [key] and differing(scratch, base) == [key]


def _stream_finds_planted(sample: list[bytes], rows: Rows) -> bool:
    """The same for the comparison of rows: over a scratch copy of a few of them, and what would be known of them."""
    if not sample:
        return True
    image: Side = {}
    for line in sample:
        stored = rows.stored(line)
        image[stored.key] = (canonical(stored.document), stored.version)
    known = Learned()
    if _suspects_of(image, rows, known, sample):
        return False
    key = rows.stored(sample[0]).key
    version = str(image[key][1]).encode()
    changed = [sample[0].replace(b"\t" + version + b"\t", b"\t" + version + b"1\t"), *sample[1:]]
    lacking = {other: side for other, side in image.items() if other != key}
    return all(
        found == {key}
        for found in (
            _suspects_of(image, rows, known, changed),
            _suspects_of(image, rows, known, sample[1:]),
            _suspects_of(lacking, rows, known, sample),
            _suspects_of({**image, key: (image[key][0] + b" ", image[key][1])}, rows, known, sample),
        )
    )


def _suspects_of(image: Side, rows: Rows, known: Learned, lines: Iterable[bytes]) -> set[Any]:
    comparison = Comparison(image, rows, known)
    for line in lines:
        comparison.feed(line)
    return comparison.suspects()


def _again(store: Store, conn: psycopg.Connection[Any], keys: set[Any], image: Side, table: Side) -> set[Any]:
    assert store.table is not None
    with store.units.lock:
        _encode_live(store, keys, image)
        pending = {key for key in keys if store.unsettled.get(key)}
    statement, values = Statements.of(store.table).select_keys(sorted(literals(store, keys)))
    held = {stored.key: stored for stored in map(store.table.read, conn.execute(statement, values).fetchall())}
    for key in keys:
        stored = held.get(key)
        if stored is None:
            table.pop(key, None)
        else:
            table[key] = (canonical(stored.document), stored.version)
    return {key for key in keys if key in pending or image.get(key) != table.get(key)}


def _encode_live(store: Store, keys: Iterable[Any], image: Side) -> None:
    """Sets the image's side of these keys to the live records; to be called with the units' lock held."""
    for key in keys:
        record, kept = store.image_get(key), store.kept.get(key)
        if record is ABSENT:
            image.pop(key, None)
        else:
            image[key] = (_encoded(store, record, kept), kept.version if kept is not None else 0)


def _encoded(store: Store, record: Any, kept: Any) -> bytes:
    try:
        return canonical(store.record_type.document(record))
    except Unholdable:
        return kept.encoded if kept is not None else b""


def literals(store: Store, keys: Iterable[Any]) -> list[str]:
    """The keys as the key column's text, without those that no row can have."""
    assert store.table is not None
    found = []
    for key in keys:
        try:
            found.append(store.table.key_literal(key))
        except Unholdable:
            continue
    return found


def _count(parity: Parity, key: Any, image: tuple[bytes, int] | None, table: tuple[bytes, int] | None) -> None:
    name = key_name(key)
    if image is None and table is None:
        return
    if table is None:
        parity.missing += 1
        parity.note(Difference(name, "missing"))
    elif image is None:
        parity.extra += 1
        parity.note(Difference(name, "extra"))
    else:
        parity.different += 1
        for example in _fields(name, image, table):
            parity.note(example)
    parity.keys[key] = "missing" if table is None else "extra" if image is None else "different"


def _fields(name: str, image: tuple[bytes, int], table: tuple[bytes, int]) -> list[Difference]:
    if image[0] == table[0]:
        return [Difference(name, "version", "outlive_version", image[1], table[1])]
    mine, theirs = parse(image[0]), parse(table[0])
    fields = [f for f in {**mine, **theirs} if canonical({"v": mine.get(f)}) != canonical({"v": theirs.get(f)})]
    found = [Difference(name, "different", f, mine.get(f), theirs.get(f)) for f in fields]
    return found or [Difference(name, "different", "", list(mine), list(theirs))]
