"""`outlive write-off`: a member that will not come back."""

from __future__ import annotations

from typing import Annotated

import typer

from outlive.cli import output, session
from outlive.cli.options import AsJson, DryRun
from outlive.phases.control import write_off
from outlive.postgres.drive import drive

NAME = "write-off"


def command(
    member: Annotated[int, typer.Argument(metavar="MEMBER", help="Its number, as status shows it.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the event log.")],
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Declare a silent member gone for good.

    Phases may move again then. It is fenced: should it come back, its writes are refused, and what its journal
    held goes to unlanded.
    """
    with session.opened() as opened, opened.conn.transaction(force_rollback=dry_run):
        service = drive(write_off(member, session.actor(), reason), opened.conn)
    if json:
        output.document({"member": member, "service": service, "dry_run": dry_run})
    else:
        print(f"member {member} of {service} {'would be' if dry_run else 'is'} written off")
