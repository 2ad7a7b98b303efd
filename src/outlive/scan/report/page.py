"""One HTML file with the whole catalogue: nothing is loaded from anywhere, everything can be read without scripts.

Names come from other people's code: each is escaped and stands in a `bdi`, so that right-to-left names keep their
order, and a content security policy forbids everything but the page's own style and script.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from hashlib import sha256
from html import escape
from importlib.resources import files

from outlive.scan.catalogue import Catalogue, Finding, Site
from outlive.scan.config import PRIORITIES, ScanConfig
from outlive.scan.effort import formula
from outlive.scan.report import charts
from outlive.scan.report.guide import CHECKLIST
from outlive.scan.report.terminal import ordered, summary, why
from outlive.scan.report.view import PHASES, Service, counted, lines, schedule, services, shown, state


def render(catalogue: Catalogue, config: ScanConfig, *, today: date, every: bool = False) -> str:
    """The page as text; `every` lists the classes whose loss is accepted too."""
    found = services(catalogue, config)
    rest = [each for each in catalogue.findings if every and each.cls not in {"store", "leftover"}]
    body = [
        *_head(catalogue, config, today),
        *_charts(catalogue, found),
        *_filters(found, rest),
        *(part for each in found for part in _service(each)),
        *_rest(rest),
        *_plan(found),
        *_skipped(catalogue),
    ]
    return _whole(f"In-memory stores of {catalogue.root.resolve().name}", "\n".join(body))


def _whole(title: str, body: str) -> str:
    style, script = (files("outlive.scan.report").joinpath(f"page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    allowed = f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _head(catalogue: Catalogue, config: ScanConfig, today: date) -> Iterator[str]:
    yield '<header class="top"><div>'
    yield f"<h1>In-memory stores of {_name(catalogue.root.resolve().name)}</h1>"
    yield f'<p class="soft">{today.isoformat()} · {escape(summary(catalogue, config))}</p>'
    yield '</div><button id="theme" type="button" hidden>dark / light</button></header>'


def _charts(catalogue: Catalogue, found: Sequence[Service]) -> Iterator[str]:
    counts = counted(catalogue.findings)
    if not sum(counts.values()):
        yield "<p>No in-memory store was found: nothing of value dies with the process.</p>"
        return
    by_priority = [(name, [(name, count)], str(count)) for name, count in counts.items()]
    by_service = [_bar(each) for each in found if each.stores][:12]
    by_hours = [(shown(each.name), [(each.priority, each.hours)], f"{each.hours:.1f} h") for each in found][:12]
    yield '<div class="cards">'
    for title, rows in (
        ("Stores by priority", by_priority),
        ("Stores by service", by_service),
        ("Effort by service", by_hours),
    ):
        yield f'<div class="card"><h2>{title}</h2>{charts.bars(title, rows)}</div>'
    yield "</div>"


def _bar(service: Service) -> tuple[str, list[tuple[str, float]], str]:
    counts = counted(service.stores)
    return shown(service.name), [(name, count) for name, count in counts.items() if count], str(len(service.stores))


def _filters(found: Sequence[Service], rest: Sequence[Finding]) -> Iterator[str]:
    names = dict.fromkeys([*(each.name for each in found), *(each.service for each in rest)])
    classes = dict.fromkeys(["store", "leftover", *(each.cls for each in rest)])
    yield '<h2>Stores</h2><form class="filters" id="filters" hidden>'
    yield '<input type="search" name="text" placeholder="name, path, type, reason" aria-label="search" dir="auto">'
    yield from (
        f'<label class="{name}"><input type="checkbox" name="priority" value="{name}" checked> {name}</label>'
        for name in PRIORITIES
    )
    yield _select("service", [(name, shown(name)) for name in names])
    yield _select("class", [(name, name) for name in classes])
    yield '<output id="count" class="soft" aria-live="polite"></output></form>'


def _select(name: str, choices: Iterable[tuple[str, str]]) -> str:
    options = "".join(
        f'<option value="{escape(value)}" dir="auto">{escape(text)}</option>' for value, text in choices if value
    )
    return f'<select name="{name}" aria-label="{name}"><option value="">every {name}</option>{options}</select>'


def _service(service: Service) -> Iterator[str]:
    yield f'<section class="service"><header><h3>{_name(shown(service.name))}</h3>{_mark(service.priority)}'
    yield f'<span class="soft">phase {service.phase} · {service.time}</span></header>'
    for each in service.all:
        proposal = service.proposals.get(each)
        told = [_impact(each), _facts(each), _sites("Written", each.writers), _sites("Read", each.readers)]
        if proposal:
            notes = "".join(f"<li>{escape(note)}</li>" for note in proposal.notes)
            told.append(f"<h4>Proposed table</h4>{_pre(proposal.sql())}" + (f"<ul>{notes}</ul>" if notes else ""))
            told += [f"<h4>Declaration</h4>{_pre(proposal.declare)}"] if proposal.declare else []
        told.append(f"<p><strong>Effort:</strong> {escape(formula(each.effort_hours, each.effort_terms))}</p>")
        yield _article(each, "".join(told))
    yield "</section>"


def _article(finding: Finding, body: str) -> str:
    text = " ".join(
        (finding.symbol, finding.path, finding.container, finding.record, finding.service, *finding.reasons)
    )
    facts = {"priority": finding.priority, "service": finding.service, "class": finding.cls, "text": text.lower()}
    listed = " ".join(f'data-{name}="{escape(value)}"' for name, value in facts.items())
    mark = finding.priority if finding.cls == "store" else finding.cls
    done = (
        f" {_mark('low', state(finding))}" if state(finding) != "to do" and finding.cls in {"store", "leftover"} else ""
    )
    head = (
        f"{_mark(finding.priority, mark)} <strong>{_name(finding.symbol)}</strong>{done}"
        f'<span class="type">{_code(finding.container)}</span>'
        f'<span class="where">{_name(finding.path)}:{lines(finding)}</span><br>{escape(why(finding))}'
    )
    return f"<article {listed}><details><summary>{head}</summary>{body}</details></article>"


def _impact(finding: Finding) -> str:
    told = ((line.partition(": ")[0], line.partition(": ")[2]) for line in finding.impact)
    items = "".join(f'<li><strong class="{level.lower()}">{level}</strong> {escape(text)}</li>' for level, text in told)
    return f"<h4>Impact</h4><ul>{items}</ul>" if items else ""


def _facts(finding: Finding) -> str:
    fields = ", ".join(f"{each.name}: {each.annotation}" if each.annotation else each.name for each in finding.fields)
    rows = (
        ("declared", finding.declaration),
        ("record", finding.record),
        ("fields", fields),
        ("bounded", finding.bounded or ""),
        ("tenant", finding.tenant or ""),
        ("stands again in", ", ".join(f"{each.path}:{each.line}" for each in finding.duplicates)),
        ("why", "; ".join((*finding.reasons, *finding.priority_reasons))),
    )
    cells = "".join(
        f'<tr><th scope="row">{name}</th><td dir="auto">{escape(value)}</td></tr>' for name, value in rows if value
    )
    return f'<div class="scroll"><table>{cells}</table></div>'


def _sites(title: str, sites: Sequence[Site]) -> str:
    items = "".join(
        f"<li>{_name(each.path)}:{each.line} <bdi>{escape(each.function)}</bdi> ({escape(each.how)})"
        + (f" ← {_code(each.entry.name)}" if each.entry else "")
        + "</li>"
        for each in sites[:20]
    )
    more = f"<li>… and {len(sites) - 20} more</li>" if len(sites) > 20 else ""
    return f"<h4>{title} by</h4><ul>{items}{more}</ul>" if items else ""


def _rest(rest: Sequence[Finding]) -> Iterator[str]:
    if rest:
        yield '<h2>Acceptable in memory</h2><section class="service">'
        yield from (_article(each, _facts(each)) for each in ordered(rest))
        yield "</section>"


def _plan(found: list[Service]) -> Iterator[str]:
    if not found:
        return
    yield '<h2>Order of migration</h2><div class="cards">'
    for phase, own, weeks in schedule(found):
        items = "".join(f"<li>{_name(shown(each.name))} - {each.time}</li>" for each in own)
        heading = f'<h3>Phase {phase}: {PHASES[phase]}</h3> <span class="soft">{weeks}</span>'
        yield f'<div class="card">{heading}<ol>{items}</ol></div>'
    steps = "".join(f"<li>{_spans(step)}</li>" for step in CHECKLIST)
    yield f"</div><h2>Checklist for each service</h2><ol>{steps}</ol>"


def _spans(text: str) -> str:
    """Text with `code` between backticks and **words** as they were meant."""
    parts = escape(text).split("`")
    coded = "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))
    parts = coded.split("**")
    return "".join(f"<strong>{part}</strong>" if at % 2 else part for at, part in enumerate(parts))


def _skipped(catalogue: Catalogue) -> Iterator[str]:
    if catalogue.skipped:
        yield "<h2>Not read</h2><ul>"
        yield from (f"<li>{_name(each.path)}: {escape(each.reason)}</li>" for each in catalogue.skipped)
        yield "</ul>"


def _name(text: str) -> str:
    return f'<bdi dir="auto">{escape(text)}</bdi>'


def _code(text: str) -> str:
    return f'<code dir="auto">{escape(text)}</code>'


def _pre(text: str) -> str:
    return f'<pre dir="ltr"><code>{escape(text)}</code></pre>'


def _mark(priority: str, text: str = "") -> str:
    return f'<span class="mark {priority}">{escape(text or priority)}</span>'
