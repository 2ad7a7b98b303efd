"""Fails on a function over 60 lines (docstring left out) or a module over 600.

A module that must be longer says why in its docstring, in a line that begins with "Long:"; that covers its functions.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FUNCTION_LINES = 60
MODULE_LINES = 600
ROOTS = ("src", "services", "tests", "tools", "benchmarks")


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function from its `def` on, without its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        first = node.body[0]
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def findings(path: Path) -> Iterator[str]:
    """One sentence for each thing in a file that is too long."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, str(path))
    if re.search(r"^Long: \S", ast.get_docstring(tree) or "", re.MULTILINE):
        return
    if (lines := text.count("\n")) > MODULE_LINES:
        yield f"{path}: {lines} lines, limit {MODULE_LINES}"
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (lines := function_lines(node)) > FUNCTION_LINES
        ):
            yield f"{path}:{node.lineno}: {node.name} has {lines} lines, limit {FUNCTION_LINES}"


def main() -> int:
    files = [path for root in ROOTS for path in sorted(Path(root).rglob("*.py"))]
    found = [finding for path in files for finding in findings(path)]
    print("\n".join(found) or f"{len(files)} files within {FUNCTION_LINES} lines a function, {MODULE_LINES} a module")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
