"""Schedules: the orders in which units, requests, commits and failures meet, each forced and each with both drivers.

What holds an order is never time: an event, a member row that another connection has locked (the commit waits), or a
line to PostgreSQL that is cut at a named moment.

Long: one schedule a test, all on the same two drivers.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.dialects.postgresql import JSONB

import outlive
from outlive.commit.unit import Scope, current
from outlive.errors import Conflict, Unavailable, Unholdable
from outlive.postgres.address import Address
from tests.stage import Stage, Task, lined, request, tickets, until


@pytest.fixture(params=["thread", "loop"])
def stage(request: pytest.FixtureRequest, database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database, with one of the two drivers."""
    stage = Stage(request.param, database_address, tmp_path)
    yield stage
    stage.close()


WAITING = ("_io", "_socket", "io", "posix", "psycopg", "psycopg_binary", "select", "selectors", "socket", "sqlalchemy")


class Steps:
    """Named moments: one coroutine reaches them, others wait for them."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def __getattr__(self, name: str) -> asyncio.Event:
        return self._events.setdefault(name, asyncio.Event())


# -- two units on one record ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["refused ends first", "refused ends last"])
def test_one_of_two_requests_on_a_record_is_refused(stage: Stage, order: str) -> None:
    """The other request lands with only its own field, and only the refused request's field goes back."""
    service, tasks = stage.tasks("dual_read")

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")
        stage.refuse()
        at = Steps()

        async def bad() -> None:
            tasks[1].title = "bad"
            at.bad_wrote.set()
            await at.bad_goes_on.wait()

        async def good() -> None:
            await at.bad_wrote.wait()
            tasks[1].done = True
            at.good_wrote.set()
            await at.good_goes_on.wait()

        running = {"bad": request(service, bad), "good": request(service, good)}
        await at.good_wrote.wait()
        if order == "refused ends first":
            at.bad_goes_on.set()
            await running["bad"]
            at.good_goes_on.set()
        else:
            at.good_goes_on.set()
            await until(lambda: stage.row(1) == ("first", True, []))
            at.bad_goes_on.set()
        answers = {name: await task for name, task in running.items()}
        assert (answers["bad"].status, answers["good"].status) == (422, 200)
        assert tasks[1] == Task(1, "first", True)
        assert stage.row(1) == ("first", True, [])

    stage.play(schedule)


@pytest.mark.parametrize("order", ["in the order of the writes", "the later write first"])
def test_two_requests_on_a_record_land_both(stage: Stage, order: str) -> None:
    """Whichever ends first lands alone, with its own field and the other's before-value."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")
        at = Steps()

        async def title() -> None:
            tasks[1].title = "second"
            at.title_wrote.set()
            await at.title_goes_on.wait()

        async def done() -> None:
            await at.title_wrote.wait()
            tasks[1].done = True
            at.done_wrote.set()
            await at.done_goes_on.wait()

        running = {"title": request(service, title), "done": request(service, done)}
        await at.done_wrote.wait()
        first, last = ("title", "done") if order.startswith("in") else ("done", "title")
        getattr(at, f"{first}_goes_on").set()
        assert (await running[first]).status == 200
        assert stage.row(1) == (("second", False, []) if first == "title" else ("first", True, []))
        getattr(at, f"{last}_goes_on").set()
        assert (await running[last]).status == 200
        assert stage.row(1) == ("second", True, [])
        assert tasks[1] == Task(1, "second", True)

    stage.play(schedule)


def test_a_cancelled_request_commits_what_the_dict_holds(stage: Stage) -> None:
    """Cancelled in the middle of its endpoint, a request's write stands in memory, so it lands; its neighbour too."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")
        at = Steps()

        async def killed() -> None:
            tasks[1].title = "second"
            at.killed_wrote.set()
            await at.never.wait()

        async def other() -> None:
            await at.killed_wrote.wait()
            tasks[1].done = True
            at.other_wrote.set()
            await at.killed_is_over.wait()

        killing, running = request(service, killed), request(service, other)
        await at.other_wrote.wait()
        killing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killing
        assert stage.row(1) == ("second", False, [])
        at.killed_is_over.set()
        assert (await running).status == 200
        assert stage.row(1) == ("second", True, [])

    stage.play(schedule)


