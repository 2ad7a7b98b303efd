"""What the committer decides, driven by hand: every action it asks for is answered by the test.

Long: one decision a test, all over the same hand-made driver.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator, Hashable
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from outlive.commit import committer as module
from outlive.commit.actions import Append, Connect, Idle, MarkDrained, ReadFrames, Transact, Turn, WriteFiles
from outlive.commit.clusters import clusters
from outlive.commit.committer import MAX_TRIES, Committer, Member
from outlive.commit.group import Fenced, Outcome
from outlive.commit.unit import WHOLE, Change, Unit, tick
from outlive.commit.writes import UnitsRefused
from outlive.errors import (
    Conflict,
    FileMalformed,
    JournalFull,
    KeyTaken,
    OutliveError,
    Unavailable,
    Unholdable,
    Unreachable,
)
from outlive.records import parse_key

GONE = psycopg.OperationalError("the server closed the connection")


class Table:
    """Literals of records; the title "bad" fits no column."""

    def key_literal(self, key: Hashable) -> str:
        """See StoreTable."""
        return str(key)

    def cells(self, key: Hashable, document: dict[str, Any]) -> tuple[str, ...]:
        """See StoreTable."""
        if document["title"] == "bad":
            raise Unholdable(field="title", reason="it fits no column")
        return str(key), str(document["title"])


class Store:
    """A store in a phase that is `strict` (dual_read) or not (dual_write)."""

    def __init__(self, name: str = "tasks", *, strict: bool = False, when_away: str = "journal") -> None:
        self.name = name
        self.strict = strict
        self.when_away = when_away
        self.durable = True
        self.table = Table()

    def named(self, error: Unholdable, key: Hashable) -> Unholdable:
        """The error with store and key."""
        return Unholdable(store=self.name, key=str(key), field=error.field, reason=error.reason)

    def settled(self, change: Change) -> None:
        """See Home."""


class Hand:
    """Host and driver in one: answers actions, by default as a PostgreSQL that takes everything would.

    `answers[kind]` are answers to come: an error is raised, a callable called, anything else is the result.
    """

    def __init__(self, *stores: Any, connected: bool = True) -> None:
        self.stores = {store.name: store for store in stores}
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[str] = []
        self.frames: deque[tuple[int, bytes]] = deque()
        self.landings: list[tuple[list[Unit], Outcome]] = []
        self.rereads: list[tuple[list[Unit], bool]] = []
        self.changes: list[bool] = []
        self.numbers = 0
        self.frame_numbers = 0
        self.pause_s = 0.0
        self.committer = Committer(self)  # type: ignore[arg-type]
        self.committer.wanted = True
        if connected:
            self.run()
            assert self.committer.connected
            self.asked.clear()

    # -- the host

    def finish(self, units: list[Unit], error: BaseException | None) -> None:
        """See CommitHost."""
        for unit in units:
            unit.settle(error)

    def landed(self, units: list[Unit], outcome: Outcome) -> None:
        """See CommitHost."""
        self.landings.append((units, outcome))

    def reread(self, units: list[Unit], *, doubtful: bool = False) -> None:
        """See CommitHost."""
        self.rereads.append((units, doubtful))

    def joined(self) -> Generator[Any, Any, None]:
        """See CommitHost; the answer to it is in `_joined`."""
        yield

    def journal_units(self) -> int:
        """See CommitHost."""
        return len(self.frames)

    def find_store(self, name: str) -> Any:
        """See CommitHost."""
        return self.stores[name]

    def key_of(self, text: str) -> Any:
        """See CommitHost."""
        return parse_key(text)

    def connection_changed(self, connected: bool) -> None:
        """See CommitHost."""
        self.changes.append(connected)

    # -- the driver

    def run(self) -> bool:
        """Drive until it wants to wait (False) or has ended (True)."""
        life = self.committer.run()
        try:
            action = next(life)
            while True:
                if isinstance(action, Idle):
                    self.pause_s = action.seconds
                    return False
                try:
                    result = self._answer(action)
                except Exception as error:
                    action = life.throw(error)
                else:
                    action = life.send(result)
        except StopIteration:
            return True

    def _answer(self, action: Any) -> Any:
        if isinstance(action, Turn):
            return None
        kind = action.step.__name__ if isinstance(action, Transact) else type(action).__name__
        self.asked.append(kind)
        if self.answers.get(kind):
            answer = self.answers[kind].pop(0)
            if isinstance(answer, BaseException):
                raise answer
            return answer() if callable(answer) else answer
        match action:
            case Append(payloads):
                self.journal(*payloads)
            case ReadFrames(limit):
                return list(self.frames)[:limit]
            case MarkDrained(upto):
                self.frames = deque(frame for frame in self.frames if frame[0] > upto)
            case Transact():
                return self.joins() if kind == "joined" else Outcome()
            case Connect() | WriteFiles():
                return None
        return None

    def journal(self, *payloads: bytes) -> None:
        """Append frames."""
        for payload in payloads:
            self.frame_numbers += 1
            self.frames.append((self.frame_numbers, payload))

    def joins(self, applied: int | None = None) -> None:
        """Join: the same member, with `applied` as PostgreSQL tells it, or a new one."""
        if self.committer.member is None:
            self.numbers += 1
            self.committer.member = Member(self.numbers, 1)
        if applied is not None:
            self.committer.member.applied = applied

    def submit(self, *units: Unit) -> None:
        """Queue ended units."""
        for unit in units:
            self.committer.submit(unit)

    @property
    def groups(self) -> list[list[Unit]]:
        """Units as they landed."""
        return [units for units, _ in self.landings]


def changed(store: Store, key: Hashable, title: str = "good", *depends: Unit, op: Any = "put") -> Unit:
    """An ended unit with one change."""
    unit = Unit()
    change = unit.changes[(id(store), key)] = Change(unit, store, key)  # type: ignore[arg-type]
    change.stamps[WHOLE] = tick()
    change.op, change.version = op, 10
    change.document = None if op == "delete" else {"title": title}
    unit.depends |= set(depends)
    unit.ended = True
    return unit


def error_of(unit: Unit) -> Any:
    """What the unit was told; None that it stands."""
    assert unit.settled
    return unit.ticket.exception(0)


def unknown_groups(hand: Hand) -> list[Any]:
    """The commit that each frame in the journal may have landed with."""
    return [json.loads(payload)["group"] for _, payload in hand.frames]


def titles(hand: Hand) -> list[str]:
    """What each frame in the journal writes."""
    return [json.loads(payload)["changes"][0]["document"]["title"] for _, payload in hand.frames]


# -- which units go ------------------------------------------------------------------------------------------------


def test_a_long_queue_goes_in_groups_that_hold_their_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group is cut at its limit, but whatever its units depend on goes with them."""
    monkeypatch.setattr(module, "MAX_GROUP", 2)
    store = Store()
    hand = Hand(store)
    a, b, c, d = (changed(store, key) for key in range(4))
    a.depends.add(c)
    c.depends.add(d)
    hand.submit(a, b, c, d, late := changed(store, 9))
    hand.run()
    assert hand.groups == [[a, b, c, d], [late]]
    assert hand.committer.figures.units == 5


