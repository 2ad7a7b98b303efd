"""After a group has landed: memory learns what PostgreSQL made of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from outlive.commit.group import Merged, Outcome
from outlive.commit.unit import ABSENT, Kept, Unit
from outlive.records import MISSING, canonical, parse

if TYPE_CHECKING:
    from outlive.runtime.service import Service

log = logging.getLogger("outlive")


class Landing:
    """Raised versions and merged documents go to the image; what did not land is counted and named."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.superseded: list[tuple[Any, Any, int]] = []
        self.reread: list[tuple[Any, Any]] = []

    def landed(self, units: list[Unit], outcome: Outcome) -> None:
        """Called by the committer between a commit and its acknowledgements."""
        with self.service.units.lock:
            for store, key, mine, version in outcome.raised:
                self._raise(store, key, mine, version)
            for merged in outcome.merged:
                self._merge(merged)
            for entry in outcome.unlanded:
                self._note_unlanded(entry)
            self.reread += outcome.reread
            failed = {(id(entry.store), entry.key) for entry in outcome.unlanded}
            for unit in units:
                self._after(unit, failed)

    def read_again(self, keys: list[tuple[Any, Any]]) -> None:
        """Records that the watcher shall read again from PostgreSQL into the same objects."""
        with self.service.units.lock:
            self.reread += keys

    def _raise(self, store: Any, key: Any, mine: int, version: int) -> None:
        self.service.clock.observe(version)
        kept = store.kept.get(key)
        if kept is not None and kept.version == mine:
            kept.version = version

    def _merge(self, merged: Merged) -> None:
        """What others had done to the row comes to the record, but for what this process has changed since."""
        store, key = merged.store, merged.key
        self.service.clock.observe(merged.version)
        kept = store.kept.get(key)
        record = store.image_get(key)
        if kept is None or record is ABSENT or store.retired:
            return
        version, document, later = merged.version, dict(merged.document), set()
        if kept.version != merged.sealed_version:  # later units are sealed, on their way or in the journal
            version, latest = kept.version, parse(kept.encoded)
            later = {name for name in {*latest, *merged.sealed} if latest.get(name) != merged.sealed.get(name)}
            document = {name: value for name, value in document.items() if name not in later}
            document.update({name: value for name, value in latest.items() if name in later})
        busy = {name for change in store.unsettled.get(key, ()) if not change.unit.ended for name in change.stamps}
        for name in set(document) | set(store.record_type.document(record)):
            if name not in busy and name not in later:
                store.write_field(key, record, name, document.get(name, MISSING))
        store.kept[key] = Kept(canonical(document), version, kept.position)

    def _note_unlanded(self, entry: Any) -> None:
        store = entry.store
        store.stats["unlanded"] += 1
        store.outside.add(entry.key)
        log.error("outlive: %s[%s] did not land: %s %s", store.name, entry.key, entry.field or "", entry.reason)

    def _after(self, unit: Unit, failed: set[tuple[int, Any]]) -> None:
        for change in unit.changes.values():
            store: Any = change.store
            store.stats["writes"] += 1
            if not store.outside or change.op == "none":
                continue
            if change.key in store.outside and (id(store), change.key) not in failed:
                store.outside.discard(change.key)
                store.stats["unlanded"] = max(0, store.stats["unlanded"] - 1)
                self.superseded.append((store, change.key, change.version))
