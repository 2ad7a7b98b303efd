"""Stand-ins for `dict`, `list` and `set` in CPython's tests: called, they give a drop-in of its own store."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable
from typing import Any

from outlive.commit.unit import Unit
from outlive.errors import Unholdable
from outlive.postgres.upsert import Statements
from outlive.records import canonical, key_text
from outlive.runtime.service import Service
from outlive.stores.log import LogStore
from outlive.stores.mapping import MappingStore
from outlive.stores.set import SetStore
from outlive.stores.store import Store

KINDS: dict[type, type[Store]] = {dict: MappingStore, list: LogStore, set: SetStore}


class Pool:
    """Drop-ins of one service, each in a store of its own; one is handed out again only when nobody holds it.

    `each` of a kind are declared, before the service opens. A test in `legacy` that holds more gets more; a tracked
    store needs its table, so there a test that holds more fails.
    """

    def __init__(self, service: Service, each: dict[type, int]) -> None:
        self.service = service
        self.stores: dict[type, list[Store]] = {kind: [] for kind in KINDS}
        for kind in KINDS:
            for _ in range(each[kind]):
                service.add(self._declared(kind))
        self.given: list[Store] = []
        self._next = dict.fromkeys(KINDS, 0)
        self._held = sys.getrefcount(self.stores[dict][0].proxy)

    def fresh(self, kind: type) -> Any:
        """An empty drop-in that no test holds."""
        store = self._free(kind)
        if store is None and self.tracked:
            gc.collect()
            store = self._free(kind)
            assert store is not None, f"the test holds more than {len(self.stores[kind])} drop-ins at once"
        return self._give(store or self._declared(kind))

    @property
    def tracked(self) -> bool:
        """Whether the drop-ins are in a phase that needs their tables."""
        return self.stores[dict][0].phase != "legacy"

    def _free(self, kind: type) -> Store | None:
        stores = self.stores[kind]
        for _ in range(len(stores)):
            self._next[kind] = (self._next[kind] + 1) % len(stores)
            store = stores[self._next[kind]]
            if sys.getrefcount(store.proxy) == self._held:
                return store
        return None

    def empty(self) -> None:
        """Empty what was handed out."""
        for store in self.given:
            store.proxy.clear()
        self.given = []

    def _give(self, store: Store) -> Any:
        if store not in self.given:
            self.given.append(store)
        drop_in = store.proxy
        drop_in.clear()
        return drop_in

    def _declared(self, kind: type) -> Store:
        store = KINDS[kind](self.service, f"{kind.__name__}_{len(self.stores[kind])}", Any)
        self.stores[kind].append(store)
        return store


class Factory:
    """What a test takes for the builtin `kind`: calling it gives a drop-in, subclassing it gives a plain subclass."""

    def __init__(self, kind: type, fresh: Callable[[type], Any]) -> None:
        self.kind = kind
        self._fresh = fresh
        self.__name__ = kind.__name__

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """A drop-in that holds what the builtin would. Raises what the builtin's constructor raises."""
        drop_in = self._fresh(self.kind)
        if self.kind is dict:
            drop_in.update(*args, **kwargs)
        elif len(args) > 1 or kwargs:
            raise TypeError(f"{self.__name__} expected at most 1 argument")
        elif args:
            (drop_in.extend if self.kind is list else drop_in.update)(args[0])
        return drop_in

    def fromkeys(self, keys: Iterable[Any], value: Any = None) -> Any:
        """As dict.fromkeys, into a drop-in."""
        return self(dict.fromkeys(keys, value))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kind, name)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type]:
        return (self.kind,)

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, self.kind)

    def __subclasscheck__(self, cls: type) -> bool:
        return issubclass(cls, self.kind)


def landable(unit: Unit) -> bool:
    """Whether every key that the unit wrote has a text; what a table cannot even name is not what these tests ask."""
    try:
        for change in unit.changes.values():
            key_text(change.key)
    except Unholdable:
        return False
    return True


def shown(store: Store) -> Any:
    """What the store's table must give back of the drop-in, or None where it holds what no table can."""
    if store.table is None or store.phase == "legacy":
        return None
    try:
        found = [(key_text(key), canonical(store.record_type.document(record))) for key, record in store.image_items()]
    except Unholdable:
        return None
    return sorted(found) if store.kind == "set" else found


def stored(service: Service, store: Store) -> Any:
    """What the store's table gives, as `shown` puts it; None where `shown` gives None."""
    if shown(store) is None:
        return None
    assert store.table is not None
    with service.session() as conn:
        rows = conn.execute(*Statements.of(store.table).select_all()).fetchall()
    found = [(key_text(row.key), canonical(row.document)) for row in map(store.table.read, rows)]
    return sorted(found) if store.kind == "set" else found