def test_a_cancelled_request_that_discards_takes_back_only_its_own(stage: Stage) -> None:
    """With on_error="discard" a cancelled request's field goes back, its neighbour's stays."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")
        at = Steps()

        async def killed(scope: Any, receive: Any, send: Any) -> None:
            tasks[1].title = "second"
            at.killed_wrote.set()
            await at.never.wait()

        app = outlive.install(killed, service=service, on_error="discard")
        killing = asyncio.create_task(app({"type": "http", "method": "POST", "path": "/"}, None, None))
        await at.killed_wrote.wait()
        async with service.unit():
            tasks[1].done = True
            killing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await killing
            assert tasks[1] == Task(1, "first", True)
        assert stage.row(1) == ("first", True, [])

    stage.play(schedule)


def test_undo_restores_a_field_only_where_its_unit_wrote_last(stage: Stage) -> None:
    """A unit that is undone leaves alone what a later unit wrote over it; that one fails with it and both are gone."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")
        at = Steps()

        async def later() -> None:
            await at.wrote.wait()
            with pytest.raises(Conflict):
                async with service.unit():
                    tasks[1].title = "later"
                    tasks[1].done = True
                    at.wrote_over.set()
                    await at.undone.wait()
                    assert tasks[1].title == "later"

        running = asyncio.create_task(later())
        with pytest.raises(ZeroDivisionError):
            async with service.unit():
                tasks[1].title = "early"
                at.wrote.set()
                await at.wrote_over.wait()
                raise ZeroDivisionError
        at.undone.set()
        await running
        assert tasks[1] == Task(1, "first")
        assert stage.row(1) == ("first", False, [])

    stage.play(schedule)


@pytest.mark.parametrize("first", ["early", "later"])
def test_a_nested_list_of_two_open_units_lands_together(stage: Stage, first: str) -> None:
    """A unit that appended to a list with another's unsettled element commits with it or after it."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1)
        at = Steps()

        async def early() -> None:
            async with service.unit():
                tasks[1].tags.append("early")
                at.early_wrote.set()
                await at.early_ends.wait()

        async def later() -> None:
            await at.early_wrote.wait()
            async with service.unit():
                tasks[1].tags.append("later")
                at.later_wrote.set()
                await at.later_ends.wait()

        running = {"early": asyncio.create_task(early()), "later": asyncio.create_task(later())}
        await at.later_wrote.wait()
        getattr(at, f"{first}_ends").set()
        await until(lambda: tickets(service))
        async with service.unit():
            tasks[2] = Task(2)
        assert stage.row(2) is not None
        assert stage.row(1) == ("", False, [])
        assert not running[first].done()
        getattr(at, "later_ends" if first == "early" else "early_ends").set()
        await asyncio.gather(*running.values())
        assert stage.row(1) == ("", False, ["early", "later"])

    stage.play(schedule)


@pytest.mark.parametrize("how", ["undone while the later is open", "undone once the later has ended", "refused"])
def test_a_nested_list_of_two_open_units_fails_together(stage: Stage, how: str) -> None:
    """A unit whose list holds another's element fails with it: nothing of either remains."""
    service, tasks = stage.tasks("dual_read" if how == "refused" else "dual_write")

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first", tags=["old"])
        stage.refuse()
        at = Steps()

        async def early() -> None:
            async with service.unit():
                tasks[1].tags.append("early")
                if how == "refused":
                    tasks[1].title = "bad"
                at.early_wrote.set()
                await at.early_ends.wait()
                if how != "refused":
                    raise ZeroDivisionError

        async def later() -> None:
            await at.early_wrote.wait()
            async with service.unit():
                tasks[1].tags.append("later")
                at.later_wrote.set()
                if how == "undone while the later is open":
                    await at.early_is_over.wait()

        failing, running = asyncio.create_task(early()), asyncio.create_task(later())
        await at.later_wrote.wait()
        if how != "undone while the later is open":
            await until(lambda: tickets(service))
        at.early_ends.set()
        with pytest.raises(Unholdable if how == "refused" else ZeroDivisionError):
            await failing
        at.early_is_over.set()
        with pytest.raises((Conflict, Unholdable)):
            await running
        assert tasks[1] == Task(1, "first", tags=["old"])
        assert stage.row(1) == ("first", False, ["old"])

    stage.play(schedule)


# -- a reader of what is not settled -------------------------------------------------------------------------------


def test_a_reader_waits_for_what_it_may_have_seen(stage: Stage) -> None:
    """From dual_read on a response leaves only when the change it may show is in PostgreSQL."""
    service, tasks = stage.tasks("dual_read")

    async def schedule() -> None:
        at = Steps()

        async def write() -> None:
            tasks[1] = Task(1, "first")

        async def read() -> str:
            at.read.set()
            return str(tasks[1].title)

        async with stage.held(service):
            writing = request(service, write)
            await until(lambda: tickets(service))
            await stage.blocked(service)
            left: list[Any] = []
            reading = request(service, read, method="GET", seen=lambda message: left.append(stage.row(1)))
            await at.read.wait()
            await _turns()
            assert not left
            assert not reading.done()
        answer = await reading
        assert answer.body == b"first"
        assert left[0] == ("first", False, [])
        assert (await writing).status == 200

    stage.play(schedule)