def test_a_unit_waits_for_an_open_one_until_the_end() -> None:
    """A unit that depends on an open one is held, polled for, and goes at last when the process closes."""
    store = Store()
    hand = Hand(store)
    unit = changed(store, 1, "good", Unit())
    hand.submit(unit)
    assert hand.run() is False
    assert (hand.pause_s, hand.asked) == (0.05, [])
    assert hand.committer.pending() == [unit]
    assert not hand.committer.idle.is_set()
    hand.committer.close()
    assert hand.run() is True
    assert error_of(unit) is None


def test_a_paused_committer_takes_nothing() -> None:
    """Paused, units stay queued; afterwards they land."""
    store = Store()
    hand = Hand(store)
    hand.committer.paused = True
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert not unit.settled
    hand.committer.paused = False
    hand.run()
    assert error_of(unit) is None


def test_a_unit_without_changes_for_postgresql_needs_none() -> None:
    """A unit that only wrote a file is acknowledged once the file is written."""
    hand = Hand()
    unit = Unit()
    unit.files.add(Store("file"))
    hand.submit(unit)
    hand.run()
    assert hand.asked == ["WriteFiles"]
    assert error_of(unit) is None


@pytest.mark.parametrize("error", [OSError("disk full"), FileMalformed(path="x", reason="no JSON")])
def test_a_file_that_cannot_be_written_refuses_only_its_units(error: Exception) -> None:
    """The unit of the file is told why; its neighbour lands."""
    store = Store()
    hand = Hand(store)
    hand.answers["WriteFiles"] = [error]
    filed, other = changed(store, 1), changed(store, 2)
    filed.files.add(store)
    hand.submit(filed, other)
    hand.run()
    told = error_of(filed)
    assert told is error if isinstance(error, OutliveError) else "disk full" in str(told)
    assert hand.groups == [[other]]


