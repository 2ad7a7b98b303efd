"""One service in one process: its stores, its units, its committer, and the way from closed to open and back.

Declaring a store does no I/O. `open` connects (or finds out that it must do without), migrates, replays journals,
fills the images, walks to the phases that the environment asks for, and only then lets the caller serve.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from pathlib import Path
from typing import Any

import psycopg

from outlive.commit.committer import Committer
from outlive.commit.drivers import LoopDriver, ThreadDriver
from outlive.commit.group import Outcome
from outlive.commit.unit import Unit, current
from outlive.commit.units import UnitBlock, Units, durable
from outlive.errors import BadSetting, NotOpen, OutliveError, Unavailable, Unreachable
from outlive.postgres.connect import Database
from outlive.postgres.drive import Step
from outlive.postgres.lane import Lane
from outlive.records import parse_key
from outlive.records.versions import VersionClock
from outlive.runtime import collector, landing, member
from outlive.runtime.from_image import FromImage
from outlive.runtime.resources import Resources
from outlive.settings import Settings
from outlive.stores import tracking
from outlive.stores.backing import Backing
from outlive.stores.counter import Counter
from outlive.stores.repository import Repository
from outlive.stores.store import Host, Store

log = logging.getLogger("outlive")


class Service(Host):
    """The stores of one service in this process. States: closed, opening, open."""

    def __init__(self, name: str | None = None, settings: Settings | None = None, env: Any = None) -> None:
        self.env = env
        self._settings = settings
        self._name = name
        self.stores: dict[str, Store] = {}
        self.counters: dict[str, Counter] = {}
        self.migrations: Path | None = None
        self.version_table: str | None = None
        self.accept_stale = False
        self.state = "closed"
        self.generation = 0
        self._opening = threading.RLock()
        self._reset()
        _services.add(self)

    def _reset(self) -> None:
        self.clock = VersionClock(os.getpid(), lambda: time.time_ns() // 1_000_000)
        self.committer = Committer(self)
        self.units = Units(self.committer.submit, tracking.aliases.end_unit)
        self.units.withdraw = self.committer.withdraw
        self.database: Database | None = None
        self.resources = Resources(self)
        self.driver: ThreadDriver | LoopDriver | None = None
        self.watcher: Any = None
        self.query_ms: deque[float] = deque(maxlen=1000)
        self.request_ms: deque[float] = deque(maxlen=1000)
        self.requests = self.failures = 0
        self.sampled = deque(maxlen=1000)
        self.started = member.boot_token()
        self.degraded: str | None = None
        for store in self.stores.values():
            store.units = self.units
        self.landing = landing.Landing(self)
        self.from_image = FromImage(self)

    # -- what it is --------------------------------------------------------------------------------------------

    @property
    def service(self) -> str:  # type: ignore[override]
        """The service's name: configured, OUTLIVE_SERVICE, or the working directory's."""
        if self._name is None:
            self._name = self.settings.service or Path.cwd().name or "service"
        return self._name

    @property
    def settings(self) -> Settings:
        """The settings, read from the environment at first use."""
        if self._settings is None:
            self._settings = Settings.from_env(self.env)
        return self._settings

    @property
    def shadow_share(self) -> float:  # type: ignore[override]
        """The share of repository reads that are compared with PostgreSQL in dual_write."""
        return self.settings.shadow_share

    @property
    def max_image_bytes(self) -> int | None:  # type: ignore[override]
        """The most memory that one store's image may take."""
        return self.settings.max_image_bytes

    @property
    def falls_back(self) -> bool:
        """Whether reads of a dual_read store come from memory because PostgreSQL is away."""
        return not self.reachable and any(store.phase == "dual_read" for store in self.stores.values())

    @property
    def environment(self) -> Any:
        return os.environ if self.env is None else self.env

    def configure(
        self, *, service: str | None = None, settings: Settings | None = None, migrations: Path | str | None = None,
        version_table: str | None = None, accept_stale: bool | None = None,
    ) -> None:  # fmt: skip
        """Name the service and its Alembic migrations; before it opens. Raises BadSetting once it is open."""
        if self.state != "closed":
            raise BadSetting(name="configure", value=str(service), reason="the service is open already")
        self._name = service or self._name
        self._settings = settings or self._settings
        self.migrations = Path(migrations) if migrations is not None else self.migrations
        self.version_table = version_table or self.version_table
        self.accept_stale = self.accept_stale if accept_stale is None else accept_stale

    def add(self, store: Store) -> Any:
        """Declare a store; returns what user code holds. Raises BadSetting for a name that is taken."""
        if store.name in self.stores or store.name in self.counters:
            raise BadSetting(name="store", value=store.name, reason="this name is declared already")
        self.stores[store.name] = store
        store.repository = (store.repository_class or Repository)(Backing(store))
        return store.proxy

    def everything(self) -> list[Any]:
        """Stores and counters: all that has a phase."""
        return [*self.stores.values(), *self.counters.values()]

    # -- open and close ----------------------------------------------------------------------------------------

    def open(self) -> AbstractContextManager[Service]:
        """`with service.open():` opens for the block, from a thread; the committer runs in a thread of its own."""

        @contextmanager
        def block() -> Any:
            self.start()
            try:
                yield self
            finally:
                self.close()

        return block()

    def open_async(self) -> AbstractAsyncContextManager[Service]:
        """`async with`: the committer runs as a task on the running loop."""

        @asynccontextmanager
        async def block() -> Any:
            await self.start_async()
            try:
                yield self
            finally:
                await self.close_async()

        return block()

    def start(self) -> None:
        """Open, blocking. Nothing happens if it is open. Raises what keeps it from serving; then it is closed."""
        from outlive.runtime import opening

        with self._opening:
            if self.state == "open":
                return
            self.state = "opening"
            try:
                self.driver = ThreadDriver(self.committer, self.resources)
                opening.open_service(self)
                self.state = "open"
                if self.settings.relax_collector:
                    collector.relax(self)
            except BaseException:
                self._stop_quietly()
                raise

    async def start_async(self) -> None:
        """Open without blocking the loop; the committer moves onto it."""
        await asyncio.to_thread(self.start)
        driver = self.driver
        if isinstance(driver, ThreadDriver):
            await asyncio.to_thread(driver.stop)
            self.committer.closing = False
            self.committer.connected = False
            self.driver = LoopDriver(self.committer, self.resources, asyncio.get_running_loop())
            self.driver.start()

    def close(self) -> None:
        """Finish what is queued, scrub once more, write files behind, leave the member row in order."""
        if self.state != "open":
            return
        self._before_close()
        if isinstance(self.driver, ThreadDriver):
            self.driver.stop()
        self._after_close()

    async def close_async(self) -> None:
        """The same from the loop that the committer runs on."""
        if self.state != "open":
            return
        await asyncio.to_thread(self._before_close)
        if isinstance(self.driver, LoopDriver):
            await self.driver.stop()
        elif isinstance(self.driver, ThreadDriver):
            await asyncio.to_thread(self.driver.stop)
        if self.database is not None:
            await self.database.leave_loop()
        await asyncio.to_thread(self._after_close)

    def _before_close(self) -> None:
        if self.watcher is not None:
            self.watcher.stop()
            self.watcher.last_words()

    def _after_close(self) -> None:
        if self.watcher is not None:
            self.watcher.leave()
        self.resources.close(remove_if_empty=True)
        if self.database is not None:
            self._close_database()
        self.state = "closed"
        self._forget()

    def _close_database(self) -> None:
        assert self.database is not None
        self.database.dispose()
        if self.database.server is not None:
            self.database.server.stop()

    def _stop_quietly(self) -> None:
        if self.watcher is not None:
            self.watcher.abandon()
        if isinstance(self.driver, ThreadDriver) and self.driver._thread.is_alive():
            self.driver.abandon()
        self.resources.close(remove_if_empty=True)
        if self.database is not None:
            self._close_database()
        self.state = "closed"
        self._forget()

    def _forget(self) -> None:
        """Closed: stores are what they were declared as; their content stays where it is, in memory."""
        collector.tighten(self)
        self.from_image.leave()
        self._reset()
        for store in self.stores.values():
            store.kept.clear()
            store.fresh.clear()
            store.unsettled.clear()
            store.views.reset()

    def crash(self) -> None:
        """For tests: drop connection, journal and threads as SIGKILL would, finishing nothing."""
        if self.watcher is not None:
            self.watcher.abandon()
        if isinstance(self.driver, ThreadDriver):
            self.driver.abandon()
        self.resources.abandon()
        if self.database is not None:
            self.database.dispose()
        self.state = "closed"
        self._forget()

    def forked(self) -> None:
        """In a forked child: nothing of the parent's connections, threads and journal is ours; open anew on use."""
        if self.state == "closed":
            return
        if self.database is not None:
            self.database.forget()
        self.state = "closed"
        self.generation += 1
        self._opening = threading.RLock()
        self._forget()

    # -- Host --------------------------------------------------------------------------------------------------

    def ready(self, store: Store) -> None:
        if self.state == "closed":
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                self.start()
            else:
                raise NotOpen(store=store.name, reason="its service is closed and this is an event loop")

    @property
    def reachable(self) -> bool:
        return self.database is not None and self.committer.connected

    @contextmanager
    def session(self) -> Any:
        if self.database is None:
            raise Unavailable(store="?", reason="no database is connected")
        try:
            with self.database.session() as conn:
                yield conn
        except (psycopg.OperationalError, Unreachable) as error:
            raise Unavailable(store="?", reason=str(error).strip()) from error

    def lane(self) -> Lane:
        if self.database is None:
            raise Unavailable(store="?", reason="no database is connected")
        return self.database.lane()

    def observe_query(self, seconds: float) -> None:
        self.query_ms.append(seconds * 1000)

    # -- units -------------------------------------------------------------------------------------------------

    def unit(self, name: str = "") -> UnitBlock:
        """A unit of work for a `with` or `async with` block. Opens the service if nobody did."""
        if self.state == "closed":
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                self.start()
        return UnitBlock(self.units, name)

    async def flush(self) -> None:
        """Returns once everything that was written so far is settled."""
        await asyncio.sleep(0)
        for unit in self.committer.pending():
            try:
                await durable(unit, self.units)
            except OutliveError:
                continue

    def flush_blocking(self) -> None:
        """The same from a thread."""
        for unit in self.committer.pending():
            with suppress(OutliveError):
                self.units.outcome(unit)

    # -- CommitHost --------------------------------------------------------------------------------------------

    def finish(self, units: list[Unit], error: BaseException | None) -> None:
        with self.units.lock:
            for unit in units:
                if error is not None and not unit.settled:
                    unit.undo()
                self.units.finish(unit, error)

    def landed(self, units: list[Unit], outcome: Outcome) -> None:
        self.landing.landed(units, outcome)

    def reread(self, units: list[Unit], *, doubtful: bool = False) -> None:
        """What refused units had changed is read again from PostgreSQL, where that is the truth, or where it may hold
        what was refused (`doubtful`)."""
        changes: list[Any] = [change for unit in units for change in unit.changes.values()]
        wanted = [change for change in changes if change.store.strict or (doubtful and change.store.durable)]
        self.landing.read_again([(change.store, change.key) for change in wanted])
        if changes and self.watcher is not None:
            self.watcher.nudge()

    def joined(self) -> Step[None]:
        return member.join(self)

    def journal_units(self) -> int:
        return self.resources.journal_units()

    def find_store(self, name: str) -> Any:
        return self.stores[name]

    def key_of(self, text: str) -> Any:
        return parse_key(text)

    def connection_changed(self, connected: bool) -> None:
        if connected and self.degraded is not None:
            log.warning("outlive: PostgreSQL is back; reconciling")
        if self.watcher is not None:
            self.watcher.nudge()

    # -- helpers -----------------------------------------------------------------------------------------------

    def at_home(self, act: Callable[[], Any]) -> Any:
        """Run a short piece where user code runs: on the committer's loop if it has one, else right here."""
        driver = self.driver
        if isinstance(driver, LoopDriver) and threading.get_ident() != driver._home:

            async def call() -> Any:
                return act()

            work: Coroutine[Any, Any, Any] = call()
            return asyncio.run_coroutine_threadsafe(work, driver.loop).result()
        return act()


_services: weakref.WeakSet[Service] = weakref.WeakSet()


def _after_fork() -> None:
    current.set(None)  # a unit that is open in the parent is the parent's to end
    for service in list(_services):
        service.forked()


os.register_at_fork(after_in_child=_after_fork)
