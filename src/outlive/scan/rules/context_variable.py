"""context-variable: a `ContextVar` whose default is a container, which every context shares and changes.

history: ContextVar[list[str]] = ContextVar("history", default=[])
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.slots import Slot, Sources

NAME = "context-variable"


def find(sources: Sources) -> Iterator[Slot]:
    """Every context variable of a module."""
    for path, file in sources.files.items():
        for bind in file.scopes[""].binds:
            if bind.value[0] == "k" and bind.value[1] == "ContextVar" and "." not in bind.target:
                key = (path, "", bind.target)
                slot = Slot(key, path, bind.line, bind.end, bind.target, "module", NAME, "ContextVar", bind.annotation)
                slot.facts["default"] = dict(bind.value[3]).get("default", "")
                slot.values.append(((path, ""), bind.value))
                yield slot
