"""What an operator does with phases: advance, roll back, verify; each as a flow that `run` or `run_async` drives.

PostgreSQL is the only control plane: a change is a row, members see it by polling and acknowledge it in their own
rows, requests are rows that a live member takes. A flow that dies half-way leaves a legal state: the phases it
passed are changed and logged, the next one is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outlive.errors import PhaseMoved, PhaseRefused, RequestUnanswered
from outlive.phases import requests
from outlive.phases.changes import (
    Changed,
    Order,
    change_phase,
    check_current,
    figures_for,
    late_members,
    refusal,
    unacknowledged,
    write_off,
)
from outlive.phases.figures import Figures, Limits
from outlive.phases.flow import Flow, Note, Pause, Tell, run, run_async
from outlive.phases.gates import Gate, closed, gates_of
from outlive.phases.ledger import log_event, read_events, read_unlanded, settle
from outlive.phases.machine import DEFAULT_ROLLBACK, Move, Phase, next_phase, plan_walk, rank
from outlive.phases.reading import StoreName, read_figures, read_stores
from outlive.phases.requests import Answer, Verification

__all__ = [
    "Changed",
    "Flow",
    "Limits",
    "Note",
    "Order",
    "Preview",
    "StoreName",
    "Tell",
    "advance",
    "log_event",
    "preview",
    "read_events",
    "read_figures",
    "read_stores",
    "read_unlanded",
    "rehearse",
    "repair",
    "rollback",
    "run",
    "run_async",
    "settle",
    "target_of",
    "verify",
    "walk",
    "write_off",
]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a walk would do: its moves, the gates of the first as they stand, the measured time to fill images.

    `refill_ms` is None when nobody measured it; only moves that fill an image take it.
    """

    figures: Figures
    moves: tuple[Move, ...]
    gates: tuple[Gate, ...]
    refill_ms: float | None

    @property
    def open(self) -> bool:
        """Whether the first move could be made now."""
        return all(gate.open for gate in self.gates)


def advance(order: Order, to: Phase | None = None) -> Flow[list[Changed]]:
    """The changes that took the store to `to` (default: the next phase), neighbour by neighbour; [] if it is there.

    Raises PhaseRefused when `to` lies behind, GateClosed when a gate stays closed after the members were asked for
    what it lacks, and what `change_phase` raises.
    """
    figures = yield figures_for(order)
    return (yield from walk(order, target_of(figures, to, forward=True)))


def rollback(order: Order, to: Phase = DEFAULT_ROLLBACK) -> Flow[list[Changed]]:
    """The changes that took the store back to `to`, neighbour by neighbour; [] if it is there.

    Raises PhaseRefused when `to` lies ahead, GateClosed when a gate of a backward move is closed and not forced.
    """
    figures = yield figures_for(order)
    return (yield from walk(order, target_of(figures, to, forward=False)))


def walk(order: Order, wanted: Phase, *, follow: bool = False) -> Flow[list[Changed]]:
    """The changes that took the store to `wanted`, in whichever direction; each is acknowledged before the next.

    When somebody else changes the phase meanwhile it raises PhaseMoved, or, with `follow`, goes on from there: several
    processes that start with one environment walk together.
    """
    if order.force and not order.reason.strip():
        raise PhaseRefused(store=order.name, reason="to force a phase change needs a reason (--reason TEXT)")
    figures = yield figures_for(order)
    moves = plan_walk(figures.phase, wanted)
    yield from _acknowledged(order, moves[0] if moves else None)
    done: list[Changed] = []
    for move in moves:
        try:
            done += [(yield from _one(order, move))]
        except PhaseMoved:
            if not follow:
                raise
            return done + (yield from walk(order, wanted, follow=True))
    return done


def preview(order: Order, to: Phase | None, *, forward: bool) -> Flow[Preview]:
    """What `advance` or `rollback` would do now; asks nobody and changes nothing."""
    figures = yield figures_for(order)
    moves = plan_walk(figures.phase, target_of(figures, to, forward=forward))
    gates = gates_of(moves[0], figures, order.skip) if moves else []
    return Preview(figures, tuple(moves), tuple(gates), refill_ms(figures))


def target_of(figures: Figures, to: Phase | None, *, forward: bool) -> Phase:
    """The phase that an operator means. Raises PhaseRefused when it lies in the other direction."""
    name = f"{figures.service}/{figures.store}"
    if to is None:
        to = (next_phase(figures.phase) or figures.phase) if forward else DEFAULT_ROLLBACK
    ahead = rank(to) - rank(figures.phase)
    if forward and ahead < 0:
        raise PhaseRefused(
            store=name, reason=f"{to} lies behind {figures.phase}; use: outlive rollback {name} --to {to}"
        )
    if not forward and ahead > 0:
        raise PhaseRefused(
            store=name, reason=f"{to} lies ahead of {figures.phase}; use: outlive advance {name} --to {to}"
        )
    return to


def refill_ms(figures: Figures) -> float | None:
    """The longest measured time to fill an image of the store from PostgreSQL, None if nobody measured it."""
    reported = figures.worst("refill_ms")
    rehearsed = figures.rehearsal.refill_ms if figures.rehearsal else None
    return max((value for value in (reported, rehearsed) if value is not None), default=None)


def verify(order: Order, mode: str = "full") -> Flow[Verification]:
    """A verification made now by a running member. Raises RequestUnanswered when none makes it in time."""
    answer = yield from _asked(order, "verify", {"mode": mode})
    number = answer.result.get("verification") if isinstance(answer.result, Mapping) else None
    found: Verification | None = yield requests.read_verification(order.service, order.store, number)
    if found is None:
        raise RequestUnanswered(store=order.name, kind="verify", reason="the member left no verification")
    return found


