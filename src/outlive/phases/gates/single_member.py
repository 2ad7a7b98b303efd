"""Gate: one process at most, where images are no longer kept equal."""

from __future__ import annotations

from outlive.phases.figures import Figures
from outlive.phases.gates.gate import Gate


def single_member(figures: Figures) -> Gate:
    """Open when at most one live member remains: in `legacy` images drift apart from that moment."""
    count = len(figures.live)
    why = "" if count <= 1 else "the images of several members drift apart from that moment"
    return Gate("single_member", count <= 1, f"{count} live members", "<= 1", why)
