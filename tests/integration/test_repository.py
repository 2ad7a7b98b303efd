"""The repository over a real table: reads, writes, an open unit, and PostgreSQL going away."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from operator import attrgetter
from typing import Any

import psycopg
import pytest
from pydantic import BaseModel

from outlive.errors import BadQuery, KeyTaken, NotOpen, Unavailable
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.derive import ensure_derived
from outlive.postgres.drive import Ask
from outlive.postgres.lane import Lane
from outlive.postgres.tables import StoreTable
from outlive.records import RecordType
from outlive.settings import Settings
from outlive.stores.repository import DELETED, Repository
from tests.shelf import Shelf


@dataclasses.dataclass
class Task:
    id: int
    title: str
    tags: list[str] = dataclasses.field(default_factory=list)
    weight: float | None = None


TASKS = [Task(3, "c", ["x"], 1.5), Task(1, "a"), Task(2, "b", [], 2)]


@pytest.fixture
def shelf(db: Database) -> Shelf:
    """A store with three tasks in image and table."""
    table = StoreTable.derive("service", "tasks", RecordType.of(Task), "id")
    ensure_derived(db, [table])
    shelf = Shelf(table, db, attrgetter("id"))
    shelf.fill([dataclasses.replace(task, tags=list(task.tags)) for task in TASKS])
    return shelf


@pytest.fixture(params=["image", "sql"])
def either(request: pytest.FixtureRequest, shelf: Shelf) -> Shelf:
    """The same store, answered by the image and by SQL."""
    shelf.by_sql = request.param == "sql"
    return shelf


def test_reads(either: Shelf) -> None:
    """get, find, keys and totals answer alike from image and SQL, in insertion order unless asked otherwise."""
    repository = Repository(either)
    assert repository.get(1).result() == TASKS[1]
    assert repository.get(9).result() is None
    assert repository.get("no key").result() is None
    assert repository.find().result() == TASKS
    assert repository.find(title__in=["a", "b"], order_by="-title", limit=1).result() == [TASKS[2]]
    assert repository.find(order_by="title", limit=1, offset=1).result() == [TASKS[2]]
    assert repository.keys(weight__isnull=False).result() == [3, 2]
    assert repository.count(title__gt="a").result() == 2
    assert repository.sum("weight").result() == 3.5
    assert repository.avg("weight").result() == 1.75
    assert repository.figures("weight").result() == (3, 2, 3.5, 1.75)
    by_title = repository.figures("weight", by="title", title__ne="b").result()
    assert list(by_title.items()) == [("c", (1, 1, 1.5, 1.5)), ("a", (1, 0, 0.0, None))]
    assert repository.min("title").result() == "a"
    assert repository.max("weight", by="title").result() == {"c": 1.5, "a": None, "b": 2.0}


def test_await_and_result_are_one(either: Shelf) -> None:
    """`await` gives what `result()` gives; an answer by SQL is timed, one from the image is not."""
    repository = Repository(either)

    async def ask() -> list[Any]:
        try:
            return [await repository.get(3), await repository.find(title="a"), await repository.count()]
        finally:
            either.db.dispose()

    assert asyncio.run(ask()) == [TASKS[0], [TASKS[1]], 3]
    assert repository.count().result() == 3
    assert len(either.seconds) == (4 if either.by_sql else 0)


def test_the_image_answers_without_a_connection(shelf: Shelf) -> None:
    """While the image answers, neither `result()` nor `await` touches the database or suspends."""
    shelf.db = Database(Address.parse("postgresql://nobody@127.0.0.1:1/none"), Settings(service="test"))
    repository = Repository(shelf)
    assert repository.find(title="a").result() == [TASKS[1]]
    waiting = repository.count().__await__()
    with pytest.raises(StopIteration) as done:
        next(waiting)
    assert done.value.value == 3


def test_records_are_copies(either: Shelf) -> None:
    """Changing a record that a repository gave, or one that it was given, changes nothing in the store."""
    repository = Repository(either)
    found = repository.get(3).result()
    found.tags.append("y")
    assert repository.get(3).result() == TASKS[0]
    given = Task(5, "e", ["z"])
    repository.put(given).result()
    given.tags.append("y")
    assert repository.get(5).result() == Task(5, "e", ["z"])


def test_a_record_that_postgresql_cannot_hold(shelf: Shelf) -> None:
    """The image stores, patches and gives back copies also of what has no canonical form."""
    repository = Repository(shelf)
    repository.put(Task(5, "nul \x00", ["z"])).result()
    repository.get(5).result().tags.append("y")
    assert repository.find(id=5).result() == [Task(5, "nul \x00", ["z"])]
    assert repository.patch(5, weight=2.5).result() == Task(5, "nul \x00", ["z"], 2.5)
    assert repository.patch(1, title="also \x00").result() == Task(1, "also \x00")


def test_writes(either: Shelf) -> None:
    """Writes join the unit, later reads of the unit see them, and each waits until it is settled."""
    repository = Repository(either)
    repository.insert(Task(4, "d")).result()
    with pytest.raises(KeyTaken, match="4"):
        repository.insert(Task(4, "again")).result()
    assert repository.patch(1, title="A", tags=["new"]).result() == Task(1, "A", ["new"])
    assert repository.patch(9, title="A").result() is None
    assert repository.delete(2).result() is True
    assert repository.delete(2).result() is False
    repository.put(Task(3, "C")).result()
    assert repository.find().result() == [Task(3, "C"), Task(1, "A", ["new"]), Task(4, "d")]
    assert repository.get(2).result() is None
    assert repository.find(title="A", order_by="id", limit=1).result() == [Task(1, "A", ["new"])]
    assert repository.count(by="title").result() == {"C": 1, "A": 1, "d": 1}
    assert repository.delete_many([1, 1, 7, 3]).result() == 2
    assert repository.keys().result() == [4]
    assert either.settled == 7


def test_an_update_is_decided_on_the_record_that_is_written(either: Shelf) -> None:
    """The function gets a copy and gives the fields to set; what it raises leaves the record as it was."""
    repository = Repository(either)

    def more(task: Task) -> dict[str, Any]:
        task.tags.append("new")
        return {"tags": task.tags}

    assert repository.update(1, more).result() == repository.update(1, lambda _: {}).result() == Task(1, "a", ["new"])
    assert repository.update(9, more).result() is None
    with pytest.raises(ZeroDivisionError):
        repository.update(1, lambda task: {"title": str(1 / 0)}).result()
    with pytest.raises(BadQuery, match="titel"):
        repository.update(1, lambda task: {"titel": "b"}).result()
    assert repository.get(1).result() == Task(1, "a", ["new"])


def test_several_updates_are_one_write(either: Shelf) -> None:
    """Each record gets what is decided on it, keys that nobody has are left out, and what raises changes none."""
    repository = Repository(either)

    def doubled(task: Task) -> dict[str, str]:
        return {"title": task.title * 2} if task.title != "c" else {}

    changed = repository.bulk_update([2, 9, 1, 3, 2], doubled).result()
    assert {key: task.title for key, task in changed.items()} == {1: "aa", 2: "bb", 3: "c"}
    assert [repository.get(key).result().title for key in (1, 2, 3)] == ["aa", "bb", "c"]
    with pytest.raises(ZeroDivisionError):
        repository.bulk_update([1, 2], lambda task: {"title": str(1 // (2 - task.id))}).result()
    with pytest.raises(BadQuery, match="titel"):
        repository.bulk_update([1], lambda task: {"titel": "b"}).result()
    assert [repository.get(key).result().title for key in (1, 2)] == ["aa", "bb"]
    assert repository.bulk_update([], doubled).result() == {}


def test_async_writes(either: Shelf) -> None:
    """`await` on a write writes and waits until it is settled."""
    repository = Repository(either)

    async def write() -> Any:
        try:
            await repository.insert(Task(4, "d"))
            return await repository.patch(4, title="D")
        finally:
            either.db.dispose()

    assert asyncio.run(write()) == Task(4, "D")
    assert either.settled == 2


def test_nothing_happens_before_it_is_asked_for(either: Shelf) -> None:
    """A pending write that nobody asks for writes nothing."""
    repository = Repository(either)
    repository.delete(1)
    repository.put(Task(8, "h"))
    assert repository.keys().result() == [3, 1, 2]


def test_a_row_changed_in_the_unit_keeps_its_place(shelf: Shelf) -> None:
    """A record that only the unit's change makes a match stands where it was inserted."""
    shelf.by_sql, shelf.changes = True, {1: Task(1, "z"), 2: DELETED, 9: Task(9, "z")}
    shelf.changes[3] = Task(3, "z")
    assert Repository(shelf).keys(title="z").result() == [3, 1, 9]


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.find(titel="a"),
        lambda r: r.find(order_by="titel"),
        lambda r: r.sum("titel"),
        lambda r: r.count(by="titel"),
        lambda r: r.patch(1, titel="a"),
    ],
)
def test_unknown_fields(shelf: Shelf, call: Any) -> None:
    """A field that no record has is refused at once, with the fields that there are."""
    with pytest.raises(BadQuery, match="no such field; there are id, title"):
        call(Repository(shelf))


