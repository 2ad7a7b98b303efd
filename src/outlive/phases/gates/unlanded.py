"""Gate: PostgreSQL has refused nothing that is still open."""

from __future__ import annotations

from outlive.phases.figures import Figures
from outlive.phases.gates.gate import Gate


def unlanded(figures: Figures) -> Gate:
    """Open when no unlanded change waits to be settled."""
    count = figures.unlanded
    why = f"see: outlive unlanded {figures.service}/{figures.store}" if count else ""
    return Gate("unlanded", count == 0, f"{count} changes", "0 changes", why)
