"""The reference pages say what the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from outlive.phases.figures import Limits
from outlive.phases.gates import GATES
from outlive.phases.machine import MOVES
from tools import reference

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"(?:OUTLIVE|DATABASE|POSTGRES|FF|SQL|LOG|HOME_BUDGET|SEED_DEMO|USE_DATABASE)(?:_[A-Z0-9]+)*")


def page(name: str) -> str:
    """The text of a reference page."""
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


def settings_in_code() -> Iterator[str]:
    """Names of environment variables that stand as whole strings in src and services."""
    for folder in ("src", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and VARIABLE.fullmatch(node.value):
                    yield node.value
    yield from (f"OUTLIVE_GATE_{limit.name.upper()}" for limit in fields(Limits))


def test_generated_pages_are_current() -> None:
    """errors.md and cli.md are what tools/reference.py writes, so every error and command has its entry."""
    assert reference.stale() == [], "run: .venv/bin/python tools/reference.py"


def test_every_command_says_what_it_does() -> None:
    """No command is without help, and no option without a meaning."""
    for words, command in reference.commands():
        assert command.help, words
        assert [param.name for param in command.params if not getattr(param, "help", None)] == [], words


def test_every_setting_has_its_entry() -> None:
    """Each environment variable that the code reads stands in settings.md."""
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]+)", page("settings.md")))
    assert set(settings_in_code()) - documented - {"USE_DATABASE_STORAGE", "DUAL_WRITE_ENABLED"} == set()


def test_every_documented_setting_exists() -> None:
    """settings.md names no outlive or database variable that the code does not read."""
    documented = set(re.findall(r"`((?:OUTLIVE|DATABASE|POSTGRES)_[A-Z0-9_]+)`", page("settings.md")))
    assert documented - set(settings_in_code()) == set()


def test_the_example_file_names_documented_settings() -> None:
    """Each variable in .env.example stands in settings.md."""
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    assert {name for name in named if f"`{name}`" not in page("settings.md")} == set()


def test_every_gate_and_move_has_its_entry() -> None:
    """phases.md names every gate and every legal move of the machine."""
    text = page("phases.md")
    assert [name for name in GATES if f"| `{name}` |" not in text] == []
    assert [str(move) for move in MOVES.values() if f"| `{move}` |" not in text] == []


def test_gates_of_a_move_are_the_documented_ones() -> None:
    """The row of each move lists its gates in the machine's order; a row may refer to the one above it."""
    rows = dict(re.findall(r"^\| `(\w+ -> \w+)` \| ([^|]*) \|", page("phases.md"), re.MULTILINE))
    above: list[str] = []
    for move in MOVES.values():
        cell = rows[str(move)]
        named = re.findall(r"`(\w+)`", cell)
        above = [*above, *named] if cell.startswith("the same") else named
        assert above == list(move.gates), str(move)
