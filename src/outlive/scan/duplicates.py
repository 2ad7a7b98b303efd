"""One code base copied into two services: its stores are reported once, with both places."""

from __future__ import annotations

from dataclasses import replace

from outlive.scan.catalogue import Finding, Place
from outlive.scan.summary import Summary

ALIKE = 0.8
FEWEST_SCOPES = 4


def merged(findings: list[Finding], files: dict[str, Summary]) -> list[Finding]:
    """The findings with copies of a store folded into the first one by path."""
    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    result: list[Finding] = []
    for each in sorted(findings, key=lambda one: (one.path, one.line)):
        if each.cls != "store":
            result.append(each)
            continue
        key = (
            each.path.rsplit("/", 1)[-1],
            each.symbol,
            each.container,
            ",".join(sorted(one.name for one in each.fields)),
        )
        groups.setdefault(key, []).append(each)
    for group in groups.values():
        result.extend(_folded(group, files))
    return result


def _folded(group: list[Finding], files: dict[str, Summary]) -> list[Finding]:
    kept: list[Finding] = []
    for each in group:
        for at, first in enumerate(kept):
            if first.service != each.service and _alike(files[first.path], files[each.path]):
                place = Place(each.path, each.line, each.symbol, each.service)
                kept[at] = replace(first, duplicates=(*first.duplicates, place))
                break
        else:
            kept.append(each)
    return kept


def _alike(one: Summary, other: Summary) -> bool:
    first, second = set(one.scopes), set(other.scopes)
    both = first & second
    return len(both) > FEWEST_SCOPES and len(both) >= ALIKE * max(len(first), len(second))
