"""The settings of a scan, from the table `scan` of the nearest `outlive.toml`.

[scan]
exclude = ["vendor/**"]           globs over paths relative to the scanned root; those files are not read
hours_per_day = 6                 working hours that an estimate counts as one day

[[scan.override]]                 the first that matches a finding decides
path = "apps/iot/**"              globs; each matches everything when it is left out
symbol = "REGISTRY"
service = "iot-*"
class = "cache"                   one of the classes, and/or
priority = "low"                  critical, high, medium, low
reason = "rebuilt from the broker at start"      printed with the finding; must be given

[scan.words]                      words that mean something to the ranking, added to its own
money = ["tariff"]

[scan.points]                     what a reason of the ranking counts
money = 60

[scan.effort]                     hours that a term of the estimate counts
store = 3
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from outlive.errors import BadConfig
from outlive.scan.catalogue import CLASSES, Finding
from outlive.scan.signals import SIGNALS, WORDS

FILE = "outlive.toml"
PRIORITIES = ("critical", "high", "medium", "low")
_KNOWN = {"exclude", "hours_per_day", "override", "words", "points", "effort"}


@dataclass(frozen=True, slots=True)
class Override:
    """What a team knows better: the class or priority of the findings that match all three globs."""

    reason: str
    path: str = "*"
    symbol: str = "*"
    service: str = "*"
    cls: str = ""
    priority: str = ""

    def matches(self, finding: Finding) -> bool:
        """Whether path, symbol and service all fit; `*` crosses `/`."""
        return (
            fnmatchcase(finding.path, self.path)
            and (fnmatchcase(finding.symbol, self.symbol) or fnmatchcase(finding.name, self.symbol))
            and fnmatchcase(finding.service, self.service)
        )


@dataclass(frozen=True, slots=True)
class ScanConfig:
    """The settings of one scan; `source` is the file that they came from, None without one."""

    exclude: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    points: Mapping[str, int] = field(default_factory=dict)
    effort: Mapping[str, float] = field(default_factory=dict)
    hours_per_day: float = 6.0
    source: Path | None = None

    def override(self, finding: Finding) -> Override | None:
        """The first override that matches, or None."""
        return next((each for each in self.overrides if each.matches(finding)), None)

    def excludes(self, path: str) -> bool:
        """Whether the file at `path` (relative to the scanned root) is not to be read."""
        return any(fnmatchcase(path, glob) for glob in self.exclude)


def find(start: Path) -> Path | None:
    """The `outlive.toml` of `start` or of the nearest folder above it, not beyond a repository's root."""
    folder = start.resolve()
    folder = folder if folder.is_dir() else folder.parent
    for each in (folder, *folder.parents):
        if (each / FILE).is_file():
            return each / FILE
        if (each / ".git").exists():
            return None
    return None


def load(start: Path) -> ScanConfig:
    """The settings for a scan of `start`; the defaults where no file is found. Raises BadConfig."""
    path = find(start)
    if path is None:
        return ScanConfig()
    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failure:
        raise BadConfig(path=str(path), reason=str(failure)) from failure
    return _Reader(path).config(whole.get("scan", {}))


@dataclass(frozen=True)
class _Reader:
    """Checks every value of one file; a key that nobody reads is an error, not a silent wish."""

    path: Path

    def config(self, table: Any) -> ScanConfig:
        self._table("scan", table, _KNOWN)
        return ScanConfig(
            exclude=self._texts("scan.exclude", table.get("exclude", [])),
            overrides=tuple(self._override(at, each) for at, each in enumerate(self._rows(table.get("override", [])))),
            words={name: self._texts(f"scan.words.{name}", each) for name, each in self._items(table, "words")},
            points={
                name: int(self._number(f"scan.points.{name}", each)) for name, each in self._items(table, "points")
            },
            effort={name: self._number(f"scan.effort.{name}", each) for name, each in self._items(table, "effort")},
            hours_per_day=self._positive("scan.hours_per_day", table.get("hours_per_day", 6)),
            source=self.path,
        )

    def _override(self, at: int, row: Any) -> Override:
        name = f"scan.override[{at}]"
        self._table(name, row, {"path", "symbol", "service", "class", "priority", "reason"})
        values = {key: self._text(f"{name}.{key}", value) for key, value in row.items()}
        if not values.get("reason", "").strip():
            self._fail(f"{name}.reason", "say why")
        cls, priority = values.pop("class", ""), values.pop("priority", "")
        if not cls and not priority:
            self._fail(name, "needs a class or a priority")
        self._choice(f"{name}.class", cls, CLASSES)
        self._choice(f"{name}.priority", priority, PRIORITIES)
        return Override(cls=cls, priority=priority, **values)

    def _items(self, table: Mapping[str, Any], name: str) -> Iterable[tuple[str, Any]]:
        from outlive.scan.effort import HOURS

        known = {"words": set(WORDS), "points": set(SIGNALS), "effort": set(HOURS)}[name]
        inner = table.get(name, {})
        self._table(f"scan.{name}", inner, known)
        return dict(inner).items()

    def _table(self, name: str, value: Any, known: Iterable[str]) -> None:
        if not isinstance(value, dict):
            self._fail(name, "must be a table")
        for key in sorted(set(value) - set(known)):
            self._fail(f"{name}.{key}", f"is not known; known are {', '.join(sorted(known))}")

    def _rows(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            self._fail("scan.override", "is written [[scan.override]]")
        return list(value)

    def _texts(self, name: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            self._fail(name, "must be a list of texts")
        return tuple(self._text(name, each) for each in value)

    def _text(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            self._fail(name, "must be a text")
        return str(value)

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._fail(name, "must be a number")
        return float(value)

    def _positive(self, name: str, value: Any) -> float:
        if self._number(name, value) <= 0:
            self._fail(name, "must be above 0")
        return float(value)

    def _choice(self, name: str, value: str, known: tuple[str, ...]) -> None:
        if value and value not in known:
            self._fail(name, f"{value!r} is none of {', '.join(known)}")

    def _fail(self, name: str, reason: str) -> None:
        raise BadConfig(path=str(self.path), reason=f"{name}: {reason}")
