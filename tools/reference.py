"""Writes docs/reference/errors.md and cli.md from the code; `--check` only says whether they are current."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from outlive import errors
from outlive.cli import app as application

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by tools/reference.py from the code; edit there. -->"


def error_classes() -> list[type[errors.OutliveError]]:
    """Every error in order of definition, the base first."""
    found = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.OutliveError)]
    return [kind for kind in found if kind.__module__ == errors.__name__]


def errors_page() -> str:
    """The page of all errors."""
    return "\n".join(["# Errors", "", NOTE, "", *_tree(), *(line for kind in error_classes() for line in _error(kind))])


def _tree() -> list[str]:
    title, tree, rest = (errors.__doc__ or "").strip().split("\n\n", 2)
    return [title, "", "```", inspect.cleandoc(tree), "```", "", rest.strip(), ""]


def _error(kind: type[errors.OutliveError]) -> list[str]:
    names = ", ".join(f"`{field.name}`" for field in dataclasses.fields(kind)) or "none"
    return [
        f"## {kind.__name__}",
        "",
        inspect.getdoc(kind) or "",
        "",
        f"* says: `{kind.message}`",
        f"* fields: {names}",
        f"* next: `{kind.hint}`",
        f"* exit code: {kind.exit_code}",
        "",
    ]


def commands() -> Iterator[tuple[str, Any]]:
    """(words after `outlive`, command) for every command, groups walked."""

    def walk(words: str, command: Any) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield words, command
        else:
            for name in sorted(inner):
                yield from walk(f"{words} {name}".strip(), inner[name])

    yield from walk("", typer.main.get_command(application.app))


def cli_page() -> str:
    """The page of all commands."""
    lines = [
        "# Commands",
        "",
        NOTE,
        "",
        "A store is named `STORE`, or `SERVICE/STORE` where two services have one of that name.",
        "Tables are drawn on a terminal and plain elsewhere; `--json` prints the same facts for programs.",
        "",
        "| exit code | means |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | an error, named with its next command |",
        "| 2 | wrong usage |",
        "| 3 | refused: a gate is closed, the change is not possible now, or `check` found a new store |",
        "| 4 | PostgreSQL does not answer |",
        "",
    ]
    return "\n".join([*lines, *(line for words, command in commands() for line in _command(words, command))])


def _command(words: str, command: Any) -> list[str]:
    shown = [param for param in command.params if not getattr(param, "hidden", False)]
    usage = " ".join(["outlive", words, *(_metavar(param) for param in shown if param.param_type_name == "argument")])
    rows = [f"| `{_spelling(param)}` | {param.help or ''} |" for param in shown]
    table = ["", "| argument or option | meaning |", "|---|---|", *rows] if rows else []
    return [f"## outlive {words}", "", inspect.cleandoc(command.help or ""), "", f"    {usage}", *table, ""]


def _metavar(param: Any) -> str:
    return str(param.metavar or param.name.upper()).replace("|", "/")


def _spelling(param: Any) -> str:
    if param.param_type_name == "argument":
        return _metavar(param)
    names = " / ".join([*param.opts, *param.secondary_opts])
    return names if param.is_flag else f"{names} {param.metavar or param.name.upper()}"


PAGES = {"errors.md": errors_page, "cli.md": cli_page}


def stale() -> list[str]:
    """Names of the pages that differ from the code."""
    return [name for name, page in PAGES.items() if _read(REFERENCE / name) != _finished(page())]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _finished(page: str) -> str:
    return page.rstrip() + "\n"


def main() -> int:
    """Exit status 1 when `--check` found a stale page."""
    if "--check" in sys.argv[1:]:
        for name in (names := stale()):
            print(f"docs/reference/{name} is not current: .venv/bin/python tools/reference.py")
        return bool(names)
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(_finished(page()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
