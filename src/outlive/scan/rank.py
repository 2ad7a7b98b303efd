"""What each finding matters: points with their reasons, a priority from their sum, impact in sentences, a phase.

Points begin with who writes the store (requests, timers, start-up) and go up and down with what its names and fields
say it holds. critical from 90, high from 50, medium from 25, low below. Classes other than `store` are low.
`[scan.words]`, `[scan.points]` and `[[scan.override]]` in outlive.toml correct all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from outlive.scan.catalogue import Catalogue, Finding
from outlive.scan.config import PRIORITIES, ScanConfig
from outlive.scan.effort import estimate, is_file
from outlive.scan.shapes import SEQUENCES, Shape
from outlive.scan.signals import FIELD_SIGNALS, SIGNALS, WORDS
from outlive.scan.words import held, stems, words

LIMITS = (("critical", 90), ("high", 50), ("medium", 25))


_GENERATORS = {"generate", "compute", "render", "build", "calculate", "predict", "make"}
_SERVING = {"http", "websocket", "bot", "message"}


@dataclass(frozen=True, slots=True)
class Reason:
    """One signal that a finding shows, with the names that show it."""

    signal: str
    points: int
    shown_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = f": {', '.join(self.shown_by[:4])}{', …' if len(self.shown_by) > 4 else ''}" if self.shown_by else ""
        return f"{SIGNALS[self.signal].said}{names} ({self.points:+d})"


def ranked(catalogue: Catalogue, config: ScanConfig | None = None) -> Catalogue:
    """The same catalogue with class overrides applied, and priority, impact, effort and phase filled in."""
    config = config or ScanConfig()
    findings = [rank(finding, config) for finding in catalogue.findings]
    return replace(catalogue, findings=tuple(_phased(findings)))


def rank(finding: Finding, config: ScanConfig) -> Finding:
    """One finding with everything but its phase, which depends on the other stores of its service."""
    override = config.override(finding)
    if override and override.cls:
        said = f"outlive.toml says {override.cls}: {override.reason}"
        others = tuple(each for each in finding.reasons if each != override.reason)
        finding = replace(finding, cls=override.cls, reasons=(said, *others))
    reasons = list(weigh(finding, config)) if finding.cls == "store" else []
    points = sum(reason.points for reason in reasons)
    priority = level_of(points) if reasons else "low"
    told = tuple(str(reason) for reason in reasons)
    told += (f"{points} points: {priority}",) if reasons else (f"a {finding.cls}, so its loss is accepted",)
    if override and override.priority:
        priority, told = override.priority, (f"outlive.toml says {override.priority}: {override.reason}", *told)
    hours, terms = estimate(finding, config)
    return replace(
        finding,
        priority=priority,
        priority_reasons=told,
        impact=tuple(impact(finding, reasons, priority)),
        effort_hours=hours,
        effort_terms=terms,
    )


def level_of(points: int) -> str:
    """The priority that `points` mean."""
    return next((name for name, least in LIMITS if points >= least), "low")


def weigh(finding: Finding, config: ScanConfig) -> Iterator[Reason]:
    """The signals that a store shows, the one about its writers first."""
    for name, shown_by in _shown(finding, config):
        yield Reason(name, config.points.get(name, SIGNALS[name].points), tuple(shown_by))


def _shown(finding: Finding, config: ScanConfig) -> Iterator[tuple[str, list[str]]]:
    yield _writers(finding)
    # the owning class speaks only where the container's own name says nothing: `_history` of a DiagnosisService
    what = held(finding.symbol, finding.record)
    about = stems((finding.name, finding.record.rpartition(".")[2], *what))
    seen = {"money": finding.money, "personal": finding.personal}
    for name in (name for name in SIGNALS if name in WORDS):
        known = WORDS[name] | {word.lower() for word in config.words.get(name, ())}
        if name in FIELD_SIGNALS:
            hits = {*seen[name], *(field.name for field in finding.fields if stems([field.name]) & known)}
        else:
            hits = set(about & known)
        if name == "regenerable" and not hits:
            hits = _generators(finding)
        if hits:
            yield name, sorted(hits)
    yield from _facts(finding)


def _facts(finding: Finding) -> Iterator[tuple[str, list[str]]]:
    """Signals that the code shows by more than names."""
    if finding.tenant:
        yield "tenant", [finding.tenant]
    if finding.bounded:
        yield "bounded", [finding.bounded]
    if finding.counter:
        yield "ids", [finding.name]
    if finding.places:
        yield "places", list(finding.places)
    if is_file(finding):
        yield "file", []


def _writers(finding: Finding) -> tuple[str, list[str]]:
    """Who writes the store: the most public kind of door, with the names of those doors."""
    entries = [entry for site in finding.writers for entry in (*site.entries, *([site.entry] if site.entry else []))]
    for signal, kinds in (
        ("requests", _SERVING),
        ("background", {"task", "schedule", "thread"}),
        ("command", {"cli"}),
    ):
        names = list(dict.fromkeys(entry.name for entry in entries if entry.kind in kinds))
        if names:
            return signal, names
    return "unreached", []


def _generators(finding: Finding) -> set[str]:
    """The functions that write a store, if every one of them generates what it stores; else none."""
    functions = {site.function.rpartition(".")[2] for site in finding.writers}
    return functions if all(set(words(each)[:1]) & _GENERATORS for each in functions) else set()


def impact(finding: Finding, reasons: Iterable[Reason], priority: str) -> Iterator[str]:
    """Sentences `LEVEL: what is lost = what that means`, the gravest first; no level is above the priority."""
    if finding.cls == "leftover":
        yield "LOW: Already migrated to a database (just remove it)"
    if finding.cls != "store":
        return
    reasons = list(reasons)
    what = " ".join(held(finding.symbol, finding.record))
    told = [
        (SIGNALS[each.signal].level, SIGNALS[each.signal].impact) for each in reasons if SIGNALS[each.signal].impact
    ]
    milder = any(SIGNALS[each.signal].points < 0 for each in reasons)
    if not milder and not any(level in {"critical", "high", "medium"} for level, _ in told):
        told.append(("high", "Lost {what} = what users entered is gone after a restart"))
    told += _always(finding)
    found = [(_capped(level, priority), text) for level, text in told]
    for level, text in sorted(found, key=lambda each: PRIORITIES.index(each[0])):
        yield f"{level.upper()}: {text.format(what=what, What=what.capitalize())}"


def _always(finding: Finding) -> Iterator[tuple[str, str]]:
    if finding.bounded:
        dropped = finding.bounded.replace("{", "{{").replace("}", "}}")
        yield "critical", f"Bounded ({dropped}) = data is lost in busy times even without a restart"
    if not is_file(finding):
        yield "high", "Every process has its own copy = the service cannot run in a second pod or worker"
    if finding.time_fields and (finding.bounded or Shape.of(finding.container).head in SEQUENCES):
        yield "medium", "No queries over time = {what} cannot be compared between days or seasons"


def _capped(level: str, priority: str) -> str:
    return max(level, priority, key=PRIORITIES.index)


def _phased(findings: list[Finding]) -> Iterator[Finding]:
    """Findings with a phase by the gravest store of their service: 1 critical to 4 low; leftovers 4, the rest 0."""
    best: dict[str, int] = {}
    for finding in findings:
        if finding.cls == "store":
            at = PRIORITIES.index(finding.priority)
            best[finding.service] = min(best.get(finding.service, at), at)
    for finding in findings:
        if finding.cls == "store":
            yield replace(finding, phase=best[finding.service] + 1)
        else:
            yield replace(finding, phase=len(PRIORITIES) if finding.cls == "leftover" else 0)
