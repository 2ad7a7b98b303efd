"""`python -m tests.faults --runs 300 --seed N`: real kills, counted.

Prints the seed, a line a run, and a table of what was done and found; exit status 1 on any violation. `--only NUMBER`
repeats one run of a seed, `--fault NAME` plays one fault only. OUTLIVE_SEED is the default of --seed.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections import defaultdict
from pathlib import Path

from outlive.commit import failpoints
from tests.faults.campaign import Campaign, Result
from tests.faults.scenarios import ELSEWHERE, faults, scenario


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("OUTLIVE_SEED") or secrets.randbelow(10**6)))
    parser.add_argument("--only", type=int, default=None, help="one run of this seed, by its number")
    parser.add_argument("--fault", choices=faults(), default=None)
    parser.add_argument("--keep", type=Path, default=None, help="a folder for the runs; kept")
    chosen = parser.parse_args(arguments)
    print(f"seed: {chosen.seed}   (repeat with --seed {chosen.seed}, one run of it with --only NUMBER)", flush=True)
    if chosen.keep is not None:
        chosen.keep.mkdir(parents=True, exist_ok=True)
    numbers = [chosen.only] if chosen.only is not None else list(range(chosen.runs))
    began = time.monotonic()
    results = []
    with Campaign(chosen.keep) as campaign:
        for number in numbers:
            result = campaign.run(scenario(chosen.seed, number, chosen.fault))
            results.append(result)
            tell(result, len(results), len(numbers))
    return summary(results, chosen.seed, time.monotonic() - began)


def tell(result: Result, done: int, runs: int) -> None:
    """One line for a run, and one for each thing that was wrong with it."""
    word = "VIOLATED" if result.violations else "ok" if result.reached else "ok, fault not reached"
    print(
        f"[{done:>3}/{runs}] run {result.scenario.number}: {result.scenario.title}: {word}; "
        f"{result.acks} acknowledged, {result.refusals} refused, {result.seconds:.1f} s",
        flush=True,
    )
    for violation in result.violations[:12]:
        print(f"      {str(violation)[:700]}", flush=True)


def summary(results: list[Result], seed: int, seconds: float) -> int:
    """Print the table; returns the exit status."""
    by_fault: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_fault[result.scenario.fault].append(result)
    print(f"\n{'fault':<38} {'runs':>5} {'reached':>8} {'acknowledged':>13} {'refused':>8} {'violations':>11}")
    for fault, found in sorted(by_fault.items()):
        counts = [
            len(found), sum(r.reached for r in found), sum(r.acks for r in found), sum(r.refusals for r in found),
            sum(len(r.violations) for r in found),
        ]  # fmt: skip
        print(f"{fault:<38} {counts[0]:>5} {counts[1]:>8} {counts[2]:>13} {counts[3]:>8} {counts[4]:>11}")
    never = sorted(failpoints.NAMES - ELSEWHERE - {f for f, found in by_fault.items() if any(r.reached for r in found)})
    if never:
        print(f"fail points never reached: {', '.join(never)}")
    kinds: dict[str, int] = defaultdict(int)
    for result in results:
        for violation in result.violations:
            kinds[violation.kind] += 1
    told = ", ".join(f"{kinds[kind]} {kind}" for kind in ("lost", "partial", "resurrected"))
    rest = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()) if kind not in told)
    bad = [r.scenario.number for r in results if r.violations]
    print(f"{len(results)} runs in {seconds:.0f} s, seed {seed}: {told}{', ' + rest if rest else ''}")
    if bad:
        print(f"runs with violations: {bad}; repeat one with: python -m tests.faults --seed {seed} --only {bad[0]}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
