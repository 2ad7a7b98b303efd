"""Every Markdown case of tests/cases/scan: the findings that its comments ask for, and no store besides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from outlive.scan.catalogue import Catalogue, Finding
from outlive.scan.engine import scan
from outlive.scan.rank import ranked
from tests.unit.scan.markdown_cases import FLAGS, Case, Expected, cases

FOLDER = Path(__file__).resolve().parents[2] / "cases" / "scan"
CASES = tuple(cases(FOLDER))
ENOUGH = 150


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case, tmp_path: Path) -> None:
    """The scan reports what the case's comments name, no further store, and what it could not read."""
    case.write(tmp_path)
    catalogue = scan([tmp_path])
    if any("priority" in each.values for each in case.expected):
        catalogue = ranked(catalogue)
    wrong = list(_differences(case, catalogue))
    assert not wrong, f"\n{case.name}\n" + "\n".join(wrong) + "\n\nall findings:\n" + _listing(catalogue)


def test_there_are_enough_cases() -> None:
    """At least 150 cases, a third of them without any store to report, each with a name of its own."""
    assert len(CASES) >= ENOUGH
    assert len({case.name for case in CASES}) == len(CASES)
    silent = [case for case in CASES if not any(each.cls == "store" and each.needed for each in case.expected)]
    assert 3 * len(silent) >= len(CASES), f"{len(silent)} of {len(CASES)}"


def _differences(case: Case, catalogue: Catalogue) -> Iterator[str]:
    matched: set[int] = set()
    for expected in case.expected:
        found = [each for each in catalogue.findings if _same_place(each, expected)]
        matched.update(id(each) for each in found if each.cls == expected.cls)
        if not found:
            if expected.needed:
                yield f"missing      {expected.path}:{expected.line}  {expected.cls} {'|'.join(expected.symbols)}"
        elif expected.needed:
            yield from _wrong(found[0], expected)
    for each in catalogue.findings:
        if each.cls == "store" and id(each) not in matched:
            yield f"unexpected   {each.path}:{each.line}  store {each.symbol}  {'; '.join(each.reasons)}"
    for path in case.skipped:
        if path not in {each.path for each in catalogue.skipped}:
            yield f"not skipped  {path}"
    for skipped in catalogue.skipped:
        if skipped.path not in case.skipped:
            yield f"skipped      {skipped.path}:{skipped.line}  {skipped.reason}"


def _same_place(found: Finding, expected: Expected) -> bool:
    symbol = found.symbol.replace('"', "").replace("'", "")
    if found.path != expected.path or symbol not in expected.symbols:
        return False
    return expected.line == 0 or found.line <= expected.line <= max(found.line, found.end_line)


def _wrong(found: Finding, expected: Expected) -> Iterator[str]:
    where = f"{found.path}:{found.line} {found.symbol}"
    if found.cls != expected.cls:
        yield f"class        {where}: {expected.cls} expected, {found.cls} found ({'; '.join(found.reasons)})"
    if expected.container and _closed(expected.container) not in _forms(found.container):
        yield f"container    {where}: {expected.container} expected, {found.container} found"
    for flag in expected.flags:
        name = flag.removeprefix("not:")
        assert name in FLAGS, f"no such flag: {flag}"
        if _flag(found, name) is flag.startswith("not:"):
            yield f"flag         {where}: {flag} expected"
    for name, value in expected.values.items():
        if not _agrees(found, name, value):
            yield f"value        {where}: {name}={value} expected, {_shown(found, name)!r} found"


def _flag(found: Finding, name: str) -> bool:
    if name == "unbounded":
        return found.bounded is None
    if name == "written":
        return bool(found.writers)
    return bool(getattr(found, name))


def _forms(container: str) -> set[str]:
    text = _closed(container)
    return {text, text.split("[")[0]}


def _closed(container: str) -> str:
    return container.replace(", ", ",").replace(" ", "-")


def _shown(found: Finding, name: str) -> object:
    """What a finding says under `name`, in the form that cases compare."""
    if name == "entry":
        return [entry.name for site in found.writers for entry in site.entries]
    if name == "reader":
        return [entry.name for site in found.readers for entry in site.entries]
    if name == "kind":
        return [entry.kind for site in found.writers for entry in site.entries]
    if name in {"filters", "sorts"}:
        return [use.field for use in getattr(found, name)]
    if name == "how":
        return [site.how for site in found.writers]
    if name == "fields":
        return [each.name for each in found.fields]
    if name == "also":
        return [place.path for place in found.duplicates]
    return getattr(found, name)


def _agrees(found: Finding, name: str, value: str) -> bool:
    shown = _shown(found, name)
    if isinstance(shown, list | tuple):
        if name == "reasons":
            return any(value in each for each in shown)
        return {*value.split(",")} <= {*shown}
    if name == "bounded":
        return value in str(shown)
    return _closed(str(shown)) == _closed(value)


def _listing(catalogue: Catalogue) -> str:
    lines = [
        f"  {each.path}:{each.line}  {each.cls:16} {each.symbol}  {each.container}  {'; '.join(each.reasons)}"
        for each in catalogue.findings
    ]
    return "\n".join(lines) or "  none"
