"""Opening a service: from declared stores to stores that serve, whatever PostgreSQL and the environment say."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from outlive.commit.group import from_payload, payload_stores
from outlive.commit.unit import ABSENT, Kept
from outlive.commit.writes import Write, fold
from outlive.errors import FileStale, GateClosed, JournalCorrupt, OutliveError, PhaseRefused, Unreachable
from outlive.phases import flags, machine
from outlive.phases.changes import Order
from outlive.phases.control import walk
from outlive.phases.flow import run
from outlive.postgres import embedded
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.derive import check_tables, ensure_derived
from outlive.postgres.drive import Ask, Step, drive
from outlive.postgres.migrate import migrate_service, upgrade_control
from outlive.postgres.relations import relate
from outlive.postgres.tables import StoreTable
from outlive.postgres.tenancy import check_session
from outlive.records import canonical, key_name
from outlive.runtime import member, perishing, switching, upkeep
from outlive.runtime.watch import Watcher
from outlive.stores import files
from outlive.stores.json_file import JsonFileStore
from outlive.stores.store import Phase, Store
from outlive.transfer import fill

if TYPE_CHECKING:
    from outlive.runtime.service import Service

log = logging.getLogger("outlive")

_ROW = """
INSERT INTO outlive.phase (service, store, phase, epoch, changed_at, changed_by, reason)
VALUES (%s, %s, %s, 1, now(), 'start', 'first declared') ON CONFLICT (service, store) DO NOTHING
"""
_PHASES = """
SELECT store, phase, seeded_at IS NOT NULL, pins_overridden, coalesce((backfill->>'done')::bool, false), epoch
FROM outlive.phase WHERE service = %s
"""
_OTHERS = """
SELECT id FROM outlive.member WHERE service = %s AND id <> %s AND left_at IS NULL AND written_off_at IS NULL
"""
_WITHOUT = "started without PostgreSQL"
_MOVE_ROW = """
UPDATE outlive.phase AS p SET phase = %s, changed_at = now(), changed_by = 'start', backfill = NULL,
       reason = 'started without PostgreSQL', epoch = s.epoch + 1
