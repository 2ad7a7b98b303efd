"""CPython's own test classes for the builtins, loaded so that `dict`, `list` and `set` in them are our drop-ins.

`test.test_dict` and `test.test_set` write literals; those that a test keeps under a name, or calls a method of, are
made into calls of the stand-in. What a test expects stays a literal, so drop-ins are compared with real builtins.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import types
import unittest
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

PACKAGE_MISSING = (
    "CPython's test package is not importable ({error}). On Debian and Ubuntu install libpython3.{minor}-testsuite; "
    "without these suites a run is not green."
)


class _Literals(ast.NodeTransformer):
    """Makes `x = {...}` and `{...}.method` into `x = dict({...})` and `dict({...}).method`; sets likewise."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """The value of an assignment."""
        self.generic_visit(node)
        node.value = self._wrapped(node.value)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """What a method is called of."""
        self.generic_visit(node)
        node.value = self._wrapped(node.value)
        return node

    @staticmethod
    def _wrapped(value: ast.expr) -> ast.expr:
        names = {ast.Dict: "dict", ast.DictComp: "dict", ast.Set: "set", ast.SetComp: "set"}
        name = names.get(type(value))
        if name is None:
            return value
        call = ast.Call(func=ast.Name(id=name, ctx=ast.Load()), args=[value], keywords=[])
        return ast.fix_missing_locations(ast.copy_location(call, value))


class _Loader(SourceFileLoader):
    """Loads a module with its literals rewritten, and never from or into a bytecode cache."""

    def path_stats(self, path: Any) -> Any:
        """No times, so no cache."""
        raise OSError(path)

    def source_to_code(self, data: Any, path: Any, **options: Any) -> types.CodeType:  # type: ignore[override]
        """The rewritten module's code."""
        return compile(_Literals().visit(ast.parse(data, path)), path, "exec", dont_inherit=True)


def load(name: str, **replaced: Any) -> types.ModuleType:
    """A fresh copy of the module `test.<name>` in which the given globals mean something else."""
    spec = importlib.util.find_spec(f"test.{name}")
    if spec is None or spec.origin is None:
        raise ImportError(f"No module named 'test.{name}'")
    loader = _Loader(f"outlive_{name}", spec.origin)
    fresh = importlib.util.spec_from_file_location(loader.name, Path(spec.origin), loader=loader)
    assert fresh is not None
    module = importlib.util.module_from_spec(fresh)
    loader.exec_module(module)
    vars(module).update(replaced)
    return module


def method_names(case: type[unittest.TestCase]) -> list[str]:
    """The test methods of a class."""
    return list(unittest.TestLoader().getTestCaseNames(case))


def package_missing(problem: ImportError) -> str:
    """The sentence that says what to install."""
    return PACKAGE_MISSING.format(error=problem, minor=sys.version_info.minor)