def test_a_reader_waits_for_an_open_request_too(stage: Stage) -> None:
    """A change that is visible before its request has ended holds the reader's response just so."""
    service, tasks = stage.tasks("dual_read")

    async def schedule() -> None:
        at = Steps()

        async def write() -> None:
            tasks[1] = Task(1, "first")
            at.wrote.set()
            await at.go_on.wait()

        async def read() -> str:
            at.read.set()
            return str(tasks[1].title)

        writing = request(service, write)
        await at.wrote.wait()
        reading = request(service, read, method="GET")
        await at.read.wait()
        await _turns()
        assert not reading.done()
        at.go_on.set()
        assert (await writing).status == 200
        assert (await reading).body == b"first"

    stage.play(schedule)


def test_a_reader_in_dual_write_does_not_wait(stage: Stage) -> None:
    """Before dual_read memory is the truth: a reader's response leaves while another's commit is in flight."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        async def write() -> None:
            tasks[1] = Task(1, "first")

        async def read() -> str:
            return str(tasks[1].title)

        async with stage.held(service):
            writing = request(service, write)
            await until(lambda: tickets(service))
            assert (await request(service, read, method="GET")).body == b"first"
            assert not writing.done()
        assert (await writing).status == 200

    stage.play(schedule)


async def _turns(count: int = 20) -> None:
    """Let everything that is ready on the loop run."""
    for _ in range(count):
        await asyncio.sleep(0)


# -- exceptions ----------------------------------------------------------------------------------------------------


def test_an_exception_undoes_a_unit(stage: Stage) -> None:
    """Puts, deletes and in-place changes go back, the dict stands in its old order, and PostgreSQL saw nothing."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        async with service.unit():
            for number in (3, 1, 2):
                tasks[number] = Task(number, f"t{number}")
        before = {number: (task, Task(number, f"t{number}")) for number, task in tasks.items()}
        writes = service.committer.figures.groups
        with pytest.raises(ZeroDivisionError):
            async with service.unit():
                del tasks[3]
                tasks[4] = Task(4)
                tasks[1].tags.append("x")
                tasks[2] = Task(2, "other")
                tasks[3] = Task(3, "again")
                raise ZeroDivisionError
        assert list(tasks) == [3, 1, 2]
        assert all(tasks[number] == copy for number, (_, copy) in before.items())
        assert tasks[1] is before[1][0]
        await outlive.flush(service)
        assert service.committer.figures.groups == writes
        assert stage.sql("SELECT id, title FROM stage.tasks ORDER BY outlive_position") == [
            (3, "t3"), (1, "t1"), (2, "t2")
        ]  # fmt: skip
        tasks[5] = Task(5)
        await outlive.flush(service)
        assert [row[0] for row in stage.sql("SELECT id FROM stage.tasks ORDER BY outlive_position")] == [3, 1, 2, 5]

    stage.play(schedule)


@pytest.mark.parametrize("on_error", ["commit", "discard"])
def test_an_exception_in_a_request(stage: Stage, on_error: Any) -> None:
    """A request that raises commits what its dicts hold, as the builtin did; `on_error="discard"` undoes it."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            tasks[1] = Task(1, "first")
            raise ZeroDivisionError

        installed = outlive.install(app, service=service, on_error=on_error)
        with pytest.raises(ZeroDivisionError):
            await installed({"type": "http", "method": "POST", "path": "/"}, None, None)
        held = on_error == "commit"
        assert (1 in tasks) is held
        assert stage.row(1) == (("first", False, []) if held else None)

    stage.play(schedule)


def test_nested_units_are_savepoints(stage: Stage) -> None:
    """An inner unit that raises takes back only its own; one that ends well lands with its parent or not at all."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")
            with pytest.raises(ZeroDivisionError), service.unit():
                tasks[1].title = "inner"
                tasks[2] = Task(2)
                raise ZeroDivisionError
            assert tasks[1].title == "first"
            assert 2 not in tasks
            async with service.unit():
                tasks[1].tags.append("inner")
                tasks[3] = Task(3)
            assert stage.row(3) is None
        assert stage.row(1) == ("first", False, ["inner"])
        assert stage.row(3) is not None
        with pytest.raises(ZeroDivisionError):
            async with service.unit():
                with service.unit():
                    tasks[1].title = "inner"
                    del tasks[3]
                raise ZeroDivisionError
        assert tasks[1] == Task(1, "first", tags=["inner"])
        assert list(tasks) == [1, 3]
        assert stage.row(1) == ("first", False, ["inner"])

    stage.play(schedule)


