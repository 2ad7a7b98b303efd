"""`outlive.log`: a list whose records outlive the process.

Each element has a key of its own, drawn when it enters; `keys` runs beside the list. After an operation the elements
are matched with their keys by identity, so that sorting, slicing and deleting by index change just what they changed.
Positions rise along the list; an insertion in between takes the middle of its neighbours' positions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from outlive.commit.unit import ABSENT, WHOLE, Unit, tick
from outlive.errors import MappingRetired
from outlive.stores import tracking
from outlive.stores.mapping import DropIn, caller
from outlive.stores.order import rising
from outlive.stores.store import Host, Key, Phase, Store
from outlive.stores.tracking import Place


class Log(DropIn, list[Any]):
    """A list; nothing is tracked or encoded."""

    _store: LogStore
    __hash__ = None

    def copy(self) -> list[Any]:
        return list(list.__iter__(self))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (list, (list(list.__iter__(self)),))


class TrackedLog(Log):
    """A list whose changes join the current unit of work."""

    def append(self, value: Any) -> None:
        store = self._store
        with store.mutation() as unit:
            busy = store.busy
            list.append(self, value)
            if not busy:
                store.entered(unit, len(self) - 1)


class RetiredLog(Log):
    """The list of a store in phase `database`."""


_WRITES = (
    "__init__", "__setitem__", "__delitem__", "__iadd__", "__imul__", "extend", "insert", "pop", "remove", "clear",
    "sort", "reverse",
)  # fmt: skip
_READS = (
    "__getitem__", "__contains__", "__iter__", "__len__", "__reversed__", "__eq__", "__ne__", "__lt__", "__le__",
    "__gt__", "__ge__", "__add__", "__mul__", "__rmul__", "index", "count", "copy", "__repr__",
)  # fmt: skip


def _tracked(name: str) -> Any:
    plain = getattr(list, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        store = self._store
        with store.mutation() as unit:
            busy = store.busy
            try:
                return plain(self, *args, **kwargs)
            finally:
                if not busy:
                    store.matched(unit)

    method.__name__ = name
    return method


def _retired(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._store.used(caller(2))
        raise MappingRetired(store=self._store.name, instead=f"{self._store.name}.repository")

    method.__name__ = name
    return method


for _name in _WRITES:
    setattr(TrackedLog, _name, _tracked(_name))
for _name in (*_READS, *_WRITES, "append"):
    setattr(RetiredLog, _name, _retired(_name))


class LogStore(Store):
    """The store behind a `Log`."""

    kind = "log"

    def __init__(self, host: Host, name: str, declared: Any, **options: Any) -> None:
        super().__init__(host, name, declared, **options)
        self.image: Log = Log()
        self.image._store = self
        self.keys: list[Key] = []
        self.by_key: dict[Key, Any] = {}

    @property
    def proxy(self) -> Any:
        return self.image

    def key_of(self, record: Any) -> Key:
        """A fresh key: a list does not tell its elements apart."""
        return self.host.clock.next()

    def image_get(self, key: Key) -> Any:
        return self.by_key.get(key, ABSENT)

    def image_put(self, key: Key, record: Any) -> None:
        self.views.altered(key)
        if key in self.by_key:
            list.__setitem__(self.image, self.keys.index(key), record)
        else:
            self.keys.append(key)
            list.append(self.image, record)
        self.by_key[key] = record

    def image_drop(self, key: Key) -> None:
        self.views.altered(key)
        index = self.keys.index(key)
        del self.keys[index]
        list.__delitem__(self.image, index)
        del self.by_key[key]

    def image_items(self) -> Iterator[tuple[Key, Any]]:
        self.number()
        return iter(list(zip(self.keys, list.__iter__(self.image), strict=True)))

    def image_reset(self, items: Iterable[tuple[Key, Any]]) -> None:
        fresh = list(items)
        self.keys = [key for key, _ in fresh]
        self.by_key = dict(fresh)
        list.__setitem__(self.image, slice(None), [record for _, record in fresh])

    def image_size(self) -> int:
        return list.__len__(self.image)

    def enter(self, phase: Phase) -> None:
        self.phase = phase
        self.views.reset()
        self.track(phase in ("dual_write", "dual_read"))
        kinds: dict[str, type[Log]] = {"legacy": Log, "database": RetiredLog}
        self.image.__class__ = kinds.get(phase, TrackedLog)

    def number(self) -> None:
        """Give every element a key, where the bare list ran without them."""
        if len(self.keys) != list.__len__(self.image):
            self.keys = [self.host.clock.next() for _ in range(list.__len__(self.image))]
            self.by_key = dict(zip(self.keys, list.__iter__(self.image), strict=True))

    def entered(self, unit: Unit, index: int) -> None:
        """Note the element that was appended."""
        self._screen([*self.keys, ABSENT])
        key = self.host.clock.next()
        self.keys.append(key)
        self._enter(unit, index, key, key)

    def _screen(self, keys: list[Key]) -> None:
        """Raises Unholdable, with the list as it was before, if a fresh element (key ABSENT) cannot be held."""
        if not self.strict:
            return
        try:
            for key, value in zip(keys, list.__iter__(self.image), strict=True):
                if key is ABSENT:
                    self.check(self.host.clock.next(), value)
        except BaseException:
            list.__setitem__(self.image, slice(None), [self.by_key[key] for key in self.keys])
            raise

    def _enter(self, unit: Unit, index: int, key: Key, position: Decimal | int) -> None:
        value = list.__getitem__(self.image, index)
        change = self._change(unit, key)
        adopted = tracking.adopt(value, (Place(self, key, None),))
        list.__setitem__(self.image, index, adopted)
        self.by_key[key] = adopted
        self.fresh[key] = position
        change.stamps[WHOLE] = tick()

    @property
    def busy(self) -> bool:
        """Whether another operation of this list is under way, such as a sort whose comparison changes the list.

        That operation notes the inner one's changes with its own, when it ends.
        """
        return len(self.keys) != list.__len__(self.image)

    def matched(self, unit: Unit) -> None:
        """Note what an operation did: which elements left, which came, which moved."""
        free: dict[int, deque[Key]] = {}
        for key in self.keys:
            free.setdefault(id(self.by_key[key]), deque()).append(key)
        values = list(list.__iter__(self.image))
        keys = [free[id(v)].popleft() if free.get(id(v)) else ABSENT for v in values]
        self._screen(keys)
        self.keys = keys
        left = [key for unused in free.values() for key in unused]
        for key in left:
            change = self._change(unit, key)
            tracking.release(self.by_key.pop(key), self, key)
            self.fresh.pop(key, None)
            change.stamps[WHOLE] = tick()
        self._place(unit)

    def _place(self, unit: Unit) -> None:
        known = [None if key is ABSENT else self.position(key) for key in self.keys]
        places = rising(known, self.host.clock.next)
        for index, (key, old, new) in enumerate(zip(list(self.keys), known, places, strict=True)):
            if key is ABSENT:
                self.keys[index] = fresh = self.host.clock.next()
                self._enter(unit, index, fresh, new)
            elif old != new:
                change = self._change(unit, key)
                self.fresh[key] = new
                change.stamps[WHOLE] = tick()