def test_without_a_table(shelf: Shelf) -> None:
    """SQL cannot answer for a store that is not open."""
    shelf.by_sql, shelf.table = True, None
    with pytest.raises(NotOpen):
        Repository(shelf).count().result()


class Note(BaseModel):
    id: int
    title: str = "untitled"
    mark: int = 0


def test_a_patched_default_counts_as_set(db: Database) -> None:
    """A patch of a Pydantic field that was left to its default makes it a set field, the others stay unset."""
    shelf = Shelf(StoreTable.derive("service", "notes", RecordType.of(Note), "id"), db, attrgetter("id"))
    shelf.image[1] = Note(id=1)
    patched = Repository(shelf).patch(1, title="x").result()
    assert patched.model_fields_set == {"id", "title"}
    assert patched == Note(id=1, title="x")


def test_a_dict_that_postgresql_cannot_hold_is_patched(db: Database) -> None:
    """In the image a dict takes a field that PostgreSQL could not hold, and the answer is still a copy."""
    shelf = Shelf(StoreTable.derive("service", "dicts", RecordType.of(dict), "id"), db, lambda record: record["id"])
    shelf.by_sql, shelf.changes[1] = True, {"id": 1, "more": "a\x00"}
    shelf.unit_patch = lambda key, fields, base=None: shelf.changes[key].update(fields)  # type: ignore[method-assign]
    patched = Repository(shelf).patch(1, title="b").result()
    assert patched == shelf.changes[1] == {"id": 1, "more": "a\x00", "title": "b"}
    assert patched is not shelf.changes[1]