def test_a_block_that_outlives_its_request_lands_on_its_own(stage: Stage) -> None:
    """A task's `outlive.unit()` that began inside a request and ends after its response is committed all the same."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        at = Steps()
        late: list[asyncio.Task[None]] = []

        async def work() -> None:
            async with service.unit():
                tasks[2] = Task(2, "late")
                at.begun.set()
                await at.answered.wait()
                tasks[3] = Task(3, "later")

        async def act() -> None:
            tasks[1] = Task(1)
            late.append(asyncio.create_task(work()))
            await at.begun.wait()

        assert (await request(service, act)).status == 200
        assert stage.row(1) is not None
        assert stage.row(2) is None
        at.answered.set()
        await late[0]
        assert stage.row(2) == ("late", False, [])
        assert stage.row(3) == ("later", False, [])
        tasks[2].title = "after"
        await outlive.flush(service)
        assert stage.row(2) == ("after", False, [])

    stage.play(schedule)


# -- between the endpoint and the acknowledgement ------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancelled", "disconnected"])
def test_a_request_that_ends_before_its_acknowledgement_lands(stage: Stage, how: str) -> None:
    """Cancelled, or left by its client, while its commit is in flight, a request's unit lands all the same, once."""
    service, tasks = stage.tasks("dual_read")

    async def schedule() -> None:
        gone = asyncio.Event()

        async def act() -> None:
            tasks[1] = Task(1, "first")

        async with stage.held(service):
            running = request(service, act, gone=gone)
            await stage.blocked(service)
            gone.set()
            if how == "cancelled":
                running.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await running
            assert stage.row(1) is None
        if how == "disconnected":
            with pytest.raises(OSError, match="gone"):
                await running
        await outlive.flush(service)
        assert stage.row(1) == ("first", False, [])
        assert tasks[1] == Task(1, "first")
        assert stage.sql("SELECT applied FROM outlive.member") == [(1,)]

    stage.play(schedule)


# -- code without a unit -------------------------------------------------------------------------------------------


def test_loose_code_on_the_loop(stage: Stage) -> None:
    """All writes of one turn of the loop are one unit; `await outlive.flush()` returns once it is durable."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        async with stage.held(service):
            tasks[1] = Task(1, "first")
            tasks[2] = Task(2)
            flushing = asyncio.create_task(outlive.flush(service))
            await stage.blocked(service)
            assert len(tickets(service)) == 1
            assert not flushing.done()
        await flushing
        assert stage.row(1) == ("first", False, [])
        assert stage.sql("SELECT applied FROM outlive.member") == [(1,)]

    stage.play(schedule)


def test_a_thread_without_a_unit_blocks_until_durable(stage: Stage) -> None:
    """Each call of a bare thread returns once it is committed; one that raises changes nothing."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        seen: list[Any] = []

        def work() -> None:
            tasks[1] = Task(1, "first")
            seen.append(stage.row(1))
            tasks[1].tags.append("x")
            seen.append(stage.row(1))
            with pytest.raises(KeyError):
                del tasks[7]
            del tasks[1]
            seen.append(stage.row(1))

        thread = threading.Thread(target=work)
        async with stage.held(service):
            thread.start()
            await stage.blocked(service)
            assert not seen
        await asyncio.to_thread(thread.join)
        assert seen == [("first", False, []), ("first", False, ["x"]), None]

    stage.play(schedule)


def test_a_thread_of_a_request_joins_its_unit(stage: Stage) -> None:
    """`asyncio.to_thread` writes in the request's unit, and does not wait; after the response it is on its own."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        answered = threading.Event()
        late: list[asyncio.Task[Any]] = []

        def after() -> Any:
            answered.wait()
            tasks[2] = Task(2)
            return stage.row(2)

        async def act() -> None:
            await asyncio.to_thread(tasks.__setitem__, 1, Task(1))
            tasks[1].title = "joined"
            assert stage.row(1) is None
            late.append(asyncio.create_task(asyncio.to_thread(after)))

        assert (await request(service, act)).status == 200
        assert stage.row(1) == ("joined", False, [])
        answered.set()
        assert await late[0] == ("", False, [])

    stage.play(schedule)


def test_dict_operations_on_the_loop_do_no_io(stage: Stage) -> None:
    """What an endpoint does to its dicts, up to the end of its unit, calls nothing that reads, writes or waits."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        called: set[str] = set()

        def profile(frame: Any, event: str, arg: Any) -> None:
            name = (arg.__module__ or "") if event == "c_call" else frame.f_globals.get("__name__", "")
            if str(name).split(".")[0] in WAITING:
                called.add(f"{name}.{getattr(arg, '__name__', frame.f_code.co_name)}")

        async with service.unit():
            tasks[0] = Task(0)
        unit = service.units.begin("measured")
        token = current.set(Scope(unit))
        gc.disable()  # what it would clear away here belongs to others
        sys.setprofile(profile)
        try:
            for number in range(1, 100):
                tasks[number] = Task(number)
                tasks[number].tags.append("x")
                tasks[0].title = str(number)
                assert len(tasks) == number + 1
            del tasks[99]
            service.units.end(unit)
        finally:
            sys.setprofile(None)
            gc.enable()
            current.reset(token)
        assert not called
        await outlive.flush(service)
        assert len(stage.sql("SELECT id FROM stage.tasks")) == 99

    stage.play(schedule)


# -- PostgreSQL refuses --------------------------------------------------------------------------------------------