# -- asides --------------------------------------------------------------------------------------------------------


def step() -> Generator[Any, Any, None]:
    """An aside."""
    yield


def test_an_aside_gives_its_result() -> None:
    """What the step returns is in the future."""
    hand = Hand()
    hand.answers["step"] = [42]
    done = hand.committer.aside(step())
    hand.run()
    assert done.result(0) == 42


@pytest.mark.parametrize(
    ("error", "stays"),
    [(pg.CheckViolation("no"), True), (Conflict(store="x"), True), (KeyError("bug"), True), (GONE, False)],
)
def test_an_aside_that_fails_tells_who_waits(error: Exception, stays: bool) -> None:
    """Any error reaches the future; only one of the connection costs the connection."""
    hand = Hand()
    hand.answers["step"] = [error]
    done = hand.committer.aside(step())
    hand.run()
    assert done.exception(0) is error
    assert ("Connect" in hand.asked) is not stays


def test_an_aside_without_a_connection_fails_at_once() -> None:
    """Nobody waits for PostgreSQL to come back."""
    hand = Hand(connected=False)
    hand.committer.wanted = False
    done = hand.committer.aside(step())
    hand.run()
    assert isinstance(done.exception(0), psycopg.OperationalError)
    assert hand.asked == []


def test_a_cancelled_aside_is_not_run() -> None:
    """An aside that nobody waits for any more is dropped, and the next one runs."""
    hand = Hand()
    first, second = hand.committer.aside(step()), hand.committer.aside(step())
    first.cancel()
    hand.run()
    assert second.exception(0) is None
    assert hand.asked == ["step"]


# -- refusals ------------------------------------------------------------------------------------------------------


def test_a_refusal_reaches_queued_units_that_build_on_it() -> None:
    """A unit that PostgreSQL refuses takes with it what depends on it, in the group, in the queue and held."""
    store = Store(strict=True)
    hand = Hand(store)
    bad = changed(store, 1, "bad")
    inside, queued = changed(store, 2, "good", bad), changed(store, 3)
    held = changed(store, 4, "good", bad, Unit())
    other = changed(store, 5)
    queued.depends.add(inside)
    queued.depends.add(Unit())
    hand.submit(bad, inside, held, queued, other)
    hand.run()
    assert hand.groups == [[other]]
    assert [type(error_of(unit)) for unit in (bad, inside, queued, held)] == [Unholdable] * 4
    assert hand.committer.pending() == []
    assert hand.committer.figures.refused == 4
    assert hand.rereads[-1] == ([bad, inside, queued, held], False)


def test_a_unit_on_changes_that_are_gone_is_refused() -> None:
    """A doomed unit keeps its own error; one whose dependency failed before is told of a conflict."""
    store = Store()
    hand = Hand(store)
    failed, doomed = changed(store, 1), changed(store, 2)
    failed.settle(Unavailable(store="tasks"))
    late = changed(store, 3, "good", failed)
    hand.submit(late)
    hand.run()
    assert isinstance(error_of(late), Conflict)
    doomed.doomed = Conflict(store="tasks", reason="mine")
    hand.submit(doomed)
    hand.run()
    assert error_of(doomed).reason == "mine"
    assert hand.asked == []


