"""The second act's stage: our service, its PostgreSQL, the load, and the commands that an operator types."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outlive.postgres.address import Address
from outlive.postgres.embedded import EmbeddedServer
from services.home_budget.demo.entries import Tail, acknowledged
from services.home_budget.demo.figures import Figures, measure
from services.home_budget.demo.plan import Plan
from services.home_budget.demo.processes import CommandRefused, DemoFailed, Server, Traffic, outlive
from services.home_budget.demo.show import Screen

STORES = ("home_budget/expenses", "home_budget/incomes")
PATIENCE_S = 40.0
GATES_S = 60.0


@dataclass
class Scene:
    """Everything that runs in the second act, and what was measured so far."""

    screen: Screen
    plan: Plan
    work: Path
    figures: list[Figures] = field(default_factory=list)
    moves: list[dict[str, Any]] = field(default_factory=list)
    kills: list[dict[str, Any]] = field(default_factory=list)
    outage: dict[str, Any] = field(default_factory=dict)
    address: Address | None = None

    def __post_init__(self) -> None:
        home = self.work / "home"
        self.environment = {"OUTLIVE_HOME": str(home), "OUTLIVE_REVIVE_S": "3600"}  # the outage lasts as long as shown
        self.postgres = EmbeddedServer(home)
        self.server = Server("services.home_budget", self.work / "service", dict(self.environment))
        self.traffic = Traffic(0, self.work / "ledger", self.work / "files")
        self.tail = Tail(self.traffic.ledger)

    def open(self, stack: ExitStack) -> None:
        """Start all of it; `stack` ends it, in the opposite order."""
        shutil.copytree(self.work / "files", self.server.data)
        stack.callback(self.postgres.stop, force=True)
        stack.callback(self.server.stop)
        with self.screen.working("the service starts on its two files, without PostgreSQL"):
            self.server.start()
        with self.screen.working("an embedded PostgreSQL is made and started"):
            self.address = self.postgres.start()
            self.until(self.is_live, "the service did not notice PostgreSQL")
        plan = self.plan
        self.traffic.port = self.server.port
        self.traffic.options = [
            "--workers", str(plan.workers), "--pause-ms", str(plan.pause_ms), "--seed", str(plan.seed),
        ]  # fmt: skip
        self.screen.tail = self.tail
        stack.callback(self.traffic.stop)
        self.traffic.start()
        self.until(lambda: acknowledged(self.tail.entries()) > 0, "the load got no answer")

    def status(self) -> list[dict[str, Any]]:
        """`outlive status`: what is known about each store."""
        stores: list[dict[str, Any]] = outlive(self.work, self.environment, "status")["stores"]
        return stores

    def is_live(self) -> bool:
        """Whether the service reports, with both stores; not while there are no control tables yet."""
        try:
            stores = self.status()
        except DemoFailed:
            return False
        return len(stores) == len(STORES) and all(any(m["live"] for m in store["members"]) for store in stores)

    def until(self, condition: Callable[[], bool], otherwise: str) -> float:
        """Seconds until the condition held. Raises DemoFailed with `otherwise` after PATIENCE_S."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > PATIENCE_S:
                raise DemoFailed(f"{otherwise} within {PATIENCE_S:.0f} s: {self.server.last_words()}")
            time.sleep(0.1)
        return time.monotonic() - began

    def look(self, phase: str) -> None:
        """Measure the load for a while, and ask the service for its own figures."""
        with self.screen.working(f"{phase} under load"):
            started = time.time()
            self.rest(self.plan.measure_s)
            ended = time.time()
            members = [member for store in self.status() for member in store["members"]]
        self.figures.append(measure(phase, self.tail.entries(), started, ended, members))
        self.screen.line(_sentence(self.figures[-1]))

    def rest(self, seconds: float) -> None:
        """Let the load work; without a terminal a line now and then shows that it does."""
        ends, beat = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < ends:
            time.sleep(0.1)
            beat = self.screen.beat(beat)

    def walk(self, verb: str, *options: str) -> None:
        """One `outlive advance` or `outlive rollback` for each store, with its gates."""
        for number, store in enumerate(STORES):
            words = (verb, store, *options)
            self.screen.command(" ".join(words))
            with self.screen.working(f"outlive {verb} {store}", announced=True):
                told = self._until_gates_open(words)
            for move in told["moves"]:
                self.moves.append({"store": store, **move})
                title = f"{store}: {move['from']} -> {move['to']}"
                if number == 0 and len(move["gates"]) > 2:
                    self.screen.gates(title, move["gates"])
                else:
                    names = ", ".join(gate["name"] for gate in move["gates"])
                    self.screen.line(f"{title}; open: {names}", "green")

    def kill(self, phase: str) -> None:
        """End the service as a power cut would, and start it again; the load goes on all the while."""
        with self.screen.working(f"kill -9 in {phase}"):
            before = acknowledged(self.tail.entries())
            self.server.kill()
            seconds = self.server.start()
            self.until(self.is_live, "the service did not come back")
            broken = sum(e.is_write and e.outcome == "unknown" for e in self.tail.entries())
        self.kills.append({"phase": phase, "restart_s": round(seconds, 2), "acknowledged_before": before})
        self.screen.line(
            f"kill -9 in {phase} after {before} acknowledged writes; it serves again {seconds:.1f} s later "
            f"({broken} writes so far were cut off without an answer)", "yellow",
        )  # fmt: skip

    def lose_postgres(self) -> None:
        """Kill every process of PostgreSQL, let the journal take the writes, bring it back, let the journal drain."""
        with self.screen.working("PostgreSQL is killed with -9: the journal takes the writes"):
            before = acknowledged(self.tail.entries())
            self.postgres.kill9()
            self.rest(self.plan.outage_s)
            taken = acknowledged(self.tail.entries()) - before
        with self.screen.working("PostgreSQL comes back: the journal is replayed"):
            self.address = self.postgres.restart()
            seconds = self.until(self._is_drained, "the journal did not drain")
        self.outage = {"acknowledged_meanwhile": taken, "drained_s": round(seconds, 2)}
        self.screen.line(
            f"PostgreSQL killed with -9: {taken} writes were acknowledged from the journal meanwhile, replayed within "
            f"{seconds:.1f} s of its return", "yellow",
        )  # fmt: skip

    def _is_drained(self) -> bool:
        return self.is_live() and not any(store["journal_units"] for store in self.status())

    def _until_gates_open(self, words: tuple[str, ...]) -> dict[str, Any]:
        """A closed gate is shown and tried again: on a busy machine a percentile may need a moment to recover."""
        ends = time.monotonic() + GATES_S
        while True:
            try:
                return outlive(self.work, self.environment, *words)
            except CommandRefused as refused:
                if time.monotonic() > ends:
                    raise
                self.screen.line(f"{refused}; trying again", "yellow")
            self.rest(3.0)


def _sentence(row: Figures) -> str:
    shown = f"{row.phase}: {row.requests_s:.0f} requests/s ({row.writes_s:.0f} writes/s)"
    if row.p95_request_ms is not None:
        shown += f", p95 {row.p95_request_ms:.0f} ms"
    return shown