def test_a_refused_unit_does_not_fail_its_neighbours(stage: Stage) -> None:
    """From dual_read on one bad unit of a group is told 422 and set back; the units around it land."""
    service, tasks = stage.tasks("dual_read")

    async def schedule() -> None:
        stage.refuse()

        def writing(number: int) -> Any:
            async def act() -> None:
                tasks[number] = Task(number, "bad" if number == 3 else "good")

            return act

        async with stage.held(service):
            tasks[0] = Task(0)
            await stage.blocked(service)
            running = [request(service, writing(number)) for number in range(1, 8)]
            await until(lambda: len(tickets(service)) == 8)
        answers = await asyncio.gather(*running)
        assert [answer.status for answer in answers] == [200, 200, 422, 200, 200, 200, 200]
        assert list(tasks) == [0, 1, 2, 4, 5, 6, 7]
        assert [row[0] for row in stage.sql("SELECT id FROM stage.tasks ORDER BY id")] == [0, 1, 2, 4, 5, 6, 7]
        assert service.committer.figures.bisections > 0

    stage.play(schedule)


def test_a_refused_change_is_unlanded_in_dual_write(stage: Stage) -> None:
    """In dual_write the request stands; what PostgreSQL refused is kept with its bytes, the reason and the code."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        stage.refuse()

        async def act() -> None:
            tasks[1] = Task(1, "bad", tags=["kept"])
            tasks[2] = Task(2, "good")

        assert (await request(service, act)).status == 200
        assert tasks[1] == Task(1, "bad", tags=["kept"])
        assert stage.row(1) is None
        assert stage.row(2) == ("good", False, [])
        entries = stage.sql(
            "SELECT store, key, op, document, reason, sqlstate FROM outlive.unlanded WHERE settled_at IS NULL"
        )
        ((store, key, op, document, reason, state),) = entries
        assert (store, key, op, state) == ("tasks", "1", "put", "23514")
        assert json.loads(document) == {"id": 1, "title": "bad", "done": False, "tags": ["kept"]}
        assert "no_bad" in reason
        async with service.unit():
            tasks[1].title = "better"
        assert stage.row(1) == ("better", False, ["kept"])
        await until(lambda: stage.sql("SELECT settled_how FROM outlive.unlanded") == [("superseded",)])

    stage.play(schedule)


def test_a_unique_column_of_a_given_table(stage: Stage) -> None:
    """A value that a user's table refuses is told to its request alone, in a group with others."""
    table = sqlalchemy.Table(
        "given", sqlalchemy.MetaData(), sqlalchemy.Column("id", sqlalchemy.BigInteger, primary_key=True),
        sqlalchemy.Column("title", sqlalchemy.Text, unique=True), sqlalchemy.Column("done", sqlalchemy.Boolean),
        sqlalchemy.Column("tags", JSONB), sqlalchemy.Column("outlive_version", sqlalchemy.BigInteger, nullable=False),
        sqlalchemy.Column("outlive_position", sqlalchemy.Numeric, nullable=False),
        sqlalchemy.Column("outlive_extra", JSONB),
    )  # fmt: skip
    engine = sqlalchemy.create_engine(stage.address.url())
    table.create(engine)
    engine.dispose()
    service, tasks = stage.tasks("dual_read", model=table)

    async def schedule() -> None:
        def writing(number: int) -> Any:
            async def act() -> None:
                tasks[number] = Task(number, "one" if number < 3 else str(number))

            return act

        async with stage.held(service):
            tasks[0] = Task(0)
            await stage.blocked(service)
            running = [request(service, writing(number)) for number in range(1, 5)]
            await until(lambda: len(tickets(service)) == 5)
        answers = await asyncio.gather(*running)
        assert [answer.status for answer in answers] == [200, 409, 200, 200]
        assert list(tasks) == [0, 1, 3, 4]
        assert stage.sql("SELECT id FROM given ORDER BY id") == [(0,), (1,), (3,), (4,)]

    stage.play(schedule)


def test_what_cannot_be_held_in_dual_write(stage: Stage) -> None:
    """The request stands, and the change is unlanded with store, key and field."""
    service, tasks = stage.tasks()

    async def schedule() -> None:
        async def act() -> None:
            tasks[1] = Task(1, "nul \x00")
            tasks[2] = Task(2, "good")

        assert (await request(service, act)).status == 200
        assert tasks[1].title == "nul \x00"
        assert stage.row(1) is None
        assert stage.row(2) == ("good", False, [])
        assert stage.sql("SELECT service, store, key, field FROM outlive.unlanded") == [
            ("stage", "tasks", "1", "title")
        ]
        assert b"nul" in stage.sql("SELECT document FROM outlive.unlanded")[0][0]

    stage.play(schedule)


