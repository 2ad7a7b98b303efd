"""What a group and a replay do to rows, on real PostgreSQL: merges, conflicts, savepoints, fences and late journals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from outlive.commit import group
from outlive.commit.group import Fenced, Outcome
from outlive.commit.unit import Unit
from outlive.commit.writes import UnitsRefused, Write, fold
from outlive.errors import Conflict, KeyTaken, Unholdable
from outlive.postgres.address import Address
from outlive.postgres.drive import Ask, drive
from tests.stage import Stage

HIGH = 1 << 60  # above every version of a clock
BIG = 1 << 70  # no key of a bigint column


class Bench:
    """The table of a store, a member of the test's own, and steps driven over a connection."""

    def __init__(self, stage: Stage, phase: str) -> None:
        self.stage = stage
        service, tasks = stage.tasks(phase)
        service.start()
        self.store = service.stores["tasks"]
        self.tasks = tasks
        statement = "INSERT INTO outlive.member (service, host, pid, boot, started_at, seen_at, lease_s, epoch) "
        values = "VALUES ('other', 'test', 1, 'bench', now(), now(), 60, 1) RETURNING id"
        ((self.member,),) = stage.sql(statement + values)
        self.seq = 0

    def write(self, key: int, op: str = "put", version: int = HIGH, base: int = 0, **fields: Any) -> Write:
        """A write of the task; for a patch `fields` are what it changed, over the before-values of a fresh task."""
        fresh = {"id": key, "title": "first", "done": False, "tags": []}
        document = None if op == "delete" else {name: v for name, v in {**fresh, **fields}.items() if v is not ...}
        before = {name: fresh[name] for name in fields} if op == "patch" else {}
        return Write(self.store, key, op, document, version, key, base, before, set(before), {Unit()})

    def land(self, *writes: Write) -> Outcome:
        """As one live group."""
        stores = fold(writes)
        group.prepare(stores)
        return self._run(group.land(stores, [], *self._next()))

    def apart(self, *writes: Write) -> Outcome:
        """Live, change by change."""
        stores = fold(writes)
        group.prepare(stores)
        return self._run(group.one_by_one(stores, [], *self._next()))

    def replay(self, *writes: Write, apart: bool = False) -> Outcome:
        """From a journal."""
        return self._run(group.replay(writes, *self._next(), apart=apart))

    def _next(self) -> tuple[int, int, int]:
        return self.member, 1, self.seq + 1

    def _run(self, step: Any) -> Outcome:
        outcome: Outcome = drive(step, self.stage.conn)
        self.seq += 1
        return outcome

    def version(self, key: int) -> int:
        """The row's version."""
        ((version,),) = self.stage.sql("SELECT outlive_version FROM stage.tasks WHERE id = %s", key)
        return int(version)

    def unlanded(self) -> list[Any]:
        """(op, title, reason) of what did not land, oldest first."""
        rows = self.stage.sql("SELECT op, document, reason FROM outlive.unlanded ORDER BY id")
        return [(op, None if text is None else json.loads(text)["title"], reason) for op, text, reason in rows]


