"""Gate: no store whose records refer to this one's stays ahead of it."""

from __future__ import annotations

from outlive.phases.figures import Figures
from outlive.phases.gates.gate import Gate
from outlive.phases.machine import PHASES, rank


def children(figures: Figures) -> Gate:
    """Open when every store that refers to this one is where this one goes back to, or further back."""
    target = PHASES[max(rank(figures.phase) - 1, 0)]
    held = [each for each in figures.relations if not each.parent]
    ahead = [each for each in held if rank(each.phase) > rank(target)]
    why = "; ".join(
        f"{each.store} is in {each.phase}, and its records refer to those of {figures.store}: "
        f"outlive rollback {figures.service}/{each.store} --to {target} first"
        for each in ahead
    )
    return Gate("children", not ahead, f"{len(ahead)} of {len(held)} ahead", "0 ahead", why)
