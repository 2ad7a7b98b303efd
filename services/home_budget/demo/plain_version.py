"""First act: the first version takes load, is killed, and is looked at without flattery.

It rewrites a whole file for each write, without fsync or rename. Whether a kill finds it in the middle of that is
chance, so it is killed again, on a fresh copy, until something is lost or `attempts` are used up; what is shown is
what happened.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.home_budget.demo.checker import compare, expected
from services.home_budget.demo.data import NOUNS
from services.home_budget.demo.entries import Entry, Row, Tail, acknowledged
from services.home_budget.demo.figures import Figures, measure
from services.home_budget.demo.plan import Plan
from services.home_budget.demo.processes import DemoFailed, Server, Traffic
from services.home_budget.demo.show import Screen


@dataclass(frozen=True, kw_only=True)
class Kill:
    """What one kill left behind. `readable` and `held` count records of the broken file, 0 where none is broken."""

    attempt: int
    acknowledged: int
    broken: str = ""
    readable: int = 0
    held: int = 0
    contradictions: int = 0
    example: str = ""
    starts_again: bool = True
    last_words: str = ""

    @property
    def lost(self) -> bool:
        """Whether something that had been acknowledged was not there after the kill."""
        return bool(self.broken or self.contradictions)

    def facts(self) -> dict[str, Any]:
        """The kill as plain values for `--json`."""
        return asdict(self) | {"lost": self.lost}


def play(screen: Screen, plan: Plan, work: Path, rows: dict[str, list[Row]]) -> tuple[list[Kill], Figures]:
    """Every kill, the last one with a loss if any had one, and the figures of the last attempt."""
    kills: list[Kill] = []
    while True:
        folder = work / f"before-{len(kills) + 1}"
        shutil.copytree(work / "files", folder / "data")
        entries, figures, server = _strain(screen, plan, work, folder)
        kills.append(_examine(len(kills) + 1, server, rows, entries))
        tell(screen, kills[-1])
        if kills[-1].lost or len(kills) == plan.attempts:
            return kills, figures


def tell(screen: Screen, kill: Kill) -> None:
    """One kill's outcome in words."""
    screen.line(f"kill -9 after {kill.acknowledged} acknowledged writes")
    if kill.broken:
        screen.line(
            f"{kill.broken} is torn: {kill.readable} of {kill.held} records can still be read from it", "bold red"
        )
        how = "it starts again" if kill.starts_again else f"the service does not start again: {kill.last_words}"
        screen.line(how, "" if kill.starts_again else "red")
    elif kill.contradictions:
        screen.line(f"{kill.contradictions} records are not as acknowledged, first {kill.example}", "bold red")
    else:
        screen.line("nothing was lost this time: the kill fell between two writes")


def _strain(screen: Screen, plan: Plan, work: Path, folder: Path) -> tuple[list[Entry], Figures, Server]:
    server = Server("services.home_budget.before", folder)
    server.start()
    options = ["--first-version", "--workers", str(plan.workers), "--pause-ms", "5", "--seed", str(plan.seed)]
    traffic = Traffic(server.port, folder / "ledger", work / "files", options)
    try:
        traffic.start()
        screen.tail = Tail(traffic.ledger)
        with screen.working(f"before/ under load on {plan.expenses} expenses"):
            started = _first_answer(screen.tail)
            time.sleep(plan.before_s)
        server.kill()
        ended = time.time()
        traffic.stop()
    finally:
        server.kill()
        traffic.stop()
    entries = screen.tail.entries()
    return entries, measure("before/ (plain JSON)", entries, started, ended), server


def _first_answer(tail: Tail) -> float:
    """The moment of the load's first answers. Raises DemoFailed when none comes."""
    deadline = time.monotonic() + 30
    while not acknowledged(tail.entries()):
        if time.monotonic() > deadline:
            raise DemoFailed("the load got no answer within 30 s")
        time.sleep(0.05)
    return time.time()


def _examine(attempt: int, server: Server, rows: dict[str, list[Row]], entries: list[Entry]) -> Kill:
    count = acknowledged(entries)
    found: dict[str, list[Row]] = {}
    for noun in NOUNS:
        path = server.data / f"{noun}s.json"
        try:
            found[noun] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            return _torn(attempt, count, server, path, expected(rows, entries).count(noun))
    wanted = expected(rows, entries)
    faults = [*wanted.faults, *compare(wanted, found)]
    example = str(faults[0]) if faults else ""
    return Kill(attempt=attempt, acknowledged=count, contradictions=len(faults), example=example)


def _torn(attempt: int, count: int, server: Server, path: Path, held: int) -> Kill:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        server.start()
    except DemoFailed:
        starts = False
    else:
        starts = True
    finally:
        server.kill()
    return Kill(
        attempt=attempt,
        acknowledged=count,
        broken=path.name,
        readable=sum(1 for _ in whole_records(text)),
        held=held,
        starts_again=starts,
        last_words=server.last_words(),
    )


def whole_records(text: str) -> Iterator[Row]:
    """The records of a torn JSON list up to its first break."""
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            row, end = decoder.raw_decode(text, at)
        except ValueError:
            return
        yield row
        at = text.find("{", end)
