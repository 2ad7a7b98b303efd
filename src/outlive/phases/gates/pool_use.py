"""Gate: the connection pools have room."""

from __future__ import annotations

from outlive.phases.figures import Figures
from outlive.phases.gates.gate import Gate


def pool_use(figures: Figures) -> Gate:
    """Open when no live member uses its pool up to the limit."""
    limit, worst = figures.limits.pool_use, figures.worst("pool_use")
    shown = "not reported" if worst is None else f"{worst:.0%}"
    fits = worst is None or worst < limit
    return Gate("pool_use", fits, shown, f"< {limit:.0%}", "" if fits else "a pool is nearly used up")
