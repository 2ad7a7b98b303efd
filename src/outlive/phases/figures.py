"""What was measured about a store: the values that gates judge and `status` shows.

Plain values without behaviour beyond small sums; ages and durations are in the unit of their name, shares run from
0 to 1, times are aware. Nothing here reads a database or a clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from outlive.errors import BadSetting
from outlive.phases.machine import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the gates compare with."""

    query_p95_ms: float = 100.0
    pool_use: float = 0.8
    error_rate: float = 0.01
    parity_age_s: float = 600.0
    way_back_s: float = 300.0

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Limits:
        """The defaults, replaced by OUTLIVE_GATE_<NAME> where set (OUTLIVE_GATE_PARITY_AGE_S=60).

        Raises BadSetting when a value is no number above 0.
        """
        given = {limit.name: env.get(f"OUTLIVE_GATE_{limit.name.upper()}", "").strip() for limit in fields(cls)}
        return replace(cls(), **{name: _positive(name, text) for name, text in given.items() if text})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One process start as the control tables know it, with what it reported about the store."""

    id: int
    host: str = ""
    pid: int = 0
    epoch: int = 0
    live: bool = True
    left: bool = False
    written_off: bool = False
    seen_age_s: float = 0.0
    phase: str | None = None
    pin: str | None = None
    records: int | None = None
    image_bytes: int | None = None
    record_bytes: int | None = None
    journal_units: int = 0
    unlanded: int = 0
    open_units: tuple[str, ...] = ()  # those open for longer than a phase change waits: name and call site
    pool_use: float | None = None
    query_p95_ms: float | None = None
    request_p95_ms: float | None = None
    error_rate: float | None = None
    connections: int | None = None
    backfill: Mapping[str, Any] = field(default_factory=dict)
    refill_ms: float | None = None
    mapping_used_at: datetime | None = None
    mapping_call_site: str | None = None
    scrub_age_s: float | None = None
    when_away: str | None = None
    journal_dies: str | None = None
    unscoped: bool = False

    @property
    def lapsed(self) -> bool:
        """Whether the member stopped reporting without leaving: what it journals meanwhile is unknown."""
        return not (self.live or self.left or self.written_off)

    @property
    def trouble(self) -> str | None:
        """Why the member could not switch or copy, in its own words."""
        return self.backfill.get("error")

    @property
    def name(self) -> str:
        """How the member is named to people."""
        return f"member {self.id} ({self.host}:{self.pid})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The newest finished verification of a store."""

    mode: str
    epoch: int
    started_at: datetime
    age_s: float
    compared: int
    different: int
    missing: int
    extra: int
    planted_found: bool

    @property
    def equal(self) -> bool:
        """Whether no record differed, was missing or was extra."""
        return self.different == self.missing == self.extra == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """The measured way back: an image filled from PostgreSQL beside the one in use."""

    refill_ms: float
    at: datetime
    records: int | None = None
    matches: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """What all live members may open together, and what the server has left for them."""

    needed: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A store that this one's records refer to (`parent`), or one whose records refer to this one's."""

    store: str
    parent: bool
    phase: Phase
    copied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything known about one store at one moment; `epoch` is that of its last phase change."""

    service: str
    store: str
    phase: Phase
    epoch: int
    service_epoch: int
    changed_at: datetime
    changed_age_s: float = 0.0
    changed_by: str = ""
    reason: str = ""
    pins_overridden: bool = False
    members: tuple[Member, ...] = ()
    backfill: Mapping[str, Any] | None = None
    unlanded: int = 0
    parity: Parity | None = None
    rehearsal: Rehearsal | None = None
    connections: Connections = Connections(needed=0, available=1)
    limits: Limits = field(default_factory=Limits)
    relations: tuple[Relation, ...] = ()

    @property
    def live(self) -> tuple[Member, ...]:
        """The members that report."""
        return tuple(member for member in self.members if member.live)

    @property
    def lapsed(self) -> tuple[Member, ...]:
        """The members that stopped reporting without leaving."""
        return tuple(member for member in self.members if member.lapsed)

    @property
    def journal_units(self) -> int:
        """Units that wait in the journals of members that could still write them."""
        return sum(member.journal_units for member in (*self.live, *self.lapsed))

    def worst(self, name: str) -> float | None:
        """The highest value of one figure over the live members, None if none reports it."""
        values = [getattr(member, name) for member in self.live]
        return max((value for value in values if value is not None), default=None)

    def facts(self) -> dict[str, Any]:
        """The figures as plain values for `--json`."""
        return asdict(self)


def _positive(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise BadSetting(name=f"OUTLIVE_GATE_{name.upper()}", value=text, reason="is no number above 0")
    return value