@pytest.mark.parametrize(
    ("error", "kind"), [(pg.UniqueViolation("no"), Conflict), (pg.CheckViolation("no"), Unholdable)]
)
def test_bisection_keeps_what_hangs_together(error: psycopg.Error, kind: type[OutliveError]) -> None:
    """Units that depend on each other are refused as one; the others land."""
    store = Store(strict=True)
    hand = Hand(store)
    first = changed(store, 1)
    other, second = changed(store, 2), changed(store, 3, "good", first)
    hand.answers["land"] = [error, Outcome(), error]
    hand.submit(other, first, second)
    hand.run()
    assert hand.groups == [[other]]
    assert [type(error_of(unit)) for unit in (first, second)] == [kind, kind]
    assert hand.committer.figures.bisections == 2


def test_what_hangs_together_is_one_cluster_whoever_came_first() -> None:
    """Two clusters become one with the unit that depends on both."""
    store = Store()
    a, b, c = changed(store, 1), changed(store, 2), changed(store, 3)
    d = changed(store, 4, "good", a, b)
    assert clusters([a, b, c, d]) == [[c], [a, b, d]]


def test_a_refusal_in_dual_write_goes_change_by_change() -> None:
    """The request stands; what PostgreSQL refuses of it is the step's business."""
    store = Store()
    hand = Hand(store)
    outcome = Outcome()
    hand.answers |= {"land": [pg.CheckViolation("no")], "one_by_one": [outcome]}
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert hand.landings == [([unit], outcome)]
    assert hand.committer.member is not None
    assert hand.committer.member.applied == 1


def test_change_by_change_of_a_fenced_member_joins_again() -> None:
    """A fenced member takes a new number and lands the unit under it."""
    store = Store()
    hand = Hand(store)
    hand.answers |= {"land": [pg.CheckViolation("no")], "one_by_one": [Fenced()]}
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert error_of(unit) is None
    assert hand.committer.member == Member(2, 1, 1)


def test_change_by_change_with_the_connection_lost_is_journalled_with_its_doubt() -> None:
    """The frame names the commit that may have landed, and the member's number is never used again."""
    store = Store()
    hand = Hand(store)
    hand.answers |= {"land": [pg.CheckViolation("no")], "one_by_one": [GONE], "Connect": [GONE]}
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert error_of(unit) is None
    assert unknown_groups(hand) == [[1, 1]]
    assert hand.committer.member is None


def test_change_by_change_that_had_landed_is_not_journalled() -> None:
    """After a lost answer the member's row tells that the commit stands."""
    store = Store()
    hand = Hand(store)
    hand.answers |= {"land": [pg.CheckViolation("no")], "one_by_one": [GONE]}
    hand.answers["joined"] = [lambda: hand.joins(applied=1)]
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert error_of(unit) is None
    assert not hand.frames
    assert hand.groups == [[unit]]


def test_change_by_change_that_did_not_land_is_no_doubt() -> None:
    """Its frame names no commit, so that a later commit under the same number cannot hide it; then it drains."""
    store = Store()
    hand = Hand(store)
    hand.answers |= {"land": [pg.CheckViolation("no")], "one_by_one": [GONE]}
    hand.answers["ReadFrames"] = [lambda: (seen.extend(unknown_groups(hand)), list(hand.frames))[1]]
    seen: list[Any] = []
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert error_of(unit) is None
    assert seen == [None]
    assert hand.asked[-3:] == ["ReadFrames", "replay", "MarkDrained"]


@pytest.mark.parametrize("back", [True, False])
def test_a_connection_lost_in_one_half_does_not_fail_the_other(back: bool) -> None:
    """When the first half of a refused group ends in the journal the second goes behind it, never past it."""
    store = Store()
    hand = Hand(store)
    hand.answers |= {"land": [pg.CheckViolation("no"), pg.CheckViolation("no")], "one_by_one": [GONE]}
    hand.answers["Connect"] = [] if back else [GONE]
    hand.answers["ReadFrames"] = [lambda: (seen.extend(titles(hand)), list(hand.frames))[1]]
    seen: list[str] = []
    first, second = changed(store, 1, "first"), changed(store, 2, "second")
    hand.submit(first, second)
    hand.run()
    assert [error_of(first), error_of(second)] == [None, None]
    assert hand.asked.count("land") == 2
    if back:
        assert seen == ["first", "second"]
    else:
        assert unknown_groups(hand) == [[1, 1], None]


