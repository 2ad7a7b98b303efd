"""module-level-container: a dict, list, set or other container that a module binds.

It lives as long as the process that imported the module, each worker has one of its own, and a restart empties it.

    tasks_db: dict[str, Task] = {}

    @app.post("/tasks")
    def create(task: Task):
        tasks_db[task.id] = task
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.annotations import kind_of
from outlive.scan.slots import Slot, Sources
from outlive.scan.summary import Bind

NAME = "module-level-container"
_DUNDER = frozenset({"__all__", "__slots__", "__path__", "__annotations__"})


def find(sources: Sources) -> Iterator[Slot]:
    """Candidates among the names that modules bind; the first container assigned is the declaration."""
    for path, file in sources.files.items():
        seen: dict[str, Slot] = {}
        declared: dict[str, Bind] = {}
        at = (path, "")
        for bind in file.scopes[""].binds:
            name = bind.target
            if "." in name:
                slot = _of_function(sources, path, bind)
                if slot is not None:
                    seen.setdefault(name, slot)
                continue
            if name in _DUNDER:
                continue
            if name in seen:
                seen[name].values.append((at, bind.value))
                continue
            if bind.value[0] == "n":
                declared[name] = bind
                continue
            kind = sources.container(at, bind)
            if not kind or kind == "ContextVar":
                continue
            stated = bind.annotation or (declared[name].annotation if name in declared else "")
            slot = Slot((path, "", name), path, bind.line, bind.end, name, "module", NAME, kind, stated)
            slot.values.append((at, bind.value))
            seen[name] = slot
        for name, bind in declared.items():
            if name not in seen and kind_of(bind.annotation) and kind_of(bind.annotation) != "ContextVar":
                kind = kind_of(bind.annotation)
                seen[name] = Slot(
                    (path, "", name), path, bind.line, bind.end, name, "module", NAME, kind, bind.annotation
                )
        yield from seen.values()


def _of_function(sources: Sources, path: str, bind: Bind) -> Slot | None:
    """A container kept as a function's attribute."""
    function, _, name = bind.target.rpartition(".")
    scope = sources.files[path].scopes.get(function)
    kind = sources.container((path, ""), bind) if scope is not None and scope.kind == "function" else ""
    if not kind:
        return None
    slot = Slot(
        (path, function, f".{name}"), path, bind.line, bind.end, bind.target, "module", NAME, kind, bind.annotation
    )
    slot.values.append(((path, ""), bind.value))
    return slot
