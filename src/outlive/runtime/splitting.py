"""Open units in the way of a phase change: it waits for them, then splits them (design.md, section 5).

What an open unit has done until the switch is one unit under the old phase, what follows is a second one under the
new. Both are durable before the code that opened it is told so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from outlive.commit.unit import Unit

if TYPE_CHECKING:
    from outlive.runtime.service import Service
    from outlive.stores.store import Store

log = logging.getLogger("outlive")
STEP_S = 0.005
PATIENCE_S = 0.1
UNDO = "an error raised later in the unit undoes only what it did after the switch"


class Waits:
    """Since when each store's phase change waits for open units."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._since: dict[str, float] = {}

    def over(self, store: Store) -> bool:
        """Whether the store's change has waited for as long as it may."""
        since = self._since.setdefault(store.name, time.monotonic())
        return time.monotonic() - since >= self.service.settings.open_unit_s

    def done(self, store: Store) -> None:
        """The store has switched, or need not any more."""
        self._since.pop(store.name, None)

    def clear(self, store: Store) -> bool:
        """Whether the change may go on now; looks again for a moment before it says no."""
        ends = time.monotonic() + PATIENCE_S
        while not self.over(store) and in_the_way(self.service, store):
            if time.monotonic() > ends:
                return False
            time.sleep(STEP_S)
        return True


def in_the_way(service: Service, store: Store) -> list[Unit]:
    """Open units that have changed the store, or that a unit on its way to PostgreSQL waits for; outermost ones."""
    with service.units.lock:
        held = [unit for unit in service.units.held() if any(c.store is store for c in unit.changes.values())]
        held += [d for unit in service.committer.pending() for d in list(unit.depends) if not d.ended]
        return list(dict.fromkeys(unit.root() for unit in held))


def between_units(service: Service, store: Store, wanted: str, switch: Callable[[], Any]) -> Any:
    """What `switch` returns, called where user code runs when no open unit is in its way; splits those that stay."""

    def go() -> tuple[bool, Any]:
        with service.units.lock:
            late = in_the_way(service, store)
            if late and not service.watcher.waits.over(store):
                return False, None
            while late:
                for unit in late:
                    split(service, store, unit, wanted)
                late = in_the_way(service, store)
            return True, switch()

    while True:
        done, result = service.at_home(go)
        if done:
            return result
        service.watcher.beat()
        time.sleep(STEP_S)


def split(service: Service, store: Store, unit: Unit, wanted: str) -> None:
    """End what the unit has done so far under the phase that still holds; units that wait for it wait for that part."""
    stores = sorted({change.store.name for each in _family(service, unit) for change in each.changes.values()})
    family = set(_family(service, unit))
    pending = service.committer.pending()
    first = service.units.split(unit)
    for other in pending:
        if not family.isdisjoint(other.depends):
            other.depends = (other.depends - family) | {first}
    age = round(time.monotonic() - unit.opened_at, 3)
    log.warning("outlive: %s was open for %.1f s and was split: %s enters %s", unit.label, age, store.name, wanted)
    detail = {
        "unit": unit.name, "site": unit.site, "age_s": age, "stores": stores, "from": store.phase, "to": wanted,
        "undo": UNDO,
    }  # fmt: skip
    service.watcher.note(store, "unit_split", detail)


def _family(service: Service, root: Unit) -> list[Unit]:
    return [root, *(unit for unit in service.units.held() if unit is not root and unit.root() is root)]
