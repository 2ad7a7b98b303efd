"""The scrub: what tracking cannot see (an alias of the very dict that was inserted, an object of C) is found here.

Every live record is encoded and compared with what is kept, in slices of a few milliseconds with the lock given up in
between. What differs is written like any other change, counted, and named in the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from outlive.commit.unit import ABSENT, WHOLE, tick
from outlive.errors import Unholdable
from outlive.records import canonical
from outlive.stores import tracking
from outlive.stores.json_file import JsonFileStore
from outlive.stores.store import Store
from outlive.transfer.learned import forget, learned

if TYPE_CHECKING:
    from outlive.runtime.service import Service

log = logging.getLogger("outlive")
SLICE_S = 0.005


def scrub(service: Service, pause: Callable[[float], object] = time.sleep) -> int:
    """How many records had changed unseen; all of them are in units now."""
    service.at_home(lambda: _aliases(service))
    found = 0
    for store in list(service.stores.values()):
        if store.phase in ("legacy", "database"):
            forget(store)
        if store.tracking and not isinstance(store, JsonFileStore):
            keys = iter(service.at_home(lambda store=store: _keys(store)))  # type: ignore[misc]
            while (count := service.at_home(lambda: _slice(service, store, keys))) is not None:  # noqa: B023
                found += count
                pause(SLICE_S)
    return found


def _aliases(service: Service) -> None:
    with service.units.lock:
        unit = service.units.begin("scrub")
        previous, service.units.active = service.units.active, unit
        try:
            tracking.aliases.catch_up()
        finally:
            service.units.active = previous
        for change in unit.changes.values():
            _tell(change.store, change.key)
        tracking.aliases.prune()
        service.units.end(unit)


def _keys(store: Store) -> list[Any]:
    with store.units.lock:
        return [key for key, _ in store.image_items()]


def _slice(service: Service, store: Store, keys: Iterator[Any]) -> int | None:
    """One slice; None once there are no keys left."""
    ends = time.thread_time() + SLICE_S
    with service.units.lock:
        unit = service.units.begin("scrub")
        key = ABSENT
        for key in keys:
            if _changed_safely(store, key):
                change = store._change(unit, key)
                change.stamps[WHOLE] = tick()
                store.retrack(key, store.image_get(key))
                _tell(store, key)
            if time.thread_time() > ends:
                break
        service.units.end(unit)
        return None if key is ABSENT else len(unit.changes)


def _changed_safely(store: Store, key: Any) -> bool:
    """`_changed`; user code that runs inside (hash, equality, properties) may fail, the scrub goes on."""
    try:
        return _changed(store, key)
    except Exception:
        log.exception("outlive: %s[%s] cannot be looked at", store.name, type(key).__name__)
        return False


def _changed(store: Store, key: Any) -> bool:
    kept = store.kept.get(key)
    record = store.image_get(key)
    if kept is None or record is ABSENT or store.unsettled.get(key) or not store.tracking:
        return False
    known = learned(store)
    if known.same_record(key, record, kept.encoded):
        return False
    try:
        if canonical(store.record_type.document(record)) != kept.encoded:
            return True
        known.note_record(key, record, kept.encoded)
        return False
    except Unholdable:
        return b"$unheld" not in kept.encoded


def _tell(store: Any, key: Any) -> None:
    store.stats["scrubbed"] += 1
    log.warning(
        "outlive: %s[%r] was changed through an object that is not tracked; found by the scrub", store.name, key
    )
