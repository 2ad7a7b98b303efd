"""Whole-file JSON storage as small services write it: no lock, no temporary file, no fsync.

The bytes are those of `json.dump(rows, file, indent=2)`: non-ASCII text as escapes, no final newline.
"""

from __future__ import annotations

import json
from typing import Any

from services.home_budget import settings

Row = dict[str, Any]


def load_json(filename: str, default: list[Row]) -> list[Row]:
    """Rows of the file; `default` when there is none. Raises json.JSONDecodeError for a torn file."""
    path = settings.data_folder() / filename
    if not path.exists():
        return default
    with path.open(encoding="utf-8") as file:
        rows: list[Row] = json.load(file)
    return rows


def save_json(filename: str, rows: list[Row]) -> None:
    """Replace the file's content in place; a kill in between leaves it torn."""
    folder = settings.data_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / filename).open("w", encoding="utf-8") as file:
        json.dump(rows, file, indent=2)
