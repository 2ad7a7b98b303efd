"""instance-container: a container that an object makes for itself, or a field with a default factory.

It counts when the object lives as long as the process: a service bound at module level, a bot, a repository in
`app.state`. On objects that a request makes for itself it is nothing.

    class DiagnosisService:
        def __init__(self):
            self._history: list[dict] = []

    diagnosis_service = DiagnosisService()
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.annotations import kind_of
from outlive.scan.slots import At, Slot, Sources
from outlive.scan.summary import Bind, Scope
from outlive.scan.words import words

NAME = "instance-container"


def find(sources: Sources) -> Iterator[Slot]:
    """Container attributes of all classes; which of them live long is decided by who makes the objects."""
    for at, scope in sources.scopes("class"):
        found: dict[str, Slot] = {}
        for name, binds in sources.resolver.attributes.get(at, {}).items():
            if name.startswith("__") and name.endswith("__"):
                continue
            slot = _attribute(sources, at, scope, name, binds) or _numbers(sources, at, scope, name, binds)
            if slot is not None:
                found[name] = slot
        if _records(sources, at, scope):
            for bind in scope.binds:
                kind = sources.container(at, bind) if bind.value[0] != "n" else ""
                if kind and bind.target not in found and "." not in bind.target:
                    found[bind.target] = _slot(at, scope, bind, kind, at)
        yield from found.values()


def _attribute(sources: Sources, at: At, scope: Scope, name: str, binds: list[tuple[str, Bind]]) -> Slot | None:
    ordered = sorted(binds, key=lambda each: not each[0].endswith(("__init__", "__post_init__", "__new__", "setup")))
    stated = next((each for each in scope.binds if each.target == name and each.annotation), None)
    for qual, bind in ordered:
        inner = (at[0], qual)
        kind = sources.container(inner, bind)
        if not kind and stated is not None and bind.value[0] in {"c", "o"}:
            kind = kind_of(stated.annotation)
        if kind and kind != "ContextVar":
            slot = _slot(at, scope, bind, kind, inner)
            slot.annotation = bind.annotation or (stated.annotation if stated else "")
            slot.values += [((at[0], other), each.value) for other, each in ordered if each is not bind]
            return slot
    return None


_IDS = frozenset({"id", "ids", "next", "counter"})


def _numbers(sources: Sources, at: At, scope: Scope, name: str, binds: list[tuple[str, Bind]]) -> Slot | None:
    """A number that an object hands out: it begins as a literal and is counted up."""
    qual, bind = binds[0]
    if not set(words(name)) & _IDS or bind.value[:2] != ("l", "int"):
        return None
    counted = any(
        op.how == "augment" and op.path == f"self.{name}"
        for inner in sources.files[at[0]].scopes.values()
        if inner.parent == at[1]
        for op in inner.ops
    )
    counted = counted or any(each.value[0] == "b" for _, each in binds)
    return _slot(at, scope, bind, "int", (at[0], qual)) if counted else None


def _slot(at: At, scope: Scope, bind: Bind, kind: str, inner: At) -> Slot:
    name = bind.target.rsplit(".", 1)[-1]
    symbol = f"{scope.qual}.{name}"
    slot = Slot((at[0], at[1], name), at[0], bind.line, bind.end, symbol, "instance", NAME, kind, bind.annotation)
    slot.values.append((inner, bind.value))
    return slot


def _records(sources: Sources, at: At, scope: Scope) -> bool:
    if any(
        each.path.rsplit(".", 1)[-1] in {"dataclass", "define", "attrs", "s", "mutable"} for each in scope.decorators
    ):
        return True
    return any(each.rsplit(".", 1)[-1] in {"BaseModel", "Struct"} for each in sources.resolver.bases(at)[1])
