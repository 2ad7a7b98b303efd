"""Prints, as Markdown, the lines of each service's persistence layer beside what the requirements' own version took.

`--write` puts that into docs/services.md. Lines are counted as `wc -l` does, comments and blank lines included;
`before/`, the first version, is not counted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "services"
PAGE = ROOT.parent / "docs" / "services.md"
LIMIT = 400
COLUMNS = (
    "service", "models", "stores and queries", "session", "migrations", "together", "it replaced", "reports",
    "records", "routes and the rest",
)  # fmt: skip
MODELS = ("models.py", "tables.py")
QUERIES = ("stores.py", "ledger.py", "application.py")
SESSION = ("database.py", "alone.py")
REPORTS = ("reports.py", "stats.py", "summary.py", "epidemics.py", "outbreaks.py")
RECORDS = ("records.py",)
# The requirements' own counts, as they stand there; the other documents give none.
REPLACED = {
    "equipment": (398, 93, 393, 47, 85, 24, 266),  # requirement 3
    "tasks": (370, 520, 290),  # requirement 4: models, repository, session; it had no migrations
}


@dataclass(frozen=True)
class Row:
    """Lines of one service by what they are for; `replaced` is None where no document says."""

    name: str
    models: int
    queries: int
    session: int
    migrations: int
    replaced: int | None
    reports: int
    records: int
    rest: int

    @property
    def together(self) -> int:
        """The persistence layer: models, stores and queries, session, migrations."""
        return self.models + self.queries + self.session + self.migrations

    def cells(self) -> tuple[str, ...]:
        """The row's text by column."""
        figures = (self.models, self.queries, self.session, self.migrations, self.together)
        apart = (self.reports, self.records, self.rest)
        replaced = "" if self.replaced is None else f"{self.replaced:,}"
        return (self.name, *map(str, figures), replaced, *map(str, apart))


def folders() -> list[Path]:
    """Every folder of a service or of what services share: those that hold Python files, one or two levels down."""
    return sorted(each.parent for pattern in ("*", "farm/*") for each in ROOT.glob(f"{pattern}/__init__.py"))


def count(folder: Path) -> Row:
    """The lines of one folder."""
    own = {each for each in folder.rglob("*.py") if not {"before", "demo"} & set(each.relative_to(folder).parts)}
    # A module of `common` that is named `migrations` holds what revisions share.
    moved = {each for each in own if "migrations" in (each.relative_to(folder).parts[0], each.stem)}
    moved |= {*folder.glob("migrations/*.mako"), *folder.glob("alembic.ini")}

    def named(names: Iterable[str]) -> int:
        return lines(folder / name for name in names)

    rest = {each for each in own - moved if each.name not in MODELS + QUERIES + SESSION + REPORTS + RECORDS}
    replaced = sum(REPLACED[folder.name]) if folder.name in REPLACED else None
    return Row(
        folder.name, named(MODELS), named(QUERIES), named(SESSION), lines(moved), replaced, named(REPORTS),
        named(RECORDS), lines(rest),
    )  # fmt: skip


def lines(files: Iterable[Path]) -> int:
    """Lines of those of the files that are there."""
    return sum(each.read_text(encoding="utf-8").count("\n") for each in files if each.is_file())


def rows() -> list[Row]:
    """One row a folder; `farm` itself, which only holds folders, has none."""
    return [count(each) for each in folders() if each.name != "farm"]


def table() -> Iterator[str]:
    """The table's lines."""
    yield "| " + " | ".join(COLUMNS) + " |"
    yield "|---|" + "---:|" * (len(COLUMNS) - 1)
    for row in rows():
        yield "| " + " | ".join(row.cells()) + " |"


def verdict() -> Iterator[str]:
    """Who stays under the limit, who does not, and tasks beside all that requirement 4's repository did."""
    found = rows()
    over = [row for row in found if row.together >= LIMIT]
    named = "; over it: " + ", ".join(f"{row.name} ({row.together})" for row in over) if over else ""
    yield f"{len(found) - len(over)} of {len(found)} folders are under {LIMIT} lines{named}."
    tasks = next(row for row in found if row.name == "tasks")
    wider = tasks.together + tasks.reports + lines([ROOT / "farm" / "tasks" / "work.py"])
    yield f"tasks with its reports and its history (work.py): {wider}, where requirement 4 has {tasks.replaced:,}."


def printed() -> str:
    """All that is printed."""
    return "\n".join([*table(), "", *verdict()])


def main() -> None:
    """Prints; with `--write`, into the page."""
    if sys.argv[1:] == ["--write"]:
        text = PAGE.read_text(encoding="utf-8")
        before, opening, rest = text.partition("<!-- lines -->\n")
        _, closing, after = rest.partition("\n<!-- /lines -->")
        PAGE.write_text(before + opening + printed() + closing + after, encoding="utf-8")
    else:
        print(printed())


if __name__ == "__main__":
    main()