class Losing(Shelf):
    """A store whose connections are cut by the server as soon as they are lent."""

    heals = False

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection that is already dead."""
        self.by_sql = not self.heals
        with self.db.connect() as other, self.db.session() as conn:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [conn.info.backend_pid])
            yield conn

    def lane(self) -> Lane:
        """A lane over connections that are dead."""
        self.dying = Dying(self.db.address, self.db.settings)
        self.by_sql = not self.heals
        return self.dying.lane()


class Dying(Database):
    """A database whose server cuts each of the first `lives` pooled asyncio connections."""

    lives = 100

    @asynccontextmanager
    async def asession(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A connection that is already dead."""
        async with super().asession() as conn:
            if self.lives:
                self.lives -= 1
                with self.connect() as other:
                    other.execute("SELECT pg_terminate_backend(%s, 5000)", [conn.info.backend_pid])
            yield conn


@pytest.fixture
def losing(shelf: Shelf) -> Losing:
    """The three tasks behind connections that break."""
    losing = Losing(shelf.table, shelf.db, attrgetter("id"))  # type: ignore[arg-type]
    losing.image, losing.by_sql = shelf.image, True
    return losing


def test_a_lost_connection_is_unavailable(losing: Losing) -> None:
    """A connection that breaks under a query is told as Unavailable with the reason, and a write is not made."""
    with pytest.raises(Unavailable, match="shelf") as caught:
        Repository(losing).count().result()
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)
    with pytest.raises(Unavailable):
        Repository(losing).delete(1).result()
    assert losing.changes == {}


def test_reads_fall_back_to_the_image(losing: Losing) -> None:
    """A read answers from the image if that has taken over by the time the connection breaks."""
    losing.heals = True
    assert Repository(losing).count().result() == 3

    async def ask() -> Any:
        try:
            losing.by_sql = True
            return await Repository(losing).count()
        finally:
            await losing.dying.leave_loop()
            losing.dying.dispose()

    assert asyncio.run(ask()) == 3


def test_a_read_that_lost_its_connection_is_asked_again_once(db: Database) -> None:
    """Asyncio reads do not notice one connection that breaks; of two in a row they hear."""

    async def ask(lives: int) -> Any:
        dying = Dying(db.address, db.settings)
        dying.lives = lives
        try:
            return await dying.lane().rows(Ask("SELECT 1"))
        finally:
            await dying.leave_loop()
            dying.dispose()

    assert asyncio.run(ask(1)) == [(1,)]
    with pytest.raises(psycopg.OperationalError):
        asyncio.run(ask(100))


def test_no_server(shelf: Shelf) -> None:
    """A server that does not answer is named, in blocking and in async code."""
    shelf.by_sql = True
    shelf.db = Database(Address.parse("postgresql://nobody@127.0.0.1:1/none"), Settings(service="test"))
    with pytest.raises(Unavailable, match=r"nobody@127\.0\.0\.1"):
        Repository(shelf).count().result()

    async def ask() -> None:
        await Repository(shelf).count()

    with pytest.raises(Unavailable, match=r"nobody@127\.0\.0\.1"):
        asyncio.run(ask())
