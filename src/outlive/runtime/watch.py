"""The watcher: one thread a process that polls PostgreSQL, the only control plane.

It follows the phase rows, acknowledges epochs, reports, answers the operator's requests, writes files behind, scrubs,
and finds out that PostgreSQL is there at all where the process began without it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from outlive.errors import OutliveError, PhaseRefused
from outlive.phases import flags
from outlive.postgres.drive import Ask, Step, drive
from outlive.postgres.upsert import Statements
from outlive.records import canonical, key_name
from outlive.runtime import answers, member, scrub, splitting, switching, upkeep
from outlive.runtime.revive import Reviver
from outlive.stores.json_file import JsonFileStore
from outlive.stores.mapping import MappingStore
from outlive.stores.store import Phase, Store
from outlive.transfer import backfill, fill

if TYPE_CHECKING:
    from outlive.runtime.service import Service

log = logging.getLogger("outlive")
REPORT_S = 1.0

_ROWS = "SELECT store, phase, epoch, pins_overridden, backfill FROM outlive.phase WHERE service = %s"
_EPOCH = "SELECT epoch FROM outlive.service WHERE service = %s"
_BACKFILL = """
UPDATE outlive.phase SET backfill = %s, seeded_at = coalesce(seeded_at, now()) WHERE service = %s AND store = %s
"""
_EVENT = "INSERT INTO outlive.event (service, store, kind, actor, detail) VALUES (%s, %s, %s, %s, %s)"
_SUPERSEDED = """
UPDATE outlive.unlanded SET settled_at = now(), settled_how = 'superseded'
WHERE service = %s AND store = %s AND key = %s AND version <= %s AND settled_at IS NULL
"""
_OPEN = "SELECT store, count(*) FROM outlive.unlanded WHERE service = %s AND settled_at IS NULL GROUP BY store"


class Watcher:
    """Runs `tick` every `poll_s`; every tick is complete in itself, so a failed one costs a tick."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.conn: psycopg.Connection[Any] | None = None
        self.refill_ms: dict[str, float] = {}
        self.backfills: dict[str, dict[str, Any]] = {}
        self.remembered: dict[str, Any] = {}
        self.following = True  # the rows, whatever the environment says: while a start walks
        self.prefer = service.settings.prefer
        self.resuming: set[str] = set()
        self.waits = splitting.Waits(service)
        self.reviver = Reviver(service)
        self._events: list[tuple[str | None, str, dict[str, Any]]] = []
        self._stop = threading.Event()
        self._nudge = threading.Event()
        self._copies: dict[str, threading.Thread] = {}
        self._thread = threading.Thread(target=self._run, name="outlive-watcher", daemon=True)
        self._lock = threading.RLock()
        self._reported = 0.0
        self._scrubbed = time.monotonic()
        self._armed = 0.0
        self._tidy_at = 0.0
        self._ack: Future[Any] | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a tick in progress finishes."""
        self._stop.set()
        self._nudge.set()
        if self._thread.is_alive():
            self._thread.join(30)
        for copy in list(self._copies.values()):
            copy.join(30)

    def abandon(self) -> None:
        """End the thread and give up connection and files, saying nothing to anybody."""
        self.stop()
        self._drop()
        for store in list(self.service.stores.values()):
            if isinstance(store, JsonFileStore):
                store.lock.release()

    def nudge(self) -> None:
        """Tick now."""
        self._nudge.set()

    def scrub_age_s(self) -> float:
        """Seconds since the last complete scrub."""
        return round(time.monotonic() - self._scrubbed, 3)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.tick()
            except (psycopg.Error, OutliveError, OSError) as error:
                log.debug("outlive: watcher: %s", error)
                self._drop()
            except Exception:
                log.exception("outlive: the watcher failed; it goes on")
                self._drop()
            self._nudge.wait(self.service.settings.poll_s)
            self._nudge.clear()

    def _drop(self) -> None:
        if self.conn is not None:
            self.conn.close()
        self.conn = None

    # -- one tick ----------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Everything that is due."""
        with self._lock:
            self._revive()
            self.write_behind()
            self._scrub_if_due()
            self._arm()
            self._tend()
            service = self.service
            service.from_image.attend()
            try:
                there = self.connected()
            except (psycopg.Error, OutliveError, OSError):
                service.from_image.look(away=True)
                raise
            if there:
                assert self.conn is not None
                service.from_image.reconcile(self.conn)
                self._reconcile()
                self._follow()
                self._tell()
            service.from_image.look(away=not there)
            service.from_image.remember()

    def _tend(self) -> None:
        """Indexes follow their records, in pieces of a few milliseconds."""
        for store in list(self.service.stores.values()):
            while store.views.tend() and not self._stop.wait(0.001):
                pass

    def _revive(self) -> None:
        if self.reviver.look():
            self._drop()
            self._events.append((None, "server_revived", {"server": "embedded"}))
            self.service.committer.wake()

    def _reconcile(self) -> None:
        if self.service.degraded is not None and not self.service.journal_units():
            from outlive.runtime import opening

            opening.reconcile(self.service)

    def connected(self) -> bool:
        """Whether there is a connection, made now if PostgreSQL is there."""
        if self.conn is not None and not self.conn.closed:
            return True
        from outlive.runtime import opening

        if self.service.database is None and not opening.find_database(self.service):
            return False
        assert self.service.database is not None
        if not self.service.committer.wanted:
            opening.prepare(self.service)
        elif not self.service.committer.connected:
            return False
        self.conn = self.service.database.connect()
        return True

    def write_behind(self, *, at_once: bool = False) -> None:
        """Bring files up to what is kept, where they are no longer in charge."""
        for store in list(self.service.stores.values()):
            if isinstance(store, JsonFileStore) and store.phase in ("dual_write", "dual_read"):
                if store.lock.held:
                    store.refresh()
                if store.dirty and store.lock.held and (at_once or store.write_is_due()):
                    switching.settle(self.service)
                    store.write_file()

    def _scrub_if_due(self) -> None:
        if time.monotonic() - self._scrubbed >= self.service.settings.scrub_s:
            self.scrub()

    def scrub(self) -> int:
        """One complete scrub; how many records it found changed."""
        found = scrub.scrub(self.service, self._stop.wait)
        self._scrubbed = time.monotonic()
        return found

    def _arm(self) -> None:
        if time.monotonic() - self._armed > REPORT_S:
            self._armed = time.monotonic()
            for store in list(self.service.stores.values()):
                switching.watch(store)

    # -- phases ------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        assert self.conn is not None
        service = self.service
        # The epoch first: a change between the two is then acknowledged by the next tick, never before its switch.
        epochs = self.conn.execute(_EPOCH, (service.service,)).fetchall()
        rows = {row[0]: row for row in self.conn.execute(_ROWS, (service.service,)).fetchall()}
        service.from_image.heard({name: (row[1], row[2]) for name, row in rows.items()})
        in_place = not service.from_image.standing
        for name, store in list(service.stores.items()):
            if name in rows:
                wanted = self.wanted(store, rows[name])
                if store.phase != wanted:
                    in_place = self._switch(store, wanted) and in_place
                else:
                    self.waits.done(store)
        for name, counter in service.counters.items():
            if name in rows:
                self._switch_counter(counter, rows[name][1])
        self._log_events()  # whoever waits for the acknowledgement finds what happened on the way
        if in_place and epochs:
            self._acknowledge(epochs[0][0])
        answers.serve(self)

    def wanted(self, store: Store, row: Any) -> Phase:
        """The phase that this process shall be in."""
        if self.service.from_image.target(store.name) is not None:
            return store.phase  # until the row is where the operator wants it
        if self.following:
            phase: Phase = row[1]
            return phase
        found = flags.resolve(self.service.environment, store.name, row[1], store.default_phase, pins_overridden=row[3])
        return found.phase

    def _switch(self, store: Store, wanted: Phase) -> bool:
        assert self.conn is not None
        if not self.waits.clear(store):
            self._nudge.set()
            return False
        try:
            switching.switch(self.service, store, wanted, self.conn)
        except OutliveError as error:
            log.error("outlive: %s cannot enter %s: %s", store.name, wanted, error)
            self.backfills[store.name] = {"done": False, "error": str(error)}
            return False
        self._reported = 0.0
        return True

    def _switch_counter(self, counter: Any, wanted: Phase) -> None:
        if counter.phase == wanted:
            return
        assert self.conn is not None
        if counter.phase == "legacy":
            drive(counter.carry_over(), self.conn)
        elif wanted == "legacy":
            counter.raise_to(drive(counter.stored(), self.conn))
        counter.phase = wanted

    def _acknowledge(self, epoch: int) -> None:
        me = self.service.committer.member
        if me is not None and me.epoch < epoch and (self._ack is None or self._ack.done()):
            self._ack = self.service.committer.aside(member.acknowledge(self.service, epoch))
            self._ack.add_done_callback(lambda done: done.exception())

    # -- back-fill ---------------------------------------------------------------------------------------------

    def first_keys(self, store: Store, remembered: Any) -> list[Any]:
        """The keys to back-fill, noted in the same moment as the switch."""
        return backfill.begin(store, remembered)

    def start_backfill(self, store: Store, keys: list[Any], remembered: Any) -> None:
        """Copy in a thread of its own, so that heartbeats go on."""
        self.backfills[store.name] = {"done": False, "copied": 0, "total": len(keys)}
        thread = threading.Thread(
            target=self._backfill, args=(store, keys, remembered), name=f"outlive-backfill-{store.name}", daemon=True
        )
        self._copies[store.name] = thread
        thread.start()

    def stop_backfill(self, store: Any) -> None:
        """Wait for a running copy."""
        thread = self._copies.pop(store.name, None)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _backfill(self, store: Store, keys: list[Any], remembered: Any) -> None:
        service = self.service
        assert service.database is not None

        def tell(progress: backfill.Progress) -> None:
            if self._stop.is_set():
                raise OutliveError
            self.backfills[store.name] = progress.facts()

        try:
            switching.settle(service)  # what was encoded in `legacy` is final, so the copy need not leave it out
            with service.database.connect() as conn:
                known = self._known(store, conn, keys, remembered)
                done = backfill.run(
                    store,
                    conn,
                    keys,
                    known,
                    self.prefer,
                    at_home=service.at_home,
                    tell=tell,
                    pause_s=service.settings.backfill_pause_s,
                )
                if isinstance(store, JsonFileStore):
                    store.behind, store.dirty = 0, True
                self.scrub()
                switching.settle(service)
                conn.execute(_BACKFILL, (Jsonb(done.facts()), service.service, store.name))
        except (psycopg.Error, OutliveError, OSError) as error:
            log.error("outlive: back-fill of %s stopped: %s", store.name, error)
            self.backfills[store.name] = {"done": False, "error": str(error), "total": len(keys)}

    def _known(self, store: Store, conn: psycopg.Connection[Any], keys: list[Any], remembered: Any) -> Any:
        if remembered is not None:
            return remembered
        rows = backfill.rows_before(store, conn)
        known = switching.lineage(store, rows) if isinstance(store, JsonFileStore) else None
        if known is None and store.name in self.resuming:
            known = {}
        if known is not None:
            keys += switching.newer_rows(store, rows, known)
            switching.stay_deleted(self.service, store, conn)
        if isinstance(store, JsonFileStore) and not rows:
            switching.first_sidecar(store)
        return known

    # -- telling -----------------------------------------------------------------------------------------------

    def note(self, store: Store, kind: str, detail: dict[str, Any]) -> None:
        """An event for the log, written with the next tick."""
        self._events.append((store.name, kind, detail))

    def _log_events(self) -> None:
        assert self.conn is not None
        while self._events:
            name, kind, detail = self._events[0]
            me = self.service.committer.member
            actor = f"member {me.id if me is not None else '?'}"
            self.conn.execute(_EVENT, (self.service.service, name, kind, actor, Jsonb(detail)))
            self._events.pop(0)

    def _tell(self) -> None:
        self._log_events()
        self._supersede()
        self._reread()
        self._shadow()
        if time.monotonic() - self._reported >= REPORT_S:
            self.report()
        if time.monotonic() >= self._tidy_at:
            self._tidy()

    def beat(self) -> None:
        """Heartbeat if one is due; for whatever keeps a tick from its end."""
        if self.conn is not None and time.monotonic() - self._reported >= REPORT_S:
            self.report()

    def breathe(self) -> None:
        """A moment in a long copy: heartbeat. Raises PhaseRefused when the process is ending."""
        if self._stop.is_set():
            raise PhaseRefused(store=self.service.service, reason="this process is ending")
        self.beat()

    def _tidy(self) -> None:
        assert self.conn is not None
        more = upkeep.tidy(self.conn, self.service.service, self.service.settings.keep_days)
        if not more:
            upkeep.partitions(self.conn, [store.table for store in self.service.stores.values() if store.table])
        self._tidy_at = time.monotonic() + (0 if more else upkeep.EVERY_S)

    def report(self) -> None:
        """Heartbeat now."""
        assert self.conn is not None
        service = self.service
        counts = dict(self.conn.execute(_OPEN, (service.service,)).fetchall())
        for name, store in list(service.stores.items()):
            store.stats["unlanded"] = counts.get(name, 0)
        drive(member.seen(service), self.conn)
        service.from_image.count(self.conn)
        self._reported = time.monotonic()

    def _supersede(self) -> None:
        assert self.conn is not None
        landing = self.service.landing
        with self.service.units.lock:
            done, landing.superseded = landing.superseded, []
        for store, key, version in done:
            self.conn.execute(_SUPERSEDED, (self.service.service, store.name, key_name(key), version))

    def _shadow(self) -> None:
        """Sampled reads against PostgreSQL, by version; only what is settled can be told."""
        assert self.conn is not None
        by_store: dict[Store, list[Any]] = {}
        while self.service.sampled:
            store, key = self.service.sampled.popleft()
            by_store.setdefault(store, []).append(key)
        for store, keys in by_store.items():
            seen = switching.settled_versions(store, keys)
            held = switching.row_versions(store, list(seen), self.conn)
            again = switching.settled_versions(store, list(seen))
            store.stats["shadowed"] += len(seen)
            differing = [key for key, version in seen.items() if again.get(key) == version != held.get(key)]
            store.stats["shadow_differences"] += len(differing)
            for key in differing:
                log.error("outlive: %s[%r]: a read from memory differs from PostgreSQL", store.name, key)

    def _reread(self) -> None:
        """Records that lost to a newer change are read again from PostgreSQL into the same objects."""
        assert self.conn is not None
        if self.service.journal_units():
            return  # the journal may hold newer changes of these records
        landing = self.service.landing
        with self.service.units.lock:
            again, landing.reread = landing.reread, []
        while again:
            store, key = again[-1]
            try:
                self._read_again(store, key)
            except BaseException:  # PostgreSQL may have gone again: the next tick goes on here
                landing.read_again(again)
                raise
            again.pop()

    def _read_again(self, store: Store, key: Any) -> None:
        assert self.conn is not None
        if store.retired or store.table is None:
            return
        with store.units.lock:
            if store.unsettled.get(key):  # what is read now may be older than what is on its way
                self.service.landing.read_again([(store, key)])
                return
            kept = store.kept.get(key)
        statement, values = Statements.of(store.table).select_keys([store.table.key_literal(key)])
        rows = self.conn.execute(statement, values).fetchall()
        self.service.at_home(lambda: self._renew(store, key, rows, kept))

    def _renew(self, store: Store, key: Any, rows: list[Any], read_over: Any) -> None:
        from outlive.commit.unit import ABSENT, Kept

        assert store.table is not None
        with store.units.lock:
            if store.unsettled.get(key) or store.kept.get(key) is not read_over:  # changed while it was being read
                self.service.landing.read_again([(store, key)])
                return
            record = store.image_get(key)
            if not rows:
                if record is not ABSENT:
                    store.image_drop(key)
                store.kept.pop(key, None)
                return
            stored = store.table.read(rows[0])
            store.views.altered(key)
            if record is not ABSENT and store.record_type.in_place(record, stored.document):
                store.record_type.update(record, stored.document)
                store.retrack(key, record)
            else:
                store.image_put(key, fill.build(store, key, canonical(stored.document)))
            store.kept[key] = Kept(canonical(stored.document), stored.version, stored.position)
            store.reorder()

    # -- the end -----------------------------------------------------------------------------------------------

    def wait_idle(self, timeout_s: float = 30.0) -> None:
        """Until the committer has nothing in flight (it is paused)."""
        ends = time.monotonic() + timeout_s
        while self.service.committer.busy and time.monotonic() < ends:
            time.sleep(0.002)

    def last_words(self) -> None:
        """Before the process ends in order: one more scrub, files up to date."""
        service = self.service
        if any(store.tracking for store in service.stores.values()):
            self.scrub()
        switching.settle(service)
        self.write_behind(at_once=True)

    def leave(self) -> None:
        """The member row says that this process left."""
        try:
            if self.connected():
                assert self.conn is not None
                self._tell()
                drive(member.leave(self.service), self.conn)
        except (psycopg.Error, OutliveError, OSError) as error:
            log.warning("outlive: could not sign off: %s", error)
        finally:
            self._drop()
            for store in list(self.service.stores.values()):
                if isinstance(store, JsonFileStore):
                    store.lock.release()


def mapping_stores(service: Service) -> list[MappingStore]:
    """The stores that are dicts."""
    return [store for store in service.stores.values() if isinstance(store, MappingStore)]


def run_step(conn: psycopg.Connection[Any], step: Callable[[], Step[Any]]) -> Any:
    """A step on the watcher's connection."""
    return drive(step(), conn)


def ask(statement: Any, values: Any = ()) -> Step[Any]:
    """One statement as a step."""
    rows = yield Ask(statement, values)
    return rows
