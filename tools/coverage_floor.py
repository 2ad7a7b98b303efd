"""Prints coverage by room from a `coverage json` file and fails below a floor.

Usage: coverage_floor.py FILE. The floors are on branches taken, `services` included in the total; lines are shown
beside them. A room without a single measured file fails too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOM_FLOOR_PERCENT = 95.0
TOTAL_FLOOR_PERCENT = 85.0
FLOORED = ("records", "query", "commit", "stores", "phases", "transfer")


@dataclass
class Room:
    """Counts of one folder of files; percentages of nothing are 100."""

    name: str
    floor_percent: float | None
    files: int = 0
    lines: int = 0
    lines_run: int = 0
    branches: int = 0
    branches_taken: int = 0

    def add(self, summary: dict[str, int]) -> None:
        """Counts one file's summary."""
        self.files += 1
        self.lines += summary["num_statements"]
        self.lines_run += summary["covered_lines"]
        self.branches += summary["num_branches"]
        self.branches_taken += summary["covered_branches"]

    @property
    def line_percent(self) -> float:
        """Lines run, of 100."""
        return 100 * self.lines_run / self.lines if self.lines else 100.0

    @property
    def branch_percent(self) -> float:
        """Branches taken, of 100."""
        return 100 * self.branches_taken / self.branches if self.branches else 100.0

    @property
    def holds(self) -> bool:
        """Whether the floor is reached; a floored room needs files."""
        return self.floor_percent is None or (self.files > 0 and self.branch_percent >= self.floor_percent)


def room_of(path: str) -> str | None:
    """records, query, ... for src/outlive/*, `services` for guests, None for files that are not measured."""
    parts = Path(path).parts
    if "outlive" in parts[:-1]:
        inside = parts[parts.index("outlive") + 1 :]
        return inside[0] if len(inside) > 1 else "outlive"
    return "services" if "services" in parts else None


def rooms(files: dict[str, dict[str, dict[str, int]]]) -> Iterator[Room]:
    """Every room in order of name, then the total."""
    found = {name: Room(name, ROOM_FLOOR_PERCENT) for name in FLOORED}
    total = Room("total", TOTAL_FLOOR_PERCENT)
    for path, entry in files.items():
        if (name := room_of(path)) is not None:
            found.setdefault(name, Room(name, None)).add(entry["summary"])
            total.add(entry["summary"])
    yield from sorted(found.values(), key=lambda room: room.name)
    yield total


def line(room: Room) -> str:
    """One row of the table."""
    floor = "" if room.floor_percent is None else f"{room.floor_percent:5.0f} %"
    verdict = "" if room.holds else "  below its floor"
    return (
        f"{room.name:<10}{room.files:>6}{room.line_percent:>9.1f} %{room.branch_percent:>9.1f} %  {floor:>7}{verdict}"
    )


def main() -> int:
    """Exit status 0 when every floor holds, 1 otherwise."""
    measured = list(rooms(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["files"]))
    print(f"{'room':<10}{'files':>6}{'lines':>11}{'branches':>11}  {'floor':>7}")
    for room in measured:
        print(line(room))
    return 0 if all(room.holds for room in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
