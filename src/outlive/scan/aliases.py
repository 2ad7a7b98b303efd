"""Names under which a class or function may be met: its own, and those of imports and variables that lead to it."""

from __future__ import annotations

import re
from collections import defaultdict

from outlive.scan.summary import Scope, Summary, Val

_DEPENDS = re.compile(r"\b(?:Depends|Security)\((\w[\w.]*)\)")


class Aliases:
    """Answers which names may mean the same things; what takes over from what is read once, when first asked."""

    def __init__(self, files: dict[str, Summary]) -> None:
        self.files = files
        self._follows: dict[str, set[str]] = {}

    def classes(self) -> set[str]:
        """Every name whose call may make an object of a scanned class; what is not among them certainly does not."""
        return self.of(
            {scope.name for file in self.files.values() for scope in file.scopes.values() if scope.kind == "class"}
        )

    def of(self, names: set[str]) -> set[str]:
        """The names, and all others that may mean the same things."""
        if not self._follows:
            self._follows = defaultdict(set)
            for file in self.files.values():
                for scope in file.scopes.values():
                    _follow(self._follows, scope)
        found = set(names)
        waiting = list(found)
        while waiting:
            for name in self._follows.get(waiting.pop(), ()):
                if name not in found:
                    found.add(name)
                    waiting.append(name)
        return found


def _follow(follows: dict[str, set[str]], scope: Scope) -> None:
    """Notes which names take over the meaning of which others."""
    for each in scope.imports:
        if each.attribute != each.local and each.attribute:
            follows[each.attribute].add(each.local)
    for bind in scope.binds:
        for name in _sources(bind.value):
            follows[name].add(_last(bind.target))
    for value, _ in scope.returns:
        for name in _sources(value):
            # what a function returns is met as `function()`
            follows[name].add(f"{scope.name}()")
            if scope.decorators:
                follows[name].add(scope.name)
    for param in scope.params:
        if param.default is not None:
            stated = (param.default, *(param.default[2][:1] if param.default[0] == "c" else ()))
            for name in (each for value in stated for each in _sources(value)):
                follows[name].add(param.name.lstrip("*"))
                follows[f"{name}()"].add(param.name.lstrip("*"))
        for name in _DEPENDS.findall(param.annotation) if "(" in param.annotation else ():
            follows[f"{_last(name)}()"].add(param.name.lstrip("*"))


def _sources(value: Val) -> list[str]:
    """The names that a value takes its meaning from: a call's is `name()`."""
    if value[0] == "p":
        return [_last(value[1])]
    if value[0] == "c":
        return [f"{_last(value[1])}()"]
    if value[0] == "u":
        return [name for each in value[1] for name in _sources(each)]
    return []


def _last(path: str) -> str:
    return path.rpartition(".")[2]
