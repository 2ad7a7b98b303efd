"""What a calendar of the moon says of a due date. The default computes the phase and asks nobody."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from dataclasses import dataclass, field
from typing import Any, Protocol

logger = logging.getLogger(__name__)
TIMEOUT_S = 2.0
NEW_MOON = dt.datetime(2000, 1, 6, 18, 14, tzinfo=dt.UTC)
MONTH_DAYS = 29.530588853  # from new moon to new moon, on average
PHASES = (
    "new_moon", "waxing_crescent", "first_quarter", "waxing_gibbous",
    "full_moon", "waning_gibbous", "last_quarter", "waning_crescent",
)  # fmt: skip


@dataclass(frozen=True)
class Sky:
    """What is known of a moment; None where the calendar does not say. `score` goes from 1 to 10."""

    moon_phase: str | None = None
    lunar_mansion: str | None = None
    score: int | None = None
    optimal_time: str | None = None
    recommendation: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """The task's fields that it fills."""
        said = {
            "moon_phase_at_due_date": self.moon_phase,
            "lunar_mansion_at_due_date": self.lunar_mansion,
            "astronomical_score": self.score,
            "optimal_time_of_day": self.optimal_time,
            "astronomical_recommendation": self.recommendation,
        }
        known = {name: value for name, value in said.items() if value is not None}
        return {**known, "astronomical_warnings": list(self.warnings)}


class Calendar(Protocol):
    """Who knows the sky; it may ask over a network, and may fail."""

    async def sky(self, moment: dt.datetime) -> Sky:
        """What is known of an aware moment."""
        ...


class Computed:
    """The moon's phase, reckoned from one new moon by the mean length of a month: right to within 14 hours."""

    async def sky(self, moment: dt.datetime) -> Sky:
        return Sky(moon_phase=moon_phase(moment))


calendar: Calendar = Computed()


def moon_phase(moment: dt.datetime) -> str:
    """One of PHASES, each an eighth of a month with its namesake in the middle."""
    days = (moment - NEW_MOON) / dt.timedelta(days=1)
    return PHASES[int(days / MONTH_DAYS % 1 * 8 + 0.5) % 8]


async def fields_at(moment: dt.datetime | None) -> dict[str, Any]:
    """What the calendar fills in of a task that is due then; nothing if it fails or does not answer in TIMEOUT_S."""
    if moment is None:
        return {}
    try:
        return (await asyncio.wait_for(calendar.sky(moment), TIMEOUT_S)).fields()
    except Exception as error:  # noqa: BLE001  whatever it is, the task is written without
        logger.warning("no calendar for %s: %s", moment.isoformat(), error or type(error).__name__)
        return {}