def test_change_by_change_of_a_record_that_came_meanwhile_is_refused() -> None:
    """An insert whose key was taken since the group was refused is told so."""
    store = Store()
    hand = Hand(store)
    unit = changed(store, 1)
    taken = UnitsRefused({unit}, KeyTaken(store="tasks", key="1"))
    hand.answers |= {"land": [pg.CheckViolation("no")], "one_by_one": [taken]}
    hand.submit(unit)
    hand.run()
    assert isinstance(error_of(unit), KeyTaken)


# -- failures that pass --------------------------------------------------------------------------------------------


def test_a_serialization_failure_is_tried_again() -> None:
    """The connection stays, and the group lands at the next try."""
    store = Store()
    hand = Hand(store)
    hand.answers["land"] = [pg.SerializationFailure("again"), pg.DeadlockDetected("again")]
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert hand.asked == ["land"] * 3
    assert error_of(unit) is None
    assert hand.committer.figures.unknown_outcomes == 0


def test_endless_serialization_failures_end_in_the_journal() -> None:
    """After the last try the unit is journalled, without doubt about its outcome."""
    store = Store()
    hand = Hand(store)
    hand.answers["land"] = [pg.LockNotAvailable("again")] * (MAX_TRIES + 1)
    hand.answers["replay"] = [GONE]
    hand.answers["Connect"] = [GONE]
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert error_of(unit) is None
    assert unknown_groups(hand) == [None]


@pytest.mark.parametrize("strict", [False, True])
def test_endless_serialization_failures_of_a_trigger_are_a_verdict(strict: bool) -> None:
    """After the last try the unit goes change by change, or is refused as a conflict; its neighbour lands."""
    store = Store(strict=strict)
    hand = Hand(store)
    good, bad = changed(store, 1), changed(store, 2, "worse")
    hand.submit(good, bad)
    hand.answers["land"] = [pg.SerializationFailure("no")] * (MAX_TRIES + 1) + [Outcome()]
    hand.answers["land"] += [pg.SerializationFailure("no")] * (MAX_TRIES + 1)
    hand.run()
    assert error_of(good) is None
    assert isinstance(error_of(bad), Conflict if strict else type(None))
    assert hand.groups == ([[good]] if strict else [[good], [bad]])
    assert hand.asked[-1] == ("land" if strict else "one_by_one")


def test_endless_serialization_failures_of_a_backlog_are_set_apart() -> None:
    """A batch that fails so for ever does not hold up the journal."""
    store = Store()
    hand = Hand(store)
    backlog(hand, store)
    hand.answers["replay"] = [pg.SerializationFailure("no")] * (MAX_TRIES + 1)
    for _ in range(MAX_TRIES + 1):
        hand.committer._retry_at = 0.0
        hand.run()
    assert not hand.frames
    assert hand.committer.figures.bisections == 1


@pytest.mark.parametrize("fences", [1, MAX_TRIES + 1])
def test_a_fenced_member_joins_under_a_new_number(fences: int) -> None:
    """It lands under that number; fenced for ever, it journals and drains."""
    store = Store()
    hand = Hand(store)
    hand.answers["land"] = [Fenced() for _ in range(fences)]
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert error_of(unit) is None
    assert hand.committer.member == Member(1 + fences, 1, 1)
    assert ("Append" in hand.asked) is (fences > 1)


def test_a_fenced_member_that_cannot_join_journals() -> None:
    """Fenced and then away: the journal takes the unit, and the wait grows with every failure."""
    store = Store()
    hand = Hand(store)
    hand.answers |= {"land": [Fenced()], "Connect": [Unreachable(address="x"), GONE]}
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert error_of(unit) is None
    assert unknown_groups(hand) == [None]
    assert hand.changes[-1] is False
    assert 0.01 <= hand.pause_s <= 0.05


def test_a_lost_connection_lands_what_had_not_landed() -> None:
    """After the answer was lost and the row says no, the same group lands again."""
    store = Store()
    hand = Hand(store)
    hand.answers["land"] = [GONE]
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert hand.asked == ["land", "Connect", "joined", "land"]
    assert hand.groups == [[unit]]
    assert hand.committer.figures.unknown_outcomes == 1


# -- the journal ---------------------------------------------------------------------------------------------------


