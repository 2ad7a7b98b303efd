"""Hours that moving a store takes: a declared sum over call sites, fields and risks, printed with its terms.

    hours = store + call_site x call sites + field x fields + one amount for each risk that the code shows

A leftover costs only its removal. The constants are HOURS; `[scan.effort]` in outlive.toml sets them to a team's own.
They are a starting point that a team corrects by its first migration, not a measurement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import ceil

from outlive.scan.catalogue import Finding
from outlive.scan.config import ScanConfig
from outlive.scan.shapes import Shape

_FILE = re.compile(r"\bfile\b")
Terms = tuple[tuple[str, float], ...]

HOURS: dict[str, float] = {
    "store": 2.0,
    "call_site": 0.2,
    "field": 0.1,
    "changed_in_place": 0.5,
    "rebound": 1.0,
    "iterated_while_mutated": 1.0,
    "nested": 2.0,
    "shape_unknown": 2.0,
    "ids_drawn": 1.0,
    "tenant": 0.5,
    "money": 1.0,
    "personal": 1.0,
    "places": 3.0,
    "bounded": 0.5,
    "file": 1.5,
    "several_modules": 1.0,
    "removal": 0.5,
}
_SAID = {
    "changed_in_place": "records are changed in place",
    "rebound": "the whole container is rebound",
    "iterated_while_mutated": "iterated while it is changed",
    "nested": "containers inside containers",
    "shape_unknown": "the shape of its records is not declared",
    "ids_drawn": "ids are drawn from memory",
    "tenant": "rows belong to tenants",
    "money": "amounts must stay exact",
    "personal": "personal data",
    "places": "places need spatial columns",
    "bounded": "old records are dropped; say what replaces that",
    "file": "a file's content must be taken over",
    "several_modules": "used from several modules",
}


def estimate(finding: Finding, config: ScanConfig) -> tuple[float, Terms]:
    """Hours for one finding, and the terms whose sum they are; nothing for what is neither store nor leftover."""
    hours = {**HOURS, **config.effort}
    if finding.cls == "leftover":
        terms: Terms = (("remove what is no longer used", hours["removal"]),)
    elif finding.cls == "store":
        terms = tuple(_terms(finding, hours))
    else:
        terms = ()
    return round(sum(amount for _, amount in terms), 1), terms


def formula(hours: float, terms: Terms) -> str:
    """The estimate as one line: `6.4 h = 2.0 store + 2.4 call sites (12 x 0.2) + ...`."""
    return f"{hours:.1f} h = " + " + ".join(f"{amount:.1f} {name}" for name, amount in terms) if terms else "0.0 h"


def days(hours: float, config: ScanConfig) -> str:
    """Hours as working days, rounded up to halves: `0.5 days`, `1 day`, `3 days`."""
    count = ceil(2 * hours / config.hours_per_day) / 2
    return f"{count:g} day" if count == 1 else f"{count:g} days"


def _terms(finding: Finding, hours: dict[str, float]) -> Iterator[tuple[str, float]]:
    sites = len({(site.path, site.line) for site in (*finding.readers, *finding.writers)})
    yield "store", hours["store"]
    if sites:
        yield f"call sites ({sites} × {hours['call_site']:g})", sites * hours["call_site"]
    if finding.fields:
        yield f"fields ({len(finding.fields)} × {hours['field']:g})", len(finding.fields) * hours["field"]
    for name, holds in RISKS.items():
        if holds(finding):
            yield _SAID[name], hours[name]


def is_file(finding: Finding) -> bool:
    """Whether the store is a file that the code rewrites, which outlives a restart."""
    return bool(_FILE.search(finding.container)) or finding.container in {"shelve", "dbm", "pickle"}


def is_nested(finding: Finding) -> bool:
    """Whether containers are held in containers: `dict[str, list[Task]]`."""
    return Shape.of(finding.container).holds_containers()


def _modules(finding: Finding) -> int:
    return len({site.path for site in (*finding.readers, *finding.writers)} | {finding.path})


RISKS: dict[str, Callable[[Finding], bool]] = {
    "changed_in_place": lambda finding: finding.in_place,
    "rebound": lambda finding: finding.rebound and not finding.counter,
    "iterated_while_mutated": lambda finding: finding.iterated_while_mutated,
    "nested": is_nested,
    "shape_unknown": lambda finding: not finding.fields and not finding.record and not finding.counter,
    "ids_drawn": lambda finding: finding.counter,
    "tenant": lambda finding: finding.tenant is not None,
    "money": lambda finding: bool(finding.money),
    "personal": lambda finding: bool(finding.personal),
    "places": lambda finding: bool(finding.places),
    "bounded": lambda finding: finding.bounded is not None,
    "file": is_file,
    "several_modules": lambda finding: _modules(finding) > 1,
}
