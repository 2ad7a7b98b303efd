"""Code in the pages is code: Python parses, public names exist, commands and make targets are there."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import outlive
from outlive import errors
from tools import reference

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = [(page, code) for page in PAGES for kind, code in BLOCK.findall(page.read_text("utf-8")) if kind == "python"]


def commands_in(text: str) -> Iterator[str]:
    """First words of every `outlive WORD` that begins a code span or a line of a code block."""
    yield from re.findall(r"`outlive ([a-z][a-z-]*)", text)
    for _, block in BLOCK.findall(text):
        yield from re.findall(r"^outlive ([a-z][a-z-]*)", block, re.MULTILINE)


def parsed(code: str) -> ast.Module:
    """The block's tree; await and async with may stand outside a function."""
    return ast.parse("async def block():\n" + textwrap.indent(code, "    "))


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=lambda value: value.name if isinstance(value, Path) else "")
def test_python_blocks_use_names_that_exist(page: Path, code: str) -> None:
    """Each Python block parses, and every `outlive.name` in it is a public name."""
    for node in ast.walk(parsed(code)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "outlive":
            assert hasattr(outlive, node.attr), f"{page.name}: outlive.{node.attr}"


def test_commands_in_pages_and_hints_exist() -> None:
    """Every `outlive COMMAND` in a page or an error's next command can be run."""
    known = {words.split()[0] for words, _ in reference.commands()}
    for page in PAGES:
        if page.name == "errors.md":
            continue  # its code spans are messages; the commands in them are the hints below
        assert set(commands_in(page.read_text("utf-8"))) - known == set(), page.name
    for kind in reference.error_classes():
        assert set(commands_in(f"`{kind.hint}`")) - known == set(), kind.__name__


def test_make_targets_in_pages_exist() -> None:
    """Every `make TARGET` in a page is a target that `make` lists."""
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:^ *|`|; )make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE))
        assert named - targets == set(), page.name


def test_the_tree_of_errors_is_complete() -> None:
    """The tree at the top of outlive.errors names every error."""
    tree = errors.__doc__ or ""
    assert [kind.__name__ for kind in reference.error_classes() if not re.search(rf"\b{kind.__name__}\b", tree)] == []
