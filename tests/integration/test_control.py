"""Phase changes over real control tables: gates, compare-and-set, acknowledgements, requests, the way back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from outlive.errors import GateClosed, NotAcknowledged, PhaseMoved, PhaseRefused, RequestUnanswered, UnknownStore
from outlive.phases import control
from outlive.phases.changes import change_phase
from outlive.phases.control import Limits, Note, Order, run, run_async
from outlive.phases.machine import MOVES
from outlive.postgres.connect import Database
from outlive.postgres.drive import drive
from tests.integration.stand_in import StandIn, moment, plant, wait_until

Conn = psycopg.Connection[Any]
ORDER = Order(service="farm", store="tasks", actor="test", wait_s=5.0, poll_s=0.01)


@pytest.fixture
def conn(db: Database) -> Iterator[Conn]:
    """A connection to a database that knows one store, farm/tasks, in legacy."""
    with db.connect() as opened:
        plant(opened, "farm", "tasks")
        yield opened


def phase_row(conn: Conn) -> tuple[str, int]:
    """Phase and epoch as the row has them."""
    row = conn.execute("SELECT phase, epoch FROM outlive.phase WHERE store = 'tasks'").fetchone()
    assert row is not None
    return row


def figures(conn: Conn) -> Any:
    """All figures of the store."""
    return drive(control.read_figures("farm", "tasks"), conn)


def test_a_store_walks_all_the_way_and_back(db: Database, conn: Conn) -> None:
    """advance --to database passes every neighbour with its gates; rollback goes back the same way, refill first."""
    notes: list[Note] = []
    with StandIn(db.address, "farm") as member:
        forward = run(control.advance(ORDER, "database"), conn, notes.append)
        assert [change.move.wanted for change in forward] == ["dual_write", "dual_read", "database"]
        assert phase_row(conn) == ("database", 4)
        assert member.served == ["rehearse", "verify", "rehearse", "verify"]
        back = run(control.rollback(ORDER, "legacy"), conn)
        assert str(back[0].move) == "database -> dual_read"
        assert phase_row(conn) == ("legacy", 7)
        assert member.served[-1] == "refill"
        assert member.phases == ["legacy", "dual_write", "dual_read", "database", "dual_read", "dual_write", "legacy"]
    shown = [note.move.wanted for note in notes if note.move is not None]
    assert shown == ["dual_write", "dual_read", "database"]
    assert all(gate.open for note in notes for gate in note.gates)


def test_the_event_log_keeps_every_change(db: Database, conn: Conn) -> None:
    """Each change leaves one event with who, from, to, epoch, reason and the gates as they stood."""
    with StandIn(db.address, "farm"):
        run(control.advance(replace(ORDER, reason="first step")), conn)
    (event,) = drive(control.read_events("farm", "tasks", 10), conn)
    assert (event.kind, event.actor, event.detail["to"], event.detail["epoch"]) == ("advance", "test", "dual_write", 2)
    assert event.detail["reason"] == "first step"
    assert {gate["name"] for gate in event.detail["gates"]} == set(MOVES["legacy", "dual_write"].gates)
    assert drive(control.read_events("other", None, 10), conn) == []


def test_async_driver_gives_the_same(db: Database, conn: Conn) -> None:
    """The same flow, driven over an asyncio connection, ends in the same rows."""

    async def go() -> list[control.Changed]:
        aconn = await db.connect_async()
        try:
            return await run_async(control.advance(ORDER, "dual_read"), aconn)
        finally:
            await aconn.close()

    with StandIn(db.address, "farm"):
        assert [change.epoch for change in asyncio.run(go())] == [2, 3]
    assert phase_row(conn) == ("dual_read", 3)


def test_a_difference_keeps_the_gate_closed(db: Database, conn: Conn) -> None:
    """A verification that finds a difference, or not the planted one, refuses the switch and names the figure."""
    with StandIn(db.address, "farm") as member:
        run(control.advance(ORDER), conn)
        member.verdict |= {"different": 2}
        with pytest.raises(GateClosed, match="2 different") as caught:
            run(control.advance(ORDER), conn)
        assert caught.value.exit_code == 3
        member.verdict |= {"different": 0, "planted_found": False}
        with pytest.raises(GateClosed, match="parity"):
            run(control.advance(ORDER), conn)
    assert phase_row(conn) == ("dual_write", 2)


@pytest.mark.parametrize(
    ("report", "own", "gate"),
    [
        ({"query_p95_ms": 101.0}, {}, "query_p95"),
        ({"pool_use": 0.8}, {}, "pool_use"),
        ({}, {"error_rate": 0.02}, "error_rate"),
        ({"connections": 100_000}, {}, "connection_budget"),
        ({}, {"pin": "OUTLIVE_PHASE"}, "unpinned"),
        ({"journal_units": 3}, {}, "members"),
        ({}, {"backfill": {"done": False, "copied": 1, "total": 7}}, "backfill"),
    ],
)
def test_each_reported_figure_can_refuse(db: Database, conn: Conn, report, own, gate) -> None:
    """A figure beyond its limit in one member's report closes its gate, and only that one."""
    with StandIn(db.address, "farm") as member:
        run(control.advance(ORDER), conn)
        member.report |= report
        member.own |= own
        with pytest.raises(GateClosed) as caught:
            run(control.advance(replace(ORDER, wait_s=0.3)), conn)
        assert gate in caught.value.gates
        found = {each.name for each in run(control.preview(ORDER, None, forward=True), conn).gates if not each.open}
        assert found - {"parity", "way_back"} == {gate}
    assert phase_row(conn) == ("dual_write", 2)