def repair(order: Order, *, apply: bool) -> Flow[list[Mapping[str, Any]]]:
    """What running members would do, or have done, to make image and table equal; one answer a member that was asked.

    Raises PhaseRefused where it cannot be known which side is right, or there is one side only; RequestUnanswered.
    """
    figures: Figures = yield figures_for(order)
    holders = [member for member in figures.live if member.records is not None]
    if figures.phase in ("legacy", "database"):
        reason = f"in phase {figures.phase} there is one side only; there is nothing to repair it from"
        raise PhaseRefused(store=order.name, reason=reason)
    if figures.phase == "dual_write" and len(holders) > 1:
        names = ", ".join(member.name for member in holders)
        reason = f"{names} each hold its records in memory, and nobody knows which is right; stop all but one"
        raise PhaseRefused(store=order.name, reason=reason)
    if figures.phase == "dual_read" and not holders:
        reason = "no member holds it in memory, and the next to start reads the table; there is nothing to repair"
        raise PhaseRefused(store=order.name, reason=reason)
    answers: list[Mapping[str, Any]] = []
    numbers: list[int | None] = [member.id for member in holders]
    for number in numbers or [None]:
        answer = yield from _asked(order, "repair", {"apply": apply, "reason": order.reason}, number)
        answers.append({**answer.result, "member": answer.member})
    return answers


def rehearse(order: Order) -> Flow[Mapping[str, Any]]:
    """The measured way back, kept in the store's row. Raises RequestUnanswered when no member measures it in time."""
    answer = yield from _asked(order, "rehearse")
    return answer.result if isinstance(answer.result, Mapping) else {}


def _one(order: Order, move: Move) -> Flow[Changed]:
    figures = yield from _ready(order, move)
    for kind in move.prepare:
        for member in figures.live:
            yield from _asked(order, kind, member=member.id)
    changed: Changed = yield change_phase(order, move, figures.epoch)
    yield Note(f"{order.name}: {move} at epoch {changed.epoch}")
    yield from _acknowledged(order)
    return changed


def _ready(order: Order, move: Move) -> Flow[Figures]:
    """Figures for which every gate of `move` is open; waits and asks for what can be had. Raises GateClosed."""
    asked: set[str] = set()
    ends: float = (yield Pause()) + order.wait_s
    while True:
        figures: Figures = yield figures_for(order)
        check_current(figures, move, figures.epoch)
        gates = gates_of(move, figures, order.skip)
        shut = closed(gates)
        remedies = {gate.remedy for gate in shut}
        if not shut or order.force:
            yield Note(f"{order.name}: {move}", move, tuple(gates))
            return figures
        if None in remedies or remedies <= asked:
            yield Note(f"{order.name}: {move}", move, tuple(gates))
            raise refusal(figures, gates)
        if "wait" in remedies:
            yield Note("waiting for " + ", ".join(str(gate) for gate in shut if gate.remedy == "wait"), passing=True)
            if (yield Pause(order.poll_s)) > ends:
                asked.update(("wait", "verify", "rehearse"))
            continue
        if "rehearse" in remedies - asked:
            asked.add("rehearse")
            yield from rehearse(order)
        else:
            asked.add("verify")
            yield from verify(order)


def _asked(
    order: Order, kind: requests.Kind, args: Mapping[str, Any] | None = None, member: int | None = None
) -> Flow[Answer]:
    """The done answer of a request that is put now.

    Raises RequestUnanswered, and an untaken request is withdrawn then; PhaseRefused when the member could not do it.
    """
    figures: Figures = yield figures_for(order)
    if not figures.live:
        raise RequestUnanswered(store=order.name, kind=kind, reason=f"no member of {order.service} is running")
    number: int = yield requests.ask(order.service, order.store, kind, order.actor, args, member)
    try:
        answer = yield from _answered(order, kind, number)
    except (RequestUnanswered, KeyboardInterrupt):
        yield requests.withdraw(number)
        raise
    if isinstance(answer.result, Mapping) and answer.result.get("error"):
        raise PhaseRefused(store=order.name, reason=f"{kind}: {answer.result['error']}")
    if kind == "rehearse" and isinstance(answer.result, Mapping):
        yield requests.keep_rehearsal(number, answer.result)
    return answer


def _answered(order: Order, kind: str, number: int) -> Flow[Answer]:
    began: float = yield Pause()
    now = began
    while True:
        answer: Answer = yield requests.read_answer(number)
        if answer.done:
            return answer
        if answer.taken and not answer.alive:
            raise RequestUnanswered(store=order.name, kind=kind, reason=f"member {answer.member} ended while at it")
        if now - began > order.wait_s:
            reason = f"no answer within {order.wait_s:.0f} s"
            raise RequestUnanswered(store=order.name, kind=kind, reason=reason)
        who = f"member {answer.member} works" if answer.taken else "waiting for a member"
        yield Note(f"{kind} {order.name}: {who}, {now - began:.0f} s", passing=True)
        now = yield Pause(order.poll_s)


def _acknowledged(order: Order, move: Move | None = None) -> Flow[None]:
    """Returns once every live member made the store's last change, or none is in the way of `move` if one is given.

    Raises NotAcknowledged after the order's waiting time.
    """
    ends: float = (yield Pause()) + order.wait_s
    while True:
        figures: Figures = yield figures_for(order)
        late = late_members(figures, move) if move else [m for m in figures.live if m.epoch < figures.epoch]
        if not late:
            return
        names = ", ".join(member.name for member in late)
        yield Note(f"waiting for {names} to reach epoch {figures.epoch}", passing=True)
        if (yield Pause(order.poll_s)) > ends:
            raise unacknowledged(figures, late)
