"""The operator's side of `outlive rollback --from-image`: orders for members that PostgreSQL cannot reach.

All that it goes by lies in OUTLIVE_HOME: what the service last knew, which of its processes live, what they answer.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from outlive.cli import output, session
from outlive.errors import NoWayBack, RequestUnanswered, Unreachable
from outlive.phases import orders
from outlive.phases.machine import Phase, parse_phase
from outlive.phases.orders import Answer, Circumstances, Desk, ImageOrder, Standing
from outlive.phases.reading import StoreName
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.embedded import running
from outlive.settings import Settings

POLL_S = 0.05


@dataclass(frozen=True)
class Known:
    """What is known of a store without PostgreSQL: phase, kind, the live members of the last report, and its age."""

    name: StoreName
    kind: str
    live: int
    age_s: float
    standing: Standing | None


def command(
    settings: Settings, store: str, to: str, *, reason: str, force: bool, dry_run: bool, withdraw: bool, wait_s: float,
    as_json: bool,
) -> None:  # fmt: skip
    """Orders the way back, or with `withdraw` takes the order back, and shows what the members made of it.

    Raises NoWayBack, UnknownStore, AmbiguousStore, BadSetting, RequestUnanswered; all without having changed anything.
    """
    known = find(settings.home, store)
    order = ImageOrder(
        service=known.name.service, store=known.name.store, to=None if withdraw else target(str(known.name), to),
        actor=session.actor(), reason=reason, force=force, dry_run=dry_run,
    )  # fmt: skip
    desk = Desk(settings.home, order.service)
    seats = desk.seats()
    if withdraw:
        _refuse_idle_withdrawal(desk, order, known)
    else:
        _refuse(settings, order, known, seats)
    if not seats:
        if not dry_run:
            _leave(desk, order, known)
        _show_left(order, known, desk, as_json)
        return
    _show(order, known, answered(desk, order, len(seats), wait_s), settings.home, as_json)


def find(home: Path, name: str) -> Known:
    """The store that is meant, among those whose services have run from this folder. Raises what `pick` raises."""
    states = {unquote(path.stem): _state(path) for path in sorted((home / "state").glob("*.json"))}
    stores = [
        StoreName(service, store, phase)
        for service, facts in states.items()
        for store, phase in sorted(facts.get("phases", {}).items())
    ]
    if not stores:
        reason = f"no service has run from {home.resolve()} beyond legacy"
        raise NoWayBack(store=name, reason=reason, next="run this where the service runs, or set OUTLIVE_HOME")
    picked = session.pick(stores, name)
    facts = states[picked.service]
    return Known(
        name=picked,
        kind=facts.get("kinds", {}).get(picked.store, ""),
        live=int(facts.get("live", 1)),
        age_s=max(0.0, time.time() - float(facts.get("at", 0))),
        standing=Desk(home, picked.service).standing(picked.store),
    )


def _state(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def target(name: str, to: str) -> orders.Target:
    """The phase that the order names. Raises NoWayBack for one that needs PostgreSQL, BadSetting for none at all."""
    phase = parse_phase(to, "--to")
    for possible in orders.TARGETS:
        if phase == possible:
            return possible
    reason = f"{phase} reads from PostgreSQL; an image leads to {' or '.join(reversed(orders.TARGETS))}"
    raise NoWayBack(store=name, reason=reason, next=f"outlive rollback {name} --from-image --to dual_write")


def answers_now(settings: Settings) -> str | None:
    """The address at which PostgreSQL answers, None if it does not; an embedded server is not started for that."""
    address = Address.from_settings(settings) or running(settings.home)
    if address is None:
        return None
    database = Database(address, settings)
    try:
        database.connect().close()
    except Unreachable:
        return None
    finally:
        database.dispose()
    return address.masked()


def _refuse(settings: Settings, order: ImageOrder, known: Known, seats: list[int]) -> None:
    """Raises NoWayBack for what is clear before a member is asked."""
    name = str(known.name)
    phase = _in_force(known)
    verdict = orders.refusal(order, Circumstances(phase=phase, kind=known.kind, away=True))
    if verdict is not None:
        raise NoWayBack(store=name, reason=verdict[0], next=verdict[1])
    address = None if order.force else answers_now(settings)
    if address is not None:
        following = f"outlive rollback {name} --to {order.to}"
        raise NoWayBack(store=name, reason=f"PostgreSQL answers at {address}; the row can be changed", next=following)
    if orders.several(len(seats), known.live) and not order.force:
        count = max(len(seats), known.live)
        reason = f"{count} members live by the last report ({output.age(known.age_s)} old); images would drift apart"
        raise NoWayBack(store=name, reason=reason, next="stop the others, or add --force")
    if not seats and known.kind != "json_file":
        reason = f"no process of {order.service} with an image runs here, and a {known.kind or 'store'} has no file"
        raise NoWayBack(store=name, reason=reason, next="start PostgreSQL, then the service")


def _in_force(known: Known) -> Phase:
    standing = known.standing
    return known.name.phase if standing is None or standing.order.to is None else standing.order.to


def _refuse_idle_withdrawal(desk: Desk, order: ImageOrder, known: Known) -> None:
    if known.standing is None and desk.order(order.store) is None:
        following = f"outlive status {known.name}"
        raise NoWayBack(store=str(known.name), reason="no order stands that could be taken back", next=following)


def _leave(desk: Desk, order: ImageOrder, known: Known) -> None:
    """No member runs: the order waits for the next start, which also tells the event log of what is taken back."""
    earlier = desk.order(order.store)
    if earlier is not None:
        desk.drop_order(earlier)
    desk.drop_answers(order.store)
    if known.standing is not None if order.to is None else _in_force(known) != order.to:
        desk.put_order(order)


def answered(desk: Desk, order: ImageOrder, members: int, wait_s: float) -> list[Answer]:
    """What the members made of the order, which is taken away again. Raises RequestUnanswered when one says nothing."""
    desk.drop_answers(order.store)
    desk.put_order(order)
    ends = time.monotonic() + wait_s
    try:
        while len(found := desk.answers(order)) < members and time.monotonic() < ends:
            time.sleep(POLL_S)
            members = min(members, max(1, len(desk.seats())))
    finally:
        desk.drop_order(order)
    found = desk.answers(order)
    if not found:
        name = f"{order.service}/{order.store}"
        reason = f"no running process answered within {wait_s:.0f} s; the order was taken away again"
        raise RequestUnanswered(store=name, kind="rollback --from-image", reason=reason)
    return found


def _show(order: ImageOrder, known: Known, answers: list[Answer], home: Path, as_json: bool) -> None:
    """Shows the answers. Raises NoWayBack when a member refused."""
    for answer in answers:
        if answer.state == "refused":
            raise NoWayBack(store=str(known.name), reason=answer.reason, next=answer.next or "outlive status")
    if as_json:
        output.document(_facts(order, answers[0].state, answers[0].phase_before, answers[0].phase, answers))
        return
    for answer in answers:
        _tell(order, known, answer, home)


def _tell(order: ImageOrder, known: Known, answer: Answer, home: Path) -> None:
    name = str(known.name)
    if answer.state == "withdrawn":
        print(f"process {answer.pid}: {name} follows its row again as soon as PostgreSQL answers")
        return
    if answer.phase_before == answer.phase:
        print(f"process {answer.pid}: {name} is already in {answer.phase}; nothing to do")
        return
    verb = "would go" if order.dry_run else "went"
    print(f"process {answer.pid}: {name} {verb} {answer.phase_before} -> {answer.phase} from its image")
    print(f"it stands on {answer.position}")
    if order.dry_run:
        print("dry run: nothing was changed")
        return
    print(_writes(answer, home, order.service))
    print("when PostgreSQL is back, journals land and the row is changed by compare-and-set")
    print(f"next: outlive status {name}, once PostgreSQL is back")


def _writes(answer: Answer, home: Path, service: str) -> str:
    if answer.phase == "legacy":
        return "writes go to memory, and to the file where there is one"
    if answer.when_away == "refuse":
        return (
            "writes are refused until PostgreSQL is back: declared so, or its journal would not last (outlive doctor)"
        )
    return f"writes are journalled in {home / 'journal' / service} until PostgreSQL is back"


def _show_left(order: ImageOrder, known: Known, desk: Desk, as_json: bool) -> None:
    phase = _in_force(known)
    state = "would be left" if order.dry_run else "left"
    if as_json:
        output.document(_facts(order, state, phase, order.to or phase, []))
        return
    name = str(known.name)
    print(f"no process of {order.service} runs here")
    if order.to is None:
        print(f"{name}: the order {'would be' if order.dry_run else 'is'} taken back; the next start follows the row")
    elif phase == order.to:
        print(f"{name} is already in {phase}; nothing to do")
    else:
        print(f"{name}: the order {state} in {desk.folder(order.store)}: the next start goes {phase} -> {order.to}")
        print(f"from its file and journals; what is known of it here is {output.age(known.age_s)} old")
    if order.dry_run:
        print("dry run: nothing was changed")


def _facts(order: ImageOrder, state: str, before: Phase, phase: Phase, answers: list[Answer]) -> dict[str, Any]:
    return {
        "service": order.service,
        "store": order.store,
        "order": order.id,
        "state": state,
        "from": before,
        "to": phase,
        "phase": before if order.dry_run else phase,
        "dry_run": order.dry_run,
        "reason": order.reason,
        "actor": order.actor,
        "position": asdict(answers[0].position) if answers else None,
        "members": [asdict(answer) for answer in answers],
    }