def test_what_cannot_be_held_from_dual_read_on(stage: Stage) -> None:
    """The operation itself raises, naming store, key and field, and nothing has changed; the unit goes on."""
    service, tasks = stage.tasks("dual_read")

    async def schedule() -> None:
        async with service.unit():
            tasks[1] = Task(1, "first")
        async with service.unit():
            with pytest.raises(Unholdable) as told:
                tasks[1].title = "nul \x00"
            assert (told.value.store, told.value.key, told.value.field) == ("tasks", "1", "title")
            with pytest.raises(Unholdable) as told:
                tasks[1].tags.append("\ud800")
            assert (told.value.store, told.value.key, told.value.field) == ("tasks", "1", "tags")
            with pytest.raises(Unholdable):
                tasks[2] = Task(2, "\x00")
            assert tasks == {1: Task(1, "first")}
            tasks[1].done = True
        assert stage.row(1) == ("first", True, [])

        async def act() -> None:
            tasks[1].done = False
            tasks[3] = Task(3, "\x00")

        with pytest.raises(Unholdable):
            await request(service, act)
        assert stage.row(1) == ("first", False, [])
        assert 3 not in tasks

    stage.play(schedule)


# -- PostgreSQL away, and commits whose outcome is unknown ----------------------------------------------------------


@pytest.mark.parametrize("at", ["before", "after"])
@pytest.mark.parametrize("phase", ["dual_write", "dual_read"])
def test_a_commit_whose_outcome_is_unknown_is_applied_once(stage: Stage, at: str, phase: str) -> None:
    """Cut before PostgreSQL saw the COMMIT or after it answered: the unit lands once and its request is told so."""
    with lined(stage.address) as line:
        service, tasks = stage.tasks(phase, address=line.address)

        async def schedule() -> None:
            async with service.unit():
                tasks[1] = Task(1, "first")

            async def act() -> None:
                tasks[1].title = "second"
                tasks[2] = Task(2)

            line.at_commit = at
            assert (await request(service, act)).status == 200
            assert line.commits_cut == 1
            assert stage.row(1) == ("second", False, [])
            assert stage.row(2) == ("", False, [])
            assert stage.sql("SELECT applied FROM outlive.member") == [(2,)]
            async with service.unit():
                tasks[1].done = True
            assert stage.row(1) == ("second", True, [])
            assert stage.sql("SELECT reason FROM outlive.unlanded") == []

        stage.play(schedule)


@pytest.mark.parametrize("at", ["before", "after"])
def test_a_journalled_commit_whose_outcome_is_unknown_is_applied_once(stage: Stage, at: str) -> None:
    """In dual_write the journal takes the unit and what follows; once PostgreSQL is back each has landed once."""
    with lined(stage.address) as line:
        service, tasks = stage.tasks(address=line.address)

        async def schedule() -> None:
            async with service.unit():
                tasks[1] = Task(1, "first")
            line.at_commit, line.stay_cut = at, True
            async with service.unit():
                tasks[1].title = "second"
            assert line.commits_cut == 1
            if at == "after":
                await until(lambda: stage.row(1) == ("second", False, []))
            else:
                assert stage.row(1) == ("first", False, [])
            async with service.unit():
                tasks[1].tags.append("away")
                tasks[2] = Task(2)
            assert stage.row(2) is None
            line.mend()
            await until(lambda: stage.row(2))
            assert stage.row(1) == ("second", False, ["away"])
            await until(lambda: not service.journal_units())
            assert stage.sql("SELECT reason FROM outlive.unlanded") == []
            async with service.unit():
                tasks[1].done = True
            assert stage.row(1) == ("second", True, ["away"])

        stage.play(schedule)


