"""The phases of a store and the legal moves between them, as one table.

Everything that asks "may this store go there, what guards the step, what must be made ready" reads `MOVES`: the
gates, the operator's walk, the start of a service, the command line. A move joins neighbours only (I6).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from outlive.errors import BadSetting, IllegalMove

Phase = Literal["legacy", "dual_write", "dual_read", "database"]
Preparation = Literal["refill"]
PHASES: tuple[Phase, ...] = get_args(Phase)
DEFAULT_ROLLBACK: Phase = "dual_write"


@dataclass(frozen=True, slots=True)
class Move:
    """One step between neighbours.

    `gates` guard it, in the order in which they are shown; `prepare` names the requests that every live member
    answers before the row changes; `restarts_backfill` means that what was copied earlier no longer counts.
    """

    current: Phase
    wanted: Phase
    gates: tuple[str, ...]
    prepare: tuple[Preparation, ...] = ()
    restarts_backfill: bool = False

    @property
    def forward(self) -> bool:
        """Whether the move leads towards `database`."""
        return rank(self.wanted) > rank(self.current)

    def __str__(self) -> str:
        return f"{self.current} -> {self.wanted}"


_ENTER = ("connection_budget", "unpinned")
_READS_MOVE = (
    "backfill",
    "members",
    "unlanded",
    "parity",
    "query_p95",
    "pool_use",
    "error_rate",
    "connection_budget",
    "unpinned",
    "way_back",
    "parents",
)
_TABLE = (
    Move("legacy", "dual_write", (*_ENTER, "parents"), restarts_backfill=True),
    Move("dual_write", "dual_read", _READS_MOVE),
    Move("dual_read", "database", (*_READS_MOVE, "mapping_unused")),
    Move("database", "dual_read", ("unpinned",), prepare=("refill",)),
    Move("dual_read", "dual_write", ("unpinned", "children")),
    Move("dual_write", "legacy", ("unpinned", "single_member", "children")),
)
MOVES: dict[tuple[Phase, Phase], Move] = {(move.current, move.wanted): move for move in _TABLE}


def rank(phase: Phase) -> int:
    """0 for `legacy` to 3 for `database`."""
    return PHASES.index(phase)


def parse_phase(text: str, name: str = "phase") -> Phase:
    """The phase that `text` names, in any case, `-` for `_` allowed. Raises BadSetting with `name` otherwise."""
    wanted = text.strip().lower().replace("-", "_")
    for phase in PHASES:
        if phase == wanted:
            return phase
    raise BadSetting(name=name, value=text, reason=f"one of {', '.join(PHASES)} is expected")


def find_move(store: str, current: Phase, wanted: Phase) -> Move:
    """The move from `current` to its neighbour `wanted`. Raises IllegalMove if they are not neighbours."""
    try:
        return MOVES[current, wanted]
    except KeyError:
        raise IllegalMove(store=store, current=current, wanted=wanted) from None


def plan_walk(current: Phase, wanted: Phase) -> list[Move]:
    """The moves that lead from `current` to `wanted`, neighbour by neighbour; empty when they are equal."""
    low, high = sorted((rank(current), rank(wanted)))
    stops = PHASES[low : high + 1]
    if rank(wanted) < rank(current):
        stops = stops[::-1]
    return [MOVES[pair] for pair in pairwise(stops)]


def next_phase(current: Phase) -> Phase | None:
    """The phase after `current`, or None at the end of the way."""
    return PHASES[rank(current) + 1] if current != PHASES[-1] else None
