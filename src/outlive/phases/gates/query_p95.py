"""Gate: PostgreSQL answers fast enough."""

from __future__ import annotations

from outlive.phases.figures import Figures
from outlive.phases.gates.gate import Gate


def query_p95(figures: Figures) -> Gate:
    """Open when the slowest live member's 95th percentile is within the limit; a member without queries has none."""
    limit, worst = figures.limits.query_p95_ms, figures.worst("query_p95_ms")
    shown = "no query measured" if worst is None else f"{worst:.1f} ms"
    fits = worst is None or worst <= limit
    return Gate("query_p95", fits, shown, f"<= {limit:.0f} ms", "" if fits else "queries are too slow")
