"""`export` and `import`: facts and what was found about them, as lines of JSON, in the order of the registry."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO

import outlive
from outlive.errors import OutliveError
from outlive.settings import load_dotenv
from services.facts.records import Fact, ValidationResult, ValidationStatus
from services.facts.stores import facts, results, service

BATCH = 500
STORES: dict[str, tuple[Any, type[Any]]] = {"fact": (facts, Fact), "validation_result": (results, ValidationResult)}
MOMENTS = ("timestamp", "updated_at", "detected_at")
STATUSES = ("status", "validation_status")
IN_MEMORY = "in phase legacy facts are in a running service's memory, and in no table"


class Malformed(ValueError):
    """A line that is no record; the text names it."""


def export(out: TextIO) -> dict[str, int]:
    """Writes all records; how many of each kind."""
    return {kind: sum(_write(kind, record, out) for record in _all(store)) for kind, (store, _) in STORES.items()}


def load(lines: Iterable[str], *, replace: bool = False) -> dict[str, int]:
    """Stores the records of these lines: how many were `added`, `replaced` and `kept`.

    A record whose id exists is kept as it is, or replaced. Raises Malformed before anything is stored.
    """
    records = [_read(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    counts = {"added": 0, "replaced": 0, "kept": 0}
    for first in range(0, len(records), BATCH):
        with outlive.unit(service=service):
            for store, record in records[first : first + BATCH]:
                known = store.repository.get(record.id).result() is not None
                counts["kept" if known and not replace else "replaced" if known else "added"] += 1
                if replace or not known:
                    store.repository.put(record).result()
    return counts


def _all(store: Any) -> Iterator[Any]:
    """A store's records in their order, a page at a time."""
    page = store.repository.page(limit=BATCH).result()
    while True:
        yield from page.records
        if page.next is None:
            return
        page = store.repository.page(limit=BATCH, after=page.next).result()


def _write(kind: str, record: Any, out: TextIO) -> int:
    out.write(json.dumps({kind: asdict(record)}, ensure_ascii=False, allow_nan=False, default=_plain) + "\n")
    return 1


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _read(number: int, line: str) -> tuple[Any, Any]:
    try:
        ((kind, row),) = json.loads(line).items()
        store, record_type = STORES[kind]
        for name in MOMENTS:
            if row.get(name) is not None:
                row[name] = dt.datetime.fromisoformat(row[name])
        for name in STATUSES:
            if row.get(name) is not None:
                row[name] = ValidationStatus(row[name])
        unknown = set(row) - {each.name for each in fields(record_type)}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: no such field")
        return store, record_type(**row)
    except (ValueError, TypeError, KeyError, AttributeError) as wrong:
        raise Malformed(f"line {number} is no fact and no result: {wrong}") from None


def main(arguments: list[str]) -> int:
    """Exit status: 0 when all was moved, 1 when the file cannot be used, else the error's own."""
    parser = argparse.ArgumentParser(prog="python -m services.facts", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("export", help="write all facts and results to FILE, or to standard output")
    writing.add_argument("file", nargs="?", type=Path)
    reading = commands.add_parser("import", help="store the facts and results of FILE")
    reading.add_argument("file", type=Path)
    reading.add_argument("--replace", action="store_true", help="replace what is there already")
    given = parser.parse_args(arguments)
    load_dotenv()
    try:
        with outlive.open(service):
            if facts.phase == "legacy":
                print(f"{IN_MEMORY}\n  next: outlive advance facts/facts", file=sys.stderr)
                return 3
            return _export(given.file) if given.command == "export" else _import(given.file, given.replace)
    except OutliveError as failure:
        print(f"{failure}\n  next: {failure.hint}", file=sys.stderr)
        return failure.exit_code
    except (Malformed, OSError) as failure:
        print(str(failure), file=sys.stderr)
        return 1


def _export(file: Path | None) -> int:
    with ExitStack() as open_files:
        counts = export(open_files.enter_context(file.open("w", encoding="utf-8")) if file else sys.stdout)
    print(f"{counts['fact']} facts and {counts['validation_result']} results written", file=sys.stderr)
    return 0


def _import(file: Path, replace: bool) -> int:
    with file.open(encoding="utf-8") as lines:
        counts = load(lines, replace=replace)
    print(", ".join(f"{count} {what}" for what, count in counts.items()), file=sys.stderr)
    return 0
