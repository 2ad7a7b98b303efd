"""`python -m services.home_budget.demo.traffic`: a steady load of reads and writes, each entered in the ledger."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path

from services.home_budget.demo.entries import LedgerFile
from services.home_budget.demo.worker import NOUNS, Load, Worker


def main(arguments: list[str] | None = None) -> None:
    """Works until SIGTERM or SIGINT, then finishes the requests under way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="folder of the two files at the start")
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--pause-ms", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first-version", action="store_true", help="only the routes that `before` has")
    given = parser.parse_args(arguments)
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before the first thread, so that all inherit it
    rows = {noun: json.loads((given.rows / f"{noun}s.json").read_text(encoding="utf-8")) for noun in NOUNS}
    ledger = LedgerFile(given.ledger)
    load = Load(
        port=given.port,
        workers=given.workers,
        pause_ms=given.pause_ms,
        seed=given.seed,
        first_version=given.first_version,
    )
    workers = [Worker(number, load, rows, ledger) for number in range(given.workers)]
    for worker in workers:
        worker.start()
    signal.sigwait(ends)
    for worker in workers:
        worker.ended.set()
    for worker in workers:
        worker.join()
    ledger.close()


if __name__ == "__main__":
    main()