def test_a_full_journal_refuses_and_what_may_have_landed_is_read_again() -> None:
    """The unit is told that the journal is full and its outcome unknown; once back its records are read again."""
    store = Store()
    hand = Hand(store)
    full = JournalFull(path="/journal", reason="no space")
    hand.answers |= {"land": [GONE], "Connect": [GONE], "Append": [full, full]}
    hand.submit(unit := changed(store, 1))
    hand.run()
    assert "unknown" in str(error_of(unit))
    hand.submit(later := changed(store, 2))
    hand.run()
    assert "unknown" not in str(error_of(later))
    hand.committer._retry_at = 0.0
    hand.run()
    assert hand.rereads[-1] == ([unit], True)


def test_away_refuses_what_may_not_be_journalled() -> None:
    """A unit of a store that wants PostgreSQL is refused with all that depends on it; others are journalled."""
    strict, lenient = Store("strict", strict=True, when_away="refuse"), Store("lenient")
    hand = Hand(strict, lenient)
    hand.answers |= {"land": [GONE], "Connect": [GONE]}
    refused = changed(strict, 1)
    leaning, kept = changed(lenient, 2, "good", refused), changed(lenient, 3)
    hand.submit(refused, leaning, kept)
    hand.run()
    assert [type(error_of(unit)) for unit in (refused, leaning)] == [Unavailable, Unavailable]
    assert error_of(kept) is None
    assert unknown_groups(hand) == [[1, 1]]
    assert hand.committer._doubtful == [refused, leaning]


def test_units_go_behind_a_backlog() -> None:
    """While there is a backlog a unit that may be journalled goes to its end, in order."""
    store = Store()
    hand = Hand(store)
    backlog(hand, store, "old")
    seen: list[str] = []
    hand.answers["ReadFrames"] = [lambda: (seen.extend(titles(hand)), list(hand.frames))[1]]
    hand.submit(unit := changed(store, 1, "new"))
    hand.run()
    assert seen == ["old", "new"]
    assert error_of(unit) is None
    assert hand.committer.figures.drained == 2


def backlog(hand: Hand, store: Store, title: str = "old", group: tuple[int, int] | None = None) -> Unit:
    """Put a unit into the journal."""
    unit = changed(store, 1, title)
    hand.journal(module.groups.to_payload(unit, group))
    return unit


def test_a_backlog_that_cannot_drain_refuses_whom_it_holds_up() -> None:
    """PostgreSQL goes while a unit waits for the backlog: it is refused, and its neighbour is journalled."""
    lenient, strict = Store("lenient"), Store("strict", strict=True, when_away="refuse")
    hand = Hand(lenient, strict)
    backlog(hand, lenient)
    hand.answers["replay"] = [GONE]
    hand.submit(waiting := changed(strict, 2), kept := changed(lenient, 3))
    hand.committer.wanted = False
    hand.run()
    assert isinstance(error_of(waiting), Unavailable)
    assert error_of(kept) is None
    assert len(hand.frames) == 2


def test_the_last_units_of_a_refused_group_may_be_orphans() -> None:
    """When a refusal takes the whole rest of a group with it nothing is sent any more."""
    store = Store(strict=True)
    hand = Hand(store)
    hand.submit(bad := changed(store, 1, "bad"))
    hand.run()
    assert isinstance(error_of(bad), Unholdable)
    assert hand.asked == []


@pytest.mark.parametrize("away", [False, True])
def test_a_unit_that_may_not_be_journalled_waits_for_the_backlog(away: bool) -> None:
    """The backlog drains first; if PostgreSQL goes meanwhile the unit is refused."""
    lenient, strict = Store("lenient"), Store("strict", strict=True, when_away="refuse")
    hand = Hand(lenient, strict)
    backlog(hand, lenient)
    if away:
        hand.answers |= {"replay": [GONE]}
    hand.submit(unit := changed(strict, 2))
    hand.run()
    if away:
        assert isinstance(error_of(unit), Unavailable)
        assert len(hand.frames) == 1
    else:
        assert hand.asked == ["ReadFrames", "replay", "MarkDrained", "land"]
        assert error_of(unit) is None