@pytest.fixture
def stage(database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database."""
    stage = Stage("thread", database_address, tmp_path)
    yield stage
    stage.close()


@pytest.fixture
def bench(stage: Stage) -> Bench:
    """A bench in dual_write."""
    return Bench(stage, "dual_write")


@pytest.fixture
def strict(stage: Stage) -> Bench:
    """A bench in dual_read."""
    return Bench(stage, "dual_read")


# -- live groups ---------------------------------------------------------------------------------------------------


def test_a_group_of_a_member_that_moved_on_is_fenced(bench: Bench) -> None:
    """A sequence that is not the next one writes nothing."""
    bench.seq = 7
    with pytest.raises(Fenced):
        bench.land(bench.write(1))
    assert bench.stage.row(1) is None


def test_a_delete_and_a_put_of_one_key_in_a_group_fold(bench: Bench) -> None:
    """Whatever came last decides, from where the first began: one write a key."""
    bench.land(bench.write(1), bench.write(1, "delete", HIGH + 1))
    assert bench.stage.row(1) is None
    bench.land(bench.write(1, "delete", HIGH + 2), bench.write(1, "put", HIGH + 3, title="again"))
    assert bench.stage.row(1) == ("again", False, [])
    folded = fold([bench.write(2, "put", 5), bench.write(2, "patch", 6, base=5, title="new")])
    write = folded["tasks"][2]
    assert (write.op, write.base, write.version, write.fields) == ("put", 0, 6, {"title"})


def test_acknowledged_patches_made_without_an_image_are_merged_in_replay(strict: Bench) -> None:
    """Two journalled patches of different fields both count; of one field the later wins and the loser is kept."""
    strict.land(strict.write(1, "put", 5))
    base = strict.version(1)
    writes = [
        strict.write(1, "patch", HIGH + n, base=base, **fields)
        for n, fields in enumerate(({"title": "a"}, {"done": True}, {"title": "b"}))
    ]
    for write in writes:
        write.direct = True
    strict.replay(*writes)
    assert strict.stage.row(1) == ("b", True, [])
    assert strict.unlanded() == [("put", "a", "overwritten by a newer change of title")]
    strict.replay(*writes)
    assert strict.stage.row(1) == ("b", True, [])


def test_a_put_below_its_row_is_raised_above_it(bench: Bench) -> None:
    """The outcome tells the version that the row got."""
    bench.land(bench.write(1))
    outcome = bench.land(bench.write(1, "put", 5, title="late"))
    assert [(key, old, new) for _, key, old, new in outcome.raised] == [(1, 5, HIGH + 1)]
    assert bench.stage.row(1) == ("late", False, [])


def test_a_change_of_other_fields_merges(bench: Bench) -> None:
    """A row that moved on in other fields keeps them, and a field that was removed goes."""
    bench.land(bench.write(1, title="theirs"))
    outcome = bench.land(bench.write(1, "patch", 5, base=4, done=True))
    assert bench.stage.row(1) == ("theirs", True, [])
    ((key, document, version),) = [(m.key, m.document, m.version) for m in outcome.merged]
    assert (key, document["title"], document["done"], version) == (1, "theirs", True, HIGH + 1)
    outcome = bench.land(bench.write(1, "patch", 6, base=4, tags=...))
    assert "tags" not in outcome.merged[0].document
    assert bench.unlanded() == []


def test_the_newer_of_two_changes_wins_in_dual_write(bench: Bench) -> None:
    """The row's document goes to unlanded with the fields that were overwritten."""
    bench.land(bench.write(1, title="theirs", version=100, done=True))
    bench.land(bench.write(1, "patch", 200, base=4, title="mine"))
    assert bench.stage.row(1) == ("mine", True, [])
    assert bench.unlanded() == [("put", "theirs", "overwritten by a newer change of title")]


def test_the_older_of_two_changes_loses_in_dual_write(bench: Bench) -> None:
    """It goes to unlanded, its record is read again, and the row stays."""
    bench.land(bench.write(1, title="theirs"))
    outcome = bench.land(bench.write(1, "patch", 5, base=4, title="mine"))
    assert bench.stage.row(1) == ("theirs", False, [])
    assert bench.unlanded() == [("put", "mine", "another writer changed title")]
    assert [key for _, key in outcome.reread] == [1]


def test_a_change_of_a_deleted_record_loses_in_dual_write(bench: Bench) -> None:
    """A row that is gone stays gone."""
    outcome = bench.land(bench.write(1, "patch", base=4, title="mine"))
    assert bench.stage.row(1) is None
    assert bench.unlanded() == [("put", "mine", "the record was deleted by another writer")]
    assert outcome.merged == []


def test_a_clash_is_a_conflict_from_dual_read_on(strict: Bench) -> None:
    """Even the newer change is refused, with the unit that made it, and nothing of the group lands."""
    strict.land(strict.write(1, title="theirs", version=100))
    write = strict.write(1, "patch", HIGH, base=4, title="mine")
    with pytest.raises(UnitsRefused) as refused:
        strict.land(strict.write(2), write)
    assert refused.value.units == write.units
    assert isinstance(refused.value.error, Conflict)
    assert strict.stage.row(1) == ("theirs", False, [])
    assert strict.stage.row(2) is None


def test_what_no_column_holds_is_unlanded_in_dual_write(bench: Bench) -> None:
    """The record beside it lands; a delete under a key of another kind is kept the same way."""
    bench.land(bench.write(BIG, title="big"), bench.write(2))
    assert bench.stage.row(2) is not None
    ((op, title, _),) = bench.unlanded()
    assert (op, title) == ("put", "big")
    marked = bench.write(3, title="marked")
    marked.error = Unholdable(store="tasks", key="3", field="title", reason="marked")
    bench.land(marked)
    assert bench.unlanded()[1] == ("put", "marked", "marked")
    wrong = bench.write(3, "delete")
    wrong.key = "no number"
    bench.land(wrong)
    assert bench.unlanded()[2][:2] == ("delete", None)


def test_what_no_column_holds_refuses_its_unit_from_dual_read_on(strict: Bench) -> None:
    """The error names the store, the key and the field."""
    with pytest.raises(UnitsRefused) as refused:
        strict.land(strict.write(BIG))
    error: Any = refused.value.error
    assert (error.store, error.key, error.field) == ("tasks", str(BIG), "id")


def test_a_put_of_a_new_record_finds_its_key_taken(bench: Bench) -> None:
    """A record that may only be added is refused where another writer was first, and lands where the key is free."""
    first, second = bench.write(1), bench.write(1, title="second")
    first.expect_absent = second.expect_absent = True
    bench.land(first)
    with pytest.raises(UnitsRefused) as refused:
        bench.land(second)
    assert isinstance(refused.value.error, KeyTaken)
    assert bench.stage.row(1) == ("first", False, [])


def test_a_change_of_an_unmoved_row_lands(bench: Bench) -> None:
    """The row takes the change's version, and nothing is raised or merged."""
    bench.land(bench.write(1, version=9))
    outcome = bench.land(bench.write(1, "patch", HIGH, base=9, title="new"))
    assert bench.stage.row(1) == ("new", False, [])
    assert outcome == Outcome()


def test_a_field_that_was_not_there_at_first_is_no_conflict(bench: Bench) -> None:
    """Frames that added a field and then changed it land together on a row that has moved on in another field."""
    bench.land(bench.write(1, version=5, tags=...))
    bench.land(bench.write(1, "patch", HIGH, base=5, done=True, tags=...))
    added = bench.write(1, "patch", HIGH + 10, base=5, tags=[1])
    added.before = {}  # as the journal says it: there was none
    changed = bench.write(1, "patch", HIGH + 20, base=HIGH + 10, tags=[1, 2])
    changed.before = {"tags": [1]}
    bench.replay(added, changed)
    assert bench.stage.row(1) == ("first", True, [1, 2])
    assert bench.unlanded() == []


def test_a_number_is_taken_once(bench: Bench) -> None:
    """Of two units that took one number, since a lock was lost, the second is refused; the counter stays."""
    counter: Any = bench.store
    units = [Unit(), Unit(), Unit()]
    for unit, taken in zip(units, (range(1, 3), range(3, 4), range(2, 4)), strict=True):
        unit.draws[counter] = taken
    drive(group.save_draws(units[:2]), bench.stage.conn)
    for late in units[2], units[1]:
        with pytest.raises(UnitsRefused) as refused:
            drive(group.save_draws([late]), bench.stage.conn)
        assert refused.value.units == {late}
        assert isinstance(refused.value.error, Conflict)
    assert bench.stage.sql("SELECT value FROM outlive.counter WHERE store = 'tasks'") == [(3,)]


def test_a_split_unit_lands_its_numbers_in_two_parts(bench: Bench) -> None:
    """The second part of a unit that a phase change ended lands only what it took since."""
    counter: Any = bench.store
    first, rest = Unit(), Unit()
    first.draws[counter], rest.draws[counter] = range(1, 3), range(1, 3)
    rest.earlier = (first,)
    for unit in (first, rest):
        drive(group.save_draws([unit]), bench.stage.conn)
    rest.draws[counter] = range(1, 4)
    drive(group.save_draws([rest]), bench.stage.conn)
    assert bench.stage.sql("SELECT value FROM outlive.counter WHERE store = 'tasks'") == [(3,)]


def test_a_change_that_began_at_a_merged_one_keeps_what_was_merged(bench: Bench) -> None:
    """The row that a merge makes has a version of its own: whoever knows only the merged change's bytes merges too."""
    bench.land(bench.write(1, version=5))
    bench.land(bench.write(1, "patch", HIGH, base=5, title="other"))
    bench.land(bench.write(1, "patch", HIGH + 10, base=5, done=True))
    assert bench.stage.row(1) == ("other", True, [])
    later = bench.write(1, "patch", HIGH + 20, base=HIGH + 10, tags=[1])
    assert later.document is not None
    later.document["done"] = True
    bench.land(later)
    assert bench.stage.row(1) == ("other", True, [1])


# -- change by change ----------------------------------------------------------------------------------------------


def test_change_by_change_only_what_is_refused_stays_out(bench: Bench) -> None:
    """A refused change is unlanded under its savepoint, the others land in the same transaction."""
    bench.stage.refuse()
    outcome = bench.apart(bench.write(1), bench.write(2, title="bad"), bench.write(3))
    assert [bench.stage.row(key) is not None for key in (1, 2, 3)] == [True, False, True]
    ((op, title, reason),) = bench.unlanded()
    assert (op, title) == ("put", "bad")
    assert "no_bad" in reason
    assert [entry.sqlstate for entry in outcome.unlanded] == ["23514"]


def test_an_error_that_is_no_refusal_ends_the_whole(bench: Bench) -> None:
    """A cancelled statement is no verdict on the data: everything is rolled back and the error goes on."""

    def cancelled() -> Any:
        yield Ask("SET LOCAL statement_timeout = 1")
        yield Ask("SELECT pg_sleep(10)")

    with pytest.raises(psycopg.errors.QueryCanceled):
        drive(group._each_apart([bench.write(1)], lambda write, into: cancelled(), Outcome()), bench.stage.conn)
    assert bench.unlanded() == []


# -- replay --------------------------------------------------------------------------------------------------------


def test_a_replay_of_what_has_landed_changes_nothing(bench: Bench) -> None:
    """The same version is the same write."""
    bench.replay(bench.write(1, version=9))
    bench.replay(bench.write(1, version=9, title="not seen"))
    assert bench.stage.row(1) == ("first", False, [])
    assert bench.unlanded() == []


@pytest.mark.parametrize("apart", [False, True])
def test_a_late_put_loses_to_a_newer_row(bench: Bench, apart: bool) -> None:
    """It goes to unlanded and its record is read again."""
    bench.land(bench.write(1))
    outcome = bench.replay(bench.write(1, version=9, title="late"), apart=apart)
    assert bench.stage.row(1) == ("first", False, [])
    assert bench.unlanded() == [("put", "late", "a newer change had landed when the journal was replayed")]
    assert [key for _, key in outcome.reread] == [1]


def test_a_late_put_loses_to_a_newer_delete(bench: Bench) -> None:
    """The tombstone is newer than the put: the record does not come back, what stands beside it lands."""
    bench.land(bench.write(1))
    bench.land(bench.write(1, "delete", HIGH + 1))
    bench.replay(bench.write(1, version=9, title="late"), bench.write(2))
    assert bench.stage.row(1) is None
    assert bench.stage.row(2) is not None
    assert bench.unlanded() == [("put", "late", "a newer change or delete had landed when the journal was replayed")]


@pytest.mark.parametrize("version", [9, HIGH + 9])
def test_a_late_delete_meets_a_row(bench: Bench, version: int) -> None:
    """An older delete leaves the newer row and is unlanded; a newer one takes the row."""
    bench.land(bench.write(1))
    bench.replay(bench.write(1, "delete", version), bench.write(2, "delete", version))
    if version < HIGH:
        assert bench.stage.row(1) is not None
        assert bench.unlanded() == [("delete", None, "a newer change had landed when the journal was replayed")]
    else:
        assert bench.stage.row(1) is None
        assert bench.unlanded() == []


def test_a_late_change_of_other_fields_merges(bench: Bench) -> None:
    """The row keeps what others wrote and gets the journalled field, above both versions."""
    bench.land(bench.write(1, title="theirs"))
    outcome = bench.replay(bench.write(1, "patch", 9, base=4, done=True))
    assert bench.stage.row(1) == ("theirs", True, [])
    assert bench.version(1) == HIGH + 1
    assert [merged.key for merged in outcome.merged] == [1]


@pytest.mark.parametrize("version", [9, HIGH + 9])
def test_a_late_change_of_the_same_field(bench: Bench, version: int) -> None:
    """The newer of both stands in the row, the other's record is kept in unlanded."""
    bench.land(bench.write(1, title="theirs"))
    bench.replay(bench.write(1, "patch", version, base=4, title="mine"))
    if version < HIGH:
        assert bench.stage.row(1) == ("theirs", False, [])
        assert bench.unlanded() == [("put", "mine", "a newer change had landed when the journal was replayed")]
    else:
        assert bench.stage.row(1) == ("mine", False, [])
        assert bench.unlanded() == [("put", "theirs", "overwritten by a newer change of title")]


def test_a_replay_keeps_what_no_column_holds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was marked before and what turns out now are unlanded, and hold up nothing."""
    marked = bench.write(1)
    marked.error = Unholdable(store="tasks", key="1", field="title", reason="marked")
    bench.replay(marked)
    monkeypatch.setattr(bench.store.table, "has_extra", False)  # as a given table may be, once it has been altered
    bench.replay(bench.write(2, extra="no column"))
    assert [bench.stage.row(key) for key in (1, 2)] == [None, None]
    (first, second) = bench.unlanded()
    assert first == ("put", "first", "marked")
    assert "extra" in bench.stage.sql("SELECT field FROM outlive.unlanded ORDER BY id")[1][0]
    assert second[:2] == ("put", "first")


def test_a_frame_gives_back_its_writes(bench: Bench) -> None:
    """Stores, doubt and marked errors of a frame survive the journal."""
    frame = {
        "group": [3, 4],
        "changes": [
            {
                "store": "tasks", "key": "1", "op": "put", "version": 5, "base": 0, "position": "1.5", "fields": [],
                "document": {"id": 1}, "before": {}, "error": {"store": "tasks", "key": "1", "reason": "marked"},
            }
        ],
    }  # fmt: skip
    payload = json.dumps(frame).encode()
    assert group.payload_group(payload) == (3, 4)
    assert group.payload_stores(payload) == {"tasks"}
    (write,) = group.from_payload(payload, lambda name: bench.store, int)
    assert (write.key, write.version, str(write.position)) == (1, 5, "1.5")
    assert isinstance(write.error, Unholdable)
