"""Candidates: every variable, attribute or file that may hold what a restart forgets, before anything is judged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outlive.scan.annotations import kind_of
from outlive.scan.summary import Bind, Scope, Summary, Val
from outlive.scan.words import word_set

if TYPE_CHECKING:
    from outlive.scan.resolve import Resolver

Key = tuple[str, str, str]
At = tuple[str, str]
SHELVES = frozenset(
    {
        "shelve.open",
        "shelve.DbfilenameShelf",
        "shelve.BsdDbShelf",
        "dbm.open",
        "dbm.gnu.open",
        "dbm.ndbm.open",
        "dbm.dumb.open",
        "sqlitedict.SqliteDict",
    }
)
LOADERS = word_set("""
    json.load json.loads yaml.safe_load yaml.load toml.load toml.loads tomllib.load pickle.load pickle.loads
    orjson.loads ujson.load ujson.loads simplejson.load csv.DictReader joblib.load rapidjson.loads tomllib.loads
    tomli.load simplejson.loads marshal.load jsonpickle.decode""")
FROZEN = re.compile(r"immutable|[Ff]rozen|MappingProxy")


@dataclass(slots=True)
class Slot:
    """One candidate. `owner` is the scope that binds it, `kind` where: module, class, instance, closure, state, scalar.

    `container` is the kind of container (`dict`, `list`, `int`...), `values` what is assigned where it is declared;
    `records` are the scanned classes of what it holds.
    """

    key: Key
    path: str
    line: int
    end: int
    symbol: str
    kind: str
    rule: str
    container: str
    annotation: str = ""
    values: list[tuple[At, Val]] = field(default_factory=list)
    records: list[At] = field(default_factory=list)
    own: list[At] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The variable's or attribute's own name."""
        return self.key[2]

    @property
    def at(self) -> At:
        """The scope that binds it."""
        return (self.key[0], self.key[1])


@dataclass
class Sources:
    """What the rules look at: the files, the resolver, and the folder of the service that a file belongs to."""

    files: dict[str, Summary]
    resolver: Resolver
    service: dict[str, str]

    def scopes(self, kind: str) -> Iterator[tuple[At, Scope]]:
        """Every scope of a kind with its place."""
        for path, file in self.files.items():
            for qual, scope in file.scopes.items():
                if scope.kind == kind:
                    yield (path, qual), scope

    def container(self, at: At, bind: Bind, depth: int = 0) -> str:
        """The kind of container that a binding makes, empty when it makes none."""
        if (bind.value[0] == "c" and FROZEN.search(bind.value[1])) or FROZEN.search(bind.annotation):
            return ""
        found = self.container_of(at, bind.value, depth)
        stated = kind_of(bind.annotation) if bind.annotation else ""
        if found:
            return stated or found
        return stated if bind.value[0] in {"c", "d", "u", "o", "n"} else ""

    def container_of(self, at: At, value: Val, depth: int = 0) -> str:
        """The kind of container that a value is when it is made anew or read from a file."""
        kind = value[0]
        if kind == "k":
            return "" if value[1] == "generator" else str(value[1])
        if kind == "u":
            return next((found for one in value[1] if (found := self.container_of(at, one, depth))), "")
        if kind == "d":
            if len(value) > 2 and value[2] != "deepcopy":
                return ""
            return self._copied(at, value[1]) if depth < 4 else ""
        if kind == "c" and depth < 4:
            return self._called(at, value[1], depth)
        return ""

    def _copied(self, at: At, path: str) -> str:
        refs = self.resolver.resolve(at, path)
        if any(ref.kind == "ext" and not ref.key[0].startswith("builtins") for ref in refs):
            return ""
        return "list"

    def _called(self, at: At, path: str, depth: int) -> str:
        for ref in self.resolver.resolve(at, path):
            if ref.kind == "ext":
                if ref.key[0] in LOADERS:
                    return "dict"
                if ref.key[0].endswith(("Manager().dict", "Manager().list")):
                    return ref.key[0].rsplit(".", 1)[-1]
            if ref.kind == "class":
                found = next((kind_of(base) for base in self.resolver.bases((ref.key[0], ref.key[1]))[1]), "")
                if found:
                    return found
            if ref.kind == "func":
                inner = (ref.key[0], ref.key[1])
                scope = self.resolver.scope(inner)
                if scope.returns_annotation:
                    found = kind_of(scope.returns_annotation)
                    if found or scope.returns_annotation not in {"Any", "object", "Row"}:
                        return found or self._alias(inner, scope.returns_annotation)
                for value, _ in scope.returns[:4]:
                    found = self.returned(inner, value, depth + 1)
                    if found:
                        return found
        return ""

    def _alias(self, at: At, annotation: str) -> str:
        module = self.files[at[0]].scopes[""]
        for bind in module.binds:
            if bind.target == annotation and bind.value[0] == "p":
                return kind_of(bind.value[1]) or ("list" if "ist" in bind.value[1] else "")
        return ""

    def returned(self, at: At, value: Val, depth: int) -> str:
        """The kind of container that a function's returned value is, locals followed."""
        found = self.container_of(at, value, depth)
        if found or value[0] != "p" or depth > 4 or "." in value[1]:
            return found
        scope = self.resolver.scope(at)
        for bind in scope.binds:
            if bind.target == value[1]:
                found = self.container(at, bind, depth + 1) if bind.value[0] != "n" else ""
                if found:
                    return found
        return ""
