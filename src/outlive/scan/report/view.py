"""What several reports show: stores by service, in order of migration, with their tables, hours and state."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from outlive.scan.catalogue import Catalogue, Finding
from outlive.scan.config import PRIORITIES, ScanConfig
from outlive.scan.effort import days
from outlive.scan.propose import Proposal, proposals

PHASES = {1: "Critical services", 2: "High priority", 3: "Medium priority", 4: "Low priority and leftovers"}
DAYS_A_WEEK = 5
_PARTLY = re.compile(r"\bpart(?:ly|ially) migrated|\bORM model\b|\blegacy\b", re.IGNORECASE)


@dataclass(frozen=True)
class Service:
    """One deployable folder: its stores, the gravest first, and the leftovers of migrations that are done."""

    name: str
    stores: tuple[Finding, ...]
    leftovers: tuple[Finding, ...]
    config: ScanConfig

    @property
    def all(self) -> tuple[Finding, ...]:
        """Stores, then leftovers."""
        return (*self.stores, *self.leftovers)

    @property
    def priority(self) -> str:
        """The gravest priority among its stores; low with leftovers only."""
        return min((each.priority for each in self.stores), key=PRIORITIES.index, default="low")

    @property
    def phase(self) -> int:
        """In which phase of the migration it comes, 1 to 4."""
        return min((each.phase for each in self.stores), default=len(PRIORITIES))

    @property
    def hours(self) -> float:
        """The sum of the estimates."""
        return round(sum(each.effort_hours for each in self.all), 1)

    @property
    def time(self) -> str:
        """The estimate in days and hours: `3.5 days (21.4 h)`."""
        return f"{days(self.hours, self.config)} ({self.hours:.1f} h)"

    @cached_property
    def proposals(self) -> dict[Finding, Proposal]:
        """The table of each store."""
        return proposals(self.stores)


def services(catalogue: Catalogue, config: ScanConfig) -> list[Service]:
    """Every service with a store or a leftover, in order of migration: by phase, the most critical stores first."""
    names = sorted({each.service for each in catalogue.findings if each.cls in {"store", "leftover"}})
    found = [_service(name, catalogue.findings, config) for name in names]
    return sorted(
        found, key=lambda each: (each.phase, -sum(one.priority == "critical" for one in each.stores), each.name)
    )


def _service(name: str, findings: Iterable[Finding], config: ScanConfig) -> Service:
    own = [each for each in findings if each.service == name]
    stores = sorted((each for each in own if each.cls == "store"), key=lambda each: PRIORITIES.index(each.priority))
    return Service(name, tuple(stores), tuple(each for each in own if each.cls == "leftover"), config)


def shown(name: str) -> str:
    """A service's name, or a word for code outside of any."""
    return name if name not in {"", "."} else "(root)"


def state(finding: Finding) -> str:
    """`already done` for a leftover, `partly migrated` where a model of the same records exists, else `to do`."""
    if finding.cls == "leftover":
        return "already done"
    told = " ".join((finding.comment, finding.declaration, *finding.reasons))
    return "partly migrated" if _PARTLY.search(told) else "to do"


def lines(finding: Finding) -> str:
    """`214`, or `41-90` where the finding spans lines."""
    return f"{finding.line}-{finding.end_line}" if finding.end_line > finding.line else str(finding.line)


def doors(finding: Finding, writing: bool) -> list[str]:
    """Names of the doors that reach the store, each once: `POST /tasks`."""
    sites = finding.writers if writing else finding.readers
    entries = (entry for site in sites for entry in (*site.entries, *([site.entry] if site.entry else [])))
    return list(dict.fromkeys(entry.name for entry in entries))


def counted(findings: Iterable[Finding]) -> dict[str, int]:
    """How many stores have each priority, all four named."""
    priorities = [each.priority for each in findings if each.cls == "store"]
    return {name: priorities.count(name) for name in PRIORITIES}


def others(catalogue: Catalogue) -> dict[str, int]:
    """How many findings of each class are no store, the most frequent first."""
    classes = [each.cls for each in catalogue.findings if each.cls != "store"]
    return {name: classes.count(name) for name in sorted(set(classes), key=lambda each: (-classes.count(each), each))}


def schedule(found: list[Service]) -> list[tuple[int, list[Service], str]]:
    """(phase, its services, `week 1-2`) for each phase that has any; one pair of hands, DAYS_A_WEEK."""
    planned, before = [], 0.0
    for phase in sorted({each.phase for each in found}):
        own = [each for each in found if each.phase == phase]
        first = int(before / _week(own)) + 1
        before += sum(each.hours for each in own)
        last = max(first, -int(-before // _week(own)))
        planned.append((phase, own, f"week {first}" if last == first else f"week {first}-{last}"))
    return planned


def _week(found: list[Service]) -> float:
    return found[0].config.hours_per_day * DAYS_A_WEEK