FROM outlive.service AS s WHERE s.service = p.service AND p.service = %s AND p.store = %s AND p.phase <> %s
RETURNING p.epoch
"""
_RAISE = "UPDATE outlive.service SET epoch = %s WHERE service = %s"
_EVENT = "INSERT INTO outlive.event (service, store, kind, actor, detail) VALUES (%s, %s, %s, %s, %s)"
SKIPPED = frozenset({"unpinned", "way_back", "connection_budget"})


def open_service(service: Service) -> None:
    """Everything between closed and open. Raises what keeps the service from serving."""
    service.watcher = Watcher(service)
    service.units.hold_s = service.settings.open_unit_s
    service.from_image.load()
    perishing.judge(service)
    find_database(service)
    _hold_files(service)
    service.resources.claim()
    _report_damage(service)
    if _reachable(service):
        prepare(service)
        _open_with(service)
    else:
        _open_without(service)
    service.watcher.following = False
    service.from_image.attend()
    service.from_image.remember()


def desired(service: Service, store: Any, row: Phase | None, overridden: bool = False) -> Phase:
    """The phase that environment, an order without PostgreSQL, row and declaration ask for."""
    row = service.from_image.target(store.name) or row
    return flags.resolve(service.environment, store.name, row, store.default_phase, pins_overridden=overridden).phase


# -- is there a database -------------------------------------------------------------------------------------------


def find_database(service: Service) -> bool:
    """Whether an address is known now. The embedded server is started only where a store needs it; in `legacy` one
    that runs already is used."""
    if service.database is not None:
        return True
    settings = service.settings
    address = Address.from_settings(settings)
    if address is not None:
        service.database = Database(address, settings)
    elif _needs_database(service) or embedded.running(settings.home) is not None:
        service.database = Database.from_settings(settings)
    return service.database is not None


def _needs_database(service: Service) -> bool:
    past = service.from_image.phases()
    return any(desired(service, each, past.get(each.name)) != "legacy" for each in service.everything())


def _reachable(service: Service) -> bool:
    if service.database is None:
        return False
    try:
        service.database.connect().close()
    except Unreachable as error:
        if not _may_go_without(service):
            raise
        log.warning("outlive: starting without PostgreSQL: %s", error)
        return False
    return True


def _may_go_without(service: Service) -> bool:
    past = service.from_image.phases()
    for store in service.stores.values():
        phase = desired(service, store, past.get(store.name))
        if phase not in ("legacy", "dual_write") or (phase == "dual_write" and not isinstance(store, JsonFileStore)):
            return False
    return True


def _hold_files(service: Service) -> None:
    past = service.from_image.phases()
    for store in service.stores.values():
        if isinstance(store, JsonFileStore):
            switching.hold_file(store, desired(service, store, past.get(store.name)))


def _report_damage(service: Service) -> None:
    for journal in service.resources.orphans:
        for damage in journal.damage:
            assert isinstance(damage, JournalCorrupt)
            log.error("outlive: %s", damage)
    names = {name for payload in service.resources.all_frames() for name in payload_stores(payload)}
    for unknown in sorted(names - set(service.stores)):
        reason = "a journal of an earlier run holds changes of this store, and it is not declared any more"
        raise PhaseRefused(store=unknown, reason=reason)


# -- with PostgreSQL -----------------------------------------------------------------------------------------------


def prepare(service: Service) -> None:
    """Migrate, check the tables, know the rows, join as a member, begin to commit."""
    assert service.database is not None
    database = service.database
    upgrade_control(database)
    if service.migrations is not None:
        name = service.version_table or f"{service.service}_version"
        migrate_service(database, service.migrations, name)
    _tables(service, database)
    with database.connect() as conn:
        for each in service.everything():
            conn.execute(_ROW, (service.service, each.name, _first_phase(service, each)))
    service.committer.wanted = True
    _run_committer(service)


def _first_phase(service: Service, store: Any) -> Phase:
    """Where a store begins that nobody has known: at once where the environment wants it, for it holds nothing but
    seeds; a file may hold records, so it walks through the gates."""
    return store.default_phase if isinstance(store, JsonFileStore) else desired(service, store, None)


def _tables(service: Service, database: Database) -> None:
    derived: list[StoreTable] = []
    given: list[StoreTable] = []
    for store in service.stores.values():
        if store.table is None:
            if store.model is None:
                store.table = StoreTable.derive(
                    service.service, store.name, store.record_type, store.key_field, store.options
                )
            else:
                store.table = StoreTable.from_model(
                    service.service, store.name, store.record_type, store.key_field, store.model, store.options
                )
        (derived if store.model is None else given).append(store.table)
    relate({name: store.table for name, store in service.stores.items() if store.table is not None})
    if derived:
        ensure_derived(database, derived)
    if given:
        check_tables(database, given)
    check_session(database, [*derived, *given])
    with database.connect() as conn:
        upkeep.partitions(conn, [*derived, *given])


def _run_committer(service: Service) -> None:
    """Start the committer where it does not run, and wait until it has joined."""
    from outlive.commit.drivers import ThreadDriver

    driver = service.driver
    if isinstance(driver, ThreadDriver) and not driver._thread.is_alive():
        driver.start()
    service.committer.wake()
    ends = time.monotonic() + service.settings.connect_timeout_s + 5
    while not service.committer.connected and time.monotonic() < ends:
        time.sleep(0.005)
    if not service.committer.connected:
        raise Unreachable(address="PostgreSQL", reason="the committer could not join")


def _open_with(service: Service) -> None:
    assert service.database is not None
    _drain(service)
    with service.database.connect() as conn:
        drive(member.bury(service), conn)
        service.from_image.reconcile_at_start(conn)
        rows = {row[0]: row for row in conn.execute(_PHASES, (service.service,)).fetchall()}
        service.from_image.heard({name: (row[1], row[5]) for name, row in rows.items()})
        order = sorted(service.stores.values(), key=lambda store: store.table.rank if store.table is not None else 0)
        for store in order:
            _open_store(service, store, rows[store.name], conn)
        for name, counter in service.counters.items():
            counter.phase = rows[name][1]
            if counter.phase != "legacy":
                counter.raise_to(drive(counter.stored(), conn))
        service.watcher.start()
        everything: list[Any] = [*order, *service.counters.values()]
        for each in everything:
            wanted = desired(service, each, rows[each.name][1], rows[each.name][3])
            if wanted != rows[each.name][1]:
                walk_to(service, each, wanted, conn)


def _drain(service: Service, timeout_s: float = 120.0) -> None:
    """Journals are replayed before the service serves."""
    ends = time.monotonic() + timeout_s
    service.committer.wake()
    while service.journal_units() and time.monotonic() < ends:
        time.sleep(0.005)
    if service.journal_units():
        raise PhaseRefused(store=service.service, reason="a journal of an earlier run could not be replayed")


def _open_store(service: Service, store: Store, row: Any, conn: psycopg.Connection[Any]) -> None:
    _, phase, seeded, _, copied, _ = row
    if phase == "legacy":
        if isinstance(store, JsonFileStore):
            store.enter("legacy")
            store.read()
        return
    if not seeded or (not copied and phase == "dual_write" and isinstance(store, JsonFileStore)):
        _seed(service, store, phase, conn)
        return
    for cls in switching.record_classes(store):
        from outlive.stores import tracking

        tracking.instrument(cls)
    store.enter(phase)
    if phase == "database":
        store.image_reset([])
        return
    seeds = store.image_size()
    service.watcher.refill_ms[store.name] = fill.fill(store, conn)
    if seeds:
        service.watcher.note(store, "seed_discarded", {"records": seeds})
    if isinstance(store, JsonFileStore):
        switching.compare_file(service, store)
    service.watcher.backfills[store.name] = {"done": True}


def _seed(service: Service, store: Store, phase: Phase, conn: psycopg.Connection[Any]) -> None:
    """The first content of a store whose row says that PostgreSQL is in charge already, or the rest of a back-fill
    that a crash cut short: what the table holds comes first, and what was deleted from it stays deleted."""
    service.watcher.resuming.add(store.name)
    if isinstance(store, JsonFileStore):
        store.enter("legacy")
        store.read()
    switching.switch(service, store, "dual_write", conn)
    service.watcher.stop_backfill(store)
    if service.watcher.backfills[store.name].get("error"):
        raise PhaseRefused(store=store.name, reason=service.watcher.backfills[store.name]["error"])
    drive(switching.mark_seeded(service, store), conn)
    switching.switch(service, store, phase, conn)


def walk_to(service: Service, store: Any, wanted: Phase, conn: psycopg.Connection[Any]) -> None:
    """Walk the phases between, back-fill and verify included, before serving. Raises GateClosed naming the gate."""
    order = Order(
        service=service.service, store=store.name, actor="start", reason="the environment asks for it", skip=SKIPPED,
        wait_s=60.0, poll_s=0.02,
    )  # fmt: skip
    drive(member.seen(service), conn)
    try:
        run(walk(order, wanted, follow=True), conn)
    except GateClosed as closed:
        raise PhaseRefused(store=store.name, reason=f"the environment asks for {wanted}, but {closed}") from closed
    ends = time.monotonic() + 30
    while store.phase != wanted and time.monotonic() < ends:
        time.sleep(0.005)
    service.watcher.stop_backfill(store)
    error = service.watcher.backfills.get(store.name, {}).get("error")
    if error:
        raise PhaseRefused(store=store.name, reason=f"its back-fill stopped: {error}")


# -- without PostgreSQL --------------------------------------------------------------------------------------------


def _open_without(service: Service) -> None:
    """`legacy`, or files and journals until PostgreSQL is back. Raises FileStale where a file is too old for that."""
    past = service.from_image.phases()
    for store in service.stores.values():
        before = past.get(store.name, "legacy")
        if isinstance(store, JsonFileStore):
            store.enter("legacy")
            _refuse_stale(service, store, before)
            _bring_back(store)
            store.read()
        if before != "legacy":
            service.degraded = f"PostgreSQL was in charge of {store.name} ({before}) and is away"
    _replay_into_memory(service)
    for store in service.stores.values():
        phase = desired(service, store, past.get(store.name))
        if phase == "dual_write":
            store.enter("dual_write")
            if isinstance(store, JsonFileStore):
                store.behind = service.clock.next()  # of what the file held nobody can say how old it is
    from outlive.commit.drivers import ThreadDriver

    if isinstance(service.driver, ThreadDriver):
        service.driver.start()
    service.watcher.start()


def _refuse_stale(service: Service, store: JsonFileStore, before: Phase) -> None:
    if machine.rank(before) < machine.rank("database") or service.accept_stale:
        return
    if service.environment.get("OUTLIVE_ACCEPT_STALE", "").lower() in ("1", "true", "yes", "on"):
        return
    found = store.path if store.path.exists() else files.archived(store.path)
    age = "unknown" if found is None else f"{(time.time() - found.stat().st_mtime) / 3600:.1f} h"
    raise FileStale(path=str(store.path), age=age, phase=before)


def _bring_back(store: JsonFileStore) -> None:
    """A stale start was accepted and the file is archived: its newest copy takes its place again."""
    copy = files.archived(store.path)
    if not store.path.exists() and copy is not None:
        files.replace(store.path, copy.read_bytes())


def _replay_into_memory(service: Service) -> None:
    """Acknowledged writes that only a journal holds join the files' records; the journal stays for PostgreSQL."""
    writes: list[Write] = []
    for payload in service.resources.all_frames():
        writes += from_payload(payload, service.find_store, service.key_of)
    for name, by_key in fold(writes, []).items():  # who lost is told when PostgreSQL has them
        store = service.stores[name]
        if not isinstance(store, JsonFileStore):
            continue
        for key, write in sorted(by_key.items(), key=lambda item: item[1].position):
            _apply(store, key, write)
        store.reorder()
        content, _, encoded = store.content()
        sidecar = files.Sidecar.read(store.path)
        folded = {**(sidecar.folded if sidecar else {}), **{key_name(key): w.version for key, w in by_key.items()}}
        files.write_with_sidecar(store.path, content, sidecar.upto if sidecar else 0, "legacy", folded)
        store.stamp, store.in_file = files.stamp_of(store.path), encoded


