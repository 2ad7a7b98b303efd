"""`outlive export`: the records of stores as files that `load` gives back exactly."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlive.cli import declared, output, session
from outlive.cli.options import App, AsJson, FileFormat
from outlive.errors import BadSetting, PhaseRefused
from outlive.phases.control import StoreName, read_figures, read_stores
from outlive.postgres.drive import drive
from outlive.transfer import joining
from outlive.transfer.export import default_layout, export, replaced, snapshot
from outlive.transfer.layout import Kind, Layout, checked_kind
from outlive.transfer.load import Target

if TYPE_CHECKING:
    from outlive.runtime.service import Service

NAME = "export"
SUFFIX = {"jsonl": ".jsonl", "csv": ".csv"}


def command(
    store: Annotated[str | None, typer.Argument(metavar="[STORE]", help="STORE, or SERVICE/STORE.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every store, one file each, in one snapshot.")] = False,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="With --all a folder.")] = None,
    app: App = None,
    kind: FileFormat = None,
    json: AsJson = False,
) -> None:
    """Write stores to files, in the form that they came in.

    The same records give the same bytes; what JSON does not hold stands under a tag, so that load gives back exactly
    what was exported. One snapshot, streamed. Without -o one store goes to standard output.
    """
    if every == bool(store):
        raise typer.BadParameter("name one STORE, or use --all")
    if every and out is None:
        raise typer.BadParameter("--all needs -o FOLDER")
    service, wanted = declared.find_service(app), checked_kind(kind) if kind else None
    done = []
    with session.opened() as opened:
        names = _every(opened, service) if every else [opened.find(str(store))]
        targets = [(name, _target(opened, service, name)) for name in names]
        with snapshot(opened.conn):
            for name, target in targets:
                done.append(_one(opened, name, target, out, wanted, every))
    if json:
        output.document({"exports": done})
    elif out is not None:
        for facts in done:
            print(f"{facts['store']}: {facts['records']} records to {facts['file']} ({facts['format']})")


def _every(opened: session.Session, service: Service | None) -> list[StoreName]:
    names = drive(read_stores(), opened.conn)
    if service is not None:
        return [name for name in names if name.service == service.service and name.store in service.stores]
    return [name for name in names if declared.loaded(opened.conn, name.service, name.store) is not None]


def _target(opened: session.Session, service: Service | None, name: StoreName) -> Target:
    figures = drive(read_figures(name.service, name.store), opened.conn)
    if name.phase == "legacy" and figures.live:
        reason = "in phase legacy its records are in a running service's memory, not in PostgreSQL"
        raise PhaseRefused(store=str(name), reason=reason)
    if figures.unlanded:
        sys.stderr.write(f"{name}: {figures.unlanded} changes are unlanded and in no export\n")
    target = declared.loaded(opened.conn, name.service, name.store)
    if service is not None:
        target = declared.declared(service, str(name))
    if target is None:
        reason = "is needed: a service declares this store, and its record type is known to its module"
        raise BadSetting(name="--app", value="", reason=reason)
    return target


def _one(
    opened: session.Session, name: StoreName, target: Target, out: Path | None, wanted: Kind | None, every: bool
) -> dict[str, Any]:
    args = joining.remembered(opened.conn, name.service, name.store)
    remembered = Layout.of_facts(args["layout"]) if args is not None else None
    suffix = "" if out is None or every else out.suffix
    layout = default_layout(target, suffix, wanted or _same(remembered, every or out is None), remembered)
    facts = {"store": str(name), "format": layout.kind}
    if out is None:
        count = export(opened.conn, target, layout, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return {**facts, "records": count, "file": "-"}
    path = out / f"{target.store}{SUFFIX.get(layout.kind, '.json')}" if every else out
    with replaced(path) as file:
        count = export(opened.conn, target, layout, file)
    return {**facts, "records": count, "file": str(path)}


def _same(remembered: Layout | None, free: bool) -> Kind | None:
    """Where no suffix asks for anything else: the kind that the records came in."""
    return remembered.kind if remembered is not None and free else None
