"""Which units go together because of what they depend on."""

from __future__ import annotations

from outlive.commit.unit import Unit


def closed(some: list[Unit], among: list[Unit]) -> list[Unit]:
    """`some` and what they depend on, in order."""
    wanted = set(some)
    while more := {d for u in wanted for d in u.depends if not d.settled} - wanted:
        wanted |= more
    return [unit for unit in among if unit in wanted]


def clusters(units: list[Unit]) -> list[list[Unit]]:
    """Units that hang together through dependencies, in order."""
    found: list[list[Unit]] = []
    for unit in units:
        joined = [c for c in found if any(other in unit.depends or unit in other.depends for other in c)]
        merged = [member for cluster in joined for member in cluster] + [unit]
        found = [c for c in found if c not in joined] + [merged]
    return found
