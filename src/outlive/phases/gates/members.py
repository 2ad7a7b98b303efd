"""Gate: no member is behind."""

from __future__ import annotations

from outlive.phases.figures import Figures, Member
from outlive.phases.gates.gate import Gate


def members(figures: Figures) -> Gate:
    """Open when every live member acknowledged the current epoch, all journals are empty, and nobody just vanished.

    A member that stopped reporting without leaving may still journal: it stays in the way until it is back, has left,
    or was written off by name (I6).
    """
    late = [member for member in figures.live if member.epoch < figures.service_epoch]
    waiting = [member for member in figures.live if member.journal_units]
    lapsed = figures.lapsed
    shown = (
        f"{len(figures.live)} live, {len(late)} behind, {len(lapsed)} silent, {figures.journal_units} units journalled"
    )
    if not (late or waiting or lapsed):
        return Gate("members", True, shown, "0 behind, 0 silent, 0 units")
    why = "; ".join(
        [f"{member.name} stands at epoch {member.epoch} of {figures.service_epoch}" for member in late]
        + [f"{member.name} has {member.journal_units} units in its journal" for member in waiting]
        + [_silent(member) for member in lapsed]
    )
    return Gate("members", False, shown, "0 behind, 0 silent, 0 units", why, None if lapsed else "wait")


def _silent(member: Member) -> str:
    return (
        f"{member.name} is silent for {member.seen_age_s:.0f} s and did not leave: "
        f"bring it back, or outlive write-off {member.id}"
    )
