"""The single entry of the scan: paths in, a catalogue out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from outlive.scan.catalogue import Catalogue


def scan(paths: Sequence[Path], *, config: object | None = None) -> Catalogue:
    """The catalogue of all Python source under `paths` (files or folders); nothing is imported or executed."""
    raise NotImplementedError
