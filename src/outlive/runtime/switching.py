"""One member's part of a phase change: each move between neighbours, done between two units.

Going forward, the new behaviour begins before anything is copied (hook first). Going back, memory and file are filled
from PostgreSQL before reads move. Each switch itself is one assignment under the units' lock.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import psycopg

from outlive.commit.group import save_unlanded
from outlive.commit.unit import ABSENT, Kept
from outlive.commit.writes import Unlanded
from outlive.errors import FileHeld, PhaseRefused
from outlive.phases.machine import plan_walk
from outlive.postgres.drive import Ask, Step, drive
from outlive.postgres.upsert import Statements
from outlive.records import key_name
from outlive.runtime import splitting
from outlive.stores import files, memory, tracking
from outlive.stores.json_file import JsonFileStore
from outlive.stores.log import LogStore
from outlive.stores.mapping import MappingStore
from outlive.stores.order import rising
from outlive.stores.store import Phase, Store
from outlive.transfer import fill
from outlive.transfer.refill import Copy

if TYPE_CHECKING:
    from outlive.runtime.service import Service

log = logging.getLogger("outlive")

_SEEDED = "UPDATE outlive.phase SET seeded_at = coalesce(seeded_at, now()) WHERE service = %s AND store = %s"


def switch(service: Service, store: Store, wanted: Phase, conn: psycopg.Connection[Any] | None) -> None:
    """Take the store to `wanted`, neighbour by neighbour. Raises what a move raises; the store then stays before it.

    Back from dual_read all is in memory already, so that no connection is needed.
    """
    for move in plan_walk(store.phase, wanted):
        splitting.between_units(service, store, move.wanted, lambda: None)
        _MOVES[move.current, move.wanted](service, store, conn)
        service.watcher.waits.done(store)
        log.info("outlive: %s/%s is in phase %s", service.service, store.name, store.phase)


def settle(service: Service) -> None:
    """Wait until every unit that has ended is durable."""
    for unit in service.committer.pending():
        unit.ticket.exception()


# -- forward -------------------------------------------------------------------------------------------------------


def _enter_dual_write(service: Service, store: Store, conn: psycopg.Connection[Any]) -> None:
    if isinstance(store, JsonFileStore):
        store.refresh()
        settle(service)
    memory.refuse_grown(store)
    remembered = service.watcher.remembered.pop(store.name, None)
    for cls in record_classes(store):
        tracking.instrument(cls)

    def go() -> list[Any]:
        if isinstance(store, LogStore):
            store.number()
        positions = {key: kept.position for key, kept in store.kept.items()}
        store.fresh.update(positions)
        store.kept = {}
        store.enter("dual_write")
        return _first_keys(service, store, remembered)

    keys = splitting.between_units(service, store, "dual_write", go)
    service.watcher.start_backfill(store, keys, remembered)


def _first_keys(service: Service, store: Store, remembered: Any) -> list[Any]:
    keys: list[Any] = service.watcher.first_keys(store, remembered)
    if isinstance(store, JsonFileStore):
        store.behind = store.since
    return keys


def compare_with_table(service: Service, store: JsonFileStore) -> None:
    """After a start from file and journal, what the table has and the file missed joins, as it does after `legacy`."""
    settle(service)
    service.watcher.resuming.add(store.name)

    def go() -> list[Any]:
        with service.units.lock:
            store.fresh.update({key: kept.position for key, kept in store.kept.items()})
            store.kept = {}
            return _first_keys(service, store, None)

    keys = service.at_home(go)
    service.watcher.start_backfill(store, keys, None)


def record_classes(store: Store) -> list[type]:
    """The classes whose attribute writes must be noticed: the record type and the models inside it."""
    found: list[type] = []
    _collect(store.record_type.declared, found)
    return found


def _collect(annotation: Any, found: list[type]) -> None:
    import typing

    for part in typing.get_args(annotation):
        _collect(part, found)
    if not isinstance(annotation, type) or annotation in found or annotation.__module__ in ("builtins", "typing"):
        return
    hints = getattr(annotation, "__annotations__", None)
    if hints is None or issubclass(annotation, dict):
        return
    found.append(annotation)
    try:
        resolved = typing.get_type_hints(annotation)
    except (NameError, TypeError, AttributeError):
        resolved = {}
    for hint in resolved.values():
        _collect(hint, found)
    for sub in annotation.__subclasses__():
        _collect(sub, found)


def _enter_dual_read(service: Service, store: Store, conn: psycopg.Connection[Any]) -> None:
    _at_home(service, store, "dual_read")


def _enter_database(service: Service, store: Store, conn: psycopg.Connection[Any]) -> None:
    settle(service)
    if isinstance(store, JsonFileStore) and store.lock.held:
        store.write_file()
        archived = files.archive(store.path)
        files.Sidecar.path_of(store.path).unlink(missing_ok=True)
        store.stamp, store.in_file = None, {}
        service.watcher.note(store, "archived", {"file": str(archived)})

    def go() -> None:
        store.enter("database")
        for key, record in list(store.image_items()):
            tracking.release(record, store, key)
        store.image_reset([])
        store.kept = {}
        store.fresh.clear()

    splitting.between_units(service, store, "database", go)


# -- back ----------------------------------------------------------------------------------------------------------


def _back_to_dual_read(service: Service, store: Store, conn: psycopg.Connection[Any]) -> None:
    """Copy the table while everybody writes, then rest the committer for what has changed since; units that are queued
    by then are taken over."""
    assert service.database is not None
    if isinstance(store, JsonFileStore):
        store.lock.try_acquire()
    for cls in record_classes(store):
        tracking.instrument(cls)
    copy = Copy(store)
    try:
        with service.database.connect() as own:
            copy.snapshot(own, service.watcher.breathe)
            copy.refuse_too_large()
            copy.catch_up(own)
            _switch_over(service, store, copy, own)
    except BaseException:
        copy.drop()
        raise
    if isinstance(store, JsonFileStore) and store.lock.held:
        store.write_file()


def _switch_over(service: Service, store: Store, copy: Copy, conn: psycopg.Connection[Any]) -> None:
    def rest() -> None:
        service.committer.paused = True

    splitting.between_units(service, store, "dual_read", rest)
    try:
        service.watcher.wait_idle()
        copy.catch_up(conn)
        with service.units.lock:
            copy.install()
            for unit in service.committer.pending():
                for change in unit.changes.values():
                    if change.store is store and change.direct:
                        store.take_over(change)
            store.enter("dual_read")  # last: a reader that does not wait for the lock meets a full image
            if isinstance(store, JsonFileStore):
                store.dirty = store.read_once = True
    finally:
        service.committer.paused = False
        service.committer.wake()


def _back_to_dual_write(service: Service, store: Store, conn: psycopg.Connection[Any]) -> None:
    if isinstance(store, JsonFileStore):
        store.lock.acquire()
        store.write_file()
    _at_home(service, store, "dual_write")


def _back_to_legacy(service: Service, store: Store, conn: psycopg.Connection[Any]) -> None:
    service.watcher.stop_backfill(store)

    def go() -> None:
        service.watcher.remembered[store.name] = dict(store.kept)
        store.enter("legacy")
        if not isinstance(store, JsonFileStore):
            store.kept = {}

    if isinstance(store, JsonFileStore):
        settle(service)
        store.write_file()
    splitting.between_units(service, store, "legacy", go)
    settle(service)
    if isinstance(store, JsonFileStore):
        store.write_file()


def _at_home(service: Service, store: Store, phase: Phase) -> None:
    splitting.between_units(service, store, phase, lambda: store.enter(phase))


_MOVES: dict[tuple[str, str], Any] = {
    ("legacy", "dual_write"): _enter_dual_write,
    ("dual_write", "dual_read"): _enter_dual_read,
    ("dual_read", "database"): _enter_database,
    ("database", "dual_read"): _back_to_dual_read,
    ("dual_read", "dual_write"): _back_to_dual_write,
    ("dual_write", "legacy"): _back_to_legacy,
}


# -- a file beside a table -----------------------------------------------------------------------------------------


def mark_seeded(service: Service, store: Store) -> Step[None]:
    """A store is seeded once in its life."""
    yield Ask(_SEEDED, (service.service, store.name))


def lineage(store: JsonFileStore, rows: list[Any]) -> dict[Any, Kept] | None:
    """What the file is known to have held of the table's rows when we wrote it last, by the sidecar; None: unknown."""
    sidecar = files.Sidecar.read(store.path)
    if sidecar is None:
        return None
    folded = sidecar.folded
    return {
        key: Kept(enc, ver, pos)
        for key, enc, ver, pos in rows
        if ver <= sidecar.upto or ver <= folded.get(key_name(key), 0)
    }


