"""The table that people read: drawn with rich on a terminal, aligned text elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from outlive.scan.catalogue import Catalogue, Finding
from outlive.scan.config import PRIORITIES, ScanConfig
from outlive.scan.effort import days
from outlive.scan.report.view import counted, others, shown, state

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

COLUMNS = ("priority", "service", "where", "store", "type", "why", "effort")
_STYLES = {"critical": "bold red", "high": "yellow", "medium": "cyan", "low": "dim"}


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Findings with stores first, the gravest on top."""
    return sorted(
        findings,
        key=lambda each: (each.cls != "store", PRIORITIES.index(each.priority), each.service, each.path, each.line),
    )


def row(finding: Finding) -> tuple[str, ...]:
    """The cells of one finding, in the order of COLUMNS."""
    held = f" of {finding.record}" if finding.record and finding.record not in finding.container else ""
    return (
        finding.priority if finding.cls == "store" else finding.cls,
        shown(finding.service),
        f"{finding.path}:{finding.line}",
        finding.symbol
        + (" (partly migrated)" if state(finding) == "partly migrated" and finding.cls == "store" else ""),
        finding.container + held,
        why(finding),
        f"{finding.effort_hours:.1f} h" if finding.effort_hours else "-",
    )


def why(finding: Finding) -> str:
    """The reason that says most, of a store the gravest impact, else the first reason; and where its copies are."""
    reason = finding.reasons[0] if finding.reasons else finding.cls
    if finding.cls == "store" and finding.impact:
        reason = finding.impact[0].partition(": ")[2].partition(" = ")[2] or finding.impact[0]
    copies = ", ".join(shown(each.service) for each in finding.duplicates)
    return f"{reason}; copied in {copies}" if copies else reason


def summary(catalogue: Catalogue, config: ScanConfig) -> str:
    """The last line: how many stores of each priority, hours, files, what else was found and what was skipped."""
    counts = counted(catalogue.findings)
    stores = sum(counts.values())
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    hours = sum(each.effort_hours for each in catalogue.findings)
    parts = [f"{_plural(stores, 'store')}" + (f" ({told}), about {days(hours, config)} of work" if stores else "")]
    parts.append(f"{_plural(catalogue.files, 'file')} in {catalogue.seconds:.1f} s")
    rest = others(catalogue)
    if rest:
        parts.append("also " + ", ".join(f"{count} {name}" for name, count in rest.items()))
    if catalogue.skipped:
        parts.append(f"{_plural(len(catalogue.skipped), 'file')} skipped")
    return "; ".join(parts)


def plain(findings: Sequence[Finding]) -> str:
    """The table as aligned text; empty without findings."""
    rows = [tuple(name.upper() for name in COLUMNS), *(row(each) for each in ordered(findings))]
    if len(rows) == 1:
        return ""
    widths = [max(len(each[at]) for each in rows) for at in range(len(COLUMNS))]
    aligned = ("  ".join(cell.ljust(width) for cell, width in zip(each, widths, strict=True)).rstrip() for each in rows)
    return "".join(f"{line}\n" for line in aligned)


def draw(findings: Sequence[Finding], console: Console) -> None:
    """Prints the findings on a terminal: a bar of priorities, then each service with its containers under it."""
    from rich.text import Text

    if not findings:
        return
    console.print(_bar(findings))
    groups: dict[str, list[Finding]] = {}
    for each in ordered(findings):
        groups.setdefault(each.service, []).append(each)
    widths = _widths(findings)
    for service, own in groups.items():
        folder = _folder(own)
        heading = Text.assemble("\n", (shown(service), "bold"), "  ", (folder, "dim"))
        console.print(heading, soft_wrap=True)
        console.print(_group(own, folder, widths))


def _group(own: Sequence[Finding], folder: str, widths: Sequence[int]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, expand=True, padding=(0, 2, 0, 0))
    for width in widths:
        table.add_column(width=width, overflow="fold")
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    for each in own:
        style = _STYLES.get(each.priority, "") if each.cls == "store" else "dim"
        priority, _, _, store, kind, reason, effort = row(each)
        where = f"{each.path[len(folder) :]}:{each.line}"
        cells = ((priority, style), (store, "bold"), (kind, "cyan"), (where, "dim"), (reason, ""), (effort, "dim"))
        table.add_row(*(Text(cell, style=look) for cell, look in cells))
    return table


def _widths(findings: Sequence[Finding]) -> tuple[int, ...]:
    """Widths of priority, store, type and place, the same for every service, so that columns stand under each other."""
    rows = [row(each) for each in findings]
    places = [f"{each.path.rpartition('/')[2]}:{each.line}" for each in findings]
    longest = (
        (8, 16, [each[0] for each in rows]),
        (8, 30, [each[3] for each in rows]),
        (6, 26, [each[4] for each in rows]),
        (8, 26, places),
    )
    return tuple(min(max(least, *map(len, texts)), most) for least, most, texts in longest)


def _folder(own: Sequence[Finding]) -> str:
    """The deepest folder that holds all of them, with a `/` at its end; empty for the root."""
    parts = [each.path.split("/")[:-1] for each in own]
    together = itertools.takewhile(lambda names: len(set(names)) == 1, zip(*parts, strict=False))
    return "".join(f"{names[0]}/" for names in together)


def _bar(findings: Sequence[Finding], width: int = 48) -> object:
    from rich.text import Text

    counts = counted(findings)
    whole = max(sum(counts.values()), 1)
    bar = Text()
    for name, count in counts.items():
        bar.append("█" * round(width * count / whole) or ("▏" if count else ""), style=_STYLES[name])
    bar.append("  " + "  ".join(f"{count} {name}" for name, count in counts.items() if count))
    return bar


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
