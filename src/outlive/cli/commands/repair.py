"""`outlive repair`: make memory and table equal, in the direction of the side that is in charge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from outlive.cli import output, session
from outlive.cli.options import AsJson, DryRun, Reason, Store, Wait
from outlive.errors import PhaseRefused
from outlive.phases import control

NAME = "repair"
DIRECTIONS = {
    "to_table": "memory is in charge, the table follows",
    "to_memory": "the table is in charge, memory follows",
}
ACTIONS = {
    "write_row": "write the record to the table",
    "delete_row": "delete the row",
    "take_row": "read the row into memory",
    "drop_record": "drop the record from memory",
    "leave": "left alone",
}


def command(
    store: Store,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without it the repair is only shown.")] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    wait: Wait = 120.0,
    json: AsJson = False,
) -> None:
    """Make memory and table equal where they differ.

    Shows what it would do; --apply does it. In dual_write the table follows memory, in dual_read memory follows the
    table. A delete is never undone, and what cannot be known is left alone, with its reason. Every record that is
    touched goes to the event log with its versions and the row as it was. Ends with status 3 while they differ.
    """
    if apply and dry_run:
        raise typer.BadParameter("--apply and --dry-run exclude each other")
    with session.opened() as opened:
        progress = output.Progress(json)
        try:
            order = opened.order(opened.find(store), wait_s=wait, reason=reason)
            answers = control.run(control.repair(order, apply=apply), opened.conn, progress)
        finally:
            progress.clear()
    if json:
        output.document({"store": order.name, "dry_run": not apply, "members": answers})
    else:
        for answer in answers:
            _print(order.name, answer)
    if not all(answer["equal"] for answer in answers):
        raise typer.Exit(PhaseRefused.exit_code)


def _print(name: str, answer: Mapping[str, Any]) -> None:
    count = answer["records"]
    print(f"{name}: {count} records differ (member {answer['member']}); {DIRECTIONS[answer['direction']]}")
    fixes = answer["fixes"]
    if fixes:
        output.table(("key", "difference", "memory", "row", "repair"), [_row(fix) for fix in fixes])
    if len(fixes) < count:
        print(f"… and {count - len(fixes)} more")
    if not count:
        return
    if not answer["applied"]:
        print(f"nothing was changed; to do it: outlive repair {name} --apply --reason TEXT")
        return
    state = "equal now" if answer["equal"] else "NOT EQUAL yet"
    print(f"{answer['done']} repaired, {answer['left']} left alone; {state}, verified in full")


def _row(fix: Mapping[str, Any]) -> tuple[str, ...]:
    words = ACTIONS[fix["action"]] + (f": {fix['why']}" if fix["why"] else "")
    return str(fix["key"]), str(fix["kind"]), _version(fix["memory_version"]), _version(fix["row_version"]), words


def _version(value: Any) -> str:
    return "-" if value is None else str(value)
