"""`outlive.mapping`: a dict whose content outlives the process.

What user code holds is one dict object for the life of the process; its class says how it behaves in the store's
phase: bare (`legacy`), tracked (`dual_write`, `dual_read`), watched (tracked, and the next use is noted, for the gate
to `database`) or retired (`database`).
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any

from outlive.commit.unit import ABSENT
from outlive.errors import MappingRetired
from outlive.stores.store import Host, Key, Phase, Store

if TYPE_CHECKING:
    from outlive.stores.repository import Repository


class DropIn:
    """What every drop-in shows beside the builtin's own methods."""

    _store: Any

    @property
    def phase(self) -> Phase:
        """The phase that the store is in, in this process."""
        phase: Phase = self._store.phase
        return phase

    @property
    def repository(self) -> Repository:
        """The same records, by query."""
        repository: Repository = self._store.repository
        return repository


class Mapping(DropIn, dict[Any, Any]):
    """A dict; nothing is tracked or encoded."""

    _store: MappingStore
    __hash__ = None

    @classmethod
    def fromkeys(cls, keys: Iterable[Any], value: Any = None, /) -> dict[Any, Any]:
        """A plain dict: a store's mapping is declared, not made."""
        return dict.fromkeys(keys, value)

    def copy(self) -> dict[Any, Any]:
        return dict(dict.items(self))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (dict, (dict(dict.items(self)),))


class TrackedMapping(Mapping):
    """A dict whose changes join the current unit of work."""

    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        self.update(*args, **kwargs)

    def __setitem__(self, key: Any, value: Any) -> None:
        hash(key)
        store = self._store
        with store.mutation() as unit:
            store.put(unit, key, value)

    def __delitem__(self, key: Any) -> None:
        store = self._store
        with store.mutation() as unit:
            if not dict.__contains__(self, key):
                raise KeyError(key)
            store.drop(unit, key)

    def pop(self, key: Any, *default: Any) -> Any:
        store = self._store
        with store.mutation() as unit:
            if not dict.__contains__(self, key) or len(default) > 1:
                return dict.pop(self, key, *default)
            record = dict.__getitem__(self, key)
            store.drop(unit, key)
            return record

    def popitem(self) -> tuple[Any, Any]:
        store = self._store
        with store.mutation() as unit:
            key = next(dict.__reversed__(self), ABSENT)
            if key is ABSENT:
                return dict.popitem(self)
            record = dict.__getitem__(self, key)
            store.drop(unit, key)
            return key, record

    def setdefault(self, key: Any, default: Any = None) -> Any:
        store = self._store
        with store.mutation() as unit:
            held = dict.get(self, key, ABSENT)
            return store.put(unit, key, default) if held is ABSENT else held

    def clear(self) -> None:
        store = self._store
        with store.mutation() as unit:
            for key in list(dict.keys(self)):
                if dict.__contains__(self, key):  # a record's own __del__ may have removed it
                    store.drop(unit, key)
            dict.clear(self)

    def update(self, /, *args: Any, **kwargs: Any) -> None:
        store = self._store
        fresh: dict[Any, Any] = {}
        try:
            dict.update(fresh, *args, **kwargs)
        finally:
            if fresh:
                with store.mutation() as unit:
                    for key, value in fresh.items():
                        store.put(unit, key, value)

    def __ior__(self, other: Any) -> TrackedMapping:  # type: ignore[misc]
        self.update(other)
        return self


class WatchedMapping(TrackedMapping):
    """A tracked dict that notes its next use and then is an unwatched one again."""


class RetiredMapping(Mapping):
    """The mapping of a store in phase `database`: every use names the repository instead."""


_READS = (
    "__getitem__", "__contains__", "__iter__", "__len__", "__reversed__", "__eq__", "__ne__", "__repr__", "__or__",
    "__ror__", "get", "keys", "values", "items", "copy",
)  # fmt: skip
_WRITES = ("__setitem__", "__delitem__", "pop", "popitem", "setdefault", "clear", "update", "__ior__")


def caller(depth: int) -> str:
    """File and line of user code, `depth` frames up."""
    frame = sys._getframe(depth)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _watched(name: str) -> Any:
    plain = getattr(TrackedMapping, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._store.used(caller(2))
        self.__class__ = TrackedMapping
        return plain(self, *args, **kwargs)

    method.__name__ = name
    return method


def _retired(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._store.used(caller(2))
        raise MappingRetired(store=self._store.name, instead=f"{self._store.name}.repository ({_INSTEAD.get(name)})")

    method.__name__ = name
    return method


_INSTEAD = {
    **dict.fromkeys(_READS, "find()"),
    **dict.fromkeys(("__getitem__", "__contains__", "get"), "get(key)"),
    "__len__": "count()",
    **dict.fromkeys(_WRITES, "put(record)"),
    **dict.fromkeys(("__delitem__", "pop", "popitem", "clear"), "delete(key)"),
}
for _name in (*_READS, *_WRITES):
    setattr(WatchedMapping, _name, _watched(_name))
    setattr(RetiredMapping, _name, _retired(_name))


class MappingStore(Store):
    """The store behind a `Mapping`."""

    kind = "mapping"

    def __init__(self, host: Host, name: str, declared: Any, **options: Any) -> None:
        super().__init__(host, name, declared, **options)
        self.image: Mapping = Mapping()
        self.image._store = self

    @property
    def proxy(self) -> Any:
        return self.image

    def image_get(self, key: Key) -> Any:
        return dict.get(self.image, key, ABSENT)

    def image_many(self, keys: Iterable[Key]) -> list[Any]:
        return list(map(dict.get, repeat(self.image), keys, repeat(ABSENT)))

    def image_put(self, key: Key, record: Any) -> None:
        self.views.altered(key)
        dict.__setitem__(self.image, key, record)

    def image_drop(self, key: Key) -> None:
        self.views.altered(key)
        dict.__delitem__(self.image, key)

    def image_items(self) -> Iterator[tuple[Hashable, Any]]:
        return iter(dict.items(self.image))

    def image_reset(self, items: Iterable[tuple[Key, Any]]) -> None:
        fresh = list(items)
        dict.clear(self.image)
        dict.update(self.image, fresh)

    def image_size(self) -> int:
        return dict.__len__(self.image)

    def enter(self, phase: Phase) -> None:
        self.phase = phase
        self.views.reset()
        self.track(phase in ("dual_write", "dual_read"))
        kinds: dict[str, type[Mapping]] = {"legacy": Mapping, "database": RetiredMapping}
        self.image.__class__ = kinds.get(phase, TrackedMapping)

    def watch(self) -> None:
        """Note the next use of the mapping."""
        if self.phase == "dual_read":
            self.image.__class__ = WatchedMapping
