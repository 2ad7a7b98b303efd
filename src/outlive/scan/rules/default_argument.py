"""default-argument: a container as a parameter's default, which all calls share.

def remember(name, seen=[]):
    seen.append(name)
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.slots import Slot, Sources

NAME = "default-argument"


def find(sources: Sources) -> Iterator[Slot]:
    """Parameters whose default is a new container, when the function changes it itself."""
    for at, scope in sources.scopes("function"):
        for param in scope.params:
            if param.default is None or param.default[0] != "k" or param.default[2]:
                continue
            changed = any(op.path == param.name and op.how in {"set item", "augment item"} for op in scope.ops) or any(
                call.path in {f"{param.name}.append", f"{param.name}.add", f"{param.name}.setdefault"}
                for call in scope.calls
            )
            rebound = any(bind.target == param.name for bind in scope.binds)
            # an inner function, and its defaults with it, is made again by each call of the outer one
            inner = bool(scope.parent) and sources.files[at[0]].scopes[scope.parent].kind == "function"
            if changed and not rebound and not inner and not param.name.startswith("*"):
                symbol = f"{scope.qual}.{param.name}"
                key = (at[0], at[1], param.name)
                slot = Slot(
                    key, at[0], scope.line, scope.line, symbol, "closure", NAME, param.default[1], param.annotation
                )
                slot.values.append((at, param.default))
                yield slot
