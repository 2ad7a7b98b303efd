"""A million records: loaded, verified, one field of one record changed by hand in SQL, found in both modes, repaired.

`make million`, or `python -m benchmarks.million --rows 20000`. Each step is a command of `outlive`, on a service that
runs in this process; the run ends at the first step that does not say what it should. A new database is made in a
temporary folder, unless DATABASE_URL names one (empty, and of your own).
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import outlive

SERVICE, STORE = "farm", "tasks"


@dataclass
class Task:
    """The record."""

    task_id: str
    title: str
    field_no: int
    hours: float
    done: bool
    created_at: dt.datetime
    note: str | None = None


def write_records(path: Path, rows: int) -> None:
    """`rows` records as JSON lines, as another system would hand them over."""
    titles = ("plough the field", "حرث الحقل الشرقي", "לחרוש את השדה", "sow; mow\tand \\ rest")
    with path.open("w", encoding="utf-8") as file:
        for n in range(rows):
            task = {
                "task_id": f"t{n:08d}", "title": titles[n % len(titles)], "field_no": n % 97, "hours": n / 8,
                "done": n % 3 == 0, "created_at": f"2024-01-{n % 28 + 1:02d}T06:00:00Z", "note": None,
            }  # fmt: skip
            file.write(json.dumps(task, ensure_ascii=False) + "\n")


class Failed(Exception):
    """A step did not do what it should."""


def step(title: str, expected: int, *arguments: str) -> str:
    """What a command of `outlive` says; raises Failed unless it ends with the `expected` status."""
    from outlive.cli.app import run

    out, err, began = io.StringIO(), io.StringIO(), time.perf_counter()
    with redirect_stdout(out), redirect_stderr(err):
        status = run(list(arguments))
    seconds = time.perf_counter() - began
    said = out.getvalue().splitlines() or err.getvalue().splitlines()
    print(f"{seconds:8.2f} s  {title}: {said[0] if said else ''}", flush=True)
    if status != expected:
        raise Failed(f"{title}: status {status}, expected {expected}\n{out.getvalue()}{err.getvalue()}")
    return out.getvalue()


@contextmanager
def service(rows: int) -> Iterator[outlive.Service]:
    """The service with its store in dual_write, filled from the table."""
    farm = outlive.Service(SERVICE)
    tasks = outlive.mapping(STORE, Task, key="task_id", service=farm, phase="dual_write")
    began = time.perf_counter()
    farm.start()
    try:
        held = len(tasks)
        print(f"{time.perf_counter() - began:8.2f} s  the service starts with {held} records", flush=True)
        if held != rows:
            raise Failed(f"{held} records in memory, {rows} were loaded")
        _until_heard(farm)
        yield farm
    finally:
        farm.close()


def _until_heard(farm: outlive.Service, limit_s: float = 60.0) -> None:
    """Until the service has reported since its start, so that a command finds it. Raises Failed."""
    assert farm.database is not None
    ends = time.monotonic() + limit_s
    with farm.database.connect() as conn:
        fresh = "SELECT 1 FROM outlive.member WHERE left_at IS NULL AND seen_at > now() - interval '2 s'"
        while conn.execute(fresh).fetchone() is None:
            if time.monotonic() > ends:
                raise Failed("the service does not report")
            time.sleep(0.1)


def damage(farm: outlive.Service, key: str) -> None:
    """One field of one record, changed by hand."""
    assert farm.database is not None
    with farm.database.connect() as conn:
        changed = conn.execute("UPDATE farm.tasks SET hours = hours + 0.25 WHERE task_id = %s", (key,)).rowcount
    print(f"{'':8}    by hand: hours = hours + 0.25 where task_id = {key} ({changed} row)", flush=True)


def walk(rows: int, folder: Path) -> None:
    """The whole way. Raises Failed."""
    source, wait = folder / f"{STORE}.jsonl", ("--wait", "1800")
    write_records(source, rows)
    print(f"{rows} records, {source.stat().st_size / 1e6:.0f} MB", flush=True)
    step("migrate", 0, "migrate")
    step("load", 0, "load", str(source), "--app", "benchmarks.million:declared")
    with service(rows) as farm:
        step("verify", 0, "verify", STORE, *wait)
        step("verify again", 0, "verify", STORE, *wait)
        step("verify --quick", 0, "verify", STORE, "--quick", *wait)
        damage(farm, f"t{rows // 2:08d}")
        for options in (("--quick",), ()):
            found = json.loads(step(f"verify {' '.join(options)}", 3, "verify", STORE, "--json", *options, *wait))
            if (found["different"], found["missing"], found["extra"]) != (1, 0, 0):
                raise Failed(f"one difference was planted, found: {found}")
        step("repair", 3, "repair", STORE, *wait)
        step("repair --apply", 0, "repair", STORE, "--apply", "--reason", "changed by hand", *wait)
        step("verify --quick", 0, "verify", STORE, "--quick", *wait)
        step("verify", 0, "verify", STORE, *wait)


declared: Any = outlive.Service(SERVICE)
outlive.mapping(STORE, Task, key="task_id", service=declared, phase="dual_write")


def main() -> int:
    """Exit status 0 when every step did what it should."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="outlive-million-") as home:
        os.environ.setdefault("OUTLIVE_HOME", home)
        os.environ["OUTLIVE_SERVICE"] = SERVICE
        os.environ.setdefault("OUTLIVE_SCRUB_S", "600")
        try:
            walk(rows, Path(home))
        except Failed as failed:
            print(failed, file=sys.stderr)
            return 1
    print("found in both modes, repaired, verified")
    return 0


if __name__ == "__main__":
    sys.exit(main())
