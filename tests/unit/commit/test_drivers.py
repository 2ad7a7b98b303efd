"""The two drivers over resources that only note what they are told: failures, wake-ups and ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from typing import Any

import psycopg
import pytest

from outlive.commit.actions import Append, Idle, MarkDrained, ReadFrames, Transact, WriteFiles
from outlive.commit.committer import Committer
from outlive.commit.drivers import LoopDriver, ThreadDriver


class Resources:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def append(self, payloads: list[bytes]) -> None:
        """See Resources."""
        self.told.append(("append", payloads, threading.get_ident()))

    def read_frames(self, limit: int) -> list[tuple[int, bytes]]:
        """See Resources."""
        return [(limit, b"frame")]

    def mark_drained(self, upto: int) -> None:
        """See Resources."""
        self.told.append(("mark", upto))

    def write_files(self, stores: list[Any]) -> None:
        """See Resources."""
        raise OSError("disk full")


class Script(Committer):
    """A committer whose life is given; it closes when told."""

    def __init__(self, *lives: Any) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.lives = list(lives)
        self.failures: list[BaseException] = []

    def run(self) -> Generator[Any, Any, None]:
        """The next life."""
        yield from self.lives.pop(0)(self)

    def failed(self, error: BaseException) -> None:
        """Note it."""
        self.failures.append(error)


def step() -> Generator[Any, Any, None]:
    """Never run: there is no connection."""
    yield


def working(seen: list[Any]) -> Any:
    """A life that asks for each action that needs no PostgreSQL, and ends."""

    def life(committer: Committer) -> Generator[Any, Any, None]:
        yield Append([b"a"])
        seen.append((yield ReadFrames(3)))
        yield MarkDrained(3)
        for action in (WriteFiles([]), Transact(step()), "no action"):
            try:
                yield action
            except Exception as error:
                seen.append(type(error))

    return life


def broken(committer: Committer) -> Generator[Any, Any, None]:
    """A life that fails."""
    yield MarkDrained(1)
    raise ValueError("a bug")


def idling(committer: Committer) -> Generator[Any, Any, None]:
    """A life that waits until it is closed, for as long as nobody wakes it."""
    yield Idle(0.001)
    while not committer.closing:
        yield Idle(60)


EXPECTED = [[(3, b"frame")], OSError, psycopg.OperationalError, TypeError]


def test_a_thread_performs_all_and_survives_a_failed_life() -> None:
    """Errors go back to the logic; a life that failed is told and followed by the next; stop wakes an idle one."""
    seen: list[Any] = []
    resources, committer = Resources(), Script(broken, working(seen), idling)
    driver = ThreadDriver(committer, resources)  # type: ignore[arg-type]
    driver.start()
    driver._thread.join(20)
    assert seen == EXPECTED
    assert [str(error) for error in committer.failures] == ["a bug"]
    idle = ThreadDriver(Script(idling), resources)  # type: ignore[arg-type]
    idle.start()
    idle.stop(20)
    assert not idle._thread.is_alive()


def test_an_abandoned_thread_ends_without_a_connection() -> None:
    """A crash before the first connection leaves nothing behind."""
    driver = ThreadDriver(Script(idling), Resources())  # type: ignore[arg-type]
    driver.start()
    driver.abandon()
    assert not driver._thread.is_alive()


def test_a_task_performs_all_and_keeps_the_loop_free() -> None:
    """The same on a loop, where what blocks runs in another thread."""
    seen: list[Any] = []
    resources, committer = Resources(), Script(broken, working(seen))

    async def run() -> None:
        driver = LoopDriver(committer, resources, asyncio.get_running_loop())  # type: ignore[arg-type]
        await driver.stop()  # before it has started there is nothing to wait for
        driver.start()
        await driver.stop()

    asyncio.run(run())
    assert seen == EXPECTED
    assert [str(error) for error in committer.failures] == ["a bug"]
    appended = next(entry for entry in resources.told if entry[0] == "append")
    assert appended[2] != threading.get_ident()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_idle_task_is_woken_from_any_thread(elsewhere: bool) -> None:
    """Closing wakes it at once, from its own thread or another; a loop that is closed is left alone."""
    committer = Script(idling)

    async def run() -> None:
        driver = LoopDriver(committer, Resources(), asyncio.get_running_loop())  # type: ignore[arg-type]
        driver.start()
        assert driver._task is not None
        async with asyncio.timeout(20):
            if elsewhere:
                await asyncio.to_thread(committer.close)
                await driver._task
            else:
                await driver.stop()

    asyncio.run(run())
    late = threading.Thread(target=committer.wake)
    late.start()
    late.join(20)
    assert committer.closing
