"""Classes by name: how a document names the class of a value, and how the class is found again."""

from __future__ import annotations

import sys
import weakref
from typing import Any

from outlive.records.scalars import unholdable

# Classes that annotations lead to, by "module:Qualname"; also those that no module gives back, such as local ones.
_known: weakref.WeakValueDictionary[str, type[Any]] = weakref.WeakValueDictionary()


def remember(cls: type[Any]) -> None:
    """Makes a class that an annotation leads to findable by its name."""
    _known[f"{cls.__module__}:{cls.__qualname__}"] = cls


def class_path(cls: type[Any]) -> str:
    """ "module:Qualname" of a class; raises Unholdable when that name does not lead back to it."""
    path = f"{cls.__module__}:{cls.__qualname__}"
    if find_class(path) is not cls:
        raise unholdable(f"class {path} cannot be found again by its name")
    return path


def find_class(path: str) -> type[Any] | None:
    """The class of a path among those imported or annotated; imports nothing."""
    known = _known.get(path)
    if known is not None:
        return known
    module, _, qualname = path.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) else None


def class_at(path: str) -> type[Any]:
    """The class of a path; raises Unholdable when it is not in this process."""
    cls = find_class(path)
    if cls is None:
        raise unholdable(f"class {path} is not imported")
    return cls
