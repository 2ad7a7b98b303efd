"""The migration guide as Markdown: what a team used to write by hand about each service, from its code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from outlive.scan.catalogue import Catalogue, Finding
from outlive.scan.config import PRIORITIES, ScanConfig
from outlive.scan.effort import HOURS, formula
from outlive.scan.rank import LIMITS
from outlive.scan.report.view import (
    DAYS_A_WEEK,
    PHASES,
    Service,
    counted,
    doors,
    lines,
    others,
    schedule,
    services,
    shown,
    state,
)

HEADINGS = {
    "critical": "Critical priority (data loss = business impact)",
    "high": "High priority (core functionality)",
    "medium": "Medium priority (can wait, but recommended)",
    "low": "Low priority (ephemeral, configuration, already migrated)",
}
MARKS = {"to do": "❌", "partly migrated": "✅", "already done": "✅"}
CHECKLIST = (
    "Create the tables and indexes (the SQL above, or a migration made from it)",
    "Write or check the record models; annotate what is `dict` today",
    "Declare each store with the line given under **Declaration**",
    "Install outlive into the application: `outlive.install(app)`",
    "Take existing data over: JSON files are read at the first start; seeds are stored once",
    "Update tests to run against a real PostgreSQL",
    "`outlive migrate`, then deploy with every store in `legacy`: nothing changes yet",
    "`outlive advance STORE` to `dual_write`; watch `outlive status` and errors",
    "`outlive verify STORE` until memory and table are equal, then advance to `dual_read`",
    "Move queries to the store's repository; check their plans against the proposed indexes",
    "Rehearse the way back: `outlive rollback STORE --dry-run`",
    "Advance to `database`, remove the in-memory code, update the documentation, run `outlive check` in CI",
)


def render(catalogue: Catalogue, config: ScanConfig, *, today: date, every: bool = False) -> str:
    """The guide as text; `every` lists the classes whose loss is accepted too."""
    found = services(catalogue, config)
    parts = [
        *_head(catalogue, found, today),
        *_services(found),
        *_plan(found),
        *(_checklist() if found else ()),
        *_accepted(catalogue, every),
        *_skipped(catalogue),
        *_basis(config),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _head(catalogue: Catalogue, found: Sequence[Service], today: date) -> Iterator[str]:
    counts = counted(catalogue.findings)
    stores, where = sum(counts.values()), sum(bool(each.stores) for each in found)
    yield from (f"# In-memory stores of {_text(catalogue.root.resolve().name)}", "")
    yield from (f"**Scanned:** {today.isoformat()}, {catalogue.files} files  ", f"**Priority:** {_top(counts)}  ")
    yield from (f"**Status:** {stores} stores to migrate", "", "## Summary", "")
    if not stores:
        yield from ("No in-memory store was found: nothing of value dies with the process.", "")
        return
    yield f"{stores} stores in {where} services live in memory or in files. That leads to:"
    yield from ("", "- data loss when the service restarts", "- every process with a state of its own: no second pod")
    yield from (
        "- no audit trail, no backup, no queries over time",
        "",
        "| # | service | priority | stores | phase | effort |",
    )
    yield "|---|---|---|---|---|---|"
    for number, each in enumerate(found, 1):
        stores_ = f"{len(each.stores)}" + (f" + {len(each.leftovers)} to remove" if each.leftovers else "")
        yield f"| {number} | {_cell(shown(each.name))} | {each.priority} | {stores_} | {each.phase} | {each.time} |"
    yield ""


def _top(counts: dict[str, int]) -> str:
    told = [f"{count} {name}" for name, count in counts.items() if count]
    highest = next((name for name, count in counts.items() if count), "none")
    return highest.upper() + (f" ({', '.join(told)})" if told else "")


def _services(found: Sequence[Service]) -> Iterator[str]:
    if found:
        yield from ("## Services requiring migration", "")
    for priority in PRIORITIES:
        own = [each for each in found if each.priority == priority]
        if own:
            yield from (f"### {HEADINGS[priority]}", "")
        for each in own:
            yield from _service(each, found.index(each) + 1)


def _service(service: Service, number: int) -> Iterator[str]:
    yield from (f"#### {number}. {_text(shown(service.name))}", "")
    for path in dict.fromkeys(each.path for each in service.all):
        own = [each for each in service.all if each.path == path]
        spans = ", ".join(_spans(own))
        yield from (f"**Location:** {_code(path)}  ", f"**{'Line' if spans.isdigit() else 'Lines'}:** {spans}", "")
    yield from (
        "**In-memory storage:**",
        "",
        *_fenced("python", (_declared(each) for each in sorted(service.all, key=lambda each: (each.path, each.line)))),
        "",
    )
    yield from _stores(service)
    yield from ("**Business impact:**", "", *_impact(service), "")
    yield from ("**Migration required:**", "", *_required(service), "")
    if service.stores:
        yield from ("**Database schema:**", "", *_fenced("sql", _schema(service)), "")
        yield from _notes(service)
        yield from ("**Declaration:**", "", *_fenced("python", _declarations(service)), "")
    yield from ("**Effort:**", "")
    yield from (
        f"- {_code(each.symbol)}: {_text(formula(each.effort_hours, each.effort_terms))}" for each in service.all
    )
    yield from ("", f"**Estimated migration time:** {service.time}  ", f"**Phase:** {service.phase}", "", "---", "")


def _spans(findings: Iterable[Finding]) -> Iterator[str]:
    """Their lines, neighbours joined: `27-29`, `171`."""
    joined: list[list[int]] = []
    for line, end in sorted((each.line, max(each.line, each.end_line)) for each in findings):
        if joined and line <= joined[-1][1] + 1:
            joined[-1][1] = max(end, joined[-1][1])
        else:
            joined.append([line, end])
    return (f"{first}-{last}" if last > first else str(first) for first, last in joined)


def _declared(finding: Finding) -> str:
    text = finding.declaration.splitlines()[0] if finding.declaration else f"{finding.name}: {finding.container}"
    notes = [f"line {lines(finding)}", *([state(finding)] if state(finding) != "to do" else [])]
    told = ", ".join([*notes, *([finding.bounded] if finding.bounded else [])])
    return f"{text}; {told}" if "  # " in text else f"{text}  # {told}"


def _stores(service: Service) -> Iterator[str]:
    yield "| store | type | records | written by | read by | priority | why |"
    yield "|---|---|---|---|---|---|---|"
    for each in service.all:
        fields = ", ".join(field.name for field in each.fields[:12]) + (", …" if len(each.fields) > 12 else "")
        held = (
            " ".join(part for part in (each.record.replace("Any", ""), f"({fields})" if fields else "") if part)
            or "unknown"
        )
        wrote, read = (", ".join(doors(each, writing)[:6]) or "-" for writing in (True, False))
        why = "; ".join((*each.reasons, *each.priority_reasons))
        cells = (_code(each.symbol), _code(each.container), *map(_cell, (held, wrote, read, each.priority, why)))
        yield f"| {' | '.join(cells)} |"
    yield ""


def _impact(service: Service) -> Iterator[str]:
    told = list(dict.fromkeys(line for each in service.all for line in each.impact))
    for line in sorted(told, key=lambda each: PRIORITIES.index(each.partition(":")[0].lower())):
        level, _, text = line.partition(": ")
        yield f"- **{level}:** {_text(text)}"


def _required(service: Service) -> Iterator[str]:
    for number, each in enumerate(service.all, 1):
        at = state(each)
        if each.cls == "leftover":
            told = f"{_code(each.symbol)} - ALREADY DONE: remove it ({_text('; '.join(each.reasons))})"
        else:
            done = (
                f" - PARTLY DONE ({_text(_evidence(each))})"
                if at == "partly migrated"
                else f" - migrate {_code(each.symbol)}"
            )
            told = f"{_code(service.proposals[each].table)} table{done}"
        yield f"{number}. {MARKS[at]} {told}"
    for each in service.stores:
        for place in each.duplicates:
            where = f"{_code(f'{place.path}:{place.line}')} ({_text(shown(place.service))})"
            yield f"\n{_code(each.symbol)} stands a second time in {where}: decide which one owns the table."


def _evidence(finding: Finding) -> str:
    told = (finding.comment, *finding.reasons)
    return next((each for each in told if re.search("migrat|model|legacy", each, re.IGNORECASE)), "a model exists")


def _schema(service: Service) -> Iterator[str]:
    for at, each in enumerate(service.stores):
        proposal = service.proposals[each]
        yield from ("",) if at else ()
        yield f"-- {proposal.table}: {_line(each.symbol)}, {_line(each.path)}:{each.line}"
        yield from proposal.create
    references = [line for each in service.stores for line in service.proposals[each].references]
    if references:
        yield from ("", "-- once all tables are filled", *references)


def _notes(service: Service) -> Iterator[str]:
    told = [(service.proposals[each].table, note) for each in service.stores for note in service.proposals[each].notes]
    yield from (f"- {_code(table)}: {_text(note)}" for table, note in told)
    if told:
        yield ""


def _declarations(service: Service) -> Iterator[str]:
    for each in service.stores:
        yield service.proposals[each].declare or f"# {_line(each.symbol)}: no drop-in; use the table's repository"


def _plan(found: list[Service]) -> Iterator[str]:
    if not found:
        return
    yield from ("## Order of migration", "")
    for phase, own, weeks in schedule(found):
        yield from (f"### Phase {phase}: {PHASES[phase]} ({weeks})", "")
        for each in own:
            yield f"{found.index(each) + 1}. **{_text(shown(each.name))}** - {each.time}"
            migrate = ", ".join(_code(one.symbol) for one in each.stores)
            remove = ", ".join(_code(one.symbol) for one in each.leftovers)
            yield from (f"   - Migrate {migrate}",) if migrate else ()
            yield from (f"   - Remove {remove}",) if remove else ()
        yield from ("", f"**Total:** {sum(each.hours for each in own):.1f} h", "")


def _checklist() -> Iterator[str]:
    yield from ("## Implementation checklist", "", "For each service:", "")
    yield from (f"- [ ] {number}. {step}" for number, step in enumerate(CHECKLIST, 1))
    yield ""


def _accepted(catalogue: Catalogue, every: bool) -> Iterator[str]:
    rest = {name: count for name, count in others(catalogue).items() if name != "leftover"}
    if not rest:
        return
    yield from ("## Acceptable in memory", "", ", ".join(f"{count} {name}" for name, count in rest.items()) + ".", "")
    if not every:
        yield from ("`outlive scan --all` lists them with their reasons.", "")
        return
    yield from ("| class | service | place | symbol | type | why |", "|---|---|---|---|---|---|")
    for each in catalogue.findings:
        if each.cls in rest:
            place, why = _code(f"{each.path}:{each.line}"), _cell("; ".join(each.reasons))
            cells = (each.cls, _cell(shown(each.service)), place, _code(each.symbol), _code(each.container), why)
            yield f"| {' | '.join(cells)} |"
    yield ""


def _skipped(catalogue: Catalogue) -> Iterator[str]:
    if catalogue.skipped:
        yield from ("## Not read", "")
        for each in catalogue.skipped:
            yield f"- {_code(each.path + (f':{each.line}' if each.line else ''))}: {_text(each.reason)}"
        yield ""


def _basis(config: ScanConfig) -> Iterator[str]:
    limits = ", ".join(f"{name} from {least} points" for name, least in LIMITS)
    yield from (
        "## How this was judged",
        "",
        f"Priority is a sum of points, given with each store: {limits}, low below.",
    )
    hours = {**HOURS, **config.effort}
    risks = ", ".join(f"{name.replace('_', ' ')} {hours[name]:g}" for name in list(HOURS)[3:-1])
    parts = [f"{hours[each]:g} a {each.replace('_', ' ')}" for each in ("store", "call_site", "field")]
    yield f"Effort in hours is {' + '.join(parts)}"
    yield f"+ risks ({risks}); a leftover is {hours['removal']:g}."
    yield f"A day has {config.hours_per_day:g} hours, a week {DAYS_A_WEEK} days, and one person works."
    yield "Correct all of it in `outlive.toml`, or beside a declaration: `# outlive: cache`."


def _fenced(language: str, body: Iterable[str]) -> Iterator[str]:
    """A code block whose fence is longer than any in it."""
    text = "\n".join(body)
    fence = "`" * max(3, 1 + max((len(each) for each in re.findall("`+", text)), default=0))
    yield from (f"{fence}{language}", text, fence)


def _line(text: str) -> str:
    return " ".join(text.split())


def _code(text: str) -> str:
    """An inline code span that survives backticks and table cells."""
    plain = _line(text).replace("|", "\\|")
    fence = "`" * (1 + max((len(each) for each in re.findall("`+", plain)), default=0))
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _text(text: str) -> str:
    """Words as words: what Markdown or HTML would take for markup is escaped, code spans stay."""
    parts = re.split(r"(`+[^`]*`+)", _line(text))
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_<>\[\]#])", r"\\\1", part) for part in parts)


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")
