"""What an instance holds, looked at without giving it a `__dict__`.

Python keeps the attributes of an ordinary instance without a dict until somebody asks for `__dict__`; from then on the
instance has one, takes twice the memory and is slower to read. Records are many, so here nobody asks.
"""

from __future__ import annotations

from gc import get_referents
from operator import attrgetter, is_
from typing import Any


def held(record: Any) -> list[Any] | None:
    """The values of an instance, in the order in which its class first had them; None for one that has a dict."""
    found = get_referents(record)
    if not found or found[-1] is not type(record) or type(found[0]) is dict:
        return None
    found.pop()
    return found


class Inline:
    """The fields of a class whose instances keep them so."""

    def __init__(self, cls: type[Any], names: tuple[str, ...]) -> None:
        self._names = names
        self._get: Any = attrgetter(*names) if len(names) > 1 else lambda record: (getattr(record, names[0]),)
        self._class_level = {name: getattr(cls, name) for name in names if hasattr(cls, name)}

    @classmethod
    def of(cls, kind: type[Any], names: tuple[str, ...]) -> Inline | None:
        """None where looking at an attribute may run the class's own code."""
        looked_up: Any = kind.__getattribute__
        if not names or looked_up is not object.__getattribute__ or hasattr(kind, "__getattr__"):
            return None
        at_class = [vars(base)[name] for base in kind.__mro__ for name in names if name in vars(base)]
        return None if any(hasattr(type(each), "__get__") for each in at_class) else cls(kind, names)

    def row(self, record: Any) -> tuple[Any, ...] | None:
        """The values of an instance that has all of the fields, in order, and nothing else; else None."""
        found = held(record)
        if found is None or len(found) != len(self._names):
            return None
        values: tuple[Any, ...] = self._get(record)
        return values if all(map(is_, values, found)) else None

    def values(self, record: Any) -> dict[str, Any] | None:
        """The same with the fields' names."""
        values = self.row(record)
        return None if values is None else dict(zip(self._names, values, strict=True))

    def may_be_the_class(self, name: str, value: Any) -> bool:
        """Whether a value may be what the class gives for an attribute that the instance does not have."""
        return name in self._class_level and self._class_level[name] is value
