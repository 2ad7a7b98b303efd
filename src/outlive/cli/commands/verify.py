"""`outlive verify`: parity, record by record, or by digests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from outlive.cli import output, session
from outlive.cli.options import AsJson, Store, Wait
from outlive.cli.sides import print_groups
from outlive.errors import PhaseRefused
from outlive.phases import control
from outlive.phases.requests import Verification

NAME = "verify"
KINDS = {
    "different": "differ between memory and PostgreSQL",
    "missing": "are in memory but not in PostgreSQL",
    "extra": "are in PostgreSQL but not in memory",
}


def command(
    store: Store,
    quick: Annotated[bool, typer.Option("--quick", help="By digests; opens no gate.")] = False,
    wait: Wait = 120.0,
    json: AsJson = False,
) -> None:
    """Compare memory with table, record by record.

    Ends with status 3 when they differ. A running member does it, on one snapshot, and has to find a difference
    that it plants in a scratch copy. --quick compares digests of buckets and looks into the unequal ones only; it
    says 'no difference seen', and only a full verification opens a gate.
    """
    with session.opened() as opened:
        progress = output.Progress(json)
        try:
            order = opened.order(opened.find(store), wait_s=wait)
            found = control.run(control.verify(order, "quick" if quick else "full"), opened.conn, progress)
        finally:
            progress.clear()
    output.document(found.facts()) if json else _print(found)
    if not found.equal:
        raise typer.Exit(PhaseRefused.exit_code)


def _print(found: Verification) -> None:
    name = f"{found.service}/{found.store}"
    good = "no difference seen" if found.mode == "quick" else "equal"
    verdict = good if found.equal else "NOT EQUAL" if found.planted_found else "NOT VERIFIED"
    print(f"{name}: {verdict}; {found.compared} records compared ({found.mode}, by member {found.member})")
    if not found.planted_found:
        print("the planted difference was not found: this result counts for nothing")
    for kind, words in KINDS.items():
        if count := getattr(found, kind):
            print(f"{count} {words}")
    result: Mapping[str, Any] = found.result if isinstance(found.result, Mapping) else {}
    print_groups(result)
