"""`outlive scan`: the catalogue of what dies with the process."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

import outlive
from outlive.cli import scanning
from outlive.cli.options import AsJson
from outlive.scan.catalogue import Catalogue, Finding
from outlive.scan.config import PRIORITIES, ScanConfig
from outlive.scan.report import document, github, guide, page, sarif, terminal

NAME = "scan"
SUFFIXES = {".json": "json", ".md": "markdown", ".html": "html", ".htm": "html", ".sarif": "sarif"}


def command(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="Folders or files; this one.")] = None,
    json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The migration guide.")] = False,
    html: Annotated[bool, typer.Option("--html", help="One page that loads nothing from elsewhere.")] = False,
    as_sarif: scanning.AsSarif = False,
    as_github: scanning.AsGithub = False,
    output: scanning.Target = None,
    every: Annotated[bool, typer.Option("--all", help="Caches, registries and the like too.")] = False,
    min_priority: Annotated[
        str, typer.Option("--min-priority", metavar="NAME", help="Stores from critical, high, medium or low on.")
    ] = "low",
    since: scanning.Since = None,
) -> None:
    """Find every store that dies with the process.

    Reads Python source without importing it and needs no database. Each store comes with its place, what it holds,
    who writes it, why it matters, a proposed table and hours. Ends with status 0 whatever it finds; `outlive check`
    is the one that fails. With --output the file's name chooses the report: .json, .md, .html, .sarif.
    """
    if min_priority not in PRIORITIES:
        raise typer.BadParameter(f"--min-priority is one of {', '.join(PRIORITIES)}")
    wanted = {"json": json, "markdown": markdown, "html": html, "sarif": as_sarif, "github": as_github}
    kind = _kind([name for name, given in wanted.items() if given], output)
    found, settings = scanning.catalogue(paths or [Path()], since)
    found = scanning.at_least(found, min_priority)
    if kind == "table" and output is None:
        _table(found, settings, every)
        return
    scanning.emit(_report(kind, found, settings, every), output)


def _kind(given: list[str], output: Path | None) -> str:
    if len(given) > 1:
        raise typer.BadParameter(f"one report at a time, not {' and '.join(f'--{name}' for name in given)}")
    if given:
        return given[0]
    return SUFFIXES.get(output.suffix.lower(), "table") if output else "table"


def _report(kind: str, found: Catalogue, settings: ScanConfig, every: bool) -> str:
    chosen = _chosen(found, every)
    today = datetime.now(UTC).date()
    if kind == "json":
        return document.render(found, settings)
    if kind == "markdown":
        return guide.render(found, settings, today=today, every=every)
    if kind == "html":
        return page.render(found, settings, today=today, every=every)
    if kind == "sarif":
        return sarif.render(found, chosen, outlive.__version__)
    if kind == "github":
        return github.render(chosen, scanning.prefix(found.root))
    return f"{terminal.plain(chosen)}{terminal.summary(found, settings)}\n"


def _chosen(found: Catalogue, every: bool) -> tuple[Finding, ...]:
    return found.findings if every else found.stores()


def _table(found: Catalogue, settings: ScanConfig, every: bool) -> None:
    if not sys.stdout.isatty():
        scanning.emit(_report("table", found, settings, every), None)
        return
    from rich.console import Console

    console = Console(highlight=False)
    terminal.draw(_chosen(found, every), console)
    console.print(f"\n{terminal.summary(found, settings)}", markup=False, soft_wrap=True)
    if found.stores():
        console.print("next: outlive scan -o stores.html, or -o stores.md for the migration guide", style="dim")
