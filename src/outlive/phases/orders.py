"""The way back without PostgreSQL: orders to the members of one machine, as files beside their journals.

PostgreSQL is the only control plane; while it is away a phase row cannot be changed, and `rollback --from-image` speaks
to the members through `<home>/orders/<service>/`. What a member has done stands there until the row says the same:

    <store>/order.json          what the operator asks for; written by the command
    <store>/<boot>.answer.json  what the member <boot> made of it
    <store>/standing.json       what is in force here although the row says otherwise; read by every start

and `<home>/members/<service>/<boot>.lock` is held by a member for as long as it lives.

Every file is replaced as a whole and fsync'd, so that a crash leaves the old one or the new one.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import quote, unquote

from outlive.phases.machine import Phase, rank
from outlive.records.versions import time_ms
from outlive.stores import files

Target = Literal["legacy", "dual_write"]
State = Literal["would", "done", "refused", "withdrawn"]
TARGETS: tuple[Target, ...] = get_args(Target)
_ORDER, _STANDING, _ANSWER, _LOCK = "order.json", "standing.json", ".answer.json", ".lock"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOrder:
    """What an operator asks the members of this machine for; `to` None takes an earlier order back."""

    service: str
    store: str
    to: Target | None
    actor: str
    reason: str = ""
    force: bool = False
    dry_run: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where an image stands: the version of its newest change, and the last transaction that is known to have landed.

    That is group `group` of member `member`; heard_s is the age of this knowledge. journal_units wait for PostgreSQL.
    """

    version: int = 0
    member: int | None = None
    group: int = 0
    records: int = 0
    journal_units: int = 0
    heard_s: float | None = None

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(time_ms(self.version) / 1000)) if self.version else "?"
        who = f"group {self.group} of member {self.member}, " if self.member is not None else ""
        heard = "" if self.heard_s is None else f"; PostgreSQL last answered {self.heard_s:.0f} s ago"
        return f"{who}version {self.version} of {when}, {self.records} records{heard}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one member made of the order `order`."""

    order: str
    state: State
    phase_before: Phase
    phase: Phase
    pid: int
    position: Position = Position()
    when_away: str = ""
    reason: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A phase that is in force on this machine although the row says otherwise.

    phase_before and epoch are the row's as they were last seen, what a reconciliation compares with; an epoch of 0 was
    never seen. conflict says why that failed, if it did.
    """

    order: ImageOrder
    phase_before: Phase
    epoch: int
    position: Position = Position()
    conflict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a member knows when it meets an order. `kind` is None for a store that it does not have."""

    phase: Phase
    kind: str | None
    away: bool
    pinned: tuple[str, Phase] | None = None


def refusal(order: ImageOrder, now: Circumstances) -> tuple[str, str] | None:
    """(reason, next command) why a member does not do what `order` asks, None if it does."""
    name = f"{order.service}/{order.store}"
    if order.to is None:
        return None
    if now.kind is None:
        return "this process has no such store", "outlive status"
    if now.kind == "counter":
        return (
            "a counter has no image: its numbers are leased from PostgreSQL",
            "start PostgreSQL, then: outlive doctor",
        )
    if now.phase == "database":
        reason = "it is in database, where no process holds its records in memory"
        return reason, "start PostgreSQL; or restart with FF_USE_DATABASE_STORAGE=false OUTLIVE_ACCEPT_STALE=true"
    if rank(order.to) > rank(now.phase):
        return f"{order.to} lies ahead of {now.phase}", f"outlive advance {name} --to {order.to}"
    if not now.away and not order.force:
        return "PostgreSQL answers, so the row can be changed", f"outlive rollback {name} --to {order.to}"
    if now.pinned is not None and now.pinned[1] != order.to:
        return f"{now.pinned[0]} pins it to {now.pinned[1]}", f"restart it with {now.pinned[0]} unset"
    return None


def several(seats: int, reported: int) -> bool:
    """Whether more than one member lives, by those of this machine and the last report of all."""
    return max(seats, reported) > 1


# -- files -------------------------------------------------------------------------------------------------------


