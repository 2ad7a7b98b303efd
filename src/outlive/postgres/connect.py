"""Connections to one database: dedicated ones and two pools, one for blocking code and one for each event loop.

Every connection is in autocommit mode and set up alike: UTC, ISO dates, UTF-8, a statement timeout. Behind a pooler
nothing is left in a session that another client would inherit, and nothing is prepared on the server.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
import sqlalchemy
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool, QueuePool

from outlive.errors import BadSetting, Unavailable, Unreachable
from outlive.postgres.address import Address
from outlive.postgres.capabilities import Capabilities, read_capabilities
from outlive.postgres.drive import Step, drive, drive_async
from outlive.postgres.embedded import EmbeddedServer
from outlive.postgres.lane import Lane
from outlive.postgres.session import AsyncEchoCursor, EchoCursor, prepare_session
from outlive.settings import DIRECT_VARIABLE, Settings

Connection = psycopg.Connection[tuple[Any, ...]]
AsyncConnection = psycopg.AsyncConnection[tuple[Any, ...]]
PREPARE_AFTER = 5
_FORGOTTEN: list[object] = []
_OPENING: set[asyncio.Task[AsyncConnection]] = set()


@dataclass
class _LoopPool:
    """The pool of one event loop and its raw connections, so that they can be closed without that loop."""

    engine: AsyncEngine
    lane: Lane
    connections: weakref.WeakSet[AsyncConnection] = field(default_factory=weakref.WeakSet)
    prepared: weakref.WeakKeyDictionary[AsyncConnection, dict[bytes, bytes]] = field(
        default_factory=weakref.WeakKeyDictionary
    )


class Database:
    """One database as one process sees it; opens nothing until it is used, and may be used from any thread."""

    def __init__(self, address: Address, settings: Settings | None = None, *, direct: Address | None = None) -> None:
        """`direct` leads to the same database past a pooler; without it DATABASE_DIRECT_URL of `settings` counts."""
        self.address = address
        self.settings = settings or Settings()
        self.server: EmbeddedServer | None = None
        self.waits = 0
        self._direct = direct or Address.direct(self.settings)
        self._pooler = True if address.pooler else self.settings.pooler
        self._capabilities: Capabilities | None = None
        self._lock = threading.Lock()
        self._engine: sqlalchemy.Engine | None = None
        self._loops: dict[asyncio.AbstractEventLoop, _LoopPool] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> Database:
        """The database that `settings` name; where they name none, the embedded server is started and used.

        Raises BadAddress, BadSetting, or Unreachable when the embedded server cannot start.
        """
        address = Address.from_settings(settings)
        if address is not None:
            return cls(address, settings)
        server = EmbeddedServer(settings.home)
        database = cls(server.start(), settings)
        database.server = server
        return database

    @property
    def pooled(self) -> bool:
        """True once a pooler in transaction mode is known to stand in between."""
        return bool(self._pooler)

    @property
    def limit(self) -> int:
        """The most connections each pool hands out at once."""
        return self.settings.connections

    def connect(self, *, trusted: bool = True) -> Connection:
        """A dedicated connection, which the caller closes. Raises Unreachable.

        A `trusted` one works for all tenants (see `outlive.postgres.tenancy`); pooled ones are never trusted.
        """
        return self._connect(self.address, self._pooler, trusted)

    async def connect_async(self, *, trusted: bool = True) -> AsyncConnection:
        """A dedicated asyncio connection, which the caller closes. Raises Unreachable. `trusted` as in `connect`.

        A caller that is cancelled meanwhile leaves no half-open connection: it is completed and closed behind it.
        """
        opening = asyncio.create_task(self._open_async(trusted))
        _OPENING.add(opening)
        opening.add_done_callback(_OPENING.discard)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise

    def connect_direct(self) -> Connection:
        """A dedicated connection whose session is its own, past any pooler.

        Raises BadSetting when only a pooler's address is known, Unreachable.
        """
        if self._direct is not None:
            return self._connect(self._direct, False, True)
        conn = self.connect()
        if self._pooler:
            conn.close()
            reason = "is needed, because a pooler stands between and a migration's lock belongs to one session"
            raise BadSetting(name=DIRECT_VARIABLE, value="", reason=reason)
        return conn

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A pooled connection for the block. Raises Unavailable after the pool's time-out, or Unreachable."""
        engine = self._sync_engine()
        self._count_wait(engine.pool)
        try:
            lent = engine.raw_connection()
        except PoolTimeout as failure:
            raise self._exhausted(engine.pool) from failure
        conn = cast("Connection", lent.driver_connection)
        try:
            yield conn
        finally:
            if _unusable(conn):
                lent.invalidate()
            lent.close()

    @asynccontextmanager
    async def asession(self) -> AsyncIterator[AsyncConnection]:
        """A pooled asyncio connection for the block. Raises Unavailable after the time-out, or Unreachable."""
        engine = self._async_engine()
        self._count_wait(engine.pool)
        async with AsyncExitStack() as stack:
            try:
                lent = await stack.enter_async_context(engine.connect())
            except PoolTimeout as failure:
                raise self._exhausted(engine.pool) from failure
            conn = cast("AsyncConnection", (await lent.get_raw_connection()).driver_connection)
            try:
                yield conn
            finally:
                if _unusable(conn):
                    await lent.invalidate()

    def lane(self) -> Lane:
        """The quick way of the running loop's reads, over connections of its pool."""
        return self._loop(asyncio.get_running_loop()).lane

    def prepared_on(self, conn: AsyncConnection) -> dict[bytes, bytes]:
        """Names of the statements that the lane has prepared on a connection of the running loop's pool, by text."""
        return self._loop(asyncio.get_running_loop()).prepared.setdefault(conn, {})

    async def leave_loop(self) -> None:
        """The running loop's lane gives its connections back."""
        with self._lock:
            found = self._loops.get(asyncio.get_running_loop())
        if found is not None:
            await found.lane.close()

    def pool_use(self) -> float:
        """The busiest pool's lent connections as a part of its limit, 0 to 1."""
        with self._lock:
            pools = [self._engine.pool] if self._engine is not None else []
            pools += [found.engine.pool for found in self._loops.values()]
        return max((_lent(pool) / self.limit for pool in pools), default=0.0)

    def capabilities(self) -> Capabilities:
        """What the server can do, read once. Raises Unreachable."""
        if self._capabilities is None:
            with self.session() as conn:
                self._capabilities = drive(read_capabilities(self.pooled), conn)
        return self._capabilities

    def dispose(self) -> None:
        """Closes all pooled connections, of every loop, and leaves the embedded server; using it again reconnects."""
        with self._lock:
            engine, self._engine = self._engine, None
            loops, self._loops = self._loops, {}
        if engine is not None:
            engine.dispose()
        for found in loops.values():
            _finish(found)
        server, self.server = self.server, None
        if server is not None:
            server.stop()

    def forget(self) -> None:
        """Lets go of everything inherited, in a forked child: the parent's connections stay open and untouched."""
        _FORGOTTEN.append((self._engine, self._loops, self.server))
        self._lock = threading.Lock()
        self._engine, self._loops, self.server, self.waits = None, {}, None, 0

    async def _open_async(self, trusted: bool) -> AsyncConnection:
        conn: AsyncConnection | None = None
        try:
            asking = self.address.secret is not None  # which may take as long as a program does
            asked = await asyncio.to_thread(self.address.asked) if asking else self.address.asked()
            conn = await psycopg.AsyncConnection.connect(**self._arguments(asked, AsyncEchoCursor))
            self._settle(conn, await drive_async(self._prepare(conn, self._pooler, trusted), conn))
        except BaseException as failure:
            if conn is not None:
                conn.pgconn.finish()
            if isinstance(failure, (psycopg.Error, OSError)):
                raise self._unreachable(self.address, failure) from failure
            raise
        return conn

    def _prepare(self, conn: Any, pooler: bool | None, trusted: bool) -> Step[bool]:
        return prepare_session(conn.info, self.settings, pooler, trusted=trusted)

    def _connect(self, address: Address, pooler: bool | None, trusted: bool) -> Connection:
        conn: Connection | None = None
        try:
            conn = psycopg.connect(**self._arguments(address.asked(), EchoCursor))
            self._settle(conn, drive(self._prepare(conn, pooler, trusted), conn), address)
        except BaseException as failure:
            if conn is not None:
                conn.close()
            if isinstance(failure, (psycopg.Error, OSError)):
                raise self._unreachable(address, failure) from failure
            raise
        return conn

    def _arguments(self, asked: dict[str, str], cursor: Any) -> dict[str, Any]:
        defaults = {
            "application_name": f"outlive:{self.settings.service or '-'}"[:63],
            "connect_timeout": str(self.settings.connect_timeout_s),
            "keepalives_idle": "30",
            "keepalives_interval": "5",
            "keepalives_count": "3",
            "tcp_user_timeout": "30000",
        }
        options = {**defaults, **asked, "client_encoding": "UTF8"}
        factory = {"cursor_factory": cursor} if self.settings.echo else {}
        return {**options, "autocommit": True, "prepare_threshold": None, **factory}

    def _settle(self, conn: Any, pooler: bool, address: Address | None = None) -> None:
        if not pooler:
            conn.prepare_threshold = PREPARE_AFTER
        if address is None or address is self.address:
            self._pooler = pooler

    def _sync_engine(self) -> sqlalchemy.Engine:
        with self._lock:
            if self._engine is None:
                self._engine = sqlalchemy.create_engine(
                    "postgresql+psycopg://",
                    creator=self._pooled_connection,
                    poolclass=QueuePool,
                    **self._pool_arguments(),
                )
            return self._engine

    def _pooled_connection(self) -> Connection:
        return self.connect(trusted=False)

    def _async_engine(self) -> AsyncEngine:
        return self._loop(asyncio.get_running_loop()).engine

    def _loop(self, loop: asyncio.AbstractEventLoop) -> _LoopPool:
        found = self._loops.get(loop)
        if found is not None:
            return found
        with self._lock:
            for other in [known for known in self._loops if known.is_closed()]:
                _finish(self._loops.pop(other))
            return self._loops.setdefault(loop, self._loop_pool(loop))

    def _loop_pool(self, loop: asyncio.AbstractEventLoop) -> _LoopPool:
        async def create() -> AsyncConnection:
            conn = await self.connect_async(trusted=False)
            made.connections.add(conn)
            return conn

        made = _LoopPool(
            create_async_engine(
                "postgresql+psycopg://",
                async_creator=create,
                poolclass=AsyncAdaptedQueuePool,
                **self._pool_arguments(),
            ),
            Lane(self, loop),
        )
        return made

    def _pool_arguments(self) -> dict[str, Any]:
        return {
            "pool_size": self.settings.pool_size,
            "max_overflow": self.settings.max_overflow,
            "pool_timeout": self.settings.pool_timeout_s,
            "pool_recycle": self.settings.pool_recycle_s,
            "pool_pre_ping": self.settings.pre_ping,
            "use_native_hstore": False,
        }

    def _count_wait(self, pool: Pool) -> None:
        if _lent(pool) >= self.limit:
            with self._lock:
                self.waits += 1

    def _exhausted(self, pool: Pool) -> Unavailable:
        waited_s = self.settings.pool_timeout_s
        reason = f"no free connection within {waited_s:g} s, {_lent(pool)} of {self.limit} in use"
        return Unavailable(store="connection pool", reason=reason)

    def _unreachable(self, address: Address, failure: Exception) -> Unreachable:
        words = "; ".join(line.strip() for line in str(failure).splitlines() if line.strip())
        return Unreachable(address=address.masked(), reason=address.scrub(words) or type(failure).__name__)

    def __repr__(self) -> str:
        return f"Database({self.address.masked()!r})"


def _unusable(conn: Connection | AsyncConnection) -> bool:
    return conn.closed or conn.info.transaction_status in (TransactionStatus.ACTIVE, TransactionStatus.UNKNOWN)


def _lent(pool: Pool) -> int:
    return cast("QueuePool", pool).checkedout()


def _finish(found: _LoopPool) -> None:
    if found.lane.loop.is_closed():
        found.lane.abandon()
    for conn in list(found.connections):
        conn.pgconn.finish()
    found.engine.sync_engine.dispose(close=False)


def _close_late(opening: asyncio.Task[AsyncConnection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().pgconn.finish()