def newer_rows(store: Store, rows: list[Any], known: dict[Any, Kept]) -> list[Any]:
    """Rows that landed after our last write of the file: a crash kept them from it, so they count before it.

    What the file does not have at all stands behind it, in the table's order. Returns those keys; they are to be
    copied like the file's own, as far as their places have changed.
    """
    with store.units.lock:
        free = [row for row in rows if not _live(store, row[0])]
        late = [row for row in free if row[0] not in known]
        came = [row[0] for row in late if store.image_get(row[0]) is ABSENT]
        for key, encoded, _, _ in late:
            held = store.image_get(key)
            if held is ABSENT or store.encoded(held) != encoded:
                store.image_put(key, fill.build(store, key, encoded))
        if late:
            _place(store, {row[0]: row[3] for row in free}, set(came))
        return came


def _live(store: Store, key: Any) -> bool:
    """Whether the live path has taken the key up since the switch."""
    return key in store.kept or key in store.gone or bool(store.unsettled.get(key))


def _place(store: Store, held: dict[Any, Any], came: set[Any]) -> None:
    """The file's own order, then what came from the table in its order; places of the table where they allow it."""
    keys = [key for key, _ in store.image_items() if not _live(store, key)]
    keys = [key for key in keys if key not in came] + sorted(came, key=lambda key: held[key])
    places = rising([held.get(key) for key in keys], store.host.clock.next)
    store.fresh.update(zip(keys, places, strict=True))
    store.views.reset()
    store.reorder()


