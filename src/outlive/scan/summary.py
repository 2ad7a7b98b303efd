"""What one walk over one file keeps: small, picklable values, without the tree.

A value (`Val`) is a tuple whose first item says what it is:

    ("p", path)                       a name with its attributes and subscripts: `self.rows[].title`
    ("c", path, args, kwargs)         a call of that path
    ("k", kind, size, facts, fields)  a new container; facts such as `maxlen`, fields of a dict literal
    ("d", path)                       a new container made from that path's elements; a third item says how: a slice's
                                      text, or `deepcopy` where the elements are new too
    ("e", path, part)                 one element of that path; part 0 or 1 of a pair, -1 for the whole
    ("l", type name, text)            a literal
    ("f",)                            a function without a name
    ("u", values)                     one of several
    ("o",)                            anything else

In a path `[]` is an element, `['name']` an element under a fixed key, `()` a call's result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

Val = tuple[Any, ...]
OTHER: Val = ("o",)


class Bind(NamedTuple):
    """`target = value`; target is a name or a dotted path, `annotation` source text or empty."""

    target: str
    value: Val
    line: int
    end: int
    annotation: str = ""


class Op(NamedTuple):
    """Something done to `path` that is not a plain call: `set item`, `delete item`, `augment`, `iterate`, `use`..."""

    path: str
    how: str
    line: int
    key: Val = OTHER
    value: Val = OTHER
    looping: bool = False


class Call(NamedTuple):
    """A call of `path`; `looping` when it stands in a loop over the container it is called on."""

    path: str
    line: int
    args: tuple[Val, ...]
    kwargs: tuple[tuple[str, Val], ...]
    looping: bool = False


class Param(NamedTuple):
    """One parameter: name, annotation's text, default value (None without one)."""

    name: str
    annotation: str
    default: Val | None


class Decorator(NamedTuple):
    """`@path(args)`; `called` tells `@path` from `@path()`."""

    path: str
    args: tuple[Val, ...]
    kwargs: tuple[tuple[str, Val], ...]
    line: int
    called: bool


class Import(NamedTuple):
    """`local` stands for `attribute` of `module` (or the module itself); level counts leading dots."""

    local: str
    module: str
    attribute: str
    level: int
    line: int


@dataclass(slots=True)
class Scope:
    """A module, class or function: what it binds, does, calls and returns. `parent` is the enclosing scope's name."""

    qual: str
    name: str
    kind: str
    line: int
    end: int
    parent: str = ""
    is_async: bool = False
    loops: str = ""
    params: tuple[Param, ...] = ()
    decorators: tuple[Decorator, ...] = ()
    bases: tuple[Val, ...] = ()
    returns_annotation: str = ""
    binds: list[Bind] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    returns: list[tuple[Val, int]] = field(default_factory=list)
    shared: dict[str, str] = field(default_factory=dict)
    imports: list[Import] = field(default_factory=list)


_MAKE = tuple.__new__


def name_fields(scope: Scope) -> None:
    """Gives the fields of what a scope binds, does and calls their names; until then they are plain tuples."""
    scope.binds = list(map(_MAKE, repeat(Bind), scope.binds))
    scope.ops = list(map(_MAKE, repeat(Op), scope.ops))
    scope.calls = list(map(_MAKE, repeat(Call), scope.calls))


@dataclass(slots=True)
class Summary:
    """One file: scopes by qualified name ("" is the module), marks are `# outlive: WORD` comments by line."""

    path: str
    scopes: dict[str, Scope] = field(default_factory=dict)
    marks: dict[int, str] = field(default_factory=dict)
    main_line: int = 0
    lines: int = 0
