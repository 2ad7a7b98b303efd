"""Back-fill: what image and file held when a store entered `dual_write` goes to its table, under live writes.

Changes flow first, then the keys of that moment are copied in chunks. A key that the live path has taken up in between
(it is in `kept`, or gone from the image) is left to it: live changes and deletes win. A chunk is a unit like any
other, so the committer's order is the only order.

Where the table holds rows from before, memory remembers what it knew when it left (`remembered`): a row deleted since
is deleted, a row that differs is overwritten, a row that nobody here has known is kept and joins the image. A process
that remembers nothing asks for a declared choice, unless table and memory agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg

from outlive.commit import failpoints
from outlive.commit.unit import ABSENT, WHOLE, Kept, tick
from outlive.errors import OutliveError, PhaseRefused
from outlive.stores.order import rising
from outlive.stores.store import Store
from outlive.transfer.fill import Loaded, build, read_rows

CHUNK = 200


@dataclass(slots=True)
class Progress:
    """How far a back-fill is; as outlive.phase.backfill holds it."""

    total: int = 0
    copied: int = 0
    equal: int = 0
    deleted: int = 0
    kept_rows: int = 0
    done: bool = False
    at: str = ""
    error: str | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def begin(store: Store, remembered: dict[Any, Kept] | None = None) -> list[Any]:
    """The keys that the image holds at the switch, placed in their order; to be called with the units' lock held.

    What is remembered from before keeps its place where the order allows it.
    """
    keys = [key for key, _ in store.image_items()]
    store.since = store.host.clock.next()
    store.copying = True
    store.gone.clear()
    store.views.reset()
    if remembered:
        known = [remembered[key].position if key in remembered else None for key in keys]
        store.fresh.update(zip(keys, rising(known, store.host.clock.next), strict=True))
        return keys
    base = store.host.clock.next() - len(keys)
    for offset, key in enumerate(keys):
        if store.position(key) is None:
            store.fresh[key] = base + offset
    return keys


def run(
    store: Store,
    conn: psycopg.Connection[Any],
    keys: list[Any],
    remembered: dict[Any, Kept] | None,
    prefer: str | None,
    *,
    at_home: Callable[[Callable[[], Any]], Any],
    tell: Callable[[Progress], None],
    pause_s: float = 0.0,
) -> Progress:
    """Copies `keys` and settles what the table held before. Raises PhaseRefused when a choice must be declared.

    `at_home` runs a short piece where user code runs; `tell` hears of progress after each chunk.
    """
    progress = Progress(total=len(keys))
    keys = own_parents_first(store, keys)
    rows = {row[0]: row for row in rows_before(store, conn)}
    counts = compare(store, rows, remembered)
    progress.counts = counts
    if remembered is None and prefer is None and (counts["differing"] or counts["only_table"]):
        raise PhaseRefused(store=store.name, reason=_choice(counts))
    if prefer == "table":
        at_home(lambda: _take_rows(store, rows))
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        unit = at_home(lambda chunk=chunk: _copy(store, chunk, rows, progress))  # type: ignore[misc]
        failpoints.hit("backfill.chunk")
        _wait(unit)
        tell(progress)
        if pause_s:
            time.sleep(pause_s)
    unit = at_home(lambda: _settle_rest(store, rows, set(keys), remembered, prefer, progress))
    _wait(unit)
    progress.done = True
    progress.at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    tell(progress)
    return progress


def own_parents_first(store: Store, keys: list[Any]) -> list[Any]:
    """The keys, those of records that others of the same store refer to before them; a circle stays together."""
    table = store.table
    fields = [each.field for each in table.references if each.parent == store.name] if table is not None else []
    if not fields:
        return keys
    with store.units.lock:
        records = {key: store.image_get(key) for key in keys}
    waits = {
        key: [named for field in fields if (named := store.record_type.peek(record, field)) in records]
        for key, record in records.items()
        if record is not ABSENT
    }
    placed: dict[Any, None] = {}
    seen: set[Any] = set()
    for key in keys:
        path = [key]
        while path:
            seen.add(path[-1])
            before = next((named for named in waits.get(path[-1], ()) if named not in seen), None)
            if before is not None:
                path.append(before)
            else:
                placed[path.pop()] = None
    return list(placed)


def rows_before(store: Store, conn: psycopg.Connection[Any]) -> Loaded:
    """The table's rows that were there before the switch. What the live path has written since, and may have changed
    or deleted again, is no row from before."""
    return [row for row in read_rows(conn, store) if row[2] <= store.since]


def compare(store: Store, rows: dict[Any, Any], remembered: dict[Any, Kept] | None) -> dict[str, int]:
    """How memory and table differ: only_table, only_memory, differing, equal."""
    with store.units.lock:
        items = list(store.image_items())
    counts = {"only_table": 0, "only_memory": 0, "differing": 0, "equal": 0}
    for key, record in items:
        row = rows.get(key)
        if row is None:
            counts["only_memory"] += 1
        else:
            same = encoded(store, record) == row[1]
            counts["equal" if same else "differing"] += 1
    counts["only_table"] = len(rows) - counts["equal"] - counts["differing"]
    return counts


def encoded(store: Store, record: Any) -> bytes:
    """The record's canonical bytes; of one that PostgreSQL cannot hold, as far as it can be told."""
    return store.encoded(record)


