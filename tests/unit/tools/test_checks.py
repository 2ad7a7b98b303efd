"""The project's own checks find what they are for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tools import check_hosts, check_sizes, coverage_floor


def summary(branches: int, taken: int) -> dict[str, dict[str, int]]:
    """One file of `coverage json` with this many branches."""
    counts = {"num_statements": 10, "covered_lines": 10, "num_branches": branches, "covered_branches": taken}
    return {"summary": counts}


def test_a_registry_host_and_an_index_option_are_found(tmp_path: Path) -> None:
    """A file that names a registry, and one that names an index, are both reported with their line."""
    host = ".".join(check_hosts.HOSTS[0])
    (tmp_path / "notes.md").write_text(f"fine\nsee {host}\n")
    (tmp_path / "dev.txt").write_text("--" + "index-url x\n")
    (tmp_path / "clean.txt").write_text("an index of names\n")
    found = [finding.split(": ")[0] for finding in check_hosts.findings(tmp_path)]
    assert found == ["dev.txt:1", "notes.md:2"]


def test_a_virtual_environment_is_not_searched(tmp_path: Path) -> None:
    """What installers put into .venv is not the project's."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pip.conf").write_text("--" + "index-url x\n")
    assert list(check_hosts.findings(tmp_path)) == []


def test_long_functions_and_modules_are_found(tmp_path: Path) -> None:
    """A function over 60 lines and a module over 600 are each reported once."""
    path = tmp_path / "long.py"
    path.write_text("def f():\n" + "    x = 1\n" * 60 + "x = 1\n" * 600)
    assert [finding.split(": ", 1)[1] for finding in check_sizes.findings(path)] == [
        "661 lines, limit 600",
        "f has 61 lines, limit 60",
    ]


def test_a_module_that_says_why_may_be_long(tmp_path: Path) -> None:
    """A docstring line that begins with Long: excuses a module, an empty one does not."""
    path = tmp_path / "long.py"
    path.write_text('"""Table.\n\nLong: one row a case.\n"""\n' + "x = 1\n" * 700)
    assert list(check_sizes.findings(path)) == []
    path.write_text('"""Table.\n\nLong:\n"""\n' + "x = 1\n" * 700)
    assert len(list(check_sizes.findings(path))) == 1


def test_a_docstring_does_not_count_as_length() -> None:
    """A function's length is that of its code."""
    text = 'def f():\n    """One.\n\n    Two.\n    """\n    return 1\n'
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    assert check_sizes.function_lines(node) == 2


def test_a_room_below_its_floor_is_found() -> None:
    """A room with 94 % of its branches fails, one with 95 % holds, whatever its lines say."""
    files = {"src/outlive/query/a.py": summary(100, 94), "src/outlive/records/a.py": summary(100, 95)}
    held = {room.name: room.holds for room in coverage_floor.rooms(files)}
    assert not held["query"]
    assert held["records"]


def test_a_room_without_files_is_below_its_floor() -> None:
    """Nothing measured is not good coverage."""
    assert not any(room.holds for room in coverage_floor.rooms({}) if room.name in coverage_floor.FLOORED)


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("src/outlive/phases/gates/parity.py", "phases"),
        ("/somewhere/src/outlive/errors.py", "outlive"),
        ("services/home_budget/api.py", "services"),
        ("tests/unit/test_a.py", None),
    ],
)
def test_files_are_counted_in_their_room(path: str, room: str | None) -> None:
    """A path belongs to its room, to `services`, or to nothing."""
    assert coverage_floor.room_of(path) == room