def _apply(store: JsonFileStore, key: Any, write: Write) -> None:
    if write.op == "delete" or write.document is None:
        if store.image_get(key) is not ABSENT:
            store.image_drop(key)
        store.kept.pop(key, None)
        return
    encoded = canonical(write.document)
    known = store.kept.get(key)
    # the file's own records were placed when it was read, later than the journal's: what is new stands behind them
    position = known.position if known is not None else store.host.clock.next()
    store.image_put(key, fill.build(store, key, encoded))
    store.kept[key] = Kept(encoded, write.version, position)


def reconcile(service: Service) -> None:
    """PostgreSQL is there after a start without it: journals drain, and rows follow what the environment pinned.

    A row changes only while this process is alone; else the difference stays, named in `status`.
    """
    if service.degraded is None or service.database is None:
        return
    with service.database.connect() as conn:
        drive(member.bury(service), conn)
        for name, store in service.stores.items():
            if service.from_image.target(name) is None:
                drive(_follow_pin(service, name, store.phase), conn)
            if isinstance(store, JsonFileStore) and store.behind and store.phase == "dual_write":
                switching.compare_with_table(service, store)
    service.degraded = None


def _follow_pin(service: Service, name: str, phase: Phase) -> Step[None]:
    me = service.committer.member
    others = yield Ask(_OTHERS, (service.service, me.id if me is not None else 0))
    if others:
        log.error("outlive: %s is in %s here, and other members of %s are live", name, phase, service.service)
        return
    rows = yield Ask(_MOVE_ROW, (phase, service.service, name, phase))
    if rows:
        yield Ask(_RAISE, (rows[0][0], service.service))
        yield Ask(_EVENT, (service.service, name, "phase", "start", Jsonb({"to": phase, "reason": _WITHOUT})))


def describe(error: OutliveError) -> str:
    """The error and its hint, for a start that fails."""
    return f"{error}\n  next: {error.hint}"