def _choice(counts: dict[str, int]) -> str:
    return (
        "the table holds rows from before and this process does not know which side is right: "
        f"only in table {counts['only_table']}, only in memory {counts['only_memory']}, differing "
        f"{counts['differing']}; declare it with OUTLIVE_PREFER=memory or OUTLIVE_PREFER=table"
    )


def _copy(store: Store, chunk: list[Any], rows: dict[Any, Any], progress: Progress) -> Any:
    """One chunk as a unit; rows that are equal already are taken over as they are."""
    with store.units.lock:
        unit = store.units.begin("back-fill")
        for key in chunk:
            record = store.image_get(key)
            if record is ABSENT or key in store.kept or store.unsettled.get(key):
                continue
            store.retrack(key, record)
            record = store.image_get(key)
            row = rows.get(key)
            if row is not None and store.position(key) == row[3] and encoded(store, record) == row[1]:
                store.kept[key] = Kept(row[1], row[2], row[3])
                store.fresh.pop(key, None)
                store.host.clock.observe(row[2])
                progress.equal += 1
                continue
            change = store._change(unit, key)
            change.stamps[WHOLE] = tick()
            progress.copied += 1
        store.units.end(unit)
        return unit


def _settle_rest(
    store: Store,
    rows: dict[Any, Any],
    known: set[Any],
    remembered: dict[Any, Kept] | None,
    prefer: str | None,
    progress: Progress,
) -> Any:
    """Rows that the image did not hold: a remembered delete deletes, the others are kept and join the image."""
    with store.units.lock:
        unit = store.units.begin("back-fill")
        joined = False
        for key, row in rows.items():
            live = key in store.gone or key in store.kept or store.unsettled.get(key)
            if key in known or live or store.image_get(key) is not ABSENT:
                continue
            if prefer == "memory" or (remembered is not None and key in remembered and prefer != "table"):
                store.kept[key] = Kept(row[1], row[2], row[3])
                change = store._change(unit, key)
                change.stamps[WHOLE] = tick()
                progress.deleted += 1
            else:
                store.image_put(key, build(store, key, row[1]))
                store.kept[key] = Kept(row[1], row[2], row[3])
                progress.kept_rows += 1
                joined = True
        if joined:
            store.reorder()
        store.units.end(unit)
        store.copying = False
        return unit


def _take_rows(store: Store, rows: dict[Any, Any]) -> None:
    """The declared choice 'table': rows replace the records of the same key."""
    with store.units.lock:
        for key, row in rows.items():
            if store.image_get(key) is not ABSENT and key not in store.kept:
                store.image_put(key, build(store, key, row[1]))


def _wait(unit: Any) -> None:
    try:
        unit.ticket.result()
    except OutliveError as error:
        raise PhaseRefused(store="back-fill", reason=str(error)) from error
