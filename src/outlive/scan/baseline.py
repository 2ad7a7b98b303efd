"""The stores that a team knows of, in a file that is committed; `outlive check` fails on any other.

A store is known by service, path and symbol, not by its line, so that code may move within its file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outlive.errors import BadConfig
from outlive.scan.catalogue import Finding

FILE = "outlive-baseline.json"
SCHEMA = "outlive.baseline/1"

Known = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`new` stores are not in the baseline; `gone` are entries of it, (service, path, symbol), that no store has."""

    new: tuple[Finding, ...]
    gone: tuple[Known, ...]
    known: int


def identity(finding: Finding) -> Known:
    """What a store is known by."""
    return finding.service, finding.path, finding.symbol


def compare(stores: Iterable[Finding], known: Iterable[Known]) -> Comparison:
    """The stores against the baseline's entries; each entry excuses one store."""
    left = Counter(known)
    total, new = left.total(), []
    for store in stores:
        if left[identity(store)] > 0:
            left[identity(store)] -= 1
        else:
            new.append(store)
    gone = tuple(sorted(left.elements()))
    return Comparison(tuple(new), gone, total - len(gone))


def read(path: Path) -> list[Known]:
    """The entries of a baseline file; none where there is no file. Raises BadConfig."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as failure:
        raise BadConfig(path=str(path), reason=f"is no baseline: {failure}") from failure
    if not isinstance(whole, dict) or whole.get("schema") != SCHEMA or not isinstance(whole.get("stores"), list):
        raise BadConfig(path=str(path), reason=f"is no baseline of schema {SCHEMA}; outlive check --update writes one")
    return [_entry(path, each) for each in whole["stores"]]


def write(path: Path, stores: Iterable[Finding]) -> int:
    """How many stores were written; sorted, one a line, so that a merge conflict is rare. Raises BadConfig."""
    entries = sorted(identity(each) for each in stores)
    rows = [
        json.dumps({"service": service, "path": place, "symbol": symbol}, ensure_ascii=False)
        for service, place, symbol in entries
    ]
    listed = "\n" + ",\n".join(f"    {row}" for row in rows) + "\n  " if rows else ""
    body = f'{{\n  "schema": "{SCHEMA}",\n  "stores": [{listed}]\n}}\n'
    try:
        path.write_text(body, encoding="utf-8")
    except (OSError, UnicodeEncodeError) as failure:
        raise BadConfig(path=str(path), reason=f"cannot be written: {failure}") from failure
    return len(entries)


def _entry(path: Path, value: Any) -> Known:
    texts = [value.get(name) for name in ("service", "path", "symbol")] if isinstance(value, dict) else []
    if len(texts) != 3 or not all(isinstance(each, str) for each in texts):
        raise BadConfig(path=str(path), reason="every store needs the texts service, path and symbol")
    return str(texts[0]), str(texts[1]), str(texts[2])
