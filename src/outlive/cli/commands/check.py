"""`outlive check`: fails when a store appears that the baseline does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import outlive
from outlive.cli import output, scanning
from outlive.cli.options import AsJson
from outlive.errors import PhaseRefused
from outlive.scan import baseline
from outlive.scan.baseline import Comparison
from outlive.scan.catalogue import Catalogue
from outlive.scan.report import document, github, sarif, terminal

NAME = "check"


def command(
    path: Annotated[Path, typer.Argument(metavar="[PATH]", help="The folder to read; this one without it.")] = Path(),
    file: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help=f"Where it is; {baseline.FILE} in PATH.")
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Write the baseline anew: every store is known.")] = False,
    since: scanning.Since = None,
    json: AsJson = False,
    as_sarif: scanning.AsSarif = False,
    as_github: scanning.AsGithub = False,
) -> None:
    """Fail when an in-memory store appears that the baseline does not know.

    Ends with status 3 when there is one. The baseline is a file to commit; without one no store is known. With --since
    only stores on lines changed since REV can be new.
    """
    if update and since is not None:
        raise typer.BadParameter("--update writes the whole baseline, so it does not go with --since")
    if json + as_sarif + as_github > 1:
        raise typer.BadParameter("one report at a time")
    place = file or (path if path.is_dir() else path.parent) / baseline.FILE
    known = [] if update else baseline.read(place)
    found, _ = scanning.catalogue([path], since)
    if update:
        _updated(place, baseline.write(place, found.stores()), json)
        return
    compared = baseline.compare(found.stores(), known)
    if since is not None:
        # stores on lines that did not change were not looked for, so none can be said to be gone
        compared = Comparison(compared.new, (), len(known))
    if as_sarif:
        scanning.emit(sarif.render(found, compared.new, outlive.__version__), None)
    elif as_github:
        scanning.emit(github.render(compared.new, scanning.prefix(found.root)), None)
    elif json:
        output.document(_facts(compared, place))
    else:
        _print(compared, found, place)
    if compared.new:
        raise typer.Exit(PhaseRefused.exit_code)


def _updated(place: Path, count: int, as_json: bool) -> None:
    if as_json:
        output.document({"schema": "outlive.check/1", "baseline": str(place), "written": count})
    else:
        print(f"{place}: {count} stores are known now")


def _facts(compared: Comparison, place: Path) -> dict[str, Any]:
    gone = [{"service": service, "path": path, "symbol": symbol} for service, path, symbol in compared.gone]
    new = [document.facts(each) for each in compared.new]
    return {"schema": "outlive.check/1", "baseline": str(place), "new": new, "gone": gone, "known": compared.known}


def _print(compared: Comparison, found: Catalogue, place: Path) -> None:
    if compared.new:
        scanning.emit(terminal.plain(compared.new), None)
    count = len(compared.new)
    print(f"{count} new, {compared.known} known, {len(compared.gone)} gone; {found.files} files read, against {place}")
    if compared.new:
        print("next: move it to a database, say `# outlive: cache` beside it, or accept it: outlive check --update")
    elif compared.gone:
        print("next: outlive check --update, so that a store that is gone cannot come back unseen")