def test_unlanded_changes_refuse_until_they_are_settled(db: Database, conn: Conn) -> None:
    """One open unlanded change keeps reads where they are; settling it, which is logged, opens the gate."""
    with StandIn(db.address, "farm"):
        run(control.advance(ORDER), conn)
        conn.execute("INSERT INTO outlive.unlanded (service, store, key, op) VALUES ('farm', 'tasks', 'a', 'put')")
        with pytest.raises(GateClosed, match="unlanded"):
            run(control.advance(ORDER), conn)
        (lost,) = drive(control.read_unlanded("farm", "tasks"), conn)
        assert drive(control.settle("farm", "tasks", [lost.id, 999], "test", "by hand"), conn) == [lost.id]
        assert drive(control.settle("farm", "tasks", [lost.id], "test", "by hand"), conn) == []
        run(control.advance(ORDER), conn)
    assert [event.kind for event in drive(control.read_events("farm", None, 10), conn)].count("settle") == 1


def test_gates_are_judged_again_in_the_change_itself(db: Database, conn: Conn) -> None:
    """A gate that closed after it was looked at refuses the change inside its own transaction."""
    run(control.advance(ORDER), conn)
    with pytest.raises(GateClosed):
        drive(change_phase(ORDER, MOVES["dual_write", "dual_read"], 2), conn)
    assert phase_row(conn) == ("dual_write", 2)
    assert conn.execute("SELECT epoch FROM outlive.service").fetchone() == (2,)


def test_a_flow_hears_of_failures_under_both_drivers(db: Database, conn: Conn) -> None:
    """What a step raises arrives in the flow, which may go on; what it does not handle reaches the caller."""

    def flow() -> control.Flow[str]:
        try:
            yield control.read_figures("farm", "nothing")
        except UnknownStore:
            yield Note("handled")
        return "went on"

    async def go() -> str:
        aconn = await db.connect_async()
        try:
            with pytest.raises(UnknownStore):
                await run_async(control.rehearse(replace(ORDER, store="nothing")), aconn)
            return await run_async(flow(), aconn)
        finally:
            await aconn.close()

    assert run(flow(), conn) == asyncio.run(go()) == "went on"


def test_force_needs_a_reason_and_is_logged(db: Database, conn: Conn) -> None:
    """--force passes closed gates only with a reason; the log says that it was forced and which gates were closed."""
    with StandIn(db.address, "farm") as member:
        run(control.advance(ORDER), conn)
        member.report["query_p95_ms"] = 500.0
        with pytest.raises(PhaseRefused, match="needs a reason"):
            run(control.advance(replace(ORDER, force=True)), conn)
        run(control.advance(replace(ORDER, force=True, reason="it is night")), conn)
        assert member.served == []
    newest = drive(control.read_events("farm", "tasks", 1), conn)[0].detail
    assert newest["forced"]
    assert newest["reason"] == "it is night"
    assert not all(gate["open"] for gate in newest["gates"])


