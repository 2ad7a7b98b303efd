"""The demo from beginning to end, and its summary."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from outlive.errors import OutliveError
from services.home_budget.demo import plain_version, plan
from services.home_budget.demo.data import from_api, from_table, generate
from services.home_budget.demo.processes import DemoFailed
from services.home_budget.demo.proof import Proof, prove
from services.home_budget.demo.scene import Scene
from services.home_budget.demo.show import Screen

STEPS = 23
NEXT = """\
On a service of your own
  outlive.json_file("orders.json", key="id")   or   outlive.mapping("orders", Order, key="id")
  outlive.install(app)                         the whole change: docs/how-to/declare-stores.md
  outlive status                               where each store stands
  outlive advance orders                       one phase on, once its gates hold
  outlive rollback orders                      and back, with the data
From the first line: docs/tutorial.md"""


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 when no acknowledged write was lost, 1 when one was or a step failed, 130 when interrupted."""
    given = _parser().parse_args(arguments)
    wanted = plan.quick(given.seed) if given.quick else plan.full(given.seed)
    work = Path(".outlive", "demo", f"run-{os.getpid()}").resolve()
    screen = Screen(STEPS, silent=given.json)
    summary: dict[str, Any] = {"seed": given.seed, "proven": False}
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            if not given.keep:
                stack.callback(shutil.rmtree, work, ignore_errors=True)
            _play(screen, wanted, work, summary)
    except (DemoFailed, OutliveError, psycopg.Error, OSError) as failure:
        summary["error"] = str(failure)
        screen.line(f"the demo failed: {failure}", "bold red")
    except KeyboardInterrupt:
        return 130
    summary["seconds"] = round(time.monotonic() - began, 1)
    _finish(screen, given, work, summary)
    return 0 if summary["proven"] else 1


def _play(screen: Screen, wanted: plan.Plan, work: Path, summary: dict[str, Any]) -> None:
    rows = generate(work / "files", wanted.expenses, wanted.seed)
    size = (work / "files" / "expenses.json").stat().st_size / 1e6
    screen.title(f"1. before/: two JSON files, {wanted.expenses} expenses ({size:.1f} MB), no outlive")
    kills, before = plain_version.play(screen, wanted, work, rows)
    summary["before"] = {"kills": [kill.facts() for kill in kills], "figures": before.facts()}
    if not kills[-1].lost:
        screen.line(f"{len(kills)} kills, and nothing was lost in this run")
    scene = Scene(screen, wanted, work)
    with ExitStack() as running:
        screen.title("2. The same files and the same routes, on outlive")
        scene.open(running)
        _walk(scene)
        screen.title("4. Proof: the client's ledger against API and PostgreSQL")
        proof = _prove(scene, rows)
    summary |= {
        "phases": [row.facts() for row in scene.figures],
        "moves": scene.moves,
        "kills": scene.kills,
        "postgres_outage": scene.outage,
        "proof": proof.facts(),
        "proven": proof.holds,
    }
    _tell(screen, proof)
    screen.title("What each phase costs")
    screen.figures([before, *scene.figures])


def _walk(scene: Scene) -> None:
    """Forward through all phases, back once, forward again; two kills and one outage on the way."""
    scene.look("legacy")
    scene.walk("advance")
    scene.look("dual_write")
    scene.kill("dual_write")
    scene.lose_postgres()
    scene.walk("advance")
    scene.look("dual_read")
    scene.kill("dual_read")
    scene.walk("advance")
    scene.look("database")
    scene.screen.title("3. The way back, and forward again")
    scene.walk("rollback")
    scene.look("dual_write again")
    scene.walk("advance", "--to", "database")


def _prove(scene: Scene, rows: dict[str, Any]) -> Proof:
    with scene.screen.working("the load ends; every record is read from both"):
        scene.traffic.stop()
        assert scene.address is not None
        return prove(rows, scene.tail.entries(), from_api(scene.server), from_table(scene.address))


def _tell(screen: Screen, proof: Proof) -> None:
    screen.line(
        f"{proof.requests} requests, {proof.acknowledged} acknowledged writes, {proof.refused} refused, "
        f"{proof.unknown} of unknown outcome ({proof.unknown_creates_there} of them creates that did happen)"
    )
    screen.line(f"{proof.reads_checked} reads on the way were compared with what had been acknowledged by then")
    screen.line(f"the checker {'found' if proof.planted_found else 'DID NOT FIND'} the loss that was planted for it")
    for fault in proof.faults:
        screen.line(fault, "red")
    if proof.holds:
        screen.line(f"0 lost, 0 wrong, 0 twice, 0 resurrected among {proof.records} records", "bold green")
    else:
        screen.line(f"NOT PROVEN: {proof.contradictions} contradictions", "bold red")


def _finish(screen: Screen, given: argparse.Namespace, work: Path, summary: dict[str, Any]) -> None:
    if given.json:
        print(json.dumps(summary, indent=2, ensure_ascii=False))
        return
    if given.keep:
        screen.line(f"kept: {work} (ledger, files, logs)")
    screen.line(f"{summary['seconds']:.0f} s in all")
    if summary["proven"]:
        screen.title(NEXT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.home_budget.demo", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer records, shorter looks: under 40 s, for CI")
    parser.add_argument("--json", action="store_true", help="nothing but a summary as one JSON document")
    parser.add_argument("--keep", action="store_true", help="leave the work folder under .outlive/demo")
    parser.add_argument("--seed", type=int, default=1, help="of data and load")
    return parser


if __name__ == "__main__":
    sys.exit(main())
