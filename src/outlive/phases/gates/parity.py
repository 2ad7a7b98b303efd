"""Gate: memory and table were compared in full since the last phase change, and are equal."""

from __future__ import annotations

from outlive.phases.figures import Figures, Parity
from outlive.phases.gates.gate import Gate, Remedy


def parity(figures: Figures) -> Gate:
    """Open when the newest verification is full, of this phase, young, and found its planted difference only."""
    limit = f"equal, full, within {figures.limits.parity_age_s:.0f} s"
    newest = figures.parity
    why = "never verified" if newest is None else _fault(newest, figures)
    shown = "never" if newest is None else _figure(newest)
    remedy: Remedy | None = "verify" if why and figures.live else None
    return Gate("parity", not why, shown, limit, why, remedy)


def _fault(newest: Parity, figures: Figures) -> str:
    """Why `newest` does not open the gate, empty if it does."""
    if newest.mode != "full":
        return "a quick look says 'no difference seen'; only a full verification counts"
    if newest.started_at < figures.changed_at or newest.epoch < figures.epoch:
        return "verified before the last phase change"
    if not newest.planted_found:
        return "the verification did not find the difference that it planted: its result counts for nothing"
    if not newest.equal:
        return f"see: outlive verify {figures.service}/{figures.store}"
    if newest.age_s > figures.limits.parity_age_s:
        return "the verification is stale"
    return ""


def _figure(newest: Parity) -> str:
    found = f"{newest.different} different, {newest.missing} missing, {newest.extra} extra"
    return f"{found} of {newest.compared} ({newest.mode}, {newest.age_s:.0f} s ago)"
