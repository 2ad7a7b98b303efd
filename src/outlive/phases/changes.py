"""Steps that change phases: compare-and-set on the row's epoch, in one transaction with its gates and its event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from outlive.errors import GateClosed, NotAcknowledged, PhaseMoved, UnknownStore
from outlive.phases.figures import Figures, Limits, Member
from outlive.phases.gates import Gate, closed, gates_of
from outlive.phases.ledger import log_event
from outlive.phases.machine import Move
from outlive.phases.reading import read_figures
from outlive.postgres.drive import Ask, Step

# The service's row is locked first by every change, so that two changes of one service take turns.
LOCK_SERVICE = """
INSERT INTO outlive.service (service) VALUES (%s)
ON CONFLICT (service) DO UPDATE SET epoch = outlive.service.epoch RETURNING epoch
"""
RAISE_EPOCH = "UPDATE outlive.service SET epoch = %s WHERE service = %s"
CHANGE_PHASE = """
UPDATE outlive.phase SET phase = %s, epoch = %s, changed_at = now(), changed_by = %s, reason = %s, pins_overridden = %s,
       backfill = CASE WHEN %s THEN NULL ELSE backfill END
WHERE service = %s AND store = %s
"""
WRITE_OFF = """
UPDATE outlive.member SET written_off_at = now(), fenced = true
WHERE id = %s AND left_at IS NULL AND written_off_at IS NULL RETURNING service, host, pid, report
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an operator wants changed, and how far the operator goes for it.

    `force` passes closed gates and needs `reason`; `skip` names gates that do not apply (a start that walks to its own
    pin skips `unpinned`); `override_pins` None leaves the row's word. `wait_s` bounds each wait.
    """

    service: str
    store: str
    actor: str
    reason: str = ""
    force: bool = False
    override_pins: bool | None = None
    skip: frozenset[str] = frozenset()
    wait_s: float = 120.0
    poll_s: float = 0.1
    limits: Limits = field(default_factory=Limits)
    connections_per_member: int = 16
    detail: Mapping[str, Any] = field(default_factory=dict)  # more for the event log

    @property
    def name(self) -> str:
        """SERVICE/STORE."""
        return f"{self.service}/{self.store}"


@dataclass(frozen=True, slots=True)
class Changed:
    """A phase change that happened: the move, its new epoch, and the gates as they stood in its transaction."""

    move: Move
    epoch: int
    gates: tuple[Gate, ...]

    def facts(self) -> dict[str, Any]:
        """The change as plain values for `--json`."""
        return {
            "from": self.move.current,
            "to": self.move.wanted,
            "epoch": self.epoch,
            "gates": [gate.facts() for gate in self.gates],
        }


def change_phase(order: Order, move: Move, epoch: int) -> Step[Changed]:
    """The change of `order`'s store by one `move`, compare-and-set on phase and `epoch`.

    Raises PhaseMoved when the row differs, NotAcknowledged when a member is in the way (see `late_members`; not even
    `force` passes that), GateClosed when a gate does not hold.
    """
    (current_epoch,) = (yield Ask(LOCK_SERVICE, (order.service,)))[0]
    figures = yield from figures_for(order)
    check_current(figures, move, epoch)
    late = late_members(figures, move)
    if late:
        raise unacknowledged(figures, late)
    gates = gates_of(move, figures, order.skip)
    if closed(gates) and not order.force:
        raise refusal(figures, gates)
    changed = Changed(move, max(current_epoch, figures.service_epoch) + 1, tuple(gates))
    yield Ask(RAISE_EPOCH, (changed.epoch, order.service))
    row = (move.wanted, changed.epoch, order.actor, order.reason, figures.pins_overridden, move.restarts_backfill)
    yield Ask(CHANGE_PHASE, (*row, order.service, order.store))
    yield from _log_change(order, changed)
    return changed


def check_current(figures: Figures, move: Move, epoch: int) -> None:
    """Raises PhaseMoved when the store does not stand where `move` begins, at `epoch`."""
    if (figures.phase, figures.epoch) != (move.current, epoch):
        raise PhaseMoved(
            store=f"{figures.service}/{figures.store}",
            expected=move.current,
            epoch=epoch,
            found=figures.phase,
            found_epoch=figures.epoch,
            reason="somebody else changed it meanwhile",
        )


def figures_for(order: Order) -> Step[Figures]:
    """The figures as the order wants them judged: its limits, and its word on pins."""
    figures = yield from read_figures(
        order.service, order.store, limits=order.limits, connections_per_member=order.connections_per_member
    )
    if order.override_pins is None:
        return figures
    return replace(figures, pins_overridden=order.override_pins)


def refusal(figures: Figures, gates: list[Gate]) -> GateClosed:
    """The error that names each closed gate with its figure."""
    shut = closed(gates)
    return GateClosed(
        store=f"{figures.service}/{figures.store}",
        reason="; ".join(gate.why for gate in shut if gate.why),
        gates=", ".join(str(gate) for gate in shut),
        closed=tuple(gate.facts() for gate in shut),
    )


def write_off(member: int, actor: str, reason: str) -> Step[str]:
    """The service of `member`, which is fenced and counts no longer; what its journal holds goes to unlanded.

    Raises UnknownStore when no such member is left to write off.
    """
    rows = yield Ask(WRITE_OFF, (member,))
    if not rows:
        raise UnknownStore(what="member", name=str(member), known="outlive status lists them")
    service, host, pid, report = rows[0]
    detail = {"member": member, "host": host, "pid": pid, "reason": reason, "last_report": report}
    yield from log_event(service, None, "write_off", actor, detail)
    return str(service)


def late_members(figures: Figures, move: Move) -> list[Member]:
    """The members that `move` would leave more than a phase behind (I6): those short of the store's last change.

    Going back, a member that has not made the last change yet, or has and did not say so, is no hindrance while it
    reports one of the two phases of `move`: a change that a member cannot make can always be taken back.
    """
    short = [member for member in (*figures.live, *figures.lapsed) if member.epoch < figures.epoch]
    return [member for member in short if move.forward or member.phase not in (move.current, move.wanted)]


def unacknowledged(figures: Figures, late: list[Member]) -> NotAcknowledged:
    """The error that names the members `late`, with their own words where they are in trouble."""
    troubles = "; ".join(member.trouble for member in late if member.trouble)
    return NotAcknowledged(
        store=f"{figures.service}/{figures.store}",
        phase=figures.phase,
        epoch=figures.epoch,
        members=", ".join(member.name for member in late),
        reason=troubles or "they have not said that they switched",
    )


def _log_change(order: Order, changed: Changed) -> Step[None]:
    kind = "advance" if changed.move.forward else "rollback"
    detail = changed.facts() | {
        "reason": order.reason,
        "forced": order.force,
        "override_pins": order.override_pins,
        "skipped": sorted(order.skip),
        **order.detail,
    }
    yield from log_event(order.service, order.store, kind, order.actor, detail)
