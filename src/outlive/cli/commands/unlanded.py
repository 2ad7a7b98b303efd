"""`outlive unlanded`: what PostgreSQL refused or what lost to something newer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from outlive.cli import output, session
from outlive.cli.options import AsJson, DryRun, Reason, Store
from outlive.errors import UnknownStore
from outlive.phases.control import StoreName, read_unlanded, settle
from outlive.phases.ledger import UnlandedChange
from outlive.postgres.drive import drive

NAME = "unlanded"


def command(
    store: Store,
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Which ones; with --settle.")] = None,
    mark: Annotated[bool, typer.Option("--settle", help="Mark those IDs as dealt with.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Settled ones too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, oldest first.")] = 100,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Show changes that did not land, and why.

    --settle marks them as dealt with. A settled change is not written to the table: settle it after the record
    was put right. Its bytes are kept.
    """
    if mark != bool(ids):
        raise typer.BadParameter("--settle needs one or more IDs, and IDs need --settle")
    with session.opened() as opened:
        found = opened.find(store)
        if ids:
            _settle(opened, found, ids, reason, dry_run, json)
            return
        changes = drive(read_unlanded(found.service, found.store, settled=every, limit=limit), opened.conn)
    if json:
        output.document({"store": str(found), "unlanded": [asdict(change) for change in changes]})
    elif not changes:
        print(f"{found}: nothing is unlanded")
    else:
        output.table(("id", "key", "op", "field", "reason", "since", "state"), [_row(change) for change in changes])


def _row(change: UnlandedChange) -> tuple[str, ...]:
    reason = " ".join(part for part in (change.reason, f"[{change.sqlstate}]" if change.sqlstate else "") if part)
    state = "open" if change.settled_at is None else f"settled: {change.settled_how or 'no reason given'}"
    since = change.created_at.strftime("%Y-%m-%d %H:%M:%SZ")
    return str(change.id), change.key, change.op, change.field or "", reason, since, state


def _settle(
    opened: session.Session, store: StoreName, ids: list[int], reason: str, dry_run: bool, as_json: bool
) -> None:
    if dry_run:
        waiting = drive(read_unlanded(store.service, store.store, limit=100_000), opened.conn)
        done = sorted({change.id for change in waiting} & set(ids))
    else:
        done = drive(settle(store.service, store.store, ids, session.actor(), reason or "by the operator"), opened.conn)
    missing = sorted(set(ids) - set(done))
    if missing and not done:
        raise UnknownStore(what="open unlanded change", name=", ".join(map(str, missing)), known="see outlive unlanded")
    if as_json:
        output.document({"store": str(store), "settled": done, "not_open": missing, "dry_run": dry_run})
        return
    print(f"{store}: {'would settle' if dry_run else 'settled'} {', '.join(map(str, done))}")
    if missing:
        print(f"not open: {', '.join(map(str, missing))}")
