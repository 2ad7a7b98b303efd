"""What `scan` and `check` share: reading the source, ranking, narrowing to what was asked, writing a report."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TextIO

import typer

from outlive.errors import BadConfig, NoSuchPath
from outlive.scan import changed, config, engine, rank
from outlive.scan.catalogue import Catalogue
from outlive.scan.config import PRIORITIES, ScanConfig

BAR_AFTER_S = 1.0
BAR_CELLS = 32

AsSarif = Annotated[bool, typer.Option("--sarif", help="SARIF 2.1.0, for code hosts.")]
AsGithub = Annotated[bool, typer.Option("--github", help="Workflow commands that GitHub shows beside the lines.")]
Since = Annotated[str | None, typer.Option("--since", metavar="REV", help="Only what stands on lines changed since.")]
Target = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of printing.")]


class Bar:
    """Shows on a terminal's standard error how many files are read, once a scan takes over BAR_AFTER_S."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._next_s = time.monotonic() + BAR_AFTER_S
        self._drawn = False

    def __enter__(self) -> Bar:
        return self

    def __call__(self, done: int, total: int) -> None:
        """Draws the bar anew, ten times a second at most."""
        if time.monotonic() < self._next_s or not self._stream.isatty():
            return
        self._next_s = time.monotonic() + 0.1
        full = round(BAR_CELLS * done / max(total, 1))
        self._stream.write(f"\r\x1b[K{'█' * full}{'░' * (BAR_CELLS - full)} {done} of {total} files")
        self._stream.flush()
        self._drawn = True

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def catalogue(paths: Sequence[Path], since: str | None = None) -> tuple[Catalogue, ScanConfig]:
    """The ranked catalogue of `paths`, with the settings it was ranked by; a bar shows scans of over a second.

    Raises NoSuchPath, BadConfig, BadRevision.
    """
    for path in paths:
        if not path.exists():
            raise NoSuchPath(path=str(path))
    settings = config.load(paths[0])
    with Bar() as bar:
        found = rank.ranked(engine.scan(paths, config=settings, progress=bar), settings)
    if since is not None:
        lines = changed.since(found.root, since)
        found = replace(found, findings=tuple(changed.touched(found.findings, lines)))
    return found, settings


def at_least(found: Catalogue, priority: str) -> Catalogue:
    """The catalogue without stores below `priority`."""
    limit = PRIORITIES.index(priority)
    kept = (each for each in found.findings if each.cls != "store" or PRIORITIES.index(each.priority) <= limit)
    return replace(found, findings=tuple(kept))


def emit(text: str, target: Path | None) -> None:
    """Writes a report to `target`, else to standard output, as UTF-8. Raises BadConfig."""
    raw = text.encode("utf-8", "replace")
    if target is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(raw) if hasattr(sys.stdout, "buffer") else sys.stdout.write(text)
        return
    try:
        target.write_bytes(raw)
    except OSError as failure:
        raise BadConfig(path=str(target), reason=f"cannot be written: {failure.strerror}") from failure


def prefix(root: Path) -> str:
    """`root` relative to the folder that the command runs in, with a `/` at its end; empty where it is that folder."""
    try:
        inner = root.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return ""
    return "" if inner == "." else f"{inner}/"
