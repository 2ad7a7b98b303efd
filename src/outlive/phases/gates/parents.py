"""Gate: what the store's records refer to is in PostgreSQL before them."""

from __future__ import annotations

from outlive.phases.figures import Figures
from outlive.phases.gates.gate import Gate
from outlive.phases.machine import PHASES, rank


def parents(figures: Figures) -> Gate:
    """Open when every store that this one refers to has come as far as it goes now, its records copied.

    `dual_read` is far enough for `database`: a parent may stay there for good.
    """
    needed = PHASES[min(rank(figures.phase) + 1, rank("dual_read"))]
    held = [each for each in figures.relations if each.parent]
    behind = [each for each in held if rank(each.phase) < rank(needed)]
    copying = [each for each in held if each not in behind and each.phase == "dual_write" and not each.copied]
    shown = f"{len(behind) + len(copying)} of {len(held)} behind"
    if not behind and not copying:
        return Gate("parents", True, shown, "0 behind")
    first = [
        f"{each.store} is in {each.phase}, and records of {figures.store} refer to its: "
        f"outlive advance {figures.service}/{each.store} --to {needed} first"
        for each in behind
    ]
    still = [f"the back-fill of {each.store} is not complete" for each in copying]
    return Gate("parents", False, shown, "0 behind", "; ".join(first + still), None if behind else "wait")
