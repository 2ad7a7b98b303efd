"""`outlive rollback`: back to an earlier phase, with the data intact."""

from __future__ import annotations

from typing import Annotated

import typer

from outlive.cli import changing, session
from outlive.cli.options import AsJson, DryRun, Force, Pins, Reason, Store, Wait
from outlive.phases import control
from outlive.phases.machine import DEFAULT_ROLLBACK, parse_phase

NAME = "rollback"


def command(
    store: Store,
    to: Annotated[str, typer.Option("--to", metavar="PHASE", help="How far back.")] = DEFAULT_ROLLBACK,
    force: Force = False,
    reason: Reason = "",
    override_pins: Pins = None,
    dry_run: DryRun = False,
    wait: Wait = 120.0,
    json: AsJson = False,
) -> None:
    """Take a store back to an earlier phase, at any time.

    Images and files are filled from PostgreSQL before reads move back; --dry-run shows how long that took when it
    was measured. `legacy` with more than one live member needs --force: their images drift apart from then on.
    """
    session.require_reason(force, reason)
    wanted = parse_phase(to, "--to")
    with session.opened() as opened:
        order = opened.order(opened.find(store), force=force, reason=reason, override_pins=override_pins, wait_s=wait)
        if dry_run:
            changing.show_preview(opened, order, wanted, forward=False, as_json=json)
        else:
            changing.change(opened, order, control.rollback(order, wanted), json)
