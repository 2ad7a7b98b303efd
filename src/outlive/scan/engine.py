"""The single entry of the scan: paths in, a catalogue out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from outlive.scan.catalogue import Catalogue
from outlive.scan.config import ScanConfig


def scan(
    paths: Sequence[Path], *, config: ScanConfig | None = None, progress: Callable[[int, int], None] | None = None
) -> Catalogue:
    """The catalogue of all Python source under `paths` (files or folders); nothing is imported or executed.

    Files that `config.excludes(path)` names are not read. `progress(done, total)` is called as files are read.
    """
    raise NotImplementedError
