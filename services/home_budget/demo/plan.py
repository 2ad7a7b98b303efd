"""How long the demo takes its time for each step: the whole show, or a quick one for CI."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Durations in seconds; `pause_ms` is a worker's mean rest between two requests."""

    expenses: int
    workers: int
    pause_ms: float
    before_s: float
    attempts: int
    measure_s: float
    outage_s: float
    seed: int


def full(seed: int) -> Plan:
    """What `make demo` runs; under three minutes on two idle cores."""
    return Plan(expenses=5000, workers=6, pause_ms=40, before_s=5, attempts=6, measure_s=6, outage_s=4, seed=seed)


def quick(seed: int) -> Plan:
    """The same steps with fewer records and shorter looks."""
    return Plan(expenses=600, workers=4, pause_ms=30, before_s=1.5, attempts=6, measure_s=1.2, outage_s=1.2, seed=seed)
