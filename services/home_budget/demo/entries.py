"""The client's ledger: one JSON line a request, written when its outcome is known, whatever it was.

acked    answered with success: it must hold from here on
refused  answered with 4xx: it must not have happened
unknown  the connection broke, or 5xx: it may have happened or not
unsent   nobody listened: it did not happen
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Row = dict[str, Any]
Outcome = Literal["acked", "refused", "unknown", "unsent"]
WRITES = frozenset({"create", "patch", "delete", "bulk_delete"})


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request: when it began (Unix seconds), how long it took, what it asked for, what came back.

    `key` is the record's id, that of the answer for a create; `fields` what was sent; `seen` the record or count that
    the answer showed.
    """

    at: float
    ms: float
    op: str
    noun: str
    outcome: Outcome
    status: int = 0
    key: int | None = None
    fields: Row | None = None
    seen: Any = None

    @property
    def is_write(self) -> bool:
        """Whether it asked for a change."""
        return self.op in WRITES

    def line(self) -> bytes:
        """The entry as its line of the ledger."""
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"


class LedgerFile:
    """The writing end. Each line is one append, so what was written survives the writer; nothing is fsync'd."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, entry: Entry) -> None:
        """Append one entry; callable from several threads."""
        os.write(self._handle, entry.line())

    def close(self) -> None:
        os.close(self._handle)


class Tail:
    """The reading end: all entries so far, in the order in which they became known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: list[Entry] = []
        self._offset = 0
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """Every complete line up to now."""
        with self._lock:
            if self.path.exists():
                self._read()
            return list(self._entries)

    def since(self, moment: float) -> list[Entry]:
        """The entries that became known after `moment` (Unix seconds)."""
        with_end = self.entries()
        first = len(with_end)
        while first and with_end[first - 1].at + with_end[first - 1].ms / 1000 > moment:
            first -= 1
        return with_end[first:]

    def _read(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._offset)
            fresh = file.read()
        complete = fresh[: fresh.rfind(b"\n") + 1]
        self._offset += len(complete)
        self._entries += [Entry(**json.loads(line)) for line in complete.splitlines()]


def acknowledged(entries: Iterable[Entry]) -> int:
    """How many writes were answered with success."""
    return sum(entry.is_write and entry.outcome == "acked" for entry in entries)
