"""What people see: live lines and progress on a terminal, plain lines elsewhere, nothing with --json."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.home_budget.demo.entries import Tail, acknowledged
from services.home_budget.demo.figures import POOL_LIMIT, QUERY_LIMIT_MS, REQUEST_LIMIT_MS, Figures, p95

BEAT_S = 5.0
PLAIN_WIDTH = 120
Gates = Sequence[dict[str, Any]]


class Screen:
    """Where the demo tells what it does; `steps` is how many `working` blocks it will have in all."""

    def __init__(self, steps: int, silent: bool = False) -> None:
        self.console = Console(quiet=silent, highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
        self.steps, self.done = steps, 0
        self.tail: Tail | None = None
        self._doing = ""

    def title(self, text: str) -> None:
        self.console.print(Text(f"\n{text}", style="bold"))

    def line(self, text: str, style: str = "") -> None:
        self.console.print(Text(f"  {text}", style=style), soft_wrap=True)

    def command(self, words: str) -> None:
        """A command as the reader would type it."""
        self.line(f"$ outlive {words}", "cyan")

    @contextmanager
    def working(self, text: str, announced: bool = False) -> Iterator[None]:
        """A step under way, with the load's live figures; `announced` where a line before told of it already."""
        self._doing = text
        if self.console.is_terminal:
            with Live(get_renderable=self._live, console=self.console, refresh_per_second=4, transient=True):
                yield
        else:
            if not announced:
                self.line(f"… {text}")
            yield
        self.done += 1

    def beat(self, last: float) -> float:
        """Without a terminal: the live figures as a line every BEAT_S; gives when the next one counts from."""
        if self.console.is_terminal or time.monotonic() - last < BEAT_S:
            return last
        self.line(f"  {self._figures()}")
        return time.monotonic()

    def gates(self, title: str, gates: Gates) -> None:
        """Each gate of a move with its figure and limit."""
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2))
        for gate in gates:
            state = Text("open", "green") if gate["open"] else Text("CLOSED", "bold red")
            table.add_row(" ", state, Text(gate["name"]), Text(gate["figure"]), Text(gate["limit"], "dim"))
        self.line(title, "green")
        self.console.print(table)

    def figures(self, rows: Sequence[Figures]) -> None:
        """The phases side by side, what is over its limit in red."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("phase", "requests/s", "writes/s"):
            table.add_column(name, justify="left" if name == "phase" else "right", no_wrap=True)
        limits = (f"< {REQUEST_LIMIT_MS:.0f} ms", f"< {QUERY_LIMIT_MS:.0f} ms", f"< {POOL_LIMIT:.0%}")
        for name, limit in zip(("p95 request", "p95 query", "pool use"), limits, strict=True):
            table.add_column(f"{name}\n{limit}", justify="right", no_wrap=True)
        for row in rows:
            table.add_row(row.phase, f"{row.requests_s:.0f}", f"{row.writes_s:.0f}", *_judged(row))
        self.console.print(table)

    def _live(self) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_row(ProgressBar(total=self.steps, completed=self.done, width=24), Text(self._doing))
        if self.tail is not None:
            table.add_row("", Text(self._figures(), "dim"))
        return table

    def _figures(self) -> str:
        if self.tail is None:
            return ""
        latest = [entry for entry in self.tail.since(time.time() - 2.0) if entry.outcome == "acked"]
        total, slow = acknowledged(self.tail.entries()), p95([entry.ms for entry in latest])
        shown = "nobody answers" if slow is None else f"{len(latest) / 2:.0f} requests/s, p95 {slow:.0f} ms"
        return f"{shown}; {total} writes acknowledged"


def _judged(row: Figures) -> list[Text]:
    over = row.over()
    shown = {
        "requests": None if row.p95_request_ms is None else f"{row.p95_request_ms:.0f} ms",
        "queries": None if row.p95_query_ms is None else f"{row.p95_query_ms:.0f} ms",
        "pool": None if row.pool_use is None else f"{row.pool_use:.0%}",
    }
    return [Text(text or "-", "bold red" if name in over else "") for name, text in shown.items()]