def test_pins_block_until_they_are_overridden_in_the_row(db: Database, conn: Conn) -> None:
    """A pinned member is named and refuses both directions; the override is kept in the row and can be taken back."""
    member = StandIn(db.address, "farm")
    member.own["pin"] = "FF_DUAL_WRITE_ENABLED"  # before it registers, so that its first report tells
    with member:
        with pytest.raises(GateClosed, match="unpinned") as caught:
            run(control.advance(ORDER), conn)
        assert "FF_DUAL_WRITE_ENABLED" in caught.value.reason
        run(control.advance(replace(ORDER, override_pins=True)), conn)
        assert figures(conn).pins_overridden
        run(control.advance(ORDER), conn)
        with pytest.raises(GateClosed):
            run(control.rollback(replace(ORDER, override_pins=False)), conn)
        run(control.walk(replace(ORDER, override_pins=False, skip=frozenset({"unpinned"})), "dual_write"), conn)
        assert not figures(conn).pins_overridden
    assert phase_row(conn)[0] == "dual_write"


def test_a_change_waits_for_every_live_member(db: Database, conn: Conn) -> None:
    """A live member that does not acknowledge is named after the waiting time, and no further change passes it."""
    with StandIn(db.address, "farm") as member, StandIn(db.address, "farm"):
        member.acknowledges = False
        with pytest.raises(NotAcknowledged, match=rf"member {member.id} \(here:42\)") as caught:
            run(control.advance(replace(ORDER, wait_s=0.2)), conn)
        assert caught.value.exit_code == 3
        assert phase_row(conn) == ("dual_write", 2)
        forced = replace(ORDER, force=True, reason="hurry")
        with pytest.raises(NotAcknowledged):
            drive(change_phase(forced, MOVES["dual_write", "dual_read"], 2), conn)
        assert phase_row(conn) == ("dual_write", 2)
        member.acknowledges = True
        run(control.advance(ORDER), conn)
    assert phase_row(conn) == ("dual_read", 3)


def test_a_change_that_a_member_cannot_make_can_be_taken_back(db: Database, conn: Conn) -> None:
    """When a member cannot enter a phase, its words are shown, and rollback leads everybody back to where it stayed."""
    with StandIn(db.address, "farm") as stuck, StandIn(db.address, "farm") as other:
        stuck.stays_in = "legacy"
        stuck.own["backfill"] = {"done": False, "error": "another process holds the file"}
        with pytest.raises(NotAcknowledged) as caught:
            run(control.advance(replace(ORDER, wait_s=0.3)), conn)
        assert caught.value.reason == "another process holds the file"
        with pytest.raises(NotAcknowledged):
            run(control.advance(replace(ORDER, wait_s=0.3), "dual_read"), conn)
        back = replace(ORDER, force=True, reason="take it back")
        assert [change.epoch for change in run(control.rollback(back, "legacy"), conn)] == [3]
        wait_until(lambda: other.phases[-1] == "legacy")
    assert phase_row(conn) == ("legacy", 3)


def test_a_silent_member_blocks_until_it_is_written_off(db: Database, conn: Conn) -> None:
    """A member that vanished without leaving keeps reads from moving; writing it off by name fences it and opens."""
    with StandIn(db.address, "farm") as gone, StandIn(db.address, "farm"):
        run(control.advance(ORDER), conn)
        gone.vanish()
        conn.execute("UPDATE outlive.member SET seen_at = now() - interval '1 minute' WHERE id = %s", (gone.id,))
        with pytest.raises(GateClosed, match="1 silent"):
            run(control.advance(ORDER), conn)
        assert drive(control.write_off(gone.id, "test", "the host burnt"), conn) == "farm"
        with pytest.raises(UnknownStore, match="member"):
            drive(control.write_off(gone.id, "test", "twice"), conn)
        run(control.advance(ORDER), conn)
        row = conn.execute("SELECT fenced FROM outlive.member WHERE id = %s", (gone.id,)).fetchone()
        assert row == (True,)
    assert phase_row(conn)[0] == "dual_read"


