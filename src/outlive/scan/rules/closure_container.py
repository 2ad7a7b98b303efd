"""closure-container: a container of a function that the functions inside it keep using.

An application factory or a decorator runs once; what it binds lives on in the handlers that it defines.

    def create_app():
        carts = {}

        @app.post("/carts")
        def create(cart: Cart):
            carts[cart.id] = cart
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from outlive.scan.slots import At, Slot, Sources
from outlive.scan.summary import Scope, Summary, Val

NAME = "closure-container"


def find(sources: Sources) -> Iterator[Slot]:
    """Containers bound in a function and named in a function inside it."""
    for path, file in sources.files.items():
        inner: dict[str, list[Scope]] = {}
        for scope in file.scopes.values():
            outer = scope.parent
            while scope.kind != "module" and outer:
                inner.setdefault(outer, []).append(scope)
                outer = file.scopes[outer].parent
        for qual, scopes in inner.items():
            if file.scopes[qual].kind == "function":
                yield from _of(sources, (path, qual), file, [each for each in scopes if each.kind == "function"])


def _of(sources: Sources, at: At, file: Summary, inner: list[Scope]) -> Iterator[Slot]:
    scope = file.scopes[at[1]]
    names = {name for each in inner for name in roots(each)}
    seen: set[str] = set()
    for bind in scope.binds:
        name = bind.target
        if name not in names or name in seen or name in scope.shared:
            continue
        kind = sources.container(at, bind)
        if kind and kind != "generator":
            seen.add(name)
            slot = Slot((at[0], at[1], name), at[0], bind.line, bind.end, f"{scope.qual}.{name}", "closure", NAME, kind)
            slot.annotation = bind.annotation
            slot.values.append((at, bind.value))
            yield slot


def roots(scope: Scope) -> set[str]:
    """The names that a function takes from outside."""
    own = {each.target for each in scope.binds} | {each.name.lstrip("*") for each in scope.params}
    own -= set(scope.shared)
    paths = chain(
        (each.path for each in scope.ops),
        (each.path for each in scope.calls),
        (each.target for each in scope.binds),
        chain.from_iterable(_paths(each.value) for each in scope.binds),
        chain.from_iterable(_paths(value) for value, _ in scope.returns),
        scope.shared,
    )
    return {root(each) for each in paths} - own


def root(path: str) -> str:
    """The name that a path begins with."""
    for at, char in enumerate(path):
        if char in ".[(":
            return path[:at]
    return path


def _paths(value: Val) -> Iterator[str]:
    if value[0] in {"p", "c", "d", "e"}:
        yield value[1]
        if value[0] == "c":
            for each in value[2]:
                yield from _paths(each)
    elif value[0] in {"u", "t"}:
        for each in value[1]:
            yield from _paths(each)
