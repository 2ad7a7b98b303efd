"""`outlive rollback`: back to an earlier phase, with the data intact."""

from __future__ import annotations

from typing import Annotated

import typer

from outlive.cli import changing, from_image, session
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
    image: Annotated[
        bool, typer.Option("--from-image", help="Without PostgreSQL: what running members hold; needs --reason.")
    ] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take an earlier --from-image back.")] = False,
    dry_run: DryRun = False,
    wait: Wait = 120.0,
    json: AsJson = False,
) -> None:
    """Take a store back to an earlier phase, at any time.

    Images and files are filled from PostgreSQL before reads move back; --dry-run shows how long that took when it
    was measured. `legacy` with more than one live member needs --force: their images drift apart from then on.

    With --from-image, and only while PostgreSQL is away, the members of this machine go back from `dual_read` (run it
    where the service runs, with its OUTLIVE_HOME). The phase row follows when PostgreSQL is back.
    """
    session.require_reason(force, reason)
    if withdraw and not image:
        raise typer.BadParameter("--withdraw goes with --from-image")
    if image:
        if not dry_run and not reason.strip():
            raise typer.BadParameter("--from-image needs --reason TEXT; it goes to the event log")
        from_image.command(
            session.read_settings(), store, to, reason=reason, force=force, dry_run=dry_run, withdraw=withdraw,
            wait_s=wait, as_json=json,
        )  # fmt: skip
        return
    wanted = parse_phase(to, "--to")
    with session.opened() as opened:
        order = opened.order(opened.find(store), force=force, reason=reason, override_pins=override_pins, wait_s=wait)
        if dry_run:
            changing.show_preview(opened, order, wanted, forward=False, as_json=json)
        else:
            changing.change(opened, order, control.rollback(order, wanted), json)