class Desk:
    """The folder of one service's orders. Reading what is not there, or is no such file, gives None."""

    def __init__(self, home: Path, service: str) -> None:
        self.path = home / "orders" / quote(service, safe="")
        self._members = home / "members" / quote(service, safe="")

    def stores(self) -> list[str]:
        """Stores that have an order, an answer or something standing."""
        try:
            return sorted(unquote(path.name) for path in self.path.iterdir())
        except FileNotFoundError:
            return []

    def folder(self, store: str) -> Path:
        """Where a store's files lie. The name is encoded, so that it can name a folder."""
        return self.path / quote(store, safe="")

    def put_order(self, order: ImageOrder) -> Path:
        """Leave an order; returns its file."""
        path = self.folder(order.store) / _ORDER
        _write(path, asdict(order))
        return path

    def order(self, store: str) -> ImageOrder | None:
        """The order that lies there."""
        return _build(ImageOrder, _read(self.folder(store) / _ORDER))

    def drop_order(self, order: ImageOrder) -> None:
        """Take an order away; a newer one stays."""
        found = self.order(order.store)
        if found is not None and found.id == order.id:
            _drop(self.folder(order.store) / _ORDER)

    def put_answer(self, store: str, boot: str, answer: Answer) -> None:
        """Say what came of an order."""
        _write(self.folder(store) / f"{boot}{_ANSWER}", asdict(answer))

    def answers(self, order: ImageOrder) -> list[Answer]:
        """What members have made of this order."""
        found = [_answer(_read(path)) for path in sorted(self.folder(order.store).glob(f"*{_ANSWER}"))]
        return [answer for answer in found if answer is not None and answer.order == order.id]

    def drop_answers(self, store: str) -> None:
        """Forget the answers to earlier orders."""
        for path in self.folder(store).glob(f"*{_ANSWER}"):
            _drop(path)

    def put_standing(self, standing: Standing) -> None:
        """Let a phase be in force whatever the row says, for this start and later ones."""
        _write(self.folder(standing.order.store) / _STANDING, asdict(standing))

    def standing(self, store: str) -> Standing | None:
        """What is in force."""
        return _standing(_read(self.folder(store) / _STANDING))

    def drop_standing(self, store: str) -> None:
        """The row says the same now, or the order was taken back."""
        _drop(self.folder(store) / _STANDING)

    def seats(self) -> list[int]:
        """Process ids of the members that live; what dead ones left is removed."""
        found = []
        for path in sorted(self._members.glob(f"*{_LOCK}")):
            handle = _lock(path)
            if handle is not None:
                path.unlink(missing_ok=True)
                os.close(handle)
            elif path.exists():
                found.append(int((_read(path) or {}).get("pid", 0)))
        return found

    def take_seat(self, boot: str) -> int | None:
        """The lock that tells others that this member lives; None if it cannot be had."""
        path = self._members / f"{boot}{_LOCK}"
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _lock(path, os.O_CREAT)
        if handle is not None:
            os.pwrite(handle, json.dumps({"pid": os.getpid()}).encode(), 0)
        return handle


def _lock(path: Path, flags: int = 0) -> int | None:
    try:
        handle = os.open(path, os.O_RDWR | flags, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    files.replace(path, json.dumps(facts).encode())


def _drop(path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        return
    files.sync_folder(path.parent)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def _build(kind: type[T], facts: dict[str, Any] | None) -> T | None:
    """A dataclass from facts as another version may have written them: unknown names are left out."""
    if facts is None:
        return None
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    try:
        return kind(**{name: value for name, value in facts.items() if name in known})
    except TypeError:
        return None


def _answer(facts: dict[str, Any] | None) -> Answer | None:
    found = _build(Answer, facts)
    return None if found is None else replace(found, position=_position(found.position))


def _standing(facts: dict[str, Any] | None) -> Standing | None:
    found = _build(Standing, facts)
    order = None if found is None else _build(ImageOrder, found.order)  # type: ignore[arg-type]
    if found is None or order is None:
        return None
    return replace(found, order=order, position=_position(found.position))


def _position(facts: Any) -> Position:
    return (_build(Position, facts) if isinstance(facts, dict) else None) or Position()
