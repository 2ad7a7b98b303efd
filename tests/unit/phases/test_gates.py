"""Gates: pure functions of figures; each opens and closes at its limit and says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from outlive.errors import BadSetting
from outlive.phases.figures import Connections, Figures, Limits, Member, Parity, Rehearsal, Relation
from outlive.phases.gates import GATES, closed, gates_of
from outlive.phases.machine import MOVES

CHANGED = datetime(2026, 1, 1, tzinfo=UTC)
LATER = CHANGED + timedelta(minutes=1)
EARLIER = CHANGED - timedelta(minutes=1)
MEMBER = Member(
    id=1, host="h", pid=2, epoch=5, query_p95_ms=100.0, pool_use=0.79, error_rate=0.01, backfill={"done": True}
)
PARITY = Parity(
    mode="full",
    epoch=5,
    started_at=LATER,
    age_s=600.0,
    compared=9,
    different=0,
    missing=0,
    extra=0,
    planted_found=True,
)
GOOD = Figures(
    service="farm",
    store="tasks",
    phase="dual_read",
    epoch=5,
    service_epoch=5,
    changed_at=CHANGED,
    members=(MEMBER,),
    backfill={"done": True, "copied": 9, "total": 9},
    parity=PARITY,
    rehearsal=Rehearsal(refill_ms=300_000.0, at=LATER),
    connections=Connections(needed=16, available=16),
)


def with_member(**changes: object) -> Figures:
    """Good figures but for their one member."""
    return replace(GOOD, members=(replace(MEMBER, **changes),))


def with_parity(**changes: object) -> Figures:
    """Good figures but for the newest verification."""
    return replace(GOOD, parity=replace(PARITY, **changes))


def related(phase: str, other: str, *, parent: bool, copied: bool = True) -> Figures:
    """Good figures in a phase but for one store that they refer to, or that refers to them."""
    relation = Relation(store="farms", parent=parent, phase=other, copied=copied)  # type: ignore[arg-type]
    return replace(GOOD, phase=phase, relations=(relation,))  # type: ignore[arg-type]


CLOSED = [
    ("parents", related("legacy", "legacy", parent=True), "outlive advance farm/farms --to dual_write first", None),
    ("parents", related("dual_write", "dual_write", parent=True), "farm/farms --to dual_read first", None),
    ("parents", related("legacy", "dual_write", parent=True, copied=False), "back-fill of farms", "wait"),
    ("children", related("dual_write", "dual_write", parent=False), "outlive rollback farm/farms --to legacy", None),
    ("children", related("dual_read", "database", parent=False), "farm/farms --to dual_write first", None),
    ("backfill", replace(GOOD, backfill=None), "no member has begun", "wait"),
    ("backfill", replace(GOOD, backfill=None, members=()), "start the service", None),
    ("backfill", replace(GOOD, backfill={"done": False, "copied": 3}), "still running", "wait"),
    ("backfill", with_member(backfill={"done": False, "copied": 1, "total": 2}), "still running", "wait"),
    ("backfill", with_member(backfill={"done": False, "error": "choose"}), "member 1 (h:2): choose", None),
    ("members", with_member(epoch=4), "stands at epoch 4 of 5", "wait"),
    ("members", with_member(journal_units=2), "2 units in its journal", "wait"),
    ("members", with_member(live=False, seen_age_s=30.0), "silent for 30 s", None),
    ("unlanded", replace(GOOD, unlanded=1), "outlive unlanded farm/tasks", None),
    ("parity", replace(GOOD, parity=None), "never verified", "verify"),
    ("parity", replace(GOOD, parity=None, members=()), "never verified", None),
    ("parity", with_parity(mode="quick"), "only a full verification", "verify"),
    ("parity", with_parity(started_at=EARLIER), "before the last phase change", "verify"),
    ("parity", with_parity(epoch=4), "before the last phase change", "verify"),
    ("parity", with_parity(planted_found=False), "did not find", "verify"),
    ("parity", with_parity(different=1), "outlive verify", "verify"),
    ("parity", with_parity(missing=1), "outlive verify", "verify"),
    ("parity", with_parity(extra=1), "outlive verify", "verify"),
    ("parity", with_parity(age_s=600.1), "stale", "verify"),
    ("query_p95", with_member(query_p95_ms=100.1), "too slow", None),
    ("pool_use", with_member(pool_use=0.8), "nearly used up", None),
    ("error_rate", with_member(error_rate=0.0101), "fail", None),
    ("connection_budget", replace(GOOD, connections=Connections(needed=17, available=16)), "max_connections", None),
    ("unpinned", with_member(pin="OUTLIVE_PHASE"), "member 1 (h:2) by OUTLIVE_PHASE", None),
    ("way_back", replace(GOOD, rehearsal=None), "never rehearsed", "rehearse"),
    ("way_back", replace(GOOD, rehearsal=Rehearsal(refill_ms=1.0, at=EARLIER)), "before the last", "rehearse"),
    ("way_back", replace(GOOD, rehearsal=Rehearsal(refill_ms=300_001.0, at=LATER)), "too long", "rehearse"),
    ("way_back", replace(GOOD, rehearsal=Rehearsal(refill_ms=1.0, at=LATER, matches=False)), "differs", "rehearse"),
    ("mapping_unused", with_member(mapping_used_at=LATER, mapping_call_site="a.py:3"), "repository", None),
    ("mapping_unused", with_member(mapping_used_at=LATER, live=False, left=True), "dual_read", None),
    ("single_member", replace(GOOD, members=(MEMBER, MEMBER)), "drift apart", None),
]


@pytest.mark.parametrize("name", GATES)
def test_every_gate_opens_at_its_limit(name) -> None:
    """Figures that just reach the limits open every gate, and an open gate gives no reason and no remedy."""
    gate = GATES[name](GOOD)
    assert (gate.name, gate.open, gate.why, gate.remedy) == (name, True, "", None)
    assert gate.figure
    assert gate.limit


@pytest.mark.parametrize(("name", "figures", "why", "remedy"), CLOSED)
def test_a_gate_closes_beyond_its_limit(name, figures, why, remedy) -> None:
    """Figures beyond the limit close the gate, with a reason, and a remedy exactly where one can help."""
    gate = GATES[name](figures)
    assert not gate.open
    assert why in gate.why
    assert gate.remedy == remedy


def test_the_table_names_gates_that_exist() -> None:
    """Every gate of every move exists, and every gate guards some move."""
    assert {name for move in MOVES.values() for name in move.gates} == set(GATES)


def test_figures_that_nobody_reports_do_not_close() -> None:
    """A member that measured nothing yet has no percentile, no pool and no errors to be judged by."""
    silent = with_member(query_p95_ms=None, pool_use=None, error_rate=None)
    assert [GATES[name](silent).open for name in ("query_p95", "pool_use", "error_rate")] == [True, True, True]
    assert GATES["query_p95"](silent).figure == "no query measured"


def test_a_member_that_left_or_was_written_off_is_not_missed() -> None:
    """Only a member that vanished without a word is in the way."""
    for gone in ({"left": True}, {"written_off": True}):
        assert GATES["members"](with_member(live=False, journal_units=9, **gone)).open


def test_a_mapping_used_before_the_change_is_forgotten() -> None:
    """Only uses since the last phase change count, and of several the last one is shown."""
    assert GATES["mapping_unused"](with_member(mapping_used_at=EARLIER)).open
    first = replace(MEMBER, mapping_used_at=LATER, mapping_call_site="first.py:1")
    last = replace(MEMBER, mapping_used_at=LATER + timedelta(seconds=1), mapping_call_site="last.py:9")
    assert "last.py:9" in GATES["mapping_unused"](replace(GOOD, members=(first, last))).figure


@pytest.mark.parametrize(
    ("gate", "figures"),
    [
        ("parents", related("legacy", "dual_write", parent=True)),
        ("parents", related("dual_write", "dual_read", parent=True, copied=False)),
        ("parents", related("dual_read", "dual_read", parent=True)),
        ("parents", related("legacy", "legacy", parent=False)),
        ("children", related("dual_read", "dual_write", parent=False)),
        ("children", related("dual_write", "legacy", parent=False)),
        ("children", related("dual_write", "database", parent=True)),
    ],
)
def test_related_stores_that_are_far_enough_open(gate: str, figures: Figures) -> None:
    """A parent opens at the phase that is asked of it, never later than dual_read; each gate looks its own way."""
    assert GATES[gate](figures).open


def test_overridden_pins_are_open_and_still_shown() -> None:
    """Overriding opens the gate but does not hide who is pinned."""
    gate = GATES["unpinned"](replace(with_member(pin="X"), pins_overridden=True))
    assert gate.open
    assert gate.figure == "1 pinned, overridden"


def test_gates_of_a_move_in_its_order_without_the_skipped() -> None:
    """A move's gates come in the table's order; skipped ones are left out; closed ones can be picked."""
    move = MOVES["dual_read", "database"]
    gates = gates_of(move, replace(GOOD, unlanded=1), {"unpinned"})
    assert [gate.name for gate in gates] == [name for name in move.gates if name != "unpinned"]
    assert [gate.name for gate in closed(gates)] == ["unlanded"]
    assert str(closed(gates)[0]) == "unlanded (1 changes; limit 0 changes)"


def test_limits_come_from_the_environment() -> None:
    """OUTLIVE_GATE_<NAME> replaces a default; what is no positive number is refused by name."""
    assert Limits.from_env({"OUTLIVE_GATE_PARITY_AGE_S": "60"}) == Limits(parity_age_s=60.0)
    for wrong in ("0", "-1", "x", "nan"):
        with pytest.raises(BadSetting, match="OUTLIVE_GATE_POOL_USE"):
            Limits.from_env({"OUTLIVE_GATE_POOL_USE": wrong})


def test_figures_become_plain_values() -> None:
    """facts() gives nested plain values, and the worst figure ignores members that do not report it."""
    assert GOOD.facts()["parity"]["compared"] == 9
    two = replace(GOOD, members=(MEMBER, replace(MEMBER, query_p95_ms=None)))
    assert two.worst("query_p95_ms") == 100.0
    assert two.journal_units == 0
