"""Gate: all members together fit into the server's connections."""

from __future__ import annotations

from outlive.phases.figures import Figures
from outlive.phases.gates.gate import Gate


def connection_budget(figures: Figures) -> Gate:
    """Open when what all live members may open is within max_connections less the reserved ones."""
    budget = figures.connections
    fits = budget.needed <= budget.available
    why = "" if fits else "raise max_connections, or lower DATABASE_POOL_SIZE and DATABASE_MAX_OVERFLOW"
    return Gate("connection_budget", fits, f"{budget.needed} connections", f"<= {budget.available}", why)
