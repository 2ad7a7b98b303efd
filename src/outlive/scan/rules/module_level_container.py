"""module-level-container: a dict, list, set or other container that a module binds.

It lives as long as the process that imported the module, each worker has one of its own, and a restart empties it.

    tasks_db: dict[str, Task] = {}

    @app.post("/tasks")
    def create(task: Task):
        tasks_db[task.id] = task
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.slots import Slot, Sources

NAME = "module-level-container"
_DUNDER = frozenset({"__all__", "__slots__", "__path__", "__annotations__"})


def find(sources: Sources) -> Iterator[Slot]:
    """Candidates among the names that modules bind; the first container assigned is the declaration."""
    for path, file in sources.files.items():
        seen: dict[str, Slot] = {}
        at = (path, "")
        for bind in file.scopes[""].binds:
            name = bind.target
            if "." in name or name in _DUNDER:
                continue
            if name in seen:
                seen[name].values.append((at, bind.value))
                continue
            kind = sources.container(at, bind)
            if not kind or kind == "ContextVar" or (bind.value[0] == "n" and not bind.annotation):
                continue
            slot = Slot((path, "", name), path, bind.line, bind.end, name, "module", NAME, kind, bind.annotation)
            slot.values.append((at, bind.value))
            seen[name] = slot
        yield from seen.values()
