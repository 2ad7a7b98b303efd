"""What people and programs read: tables on a terminal, aligned text elsewhere, one JSON document with --json.

Results go to standard output; progress and errors for people go to standard error.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

from outlive.errors import OutliveError

if TYPE_CHECKING:
    from outlive.phases.flow import Note
    from outlive.phases.gates import Gate


def document(facts: Any) -> None:
    """Prints `facts` as one JSON document; times become ISO text, bytes base64."""
    print(json.dumps(facts, default=_plain, ensure_ascii=False, indent=2))


def fail(failure: OutliveError, as_json: bool) -> None:
    """Shows an error: its sentence, its reason, the next command."""
    facts = failure.facts()
    fail_with(type(failure).__name__, str(failure), failure.hint.format(**facts), facts, as_json)


def fail_with(name: str, message: str, hint: str, facts: Mapping[str, Any], as_json: bool) -> None:
    """Shows an error by its parts; as JSON the fields stand beside error, message and hint."""
    if as_json:
        document(
            {"error": name, "message": message, "hint": hint, **{k: v for k, v in facts.items() if k != "message"}}
        )
        return
    reason = str(facts.get("reason") or "")
    lines = [f"outlive: {message}"]
    lines += [f"  why: {reason}"] if reason and reason not in message else []
    print("\n".join([*lines, f"  next: {hint}"]), file=sys.stderr)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Prints rows under their columns: a drawn table on a terminal, aligned text elsewhere."""
    if sys.stdout.isatty():
        _drawn(columns, rows, title)
        return
    if title:
        print(title)
    widths = [max(len(row[at]) for row in (columns, *rows)) for at in range(len(columns))]
    for row in ([name.upper() for name in columns], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Prints names with their values, aligned."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(f"{name.ljust(width)}  {value}")


def gate_table(gates: Sequence[Gate], title: str = "") -> None:
    """Prints each gate with its figure and its limit, closed ones with their reason."""
    rows = [("open" if gate.open else "CLOSED", gate.name, gate.figure, gate.limit, gate.why) for gate in gates]
    table(("state", "gate", "figure", "limit", "why"), rows, title)


class Progress:
    """Tells a flow's notes: gates and lines to `stdout`, passing lines to `stderr`, nothing under --json."""

    def __init__(self, as_json: bool, stream: TextIO | None = None) -> None:
        self._silent = as_json
        self._stream = sys.stderr if stream is None else stream
        self._passing = False
        self._last = ""

    def __call__(self, note: Note) -> None:
        """Tells one note."""
        if self._silent:
            return
        if note.passing:
            self._pass(note.text)
            return
        self.clear()
        if note.move is not None:
            gate_table(note.gates, note.text)
        else:
            print(note.text)

    def clear(self) -> None:
        """Takes a passing line off the terminal."""
        if self._passing:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._passing = False

    def _pass(self, text: str) -> None:
        if self._stream.isatty():
            self._stream.write(f"\r\x1b[K{text}")
            self._passing = True
        elif text.rpartition(",")[0] != self._last:
            self._last = text.rpartition(",")[0]
            self._stream.write(f"{text}\n")
        self._stream.flush()


def age(seconds: float) -> str:
    """A short age: 5 s, 3 min, 2 h, 4 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _drawn(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console().print(drawn)


_STYLES = {"open": "green", "ok": "green", "CLOSED": "bold red", "fail": "bold red", "warn": "yellow"}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    return str(value)
