"""What `load` and `export` show while they work: a bar on a terminal, plain lines elsewhere, nothing under --json."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from outlive.transfer.joining import Counts

LINE_EVERY_S = 2.0


class Bar:
    """The progress of one load over its file's bytes."""

    def __init__(self, name: str, as_json: bool) -> None:
        self._name = name
        self._silent = as_json
        self._bar: Any = None
        self._task: Any = None
        self._told = time.monotonic()

    def __enter__(self) -> Bar:
        if not self._silent and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
                TextColumn("{task.fields[records]} records"), TimeRemainingColumn(),
                console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=1, records=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, counts: Counts, size: int) -> None:
        """Tells how far a load is."""
        if self._bar is not None:
            self._bar.update(self._task, completed=counts.offset, total=max(size, 1), records=counts.records)
        elif not self._silent and time.monotonic() - self._told >= LINE_EVERY_S:
            self._told = time.monotonic()
            share = 100 * counts.offset // max(size, 1)
            sys.stderr.write(f"{self._name}: {counts.records} records, {share} %\n")
            sys.stderr.flush()