def first_sidecar(store: JsonFileStore) -> None:
    """The file has held nothing of the table yet; from here on a start can tell."""
    if store.path.exists() and files.Sidecar.read(store.path) is None:
        now = files.digest(store.path.read_bytes())
        files.Sidecar(now, now, 0, 0, store.phase, time.time()).write(store.path)


def stay_deleted(service: Service, store: Store, conn: psycopg.Connection[Any]) -> None:
    """Records whose delete landed after the file was last written do not come back.

    What the file held of them is kept unlanded, unless the file is as we wrote it: then nothing but the delete is news.
    """
    assert store.table is not None
    upto, folded, ours = 0, {}, False
    if isinstance(store, JsonFileStore) and (sidecar := files.Sidecar.read(store.path)) is not None:
        upto, folded = sidecar.upto, sidecar.folded
        ours = sidecar.upto_of(files.digest(store.path.read_bytes())) is not None
    buried = fill.tombstones(conn, store)
    rows = {key for key, *_ in fill.read_rows(conn, store)}
    entries = []
    with store.units.lock:
        for key, record in list(store.image_items()):
            version = buried.get(fill.literal(store, key), 0)
            if key in rows or _live(store, key) or version <= upto or version <= folded.get(key_name(key), 0):
                continue
            if not ours:
                entries.append(Unlanded(store, key, "put", version - 1, 0, store.document(record)[0], _LATE))
            store.image_drop(key)
            store.fresh.pop(key, None)
    me = service.committer.member
    drive(save_unlanded(entries, me.id if me is not None else 0), conn)


_LATE = "deleted in PostgreSQL after the file was last written"


def settled_versions(store: Store, keys: list[Any]) -> dict[Any, int]:
    """Versions of these records as memory has them, without those that units are writing."""
    with store.units.lock:
        return {
            key: store.kept[key].version
            for key in keys
            if key in store.kept and key not in store.unsettled and key not in store.outside
        }


def row_versions(store: Store, keys: list[Any], conn: psycopg.Connection[Any]) -> dict[Any, int]:
    """The same as PostgreSQL has them."""
    assert store.table is not None
    statement, values = Statements.of(store.table).select_keys(sorted(fill.literal(store, key) for key in keys))
    return {stored.key: stored.version for stored in map(store.table.read, conn.execute(statement, values).fetchall())}


def compare_file(service: Service, store: JsonFileStore) -> None:
    """At a start from dual_write on: an edit of the file by another hand is taken in, or kept aside and reported."""
    stamp = files.stamp_of(store.path)
    store.read_once = True
    store.stamp = stamp
    if stamp is None:
        store.dirty = True
        return
    content = store.path.read_bytes()
    sidecar = files.Sidecar.read(store.path)
    store.format = files.format_of(content.decode("utf-8", "surrogatepass"), store.format)
    if sidecar is not None and sidecar.upto_of(files.digest(content)) is not None:
        store.in_file = {key: kept.encoded for key, kept in store.kept.items()}
        store.dirty = True
    elif sidecar is not None and store.phase == "dual_write":
        store.in_file = {key: k.encoded for key, k in store.kept.items() if k.version <= sidecar.upto}
        store.take_in(stamp)
    else:
        aside = files.keep_aside(store.path)
        store.set_aside.append(str(aside))
        store.dirty = True
        log.error("outlive: %s was edited while PostgreSQL was in charge; kept aside as %s", store.path, aside)
        service.watcher.note(store, "file_set_aside", {"file": str(aside)})


def hold_file(store: JsonFileStore, phase: Phase) -> None:
    """Before dual_read one process has the file; later whoever comes first writes it behind. Raises FileHeld."""
    if phase in ("legacy", "dual_write"):
        store.lock.acquire()
    elif not store.lock.try_acquire():
        try:
            store.lock.acquire()
        except FileHeld as held:
            log.info("outlive: %s is written by process %s", store.path, held.pid)


def count_rows(conn: psycopg.Connection[Any], store: Store) -> int:
    """How many rows the store's table holds."""
    assert store.table is not None

    def step() -> Step[int]:
        rows = yield Ask(*Statements.of(store.table).count())  # type: ignore[arg-type]
        return int(rows[0][0])

    return drive(step(), conn)


def watch(store: Store) -> None:
    """Note the next use of a mapping, for the gate to `database`."""
    if isinstance(store, MappingStore):
        store.watch()


def refuse(store: Store, reason: str) -> PhaseRefused:
    """The error of a start that cannot go on."""
    return PhaseRefused(store=store.name, reason=reason)
