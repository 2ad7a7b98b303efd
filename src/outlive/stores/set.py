"""`outlive.set`: a set whose elements outlive the process. An element is key and record in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from reprlib import recursive_repr
from typing import Any

from outlive.commit.unit import ABSENT
from outlive.errors import MappingRetired
from outlive.stores.mapping import DropIn, caller
from outlive.stores.store import Host, Key, Phase, Store

_Set = set  # the module's own name shadows nothing here, the drop-in's does in the package


class Set(DropIn, _Set[Any]):
    """A set; nothing is tracked or encoded."""

    _store: SetStore
    __hash__ = None

    @recursive_repr("set(...)")
    def __repr__(self) -> str:
        return repr(_Set(_Set.__iter__(self)))

    def copy(self) -> _Set[Any]:
        return _Set(_Set.__iter__(self))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (_Set, (list(_Set.__iter__(self)),))


class TrackedElements(Set):
    """A set whose changes join the current unit of work."""


class RetiredSet(Set):
    """The set of a store in phase `database`."""


_WRITES = (
    "__init__", "add", "discard", "remove", "pop", "clear", "update", "difference_update", "intersection_update",
    "symmetric_difference_update", "__ior__", "__iand__", "__isub__", "__ixor__",
)  # fmt: skip
_READS = (
    "__contains__", "__iter__", "__len__", "__eq__", "__ne__", "__le__", "__lt__", "__ge__", "__gt__", "__or__",
    "__and__", "__sub__", "__xor__", "union", "intersection", "difference", "symmetric_difference", "issubset",
    "issuperset", "isdisjoint", "copy", "__repr__",
)  # fmt: skip


def _tracked(name: str) -> Any:
    plain = getattr(set, name)

    def method(self: Any, *args: Any) -> Any:
        store = self._store
        with store.mutation() as unit:
            after = _Set(_Set.__iter__(self))
            result = plain(after, *args)
            for element in [e for e in _Set.__iter__(self) if e not in after]:
                store.drop(unit, element)
            for element in after:
                if not _Set.__contains__(self, element):
                    store.put(unit, element, element)
        return self if result is after else result

    method.__name__ = name
    return method


def _one(name: str) -> Any:
    plain = getattr(set, name)

    def method(self: Any, element: Any) -> None:
        store = self._store
        with store.mutation() as unit:
            held = _Set.__contains__(self, element)
            if name == "add":
                if not held:
                    store.put(unit, element, element)
            elif held:
                store.drop(unit, _hashable(element))
            else:
                plain(self, element)

    method.__name__ = name
    return method


def _hashable(element: Any) -> Any:
    """The element as the set holds it: a builtin set finds frozensets by equal sets."""
    try:
        hash(element)
    except TypeError:
        return frozenset(element)
    return element


def _retired(name: str) -> Any:
    def method(self: Any, *args: Any) -> Any:
        self._store.used(caller(2))
        raise MappingRetired(store=self._store.name, instead=f"{self._store.name}.repository")

    method.__name__ = name
    return method


for _name in _WRITES:
    setattr(TrackedElements, _name, _one(_name) if _name in ("add", "discard", "remove") else _tracked(_name))
for _name in (*_READS, *_WRITES):
    setattr(RetiredSet, _name, _retired(_name))


class SetStore(Store):
    """The store behind a `Set`."""

    kind = "set"

    def __init__(self, host: Host, name: str, declared: Any, **options: Any) -> None:
        super().__init__(host, name, declared, **options)
        self.image: Set = Set()
        self.image._store = self

    @property
    def proxy(self) -> Any:
        return self.image

    def key_of(self, record: Any) -> Key:
        """The element itself."""
        element: Key = record
        return element

    def image_get(self, key: Key) -> Any:
        return key if _Set.__contains__(self.image, key) else ABSENT

    def image_put(self, key: Key, record: Any) -> None:
        _Set.add(self.image, record)

    def image_drop(self, key: Key) -> None:
        _Set.discard(self.image, key)

    def image_items(self) -> Iterator[tuple[Key, Any]]:
        return ((element, element) for element in list(_Set.__iter__(self.image)))

    def image_reset(self, items: Iterable[tuple[Key, Any]]) -> None:
        fresh = [record for _, record in items]
        _Set.clear(self.image)
        _Set.update(self.image, fresh)

    def image_size(self) -> int:
        return _Set.__len__(self.image)

    def enter(self, phase: Phase) -> None:
        self.phase = phase
        self.track(phase in ("dual_write", "dual_read"))
        kinds: dict[str, type[Set]] = {"legacy": Set, "database": RetiredSet}
        self.image.__class__ = kinds.get(phase, TrackedElements)
