"""`outlive load`: a file, or a folder of files, into the tables of stores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlive.cli import declared, output, session
from outlive.cli.options import App, AsJson, DryRun, FileFormat, Force, KeyField, Reason
from outlive.cli.transferring import Bar
from outlive.errors import FileMalformed
from outlive.transfer import deduce, sources
from outlive.transfer.export import with_columns
from outlive.transfer.layout import SUFFIXES, Layout, find_layout
from outlive.transfer.load import Loaded, Options, Target, load, look
from outlive.transfer.plainly import with_forms
from outlive.transfer.sources import Bad, Spot

if TYPE_CHECKING:
    from outlive.runtime.service import Service

NAME = "load"
OUTCOMES = {
    "equal": "were there already, equal",
    "newer": "met a newer record, which stays",
    "deleted": "were deleted later, and stay deleted",
}


def command(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A file, or a folder with one file a store.")],
    store: Annotated[
        str | None, typer.Option("--store", metavar="STORE", help="Default: named after the file.")
    ] = None,
    app: App = None,
    key: KeyField = None,
    kind: FileFormat = None,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", metavar="FILE", help="Default: STORE.rejects.jsonl.")
    ] = None,
    rows_per_second: Annotated[
        float | None, typer.Option("--rows-per-second", min=1, metavar="N", help="Load no faster.")
    ] = None,
    counter: Annotated[
        list[str] | None,
        typer.Option("--counter", metavar="NAME[=FIELD]", help="Raise a counter beyond a field (the key)."),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin again where a load was cut short.")] = False,
    force: Force = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Load JSON, JSONL or CSV into stores.

    A load that is cut short goes on where it was when it is given again; one that is repeated changes nothing. Bad
    records go to a file with line, key, path and reason; the rest lands. It is refused where a running service would
    not see what is loaded. Without --app a store's columns are deduced from all its values.
    """
    session.require_reason(force, reason)
    if source.is_dir() and store:
        raise typer.BadParameter("--store names the store of one file; a folder's files are named after their stores")
    service = declared.find_service(app)
    done = []
    with session.opened() as opened:
        for path in declared.parents_first(service, _files(source)):
            target, layout, evidence = _target(opened, service, path, store or path.stem, key, kind)
            if dry_run:
                done.append(_dry(target, path, layout, evidence, json))
                continue
            options = Options(
                actor=session.actor(), rejects=rejects or Path(f"{target.store}.rejects.jsonl"),
                rows_per_second=rows_per_second, restart=restart, force=force, reason=reason,
                counters=_counters(counter, target),
            )  # fmt: skip
            with Bar(target.name, json) as bar:
                options.tell = bar
                found = load(opened.database, target, path, layout, options)
            done.append({"store": target.name, "dry_run": False, "columns": evidence, **found.facts()})
            if not json:
                _print(target, found, options.rejects)
    if json:
        output.document({"loads": done})


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    known = (".json", *SUFFIXES)
    found = sorted(
        path for path in source.iterdir() if path.suffix.lower() in known and not path.stem.endswith(".rejects")
    )
    if not found:
        raise FileMalformed(path=str(source), reason=f"holds no file that ends in {', '.join(known)}")
    return found


def _target(
    opened: session.Session, service: Service | None, path: Path, name: str, key: str | None, kind: str | None
) -> tuple[Target, Layout, dict[str, str]]:
    layout = find_layout(path, kind)
    if layout.kind == "csv":
        layout = with_columns(layout, sources.read_header(path)[0])
    target, evidence = _found(opened, service, path, name, key, layout)
    return target, with_forms(layout, target.fit(), path), evidence


def _found(
    opened: session.Session, service: Service | None, path: Path, name: str, key: str | None, layout: Layout
) -> tuple[Target, dict[str, str]]:
    """The store, declared, known from an earlier load, or deduced from the file; for the last, what tells so."""
    if service is not None:
        return declared.declared(service, name), {}
    owner, _, own = name.rpartition("/")
    where = declared.own_name(opened.settings, owner)
    known = declared.loaded(opened.conn, where, own)
    if known is not None:
        return known, {}
    found = _deduce(path, layout)
    return declared.deduced(where, own, found.kinds(), key), _evidence(found)


def _deduce(path: Path, layout: Layout) -> deduce.Deduced:
    found = deduce.Deduced()
    for batch in sources.read(path, layout, Spot(), 10_000):
        found.see(batch.items, from_text=layout.kind == "csv")
    if layout.kind == "csv":
        found.settle_text()
    return found


def _evidence(found: deduce.Deduced) -> dict[str, str]:
    return {name: f"{column.kind}: {column.evidence()}" for name, column in found.columns.items()}


def _counters(given: list[str] | None, target: Target) -> dict[str, str]:
    counters = {}
    for text in given or []:
        name, _, field = text.partition("=")
        if not (field or target.key_field):
            raise typer.BadParameter("--counter NAME=FIELD: the store has no key field")
        counters[name] = field or str(target.key_field)
    return counters


def _dry(target: Target, path: Path, layout: Layout, evidence: dict[str, str], as_json: bool) -> dict[str, Any]:
    with Bar(target.name, as_json) as bar:
        counts, bad = look(target, path, layout, bar)
    if not as_json:
        print(f"{target.name}: {counts.records} records in {path} ({layout.kind}); {counts.rejected} would be rejected")
        _print_bad(bad, counts.rejected)
        if evidence:
            output.table(("column", "evidence"), list(evidence.items()))
        print("dry run: nothing was changed")
    facts = {"records": counts.records, "would_land": counts.landed, "rejected": counts.rejected}
    return {"store": target.name, "dry_run": True, "columns": evidence, **facts, "examples": [_facts(b) for b in bad]}


def _facts(bad: Bad) -> dict[str, Any]:
    return {"ordinal": bad.ordinal + 1, "line": bad.line, "key": bad.key, "path": bad.path, "reason": bad.reason}


def _print(target: Target, found: Loaded, rejects: Path) -> None:
    counts = found.counts
    resumed = ", resumed" if found.resumed else ""
    print(f"{target.name}: {counts.landed} of {counts.records} records landed in {found.seconds:.1f} s{resumed}")
    print(f"  SHA-256 of the file {counts.checksum}")
    for name, words in OUTCOMES.items():
        if count := getattr(counts, name):
            print(f"  {count} {words}")
    if counts.rejected:
        print(f"  {counts.rejected} rejected, kept in {rejects}")
        _print_bad(found.bad[:5], counts.rejected)
    for name in found.moved:
        print(f"  sequence {name} set beyond the largest value")
    for name, value in found.counters.items():
        print(f"  counter {name} goes on after {value}")


def _print_bad(bad: list[Bad], count: int) -> None:
    for one in bad:
        where = f"record {one.ordinal + 1}, line {one.line}" + (f", {one.key}" if one.key is not None else "")
        print(f"    {where}: {one.path + ': ' if one.path else ''}{one.reason}")
    if len(bad) < count:
        print(f"    … and {count - len(bad)} more")
