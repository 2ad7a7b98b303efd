"""Gate: nobody uses the store as a dict any more."""

from __future__ import annotations

from outlive.phases.figures import Figures, Member
from outlive.phases.gates.gate import Gate


def mapping_unused(figures: Figures) -> Gate:
    """Open when no member, running or gone, saw a use of the mapping since the last phase change."""
    used = [member for member in figures.members if _used(member, figures)]
    if not used:
        figure = f"not used in the {figures.changed_age_s:.0f} s since the last phase change"
        return Gate("mapping_unused", True, figure, "not used")
    last = max(used, key=lambda member: member.mapping_used_at or figures.changed_at)
    where = last.mapping_call_site or "an unknown place"
    why = f"use the repository there; a store that is used as a dict may stay in {figures.phase}"
    return Gate("mapping_unused", False, f"last used by {where} in {last.name}", "not used", why)


def _used(member: Member, figures: Figures) -> bool:
    return member.mapping_used_at is not None and member.mapping_used_at > figures.changed_at