def test_a_frame_that_had_landed_is_not_replayed() -> None:
    """Of two frames in doubt only that whose commit did not land is replayed; its keys tell."""
    store = Store()
    hand = Hand(store)
    backlog(hand, store, "landed", (1, 5))
    hand.journal(module.groups.to_payload(changed(store, 2), (1, 6)))
    replayed: list[Any] = []
    real = module.groups.replay

    def replay(writes: Any, *member: Any, **options: Any) -> Any:
        replayed.append({write.key for write in writes})
        return real(writes, *member, **options)

    hand.answers["_applied"] = [{1: 5}]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.groups, "replay", replay)
        hand.run()
    assert replayed == [{2}]
    assert not hand.frames


@pytest.mark.parametrize("at", ["_applied", "replay"])
def test_a_connection_lost_while_draining_keeps_the_backlog(at: str) -> None:
    """Nothing is marked; after the next connection the same frames drain."""
    store = Store()
    hand = Hand(store)
    backlog(hand, store, "old", (1, 1))
    hand.answers |= {at: [GONE], "Connect": [GONE] if at == "_applied" else []}
    hand.answers.setdefault("_applied", [{}])
    hand.run()
    assert len(hand.frames) == 1
    assert "MarkDrained" not in hand.asked
    hand.committer._retry_at = 0.0
    hand.answers["_applied"] = [{}]
    hand.run()
    assert not hand.frames


def test_a_member_fenced_while_draining_joins_again() -> None:
    """The backlog drains under the new number."""
    store = Store()
    hand = Hand(store)
    backlog(hand, store)
    hand.answers["replay"] = [Fenced()]
    hand.run()
    assert not hand.frames
    assert hand.committer.member == Member(2, 1, 1)


def test_a_refusal_while_draining_is_set_apart() -> None:
    """The batch is replayed again, each change under a savepoint of its own."""
    store = Store()
    hand = Hand(store)
    backlog(hand, store)
    hand.answers["replay"] = [pg.CheckViolation("no")]
    hand.run()
    assert hand.asked == ["ReadFrames", "replay", "replay", "MarkDrained"]
    assert hand.committer.figures.bisections == 1


def test_a_backlog_that_turns_out_empty_is_no_error() -> None:
    """Frames that somebody else has drained since are not asked for again."""
    store = Store()
    hand = Hand(store)
    backlog(hand, store)
    hand.answers["ReadFrames"] = [lambda: hand.frames.clear() or []]
    hand.run()
    assert hand.asked == ["ReadFrames"]


def test_what_postgresql_applied_is_asked_by_member() -> None:
    """One statement asks for all members in order, and its rows are numbers by member."""
    asking = module._applied({2, 1})
    assert next(asking).values == ([1, 2],)
    with pytest.raises(StopIteration) as end:
        asking.send([(1, 5), (2, 6)])
    assert end.value.value == {1: 5, 2: 6}


# -- the logic itself ----------------------------------------------------------------------------------------------


def test_a_failure_of_the_logic_refuses_what_was_on_its_way(caplog: pytest.LogCaptureFixture) -> None:
    """Units in flight are told that their outcome is unknown and are read again; the queue goes on."""
    store = Store()
    hand = Hand(store)
    hand.answers["land"] = [ValueError("a bug")]
    hand.submit(unit := changed(store, 1))
    with pytest.raises(ValueError, match="a bug") as raised:
        hand.run()
    assert hand.committer.busy
    hand.submit(next_one := changed(store, 2))
    hand.committer.failed(raised.value)
    assert "outcome is unknown" in str(error_of(unit))
    assert not hand.committer.busy
    assert "goes on" in caplog.text
    hand.run()
    assert error_of(next_one) is None
    assert hand.rereads[-1] == ([unit], True)


def test_a_number_without_gaps_is_never_journalled() -> None:
    """A unit that took one is refused while PostgreSQL is away, though its stores take the journal for an answer."""
    store, counter = Store(), Store("ids")
    hand = Hand(store, counter)
    hand.answers |= {"land": [GONE], "Connect": [GONE]}
    unit = changed(store, 1)
    unit.draws[counter] = range(4, 5)
    hand.submit(unit)
    hand.run()
    assert isinstance(error_of(unit), Unavailable)
    assert not hand.frames
