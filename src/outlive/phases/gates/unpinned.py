"""Gate: no member is held in its phase by its environment."""

from __future__ import annotations

from outlive.phases.figures import Figures
from outlive.phases.gates.gate import Gate


def unpinned(figures: Figures) -> Gate:
    """Open when no live member is pinned, or the operator overrode pins in the row."""
    pinned = [member for member in figures.live if member.pin]
    if figures.pins_overridden:
        return Gate("unpinned", True, f"{len(pinned)} pinned, overridden", "0 pinned")
    held = "; ".join(f"{member.name} by {member.pin}" for member in pinned)
    why = f"{held}; unset it and restart, or --override-pins" if pinned else ""
    return Gate("unpinned", not pinned, f"{len(pinned)} pinned", "0 pinned", why)
