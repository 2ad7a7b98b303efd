"""The two thin drivers of the committer: a task on the application's event loop, or a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import psycopg

from outlive.commit.actions import Action, Append, Connect, Idle, MarkDrained, ReadFrames, Transact, Turn, WriteFiles
from outlive.commit.committer import Committer
from outlive.postgres.drive import drive, drive_async


class Resources(Protocol):
    """What actions are performed on. The journal and file operations block; drivers keep them off the loop."""

    def connect(self) -> psycopg.Connection[Any]: ...

    def connect_async(self) -> Awaitable[psycopg.AsyncConnection[Any]]: ...

    def append(self, payloads: list[bytes]) -> None: ...

    def read_frames(self, limit: int) -> list[tuple[int, bytes]]: ...

    def mark_drained(self, upto: int) -> None: ...

    def write_files(self, stores: list[Any]) -> None: ...


def _blocking(resources: Resources, action: Action) -> Callable[[], Any]:
    match action:
        case Append(payloads):
            return lambda: resources.append(payloads)
        case ReadFrames(limit):
            return lambda: resources.read_frames(limit)
        case MarkDrained(upto):
            return lambda: resources.mark_drained(upto)
        case WriteFiles(stores):
            return lambda: resources.write_files(stores)
        case _:
            raise TypeError(f"no action: {action!r}")


class ThreadDriver:
    """Runs the committer in a daemon thread."""

    def __init__(self, committer: Committer, resources: Resources) -> None:
        self.committer = committer
        self.resources = resources
        self._conn: psycopg.Connection[Any] | None = None
        self._awake = threading.Event()
        committer.wake = self._awake.set
        self._thread = threading.Thread(target=self._run, name="outlive-committer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float | None = None) -> None:
        """Let the committer finish its queue; waits for that."""
        self.committer.close()
        self._thread.join(timeout_s)

    def abandon(self) -> None:
        """Drop the connection at once, finishing nothing: what a crash does."""
        self.committer.paused = self.committer.closing = True
        self.committer.queue.clear()
        self.committer._held.clear()
        self._awake.set()
        self._thread.join(5)
        if self._conn is not None:
            self._conn.close()

    def _run(self) -> None:
        try:
            while not self._live():
                pass
        finally:
            if self._conn is not None:
                self._conn.close()

    def _live(self) -> bool:
        """One life of the committer's logic; False if it failed and a new one shall go on."""
        life = self.committer.run()
        try:
            action = next(life)
            while True:
                try:
                    result = self._perform(action)
                except Exception as error:  # noqa: BLE001  the committer's logic decides what any error means
                    action = life.throw(error)
                else:
                    action = life.send(result)
        except StopIteration:
            return True
        except Exception as error:  # noqa: BLE001  nobody may wait for ever, whatever failed
            self.committer.failed(error)
            return False

    def _perform(self, action: Action) -> Any:
        if isinstance(action, Idle):
            self._awake.wait(action.seconds)
            self._awake.clear()
            return None
        if isinstance(action, Turn):
            return None
        if isinstance(action, Connect):
            if self._conn is not None:
                self._conn.close()
            self._conn = self.resources.connect()
            return None
        if isinstance(action, Transact):
            if self._conn is None:
                raise psycopg.OperationalError("not connected")
            return drive(action.step, self._conn)
        return _blocking(self.resources, action)()


class LoopDriver:
    """Runs the committer as a task on a running event loop; nothing that blocks runs on the loop."""

    def __init__(self, committer: Committer, resources: Resources, loop: asyncio.AbstractEventLoop) -> None:
        self.committer = committer
        self.resources = resources
        self.loop = loop
        self._conn: psycopg.AsyncConnection[Any] | None = None
        self._work = False  # something came since the committer last looked
        self._sleeper: asyncio.Future[None] | None = None
        self._home = threading.get_ident()
        committer.wake = self._wake
        self._task: asyncio.Task[None] | None = None

    def _wake(self) -> None:
        if threading.get_ident() == self._home:
            self._rouse()
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._rouse)

    def _rouse(self) -> None:
        self._work = True
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def start(self) -> None:
        self._task = self.loop.create_task(self._run(), name="outlive-committer")

    async def stop(self) -> None:
        """Let the committer finish its queue; waits for that."""
        self.committer.close()
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _run(self) -> None:
        try:
            while not await self._live():
                pass
        finally:
            if self._conn is not None:
                await self._conn.close()

    async def _live(self) -> bool:
        """One life of the committer's logic; False if it failed and a new one shall go on."""
        life = self.committer.run()
        try:
            action = next(life)
            while True:
                try:
                    result = await self._perform(action)
                except Exception as error:  # noqa: BLE001  the committer's logic decides what any error means
                    action = life.throw(error)
                else:
                    action = life.send(result)
        except StopIteration:
            return True
        except Exception as error:  # noqa: BLE001  nobody may wait for ever, whatever failed
            self.committer.failed(error)
            return False

    async def _perform(self, action: Action) -> Any:
        if isinstance(action, Idle):
            await self._sleep(action.seconds)
            return None
        if isinstance(action, Turn):
            await asyncio.sleep(0)
            return None
        if isinstance(action, Connect):
            if self._conn is not None:
                await self._conn.close()
            self._conn = await self.resources.connect_async()
            return None
        if isinstance(action, Transact):
            if self._conn is None:
                raise psycopg.OperationalError("not connected")
            return await drive_async(action.step, self._conn)
        return await self.loop.run_in_executor(None, _blocking(self.resources, action))

    async def _sleep(self, seconds: float) -> None:
        if not self._work:
            self._sleeper = self.loop.create_future()
            alarm = self.loop.call_later(seconds, self._rouse)
            try:
                await self._sleeper
            finally:
                alarm.cancel()
                self._sleeper = None
        self._work = False