def test_more_than_one_batch_drains_after_an_unknown_outcome(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of one commit that did not land, drained in several transactions: all of them land."""
    monkeypatch.setattr("outlive.commit.committer.MAX_GROUP", 2)
    with lined(stage.address) as line:
        service, tasks = stage.tasks(address=line.address)

        async def schedule() -> None:
            line.at_commit, line.stay_cut = "before", True
            for number in range(9):
                async with service.unit():
                    tasks[number] = Task(number)
            assert stage.sql("SELECT id FROM stage.tasks") == []
            line.mend()
            await until(lambda: service.committer.connected and not service.journal_units())
            assert len(stage.sql("SELECT id FROM stage.tasks")) == 9

        stage.play(schedule)


def test_an_unknown_outcome_is_answered_honestly_from_dual_read_on(stage: Stage) -> None:
    """With PostgreSQL away after the COMMIT the answer is 503; when it is back, memory shows what had landed."""
    with lined(stage.address) as line:
        service, tasks = stage.tasks("dual_read", address=line.address)

        async def schedule() -> None:
            async with service.unit():
                tasks[1] = Task(1, "first")

            async def act() -> None:
                tasks[1].title = "second"
                tasks[2] = Task(2)

            line.at_commit, line.stay_cut = "after", True
            answer = await request(service, act)
            assert answer.status == 503
            await until(lambda: stage.row(1) == ("second", False, []))
            line.mend()
            await until(lambda: tasks[1].title == "second" and 2 in tasks)
            async with service.unit():
                tasks[1].done = True
            assert stage.row(1) == ("second", True, [])

        stage.play(schedule)


def test_a_terminated_backend_is_noticed(stage: Stage) -> None:
    """A committer whose backend was terminated between two groups lands the next one on a new connection."""
    service, tasks = stage.tasks("dual_read")

    async def schedule() -> None:
        async with stage.held(service):
            running = request(service, _putting(tasks, 1))
            await stage.blocked(service)
            stage.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE '%%SET applied%%' AND pid <> pg_backend_pid()"
            )
        assert (await running).status == 200
        assert stage.row(1) == ("", False, [])
        assert stage.sql("SELECT max(applied) FROM outlive.member") == [(1,)]

    stage.play(schedule)


def _putting(tasks: Any, number: int) -> Any:
    async def act() -> None:
        tasks[number] = Task(number)

    return act


def test_postgresql_away_in_dual_write(stage: Stage) -> None:
    """Writes go to the journal and are acknowledged; they are in PostgreSQL, in order, once it is back."""
    with lined(stage.address) as line:
        service, tasks = stage.tasks(address=line.address)

        async def schedule() -> None:
            async with service.unit():
                tasks[1] = Task(1, "first")
                tasks[2] = Task(2)
            line.cut()

            async def act() -> None:
                tasks[1].title = "away"
                del tasks[2]
                tasks[3] = Task(3)

            assert (await request(service, act)).status == 200
            async with service.unit():
                tasks[3].done = True
            assert service.journal_units() > 0
            assert stage.row(1) == ("first", False, [])
            line.mend()
            await until(lambda: not service.journal_units())
            assert stage.row(1) == ("away", False, [])
            assert stage.row(2) is None
            assert stage.row(3) == ("", True, [])
            assert stage.sql("SELECT reason FROM outlive.unlanded") == []
            async with service.unit():
                tasks[2] = Task(2, "again")
            assert stage.row(2) == ("again", False, [])

        stage.play(schedule)


def test_postgresql_away_in_dual_read(stage: Stage) -> None:
    """A write answers 503 with Retry-After and memory is set back; reads go on, and all heals by itself."""
    with lined(stage.address) as line:
        service, tasks = stage.tasks("dual_read", address=line.address)

        async def schedule() -> None:
            async with service.unit():
                tasks[1] = Task(1, "first")
                tasks[2] = Task(2)
            line.cut()

            async def act() -> None:
                tasks[1].title = "away"
                del tasks[2]
                tasks[3] = Task(3)

            answer = await request(service, act)
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) > 0
            assert tasks == {1: Task(1, "first"), 2: Task(2)}
            assert list(tasks) == [1, 2]
            with pytest.raises(Unavailable):
                async with service.unit():
                    tasks[4] = Task(4)
            assert await tasks.repository.get(1) == Task(1, "first")
            line.mend()
            await until(lambda: service.committer.connected)
            assert (await request(service, act)).status == 200
            assert stage.row(1) == ("away", False, [])
            assert stage.row(2) is None

        stage.play(schedule)


@pytest.mark.parametrize("op", ["put", "patch"])
def test_a_journalled_change_that_is_refused_holds_up_nothing(stage: Stage, op: str) -> None:
    """What PostgreSQL refuses when the journal drains is unlanded with its bytes; what stands behind it lands."""
    with lined(stage.address) as line:
        service, tasks = stage.tasks(address=line.address)

        async def schedule() -> None:
            async with service.unit():
                tasks[1] = Task(1, "first")
            stage.refuse()
            line.cut()
            async with service.unit():
                tasks[2] = Task(2)
                if op == "put":
                    tasks[1] = Task(1, "bad")
                else:
                    tasks[1].title = "bad"
            async with service.unit():
                tasks[3] = Task(3)
            line.mend()
            await until(lambda: not service.journal_units())
            assert stage.row(1) == ("first", False, [])
            assert stage.row(2) is not None
            assert stage.row(3) is not None
            ((key, document, state),) = stage.sql("SELECT key, document, sqlstate FROM outlive.unlanded")
            assert (key, state) == ("1", "23514")
            assert json.loads(document)["title"] == "bad"
            assert tasks[1].title == "bad"
            async with service.unit():
                tasks[1].title = "better"
            assert stage.row(1) == ("better", False, [])

        stage.play(schedule)


# -- two processes on one database ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["put", "delete"])
def test_a_delete_and_a_put_of_one_key_by_two_services(stage: Stage, first: str) -> None:
    """Whichever commits last decides, its loser's version never comes back, and the tombstone is as new as the row."""
    (one, putting), (two, deleting) = stage.tasks(), stage.tasks()

    async def schedule() -> None:
        async with one.unit():
            putting[1] = Task(1, "first")
        await two.close_async()
        await stage.open(two)
        assert 1 in deleting

        async def put() -> None:
            putting[1] = Task(1, "put")

        async def delete() -> None:
            del deleting[1]

        acts = [(one, put), (two, delete)]
        (ahead, lead), (behind, follow) = acts if first == "put" else acts[::-1]
        async with stage.held(behind):
            running = request(behind, follow)
            await stage.blocked(behind)
            assert (await request(ahead, lead)).status == 200
        assert (await running).status == 200
        ((version,),) = stage.sql("SELECT max(version) FROM outlive.tombstone WHERE key = '1'")
        if first == "put":
            assert stage.row(1) is None
        else:
            assert stage.row(1) == ("put", False, [])
            assert stage.sql("SELECT outlive_version > %s FROM stage.tasks", version) == [(True,)]

    stage.play(schedule)


def test_an_in_place_change_does_not_bring_a_deleted_record_back(stage: Stage) -> None:
    """A change of a record that another service has deleted loses: unlanded in dual_write, 409 from dual_read on."""
    (one, changing), (two, deleting) = stage.tasks("dual_read"), stage.tasks("dual_read")

    async def schedule() -> None:
        async with one.unit():
            changing[1] = Task(1, "first")
        await two.close_async()
        await stage.open(two)

        async def change() -> None:
            changing[1].title = "second"

        async with stage.held(one):
            running = request(one, change)
            await stage.blocked(one)
            async with two.unit():
                del deleting[1]
        assert (await running).status == 409
        assert stage.row(1) is None
        await until(lambda: 1 not in changing)

    stage.play(schedule)


def test_a_late_journal_does_not_bring_a_deleted_record_back(stage: Stage) -> None:
    """A put that waited in a journal while another service deleted the key later goes to unlanded, not to the table."""
    with lined(stage.address) as line:
        (one, journalling), (two, deleting) = stage.tasks(address=line.address), stage.tasks()

        async def schedule() -> None:
            async with one.unit():
                journalling[1] = Task(1, "first")
            await two.close_async()
            await stage.open(two)
            line.cut()
            async with one.unit():
                journalling[1] = Task(1, "away")
            async with two.unit():
                del deleting[1]
            line.mend()
            await until(lambda: not one.journal_units())
            assert stage.row(1) is None
            assert stage.sql("SELECT key, op FROM outlive.unlanded") == [("1", "put")]
            await until(lambda: 1 not in journalling)

        stage.play(schedule)


def test_the_same_field_changed_by_two_services(stage: Stage) -> None:
    """From dual_read on the second is refused with 409 and reads the first's value; other fields merge."""
    (one, mine), (two, theirs) = stage.tasks("dual_read"), stage.tasks("dual_read")

    async def schedule() -> None:
        async with one.unit():
            mine[1] = Task(1, "first")
        await two.close_async()
        await stage.open(two)
        record = theirs[1]
        async with one.unit():
            mine[1].title = "mine"

        async def clash() -> None:
            theirs[1].title = "theirs"

        assert (await request(two, clash)).status == 409
        assert stage.row(1) == ("mine", False, [])
        await until(lambda: record.title == "mine")
        assert theirs[1] is record
        async with one.unit():
            mine[1].title = "again"

        async def beside() -> None:
            theirs[1].done = True

        assert (await request(two, beside)).status == 200
        assert stage.row(1) == ("again", True, [])
        assert record == Task(1, "again", True)

    stage.play(schedule)


def test_seeds_of_two_workers(stage: Stage) -> None:
    """A store is seeded once: later seeds change nothing, bring no deleted record back, and are noted."""

    def worker() -> tuple[outlive.Service, Any]:
        service, tasks = stage.tasks()
        tasks[1] = Task(1, "seed")
        tasks[2] = Task(2, "seed")
        tasks[3] = Task(3, "seed")
        return service, tasks

    (one, mine), (two, _) = worker(), worker()

    async def schedule() -> None:
        assert stage.row(1) == ("seed", False, [])
        assert stage.sql("SELECT count(*), count(DISTINCT outlive_version) FROM stage.tasks") == [(3, 3)]
        async with one.unit():
            mine[1].title = "changed"
            del mine[2]
        await two.close_async()
        again, fresh = worker()
        await stage.open(again)
        assert fresh == {1: Task(1, "changed"), 3: Task(3, "seed")}
        assert stage.row(2) is None
        await outlive.flush(again)
        assert len(stage.sql("SELECT id FROM stage.tasks")) == 2
        query = "SELECT detail ->> 'records' FROM outlive.event WHERE kind = 'seed_discarded'"
        await until(lambda: stage.sql(query)[:2] == [("3",), ("3",)])

    stage.play(schedule)


def test_seeds_over_a_store_whose_records_were_all_deleted(stage: Stage) -> None:
    """An emptied store is not seeded again."""
    service, tasks = stage.tasks()
    tasks[1] = Task(1, "seed")

    async def schedule() -> None:
        async with service.unit():
            tasks.clear()
        assert stage.sql("SELECT id FROM stage.tasks") == []
        await service.close_async()
        again, fresh = stage.tasks()
        fresh[1] = Task(1, "seed")
        await stage.open(again)
        assert not fresh
        assert stage.sql("SELECT id FROM stage.tasks") == []

    stage.play(schedule)
