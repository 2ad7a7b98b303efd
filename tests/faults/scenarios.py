"""What can be done to a run: its stores, driver and phase, and the fault; drawn from the seed and the run's number."""

from __future__ import annotations

import random
from dataclasses import dataclass

from outlive.commit import failpoints

AWAY_POINTS = ("journal.before_write", "journal.after_write", "journal.before_sync", "journal.after_sync")
DRAIN_POINTS = ("drain.before_mark", "journal.before_mark", "journal.after_mark")
ELSEWHERE = {"load.chunk"}  # in commands of their own, killed by their own tests
FILE_POINTS = ("file.before_sync", "file.before_swap", "file.after_rename")
PLAIN_POINTS = ("commit.before", "commit.after", "ack.before", "ack.after", "image.before", "image.after")
CUTS = ("cut before commit", "cut at commit", "cut after commit")
OTHERS = (
    "kill any time", "kill while away", "server killed", "server killed, then process", "disk full", "hot advance",
    *CUTS, "cut after commit, then away", "cut after commit, then away, then kill", "away and back",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run. `fault` is a fail point's name or a phrase of OTHERS; `at` the hit at which a fail point kills."""

    number: int
    seed: str
    fault: str
    at: int
    driver: str
    second: str
    phase: str
    away: str | None
    owners: int
    in_replay: bool

    @property
    def title(self) -> str:
        """The run in one phrase."""
        kill = f"kill at {self.fault}:{self.at}" if self.fault in failpoints.NAMES else self.fault
        replay = " in replay" if self.in_replay else ""
        return f"{kill}{replay}; {self.driver}, things+{self.second}, {self.phase}{', journal' if self.away else ''}"


def faults() -> list[str]:
    """Every fault once, all names of fail points among them."""
    return [*sorted(failpoints.NAMES - ELSEWHERE), *OTHERS]


def scenario(seed: int, number: int, only: str | None = None) -> Scenario:
    """The run of this number, the same for the same seed; faults take turns, in an order that the seed shuffles."""
    order = faults()
    turn, place = divmod(number, len(order))
    random.Random(f"{seed} order {turn}").shuffle(order)
    rng = random.Random(f"{seed} run {number}")
    fault = only or order[place]
    phase = rng.choice(["dual_write", "dual_write", "dual_read"])
    driver = rng.choice(["thread", "thread", "loop"])
    second = rng.choice(["events", "rows"])
    if fault in FILE_POINTS:
        second, phase = "rows", rng.choice(["legacy", "dual_write", "dual_read"])
    if fault in {"backfill.chunk", "hot advance"}:
        second, phase, driver = "rows", "legacy", "thread"
    needs_journal = fault in {*AWAY_POINTS, *DRAIN_POINTS, "kill while away", "disk full"}
    away = "journal" if phase == "dual_read" and (needs_journal or rng.random() < 0.3) else None
    in_database = fault in {*PLAIN_POINTS[:4], *CUTS, *OTHERS} - {"hot advance", "kill while away", "disk full"}
    if away is None and in_database and rng.random() < 0.25:
        phase = "database"
    in_replay = (
        fault in {*DRAIN_POINTS, *PLAIN_POINTS[:1]} and rng.random() < 0.5 and phase in {"dual_write", "dual_read"}
    )
    if in_replay and phase == "dual_read":
        away = "journal"
    most = {"backfill.chunk": 3, **dict.fromkeys(DRAIN_POINTS, 1), **dict.fromkeys(FILE_POINTS, 8)}.get(fault, 25)
    return Scenario(
        number, f"{seed} {number}", fault, 1 if in_replay else rng.randrange(1, most + 1), driver, second, phase, away,
        rng.randrange(2, 5), in_replay,
    )  # fmt: skip