def test_two_changes_at_once_become_one(db: Database, conn: Conn) -> None:
    """Of two operators who saw the same epoch one changes the phase, the other is told what it is now."""
    outcomes: list[object] = []

    def change() -> None:
        with db.connect() as own:
            try:
                outcomes.append(drive(change_phase(ORDER, MOVES["legacy", "dual_write"], 1), own).epoch)
            except PhaseMoved as moved:
                outcomes.append(moved.found)

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes, key=str) == [2, "dual_write", "dual_write", "dual_write"]
    assert phase_row(conn) == ("dual_write", 2)


def test_several_starts_walk_together(db: Database, conn: Conn) -> None:
    """Processes that start with one environment reach its phase together, each step made once; without `follow` not."""
    outcomes: list[int] = []

    def start() -> None:
        with db.connect() as own:
            outcomes.append(len(run(control.walk(ORDER, "dual_read", follow=True), own)))

    with StandIn(db.address, "farm"):
        threads = [threading.Thread(target=start) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(outcomes) == 3
    assert sum(outcomes) == 2
    assert phase_row(conn) == ("dual_read", 3)


def test_a_walk_stops_when_somebody_else_moves_the_store(db: Database, conn: Conn) -> None:
    """An operator's walk does not fight another's: it ends with what it found."""

    def disturb(note: Note) -> None:
        if note.move is not None and note.move.wanted == "dual_write":
            with db.connect() as other:
                drive(change_phase(ORDER, MOVES["legacy", "dual_write"], 1), other)

    with pytest.raises(PhaseMoved, match="found dual_write at epoch 2") as caught:
        run(control.advance(ORDER, "dual_read"), conn, disturb)
    assert caught.value.exit_code == 3


def test_requests_need_a_running_member(db: Database, conn: Conn) -> None:
    """Without a member, or with one that does not answer, a request fails by name and is withdrawn."""
    with pytest.raises(RequestUnanswered, match="no member of farm is running"):
        run(control.verify(ORDER), conn)
    with StandIn(db.address, "farm") as member:
        member.answers = False
        with pytest.raises(RequestUnanswered, match="no answer within"):
            run(control.verify(replace(ORDER, wait_s=0.2)), conn)
    assert conn.execute("SELECT count(*) FROM outlive.request").fetchone() == (0,)


def test_a_member_that_dies_at_work_is_noticed(db: Database, conn: Conn) -> None:
    """When the member that took a request stops reporting, the operator is told instead of waiting on."""
    with StandIn(db.address, "farm"), db.connect() as other:
        dead = conn.execute(
            "INSERT INTO outlive.member (service, lease_s, epoch, seen_at)"
            " VALUES ('farm', 1, 1, now() - interval '1 hour') RETURNING id"
        ).fetchone()
        assert dead is not None
        conn.execute(
            "CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" NEW.member := {dead[0]}; NEW.taken_at := now(); RETURN NEW; END $$"
        )
        conn.execute("CREATE TRIGGER t BEFORE INSERT ON outlive.request FOR EACH ROW EXECUTE FUNCTION take()")
        with pytest.raises(RequestUnanswered, match=f"member {dead[0]} ended"):
            run(control.verify(ORDER), other)


def test_an_error_in_an_answer_is_passed_on(db: Database, conn: Conn) -> None:
    """A member that could not do what it was asked for says why, and the operator sees that sentence."""
    with StandIn(db.address, "farm") as member:
        member._verify = lambda store: {"error": "the table is locked"}  # type: ignore[method-assign]
        with pytest.raises(PhaseRefused, match="verify: the table is locked"):
            run(control.verify(ORDER), conn)
        member._verify = lambda store: {"verification": None}  # type: ignore[method-assign]
        with pytest.raises(RequestUnanswered, match="left no verification"):
            run(control.verify(ORDER), conn)


def test_verification_grows_stale(db: Database, conn: Conn) -> None:
    """A verification older than the limit closes the gate again, and advance has a fresh one made."""
    with StandIn(db.address, "farm") as member:
        run(control.advance(ORDER), conn)
        run(control.verify(ORDER), conn)
        conn.execute("UPDATE outlive.phase SET changed_at = changed_at - interval '1 hour'")
        conn.execute(
            "UPDATE outlive.verification"
            " SET started_at = now() - interval '11 min', finished_at = now() - interval '11 min'"
        )
        gates = {gate.name: gate for gate in run(control.preview(ORDER, None, forward=True), conn).gates}
        assert gates["parity"].why == "the verification is stale"
        run(control.advance(ORDER), conn)
        assert member.served.count("verify") == 2


def test_the_way_back_has_a_budget(db: Database, conn: Conn) -> None:
    """A rehearsal slower than the budget refuses the switch; preview shows the measured time."""
    with StandIn(db.address, "farm") as member:
        run(control.advance(ORDER), conn)
        member.refill_ms = 400_000.0
        with pytest.raises(GateClosed, match="way_back"):
            run(control.advance(ORDER), conn)
        run(control.advance(replace(ORDER, limits=Limits(way_back_s=500)), "dual_read"), conn)
        plan = run(control.preview(ORDER, None, forward=False), conn)
        assert plan.refill_ms == 400_000.0
        assert [str(move) for move in plan.moves] == ["dual_read -> dual_write"]
        assert plan.open


def test_a_used_mapping_holds_the_last_step(db: Database, conn: Conn) -> None:
    """The step to database is refused while a mapping was used since the last change, with the call site shown."""
    with StandIn(db.address, "farm") as member:
        run(control.advance(ORDER, "dual_read"), conn)
        member.own |= {
            "mapping_used_at": (moment() + timedelta(seconds=5)).isoformat(),
            "mapping_call_site": "app/tasks.py:12",
        }
        with pytest.raises(GateClosed, match=r"app/tasks\.py:12"):
            run(control.advance(ORDER), conn)
    with StandIn(db.address, "farm"), pytest.raises(GateClosed, match=r"app/tasks\.py:12"):
        run(control.advance(ORDER), conn)


def test_legacy_with_several_members_is_refused_without_force(db: Database, conn: Conn) -> None:
    """Going back to legacy with two live members needs --force, because their images drift apart from then on."""
    with StandIn(db.address, "farm"), StandIn(db.address, "farm"):
        run(control.advance(ORDER), conn)
        with pytest.raises(GateClosed, match="2 live members"):
            run(control.rollback(ORDER, "legacy"), conn)
        run(control.rollback(replace(ORDER, force=True, reason="alone anyway"), "legacy"), conn)
    assert phase_row(conn)[0] == "legacy"


def test_re_entering_dual_write_copies_again(db: Database, conn: Conn) -> None:
    """What was copied before a stay in legacy does not count for the next gate."""
    run(control.advance(ORDER), conn)
    conn.execute("""UPDATE outlive.phase SET backfill = '{"done": true}'""")
    run(control.rollback(ORDER, "legacy"), conn)
    assert figures(conn).backfill == {"done": True}
    run(control.advance(ORDER), conn)
    assert figures(conn).backfill is None


def test_directions_are_not_confused(db: Database, conn: Conn) -> None:
    """advance to where the store is does nothing; a target in the other direction is refused with the right command."""
    assert run(control.advance(ORDER, "legacy"), conn) == []
    with pytest.raises(PhaseRefused, match="outlive advance farm/tasks --to database"):
        run(control.rollback(ORDER, "database"), conn)
    run(control.advance(ORDER), conn)
    with pytest.raises(PhaseRefused, match="outlive rollback farm/tasks --to legacy"):
        run(control.advance(ORDER, "legacy"), conn)
    with pytest.raises(UnknownStore):
        run(control.advance(replace(ORDER, store="nothing")), conn)


def test_without_a_member_the_gates_say_so(db: Database, conn: Conn) -> None:
    """A stopped service can enter dual_write, but cannot move reads: nobody copied or verified."""
    run(control.advance(ORDER), conn)
    with pytest.raises(GateClosed, match="backfill"):
        run(control.advance(ORDER), conn)
