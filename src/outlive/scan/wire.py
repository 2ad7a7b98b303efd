"""A summary as bytes and back, for the way between processes: plain tuples, several times faster than pickled objects.

Both ends are this process and its children, on one interpreter; nothing is ever read from a file or a network.
"""

from __future__ import annotations

import marshal
from typing import Any

from outlive.scan.catalogue import Skipped
from outlive.scan.summary import Decorator, Import, Param, Scope, Summary, name_fields


def pack(read: Summary | Skipped) -> bytes:
    """The bytes of what one file gave."""
    if isinstance(read, Skipped):
        return marshal.dumps((read.path, read.line, read.reason))
    scopes = [_packed(scope) for scope in read.scopes.values()]
    return marshal.dumps((read.path, scopes, read.marks, read.main_line, read.lines))


def unpack(data: bytes) -> Summary | Skipped:
    """What `pack` was given."""
    path, *rest = marshal.loads(data)  # noqa: S302 - made by `pack` in a child of this process
    if len(rest) == 2:
        return Skipped(path, *rest)
    scopes, *tail = rest
    return Summary(path, {scope[0]: _unpacked(scope) for scope in scopes}, *tail)


def _packed(scope: Scope) -> tuple[Any, ...]:
    return (
        scope.qual,
        scope.name,
        scope.kind,
        scope.line,
        scope.end,
        scope.parent,
        scope.is_async,
        scope.loops,
        tuple(map(tuple, scope.params)),
        tuple(map(tuple, scope.decorators)),
        scope.bases,
        scope.returns_annotation,
        list(map(tuple, scope.binds)),
        list(map(tuple, scope.ops)),
        list(map(tuple, scope.calls)),
        scope.returns,
        scope.shared,
        list(map(tuple, scope.imports)),
    )


def _unpacked(packed: tuple[Any, ...]) -> Scope:
    scope = Scope(*packed)
    scope.params = tuple(map(Param._make, scope.params))
    scope.decorators = tuple(map(Decorator._make, scope.decorators))
    scope.imports = list(map(Import._make, scope.imports))
    name_fields(scope)
    return scope
