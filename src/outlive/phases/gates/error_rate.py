"""Gate: the store's writes and queries rarely fail."""

from __future__ import annotations

from outlive.phases.figures import Figures
from outlive.phases.gates.gate import Gate


def error_rate(figures: Figures) -> Gate:
    """Open when no live member's share of failed operations is above the limit."""
    limit, worst = figures.limits.error_rate, figures.worst("error_rate")
    shown = "not reported" if worst is None else f"{worst:.2%}"
    fits = worst is None or worst <= limit
    return Gate("error_rate", fits, shown, f"<= {limit:.2%}", "" if fits else "too many operations fail")
