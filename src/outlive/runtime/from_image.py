"""A member's part of `rollback --from-image`: the way back while PostgreSQL is away, and the row's when it is back.

The order comes as a file (`outlive.phases.orders`). What this process has done of it stands, on disk, until the row
says the same: it is changed by compare-and-set on the phase and epoch that were seen last. A row that went elsewhere
meanwhile is a conflict, which the operator decides; until then this process stays where it is and acknowledges nothing.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from outlive.errors import NotAcknowledged, OutliveError, PhaseMoved, PhaseRefused
from outlive.phases import flags, orders
from outlive.phases.changes import Order, change_phase
from outlive.phases.machine import Phase, plan_walk, rank
from outlive.phases.orders import Answer, Circumstances, Desk, ImageOrder, Position, Standing
from outlive.postgres.drive import drive
from outlive.runtime import member, switching
from outlive.stores import files
from outlive.stores.store import Store

if TYPE_CHECKING:
    from outlive.runtime.service import Service

log = logging.getLogger("outlive")

_ROW = """
SELECT phase, epoch, coalesce(changed_by, '?'), coalesce(reason, '') FROM outlive.phase
WHERE service = %s AND store = %s
"""
_OURS = """
SELECT 1 FROM outlive.event WHERE service = %s AND store = %s AND kind = 'rollback'
AND detail->>'order' = %s AND detail->>'epoch' = %s::text
"""
_EVENT = "INSERT INTO outlive.event (service, store, kind, actor, detail) VALUES (%s, %s, %s, %s, %s)"
_LIVE = """
SELECT count(*) FROM outlive.member WHERE service = %s AND left_at IS NULL AND written_off_at IS NULL
AND seen_at + coalesce(lease_s, 10) * 2 * interval '1 second' > now()
"""
START_S = 60.0


class FromImage:
    """The orders of one service as this process has them, and what it last knew of rows and members."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.standing: dict[str, Standing] = {}
        self.rows: dict[str, tuple[Phase, int]] = {}
        self.live = 1
        self.heard_at: float | None = None
        self._member: tuple[int, int] | None = None
        self._met: set[str] = set()
        self._seat: int | None = None
        self._written: dict[str, Any] = {}

    @property
    def desk(self) -> Desk:
        """Where the orders lie."""
        return Desk(self.service.settings.home, self.service.service)

    def target(self, store: str) -> Phase | None:
        """The phase that is in force here although the row says otherwise."""
        standing = self.standing.get(store)
        return None if standing is None else standing.order.to

    # -- what this folder knows --------------------------------------------------------------------------------

    @property
    def _state(self) -> Any:
        return self.service.settings.home / "state" / f"{self.service.service}.json"

    def recollect(self) -> dict[str, Any]:
        """What the last run, or this one, knew: phases, epochs, kinds, live members; empty if nothing."""
        try:
            facts = json.loads(self._state.read_text())
            return facts if isinstance(facts["phases"], dict) else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def phases(self) -> dict[str, Phase]:
        """The phases of the last run."""
        found: dict[str, Phase] = self.recollect().get("phases", {})
        return found

    def remember(self) -> None:
        """Write down what a start without PostgreSQL, and the command line, must know; nothing while all is `legacy`.

        While PostgreSQL has not been seen since the start, the phases of the run before stay.
        """
        service = self.service
        phases = {each.name: each.phase for each in service.everything()}
        if service.degraded is not None:
            past = self.phases()
            phases |= {name: phase for name, phase in past.items() if name not in self.standing}
        epochs = self.recollect().get("epochs", {}) | {name: epoch for name, (_, epoch) in self.rows.items()}
        kinds = {each.name: each.kind for each in service.everything()}
        facts = {"phases": phases, "epochs": epochs, "kinds": kinds, "live": self.live}
        if facts != self._written and (any(p != "legacy" for p in phases.values()) or self._state.exists()):
            files.replace(self._state, json.dumps({**facts, "at": time.time()}).encode())
            self._written = facts

    def attend(self) -> None:
        """Tell the command line that this process lives, once a store has left `legacy`."""
        if self._seat is None and any(each.phase != "legacy" for each in self.service.everything()):
            self._seat = self.desk.take_seat(self.service.started)

    def leave(self) -> None:
        """Give the seat up; in a forked child too, where it is the parent's."""
        if self._seat is not None:
            os.close(self._seat)
            self._seat = None

    def heard(self, rows: dict[str, tuple[Phase, int]]) -> None:
        """PostgreSQL has answered: phase and epoch of every row now."""
        self.rows = rows
        self.heard_at = time.monotonic()
        me = self.service.committer.member
        if me is not None:
            self._member = me.id, me.applied

    def count(self, conn: psycopg.Connection[Any]) -> None:
        """How many members live now."""
        self.live = conn.execute(_LIVE, (self.service.service,)).fetchall()[0][0]

    def position(self, store: Any) -> Position:
        """Where the store's image stands."""
        service, me = self.service, self.service.committer.member
        number, group = (me.id, me.applied) if me is not None else self._member or (None, 0)
        versions = getattr(store, "kept", {})
        with service.units.lock:
            newest = max((kept.version for kept in versions.values()), default=0)
        return Position(
            version=newest,
            member=number,
            group=group,
            records=store.image_size(),
            journal_units=service.journal_units(),
            heard_s=None if self.heard_at is None else round(time.monotonic() - self.heard_at, 1),
        )

    # -- orders ------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """At a start: what stands from earlier, and orders that were left while no process ran."""
        desk = self.desk
        for name in desk.stores():
            standing = desk.standing(name)
            if standing is not None:
                self.standing[name] = standing
            order = desk.order(name)
            if order is None:
                continue
            self._met.add(order.id)
            if order.to is None:
                self._withdraw(order)
            elif standing is None or standing.order.id != order.id:
                self._begin_with(order)
            desk.drop_order(order)

    def _begin_with(self, order: ImageOrder) -> None:
        past = self.recollect()
        phase: Phase = past.get("phases", {}).get(order.store, "legacy")
        verdict = orders.refusal(order, self._circumstances(order, phase, away=True))
        if verdict is None and phase != order.to:
            self._let_stand(order, phase, int(past.get("epochs", {}).get(order.store, 0)), Position())
            self._answer(order, phase, order.to or phase, "done", Position())
        elif verdict is not None:
            log.error("outlive: %s/%s: rollback --from-image: %s", order.service, order.store, verdict[0])
            self._answer(order, phase, phase, "refused", Position(), *verdict)

    def look(self, *, away: bool) -> None:
        """Do what was ordered since the last look. `away`: PostgreSQL did not answer just now."""
        desk = self.desk
        for name in desk.stores():
            order = desk.order(name)
            if order is not None and order.id not in self._met:
                self._met.add(order.id)
                self._meet(order, away)

    def _meet(self, order: ImageOrder, away: bool) -> None:
        each = self._find(order.store)
        phase: Phase = "legacy" if each is None else each.phase
        position = Position() if each is None else self.position(each)
        verdict = orders.refusal(order, self._circumstances(order, phase, away=away))
        if verdict is not None:
            self._answer(order, phase, phase, "refused", position, *verdict)
        elif order.dry_run:
            self._answer(order, phase, order.to or phase, "would", position)
        elif order.to is None:
            self._answer(order, phase, phase, "withdrawn" if self._withdraw(order) else "refused", position)
        else:
            self._go(order, self.service.stores[order.store], position)

    def _find(self, name: str) -> Any:
        return self.service.stores.get(name) or self.service.counters.get(name)

    def _circumstances(self, order: ImageOrder, phase: Phase, *, away: bool) -> Circumstances:
        each = self._find(order.store)
        kind = None if each is None else each.kind
        return Circumstances(phase=phase, kind=kind, away=away, pinned=flags.pin(self.service.environment, order.store))

    def _go(self, order: ImageOrder, store: Store, position: Position) -> None:
        """The way back itself: what is going to stand is on disk before the first switch."""
        before = store.phase
        if before != order.to:
            row = self.rows.get(store.name)
            if row is None:
                epochs = self.recollect().get("epochs", {})
                row = self.phases().get(store.name, before), int(epochs.get(store.name, 0))
            self._let_stand(order, *row, position)
            try:
                switching.switch(self.service, store, order.to or before, None)
            except (OutliveError, OSError) as error:
                self._stay(order, store, before)
                self._answer(order, before, store.phase, "refused", position, str(error), _hint(error))
                return
        self._answer(order, before, store.phase, "done", position)
        self.attend()
        self.remember()
        log.warning(
            "outlive: %s/%s went %s -> %s from the image, as %s ordered (%s); it stands on %s",
            order.service, order.store, before, store.phase, order.actor, order.reason, position,
        )  # fmt: skip

    def _let_stand(self, order: ImageOrder, phase: Phase, epoch: int, position: Position) -> None:
        known = self.standing.get(order.store)
        if known is not None:  # the row is where it was before the first order
            phase, epoch = known.phase_before, known.epoch
        standing = Standing(order=order, phase_before=phase, epoch=epoch, position=position)
        self.desk.put_standing(standing)
        self.standing[order.store] = standing

    def _stay(self, order: ImageOrder, store: Store, before: Phase) -> None:
        """A switch failed: what stands is where the store came to, or nothing."""
        if store.phase == before:
            self.standing.pop(store.name)
            self.desk.drop_standing(store.name)
        else:
            standing = self.standing[store.name]
            short = replace(standing, order=replace(order, to=store.phase))  # type: ignore[arg-type]
            self.standing[store.name] = short
            self.desk.put_standing(short)

    def _withdraw(self, order: ImageOrder) -> bool:
        """Nothing stands any more: this process follows the row again as soon as PostgreSQL is there."""
        standing = self.standing.pop(order.store, None)
        self.desk.drop_standing(order.store)
        if standing is None:
            return False
        log.warning("outlive: %s/%s follows its row again, as %s ordered", order.service, order.store, order.actor)
        store = self.service.stores.get(order.store)
        if store is not None and self.service.watcher is not None:
            detail = {"reason": order.reason, "actor": order.actor, "withdrawn": asdict(standing)}
            self.service.watcher.note(store, "from_image_withdrawn", detail)
        self._forget_trouble(order.store)
        return True

    def _answer(
        self, order: ImageOrder, before: Phase, phase: Phase, state: orders.State, position: Position,
        reason: str = "", following: str = "",
    ) -> None:  # fmt: skip
        if state == "refused" and not reason:
            reason, following = "nothing stands that could be taken back", "outlive status"
        each = self._find(order.store)
        answer = Answer(
            order=order.id, state=state, phase_before=before, phase=phase, pid=os.getpid(), position=position,
            when_away="" if each is None else each.when_away, reason=reason, next=following,
        )  # fmt: skip
        self.desk.put_answer(order.store, self.service.started, answer)

    # -- PostgreSQL is back ------------------------------------------------------------------------------------

    def reconcile(self, conn: psycopg.Connection[Any]) -> None:
        """Bring each row one step nearer to what stands here; a conflict is told and left to the operator."""
        for name, standing in list(self.standing.items()):
            self._reconcile(conn, name, standing)

    def reconcile_at_start(self, conn: psycopg.Connection[Any]) -> None:
        """The same before a start opens its stores. Raises PhaseRefused for a conflict, or when others are late."""
        ends = time.monotonic() + START_S
        while self.standing:
            self.reconcile(conn)
            for name, standing in self.standing.items():
                if standing.conflict or time.monotonic() > ends:
                    raise PhaseRefused(store=f"{self.service.service}/{name}", reason=standing.conflict or _IN_THE_WAY)
            rows = conn.execute("SELECT epoch FROM outlive.service WHERE service = %s", (self.service.service,))
            epoch = rows.fetchall()[0][0]
            self.service.committer.aside(member.acknowledge(self.service, epoch)).result(START_S)

    def _reconcile(self, conn: psycopg.Connection[Any], name: str, standing: Standing) -> None:
        order, service = standing.order, self.service
        found = conn.execute(_ROW, (service.service, name)).fetchall()
        if not found or order.to is None:
            self._conflict(conn, name, standing, "the row is gone")
            return
        phase, epoch, changed_by, reason = found[0]
        if phase == order.to:
            self._done(conn, name, standing)
            return
        if (phase, epoch) != (standing.phase_before, standing.epoch):
            if not conn.execute(_OURS, (service.service, name, order.id, epoch)).fetchall():
                why = f"its row went to {phase} at epoch {epoch} by {changed_by} ({reason or 'no reason given'})"
                self._conflict(conn, name, standing, why)
                return
            standing = self._stand_on(standing, phase, epoch)  # a crash came between the change and this note
        self._step(conn, name, standing)

    def _step(self, conn: psycopg.Connection[Any], name: str, standing: Standing) -> None:
        order, service = standing.order, self.service
        move = plan_walk(standing.phase_before, order.to or "dual_write")[0]
        if move.forward or rank(standing.phase_before) > rank("dual_read"):
            self._conflict(conn, name, standing, f"its row is in {standing.phase_before}")
            return
        if move.wanted == "legacy" and service.journal_units():
            return  # what was acknowledged lands first
        drive(member.bury(service), conn)
        drive(member.seen(service), conn)
        detail = {"from_image": True, "order": order.id, "ordered_at": order.at, "position": asdict(standing.position)}
        change = Order(
            service=service.service, store=name, actor=order.actor, reason=order.reason, force=True, detail=detail
        )
        try:
            changed = drive(change_phase(change, move, standing.epoch), conn)
        except (NotAcknowledged, PhaseMoved) as error:  # the next look tells
            log.info("outlive: %s/%s: its row waits: %s", service.service, name, error)
            return
        self._stand_on(standing, move.wanted, changed.epoch)

    def _stand_on(self, standing: Standing, phase: Phase, epoch: int) -> Standing:
        moved = replace(standing, phase_before=phase, epoch=epoch)
        self.desk.put_standing(moved)
        self.standing[standing.order.store] = moved
        return moved

    def _done(self, conn: psycopg.Connection[Any], name: str, standing: Standing) -> None:
        order = standing.order
        detail = {"to": order.to, "reason": order.reason, "order": order.id, "position": asdict(standing.position)}
        conn.execute(_EVENT, (order.service, name, "from_image", order.actor, Jsonb(detail)))
        del self.standing[name]
        self.desk.drop_standing(name)
        self._forget_trouble(name)
        log.warning("outlive: %s/%s: its row says %s now, as was ordered without it", order.service, name, order.to)

    def _conflict(self, conn: psycopg.Connection[Any], name: str, standing: Standing, why: str) -> None:
        order = standing.order
        full = f"{order.service}/{name}"
        text = (
            f"{why}, while it was taken back to {order.to} from the image without PostgreSQL ({order.reason}); decide: "
            f"outlive rollback {full} --to {order.to}, or outlive rollback {full} --from-image --withdraw --reason TEXT"
        )
        if self.service.watcher is not None:
            trouble = self.service.watcher.backfills.get(name, {"done": True})
            self.service.watcher.backfills[name] = {**trouble, "error": text}
        if standing.conflict == text:
            return
        log.error("outlive: %s: %s", full, text)
        detail = {"to": order.to, "reason": order.reason, "why": why, "position": asdict(standing.position)}
        conn.execute(_EVENT, (order.service, name, "from_image_conflict", order.actor, Jsonb(detail)))
        told = replace(standing, conflict=text)
        self.desk.put_standing(told)
        self.standing[name] = told

    def _forget_trouble(self, name: str) -> None:
        trouble = self.service.watcher.backfills.get(name) if self.service.watcher is not None else None
        if trouble:
            trouble.pop("error", None)


_IN_THE_WAY = "the order to take it back from the image waits for other members to acknowledge the last phase change"


def _hint(error: Exception) -> str:
    return error.hint.format(**error.facts()) if isinstance(error, OutliveError) else "outlive doctor"
