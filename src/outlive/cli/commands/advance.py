"""`outlive advance`: one phase on, or several, each through its gates."""

from __future__ import annotations

from typing import Annotated

import typer

from outlive.cli import changing, session
from outlive.cli.options import AsJson, DryRun, Force, Pins, Reason, Store, Wait
from outlive.phases import control
from outlive.phases.machine import parse_phase

NAME = "advance"


def command(
    store: Store,
    to: Annotated[str | None, typer.Option("--to", metavar="PHASE", help="How far; default: the next phase.")] = None,
    force: Force = False,
    reason: Reason = "",
    override_pins: Pins = None,
    dry_run: DryRun = False,
    wait: Wait = 120.0,
    json: AsJson = False,
) -> None:
    """Take a store to the next phase, once its gates hold.

    Asks running members to verify and to rehearse the way back where a gate lacks that, prints each gate with its
    figure, then switches and waits until every live member has switched.
    """
    session.require_reason(force, reason)
    wanted = parse_phase(to, "--to") if to else None
    with session.opened() as opened:
        order = opened.order(opened.find(store), force=force, reason=reason, override_pins=override_pins, wait_s=wait)
        if dry_run:
            changing.show_preview(opened, order, wanted, forward=True, as_json=json)
        else:
            changing.change(opened, order, control.advance(order, wanted), json)
