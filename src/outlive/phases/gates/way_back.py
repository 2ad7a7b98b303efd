"""Gate: the way back was rehearsed in this phase and is short enough."""

from __future__ import annotations

from outlive.phases.figures import Figures, Rehearsal
from outlive.phases.gates.gate import Gate, Remedy


def way_back(figures: Figures) -> Gate:
    """Open when an image was filled from PostgreSQL since the last phase change, equal, and within the budget."""
    done = figures.rehearsal
    why = "never rehearsed" if done is None else _fault(done, figures)
    shown = "never" if done is None else f"{done.refill_ms / 1000:.2f} s"
    remedy: Remedy | None = "rehearse" if why and figures.live else None
    return Gate("way_back", not why, shown, f"<= {figures.limits.way_back_s:.0f} s", why, remedy)


def _fault(done: Rehearsal, figures: Figures) -> str:
    """Why the rehearsal does not open the gate, empty if it does."""
    if done.at < figures.changed_at:
        return "rehearsed before the last phase change"
    if not done.matches:
        return "the image that was filled from PostgreSQL differs from the one in use"
    if done.refill_ms / 1000 > figures.limits.way_back_s:
        return "filling the image from PostgreSQL takes too long"
    return ""
