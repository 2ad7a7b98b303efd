"""A unit's outcome and those who wait for it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from outlive.commit.ticket import Ticket, all_told, all_told_async
from outlive.errors import Conflict

REFUSED = Conflict(store="tasks", key="1", reason="taken")


def test_a_ticket_is_open_until_it_is_told() -> None:
    """Nobody hears an outcome before there is one; those who ask later hear it at once."""
    ticket, heard = Ticket(), []
    ticket.add_done_callback(heard.append)
    assert not ticket.done()
    assert heard == []
    with pytest.raises(TimeoutError):
        ticket.exception(0.01)
    ticket.tell(REFUSED)
    ticket.add_done_callback(heard.append)
    assert ticket.exception() is REFUSED
    assert heard == [ticket, ticket]
    with pytest.raises(Conflict):
        ticket.result()


def test_one_listener_that_fails_keeps_no_other_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    """What a callback raises is logged, and the rest are called."""
    ticket, heard = Ticket(), []
    ticket.add_done_callback(lambda _: 1 // 0)
    ticket.add_done_callback(heard.append)
    ticket.tell()
    assert heard == [ticket]
    assert "telling the outcome" in caplog.text


def test_a_thread_blocks_until_all_are_told() -> None:
    """Threads wait for several tickets, no longer than they said."""
    tickets = [Ticket(), Ticket()]
    tickets[0].tell()
    assert not all_told(tickets, 0.01)
    threading.Timer(0.05, tickets[1].tell).start()
    assert all_told(tickets, 10)
    tickets[1].result()


@pytest.mark.parametrize("where", ["loop", "thread"])
def test_tasks_wait_without_blocking_their_loop(where: str) -> None:
    """Several tasks hear of one outcome, told on their loop or in a thread; one that is cancelled changes nothing."""

    async def play() -> None:
        ticket = Ticket()
        loop = asyncio.get_running_loop()
        first, second, third = (loop.create_task(_awaited(ticket)) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        if where == "loop":
            ticket.tell()
        else:
            await asyncio.to_thread(ticket.tell)
        await asyncio.gather(first, third)
        with pytest.raises(asyncio.CancelledError):
            await second
        await ticket

    asyncio.run(play())


async def _awaited(ticket: Ticket) -> None:
    await ticket


def test_tasks_wait_for_several_no_longer_than_they_said() -> None:
    """False when one outcome is late; an error is an outcome too."""

    async def play() -> None:
        tickets = [Ticket(), Ticket()]
        tickets[0].tell(REFUSED)
        assert not await all_told_async(tickets, 0.01)
        tickets[1].tell()
        assert await all_told_async(tickets, 10)

    asyncio.run(play())


def test_a_loop_that_is_closed_waits_for_nothing() -> None:
    """An outcome that comes after its waiter's loop ended disturbs nobody."""
    ticket = Ticket()

    async def play() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_awaited(ticket), 0.01)

    asyncio.run(play())
    ticket.tell()
    assert ticket.done()
