"""Under which names a slot may be met: a cheap question asked before a path is followed.

A path leads to a slot only where its first name is one of the scope's that may hold one, or a later part is the name of
an attribute, key or module member that may.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from outlive.scan.resolve import Resolver
from outlive.scan.summary import Scope, Summary, Val

HELD = frozenset({"slot", "copy", "items"})
_TOKEN = re.compile(r"\w+")
_FOLLOWED = frozenset({"p", "c", "d", "e"})

Target = tuple[str, str, str, bool]  # file, scope, name, whether that scope and those inside it alone know it


class Names:
    """`roots` are each scope's names that may hold a slot, `parts` those that may follow a dot or stand in brackets.

    A name of a scope is known in the scopes inside it as well.
    """

    def __init__(self, files: dict[str, Summary], resolver: Resolver) -> None:
        self.parts: set[str] = set()
        self.roots: dict[str, dict[str, set[str]]] = {path: {"": set()} for path in files}
        self._stars: set[str] = set()
        self._from_stars: dict[str, set[str]] = {}
        self._split: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._waiting: list[tuple[str, str, str]] = []
        self._after_part: dict[str, list[Target]] = defaultdict(list)
        self._after_root: dict[str, dict[str, list[tuple[str, Target]]]] = {}
        for path, file in files.items():
            self._read(path, file)
        self._part("__dict__")
        for slot in resolver.slots.values():
            name = slot.key[1].rpartition(".")[2] if slot.name == "()" else slot.name.lstrip(".")
            inner = slot.path in files and slot.key[1] in files[slot.path].scopes and slot.name != "()"
            self._reached((slot.path, slot.key[1] if inner else "", name, slot.kind == "closure"))
        for (path, qual, name), refs in resolver.given.items():
            for ref in refs:
                if ref.kind in HELD:
                    self._root(path, qual, name)
                elif ref.kind == "func":
                    function = files[ref.key[0]].scopes[ref.key[1]].name
                    self._after_part[function].append((path, qual, name, True))
        self._spread()
        del self._after_part, self._after_root

    def _read(self, path: str, file: Summary) -> None:
        """Notes what takes its value from which names."""
        after = self._after_root[path] = defaultdict(list)
        for qual, scope in file.scopes.items():
            for outer, text, target in _handed_on(path, scope):
                root, rest = self.split(text)
                after[root].append((outer, target))
                for part in rest:
                    self._after_part[part].append(target)
            for each in scope.imports:
                if each.local == "*":
                    self._stars.add(path)
                elif each.attribute:
                    self._after_part[each.attribute].append((path, qual, each.local, False))

    def split(self, text: str) -> tuple[str, tuple[str, ...]]:
        """A path's first name, and the names behind it."""
        found = self._split.get(text)
        if found is None:
            tokens = _TOKEN.findall(text)
            found = self._split[text] = (tokens[0], tuple(tokens[1:])) if tokens else ("", ())
        return found

    def _reached(self, target: Target) -> None:
        path, qual, name, local = target
        self._root(path, qual, name)
        if not local:
            self._part(name)

    def _root(self, path: str, qual: str, name: str) -> None:
        scopes = self.roots.get(path)
        if scopes is not None:
            names = scopes.setdefault(qual, set())
            if name not in names:
                names.add(name)
                self._waiting.append((path, qual, name))

    def _part(self, name: str) -> None:
        if name not in self.parts:
            self.parts.add(name)
            self._waiting.append(("", "", name))

    def _spread(self) -> None:
        while self._waiting:
            path, qual, name = self._waiting.pop()
            if path:
                inside = f"{qual}."
                for outer, target in self._after_root[path].get(name, ()):
                    if not qual or outer == qual or outer.startswith(inside):
                        self._reached(target)
                continue
            for target in self._after_part.get(name, ()):
                self._reached(target)
            for star in self._stars:
                if name in self._after_root[star]:
                    self._root(star, "", name)

    def of(self, path: str, qual: str) -> tuple[set[str], set[str]]:
        """The first names of paths in a scope that may lead to a slot: the module's, and those of inner scopes."""
        scopes = self.roots[path]
        found = self._with_stars(path) if path in self._stars else scopes[""]
        inner: set[str] = set()
        while qual and len(scopes) > 1:
            more = scopes.get(qual)
            if more is not None:
                inner = inner | more if inner else more
            qual = qual.rpartition(".")[0]
        return found, inner

    def _with_stars(self, path: str) -> set[str]:
        found = self._from_stars.get(path)
        if found is None:
            found = self._from_stars[path] = self.roots[path][""] | self.parts
        return found


def _handed_on(path: str, scope: Scope) -> Iterator[tuple[str, str, Target]]:
    """Each path that a variable, parameter or function takes its value from, in which scope, and what takes it."""
    function, qual = scope.kind == "function", scope.qual
    for bind in scope.binds:
        if bind.value[0] in _FOLLOWED or bind.value[0] == "u":
            shared = bind.target in scope.shared
            local = function and "." not in bind.target and not shared
            target = (path, "" if shared else qual, bind.target.rpartition(".")[2], local)
            for text in _paths(bind.value):
                yield qual, text, target
    for param in scope.params:
        if param.default is not None:
            for text in _paths(param.default):
                yield scope.parent, text, (path, qual, param.name, True)
    for value, _ in scope.returns:
        for text in _paths(value):
            yield qual, text, (path, scope.parent, scope.name, False)


def _paths(value: Val) -> tuple[str, ...]:
    if value[0] in _FOLLOWED:
        return (value[1],)
    if value[0] == "u":
        return tuple(text for each in value[1] for text in _paths(each))
    return ()
