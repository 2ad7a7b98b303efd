"""What a scan found: plain frozen values that every report, guard and generator reads.

    Catalogue ── findings ── Finding ── fields ── FieldInfo
        │                       ├────── readers, writers ── Site ── Entry
        │                       └────── duplicates ── Place
        └─────── skipped ─── Skipped

Paths are relative to the catalogue's root, with `/`; lines count from 1. The engine fills everything except the last
group of `Finding` (priority and what follows), which the ranking fills by `dataclasses.replace`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

CLASSES = (
    "store",
    "cache",
    "connection-state",
    "registry",
    "constant",
    "metrics",
    "leftover",
    "test-double",
    "other",
)
ENTRY_KINDS = ("http", "task", "message", "bot", "schedule", "thread", "websocket", "startup", "cli")


@dataclass(frozen=True, slots=True)
class Entry:
    """A door through which the outside world, or time, runs code: a route, a bot command, a timer, a thread.

    `kind` is one of ENTRY_KINDS; `name` reads like `POST /tasks`, `!remind`, `every 5 minutes`.
    """

    kind: str
    framework: str
    name: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Site:
    """One place that reads or writes a store.

    `how` is the operation: `set item`, `delete item`, `append`, `update`, `rebind`, `get`, `iterate`, `change record`.
    `entry` is the nearest door that reaches the function, None when only import-time code does; `entries` are all of
    them. `function` is the qualified name, `` at module level.
    """

    path: str
    line: int
    function: str
    how: str
    entry: Entry | None = None
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One field of the record that a store holds; `source` is `path:line` of its declaration.

    `annotation` is text as written, or inferred from inserted values; empty when unknown. `default` is source text.
    """

    name: str
    annotation: str = ""
    optional: bool = False
    default: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """A field that the code filters or sorts a store by, with the operator (`==`, `<=`, `in`, `asc`, `desc`)."""

    field: str
    operator: str
    path: str = ""
    line: int = 0
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the same store stands a second time."""

    path: str
    line: int
    symbol: str
    service: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One container, file or variable whose content dies with the process, or that lives outside a database.

    `symbol` is `name`, `Class.attribute`, `function.<name>` for closures, `app.state.name`, or a file's path.
    `cls` is one of CLASSES, `reasons` say why. `rule` is the name of the pattern that found it. `container` is the
    shape as text (`dict[str, list[Task]]`, `int`, `json file`), `key` the key type and `record` the type of what is
    held, both empty when unknown. `bounded` says how (`older records are dropped at 1000`), None when it may grow
    without end. `tenant` is the tenant field's name; `money`, `personal`, `places`, `time_fields` name fields.
    """

    path: str
    line: int
    end_line: int
    symbol: str
    cls: str
    container: str
    rule: str = ""
    key: str = ""
    record: str = ""
    fields: tuple[FieldInfo, ...] = ()
    service: str = ""
    reasons: tuple[str, ...] = ()
    declaration: str = ""
    readers: tuple[Site, ...] = ()
    writers: tuple[Site, ...] = ()
    filters: tuple[Use, ...] = ()
    sorts: tuple[Use, ...] = ()
    bounded: str | None = None
    in_place: bool = False
    rebound: bool = False
    iterated_while_mutated: bool = False
    counter: bool = False
    tenant: str | None = None
    money: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    time_fields: tuple[str, ...] = ()
    duplicates: tuple[Place, ...] = ()
    comment: str = ""
    # Filled by the ranking.
    priority: str = ""
    priority_reasons: tuple[str, ...] = ()
    impact: tuple[str, ...] = ()
    effort_hours: float = 0.0
    effort_terms: tuple[tuple[str, float], ...] = ()
    phase: int = 0

    @property
    def name(self) -> str:
        """The last part of the symbol: `tasks` of `TaskService.tasks`."""
        return self.symbol.rsplit(".", 1)[-1]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that could not be read as Python 3, and why; `line` where the reader stopped, None when it never began."""

    path: str
    line: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The result of one scan: findings in order of path and line, what was skipped, files read, seconds taken."""

    root: Path
    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    files: int = 0
    seconds: float = 0.0
    services: tuple[str, ...] = field(default=())

    def stores(self) -> tuple[Finding, ...]:
        """The findings that count: class `store`."""
        return tuple(each for each in self.findings if each.cls == "store")
