"""class-level-container: a container in a class's body, shared by all its instances.

Borg dicts, tables of a singleton and forgotten mutable defaults all live as long as the process.

    class Carts:
        _items: dict[str, list[Item]] = {}
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.slots import Slot, Sources

NAME = "class-level-container"
_DECLARATIVE = ("BaseModel", "Struct", "TypedDict", "NamedTuple", "Enum", "Model", "Schema", "SQLModel")


def find(sources: Sources) -> Iterator[Slot]:
    """Containers bound in class bodies, except the fields of record classes (see instance-container)."""
    for at, scope in sources.scopes("class"):
        if declarative(sources, at) or any(
            each.path.endswith(("dataclass", "define", "attrs", "s")) for each in scope.decorators
        ):
            continue
        seen: set[str] = set()
        for bind in scope.binds:
            name = bind.target
            kind = sources.container(at, bind) if bind.value[0] != "n" else ""
            if not kind or "." in name or name in seen or name.startswith("__"):
                continue
            seen.add(name)
            symbol = f"{scope.qual}.{name}"
            slot = Slot((at[0], at[1], name), at[0], bind.line, bind.end, symbol, "class", NAME, kind, bind.annotation)
            slot.values.append((at, bind.value))
            yield slot


def declarative(sources: Sources, at: tuple[str, str]) -> bool:
    """Whether a class declares records: its attributes are fields, not shared values."""
    _, outside = sources.resolver.bases(at)
    return any(each.rsplit(".", 1)[-1] in _DECLARATIVE for each in outside)
