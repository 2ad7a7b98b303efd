"""What a store gives its repository: live records in the image phases, connections in the SQL phases, and units."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from outlive.commit.unit import ABSENT, Unit, current_unit
from outlive.commit.units import UnitBlock
from outlive.errors import Conflict, KeyTaken, Unholdable
from outlive.query.evaluate import Peek
from outlive.query.language import Query
from outlive.records import MISSING, RecordType, key_name, key_text
from outlive.stores.json_file import JsonFileStore
from outlive.stores.store import Store

Key = Hashable
DELETED = ABSENT
SAMPLED = 20


class Backing:
    """One store as its repository sees it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.name = store.name
        self.record_type: RecordType = store.record_type
        self.place: tuple[str, str] | None = store.options.place
        self.tenant: str | None = store.tenant

    @property
    def table(self) -> Any:
        return self.store.table

    def reads_sql(self) -> bool:
        """Whether SQL answers: from dual_read on; in dual_read only while PostgreSQL is there and this unit has not
        changed the store."""
        store = self.store
        if store.phase == "database":
            return True
        return store.phase == "dual_read" and store.host.reachable and not self._changed_here()

    def _changed_here(self) -> bool:
        unit = current_unit()
        if unit is None:
            return False
        return any(change.store is self.store for u in unit.chain() for change in u.changes.values())

    def writes_image(self) -> bool:
        """Whether writes go to the image first (all phases but database)."""
        return not self.store.retired

    def image_get(self, key: Key) -> Any:
        """The live record, or ABSENT."""
        store = self.store
        self._sample((key,))
        if isinstance(store, JsonFileStore):
            store.refresh()
        return store.image_get(key)

    def image_items(self) -> Iterable[tuple[Key, Any]]:
        """Live records in order."""
        store = self.store
        if isinstance(store, JsonFileStore):
            store.refresh()
        items = list(store.image_items())
        self._sample([key for key, _ in items[:SAMPLED]])
        return items

    def candidates(self, query: Query, peek: Peek[Any]) -> list[tuple[Key, Any]] | None:
        """Live records in order among which a query's answer is; None: look at all of them."""
        store = self.store
        if isinstance(store, JsonFileStore):
            store.refresh()
        items = store.views.candidates(query, peek)
        if items is not None:
            self._sample([key for key, _ in items[:SAMPLED]])
        return items

    def page(self, query: Query, peek: Peek[Any]) -> list[tuple[Key, Any]] | None:
        """A query's whole answer of live records, where an index has it; else None."""
        store = self.store
        if isinstance(store, JsonFileStore):
            store.refresh()
        items = store.views.page(query, peek)
        if items is not None and store.phase == "dual_write":
            self._sample([key for key, _ in items[:SAMPLED]])
        return items

    def image_size(self) -> int:
        """How many live records there are."""
        if isinstance(self.store, JsonFileStore):
            self.store.refresh()
        return self.store.image_size()

    def image_position(self, key: Key) -> Any:
        """Where a live record stands; None in `legacy`, where nothing is tracked."""
        return self.store.position(key)

    def together(self) -> Any:
        """Several writes as one: a savepoint of the unit that is open, else a unit of their own."""
        unit = current_unit()
        if unit is not None and not unit.ended:
            return UnitBlock(self.store.units)
        return self._joined()

    def texts(self, items: Iterable[tuple[Key, Any]], encode: Callable[[Any], bytes], form: Any) -> list[bytes]:
        """The JSON of live records, kept until they change."""
        return self.store.views.texts(items, encode, form)

    def _sample(self, keys: Iterable[Key]) -> None:
        """In dual_write a share of the reads is compared with PostgreSQL afterwards, by version."""
        store = self.store
        if store.phase == "dual_write" and random.random() < store.host.shadow_share:  # noqa: S311  no secret
            store.host.sampled.extend((store, key) for key in keys)

    def unit_changes(self) -> Mapping[Key, Any]:
        """This unit's own changes in phase database: key -> record or DELETED."""
        unit = current_unit()
        found: dict[Key, Any] = {}
        for u in reversed(list(unit.chain())) if unit is not None else ():
            for change in u.changes.values():
                if change.store is self.store and change.direct:
                    gone = change.op == "delete" or change.document is None
                    found[change.key] = DELETED if gone else self.record_type.record(change.document or {})
        return found

    def untouched(self) -> bool:
        """Whether SQL answers and the current unit has changed nothing."""
        unit = current_unit()
        if unit is not None and (unit.changes or unit.parent is not None):
            return False
        return self.store.phase == "database" or self.reads_sql()

    def key_of(self, record: Any) -> Key:
        """The key that the record would be stored under. Raises Unholdable if it tells none."""
        return self.store.key_of(record)

    # -- writes ------------------------------------------------------------------------------------------------

    def unit_put(self, key: Key, record: Any, insert: bool) -> None:
        """Store a record as a whole, in the current unit. Raises KeyTaken for an insert of a known key."""
        store = self.store
        with self._joined() as unit:
            if store.retired:
                self._direct_put(unit, key, record, insert)
                return
            if isinstance(store, JsonFileStore):
                store.refresh()
                fresh = store.key_for(record, {}, key)
                if store.strict:
                    store.refuse_unkeyed(fresh, record)
                store.put(unit, fresh, record, insert=insert)
                return
            store.put(unit, key, record, insert=insert)

    def _direct_put(self, unit: Unit, key: Key, record: Any, insert: bool) -> None:
        store = self.store
        checked = store.check(key, record)
        earlier = unit.change(store, key)
        if insert and (store.claimed(unit, key) if earlier is None else earlier.op != "delete"):
            raise KeyTaken(store=store.name, key=key_text(key))
        stays = earlier is None or earlier.op == "patch" or (earlier.op == "put" and earlier.keeps_place)
        if earlier is not None and earlier.op == "delete":
            earlier.before_position = None  # it comes last, wherever the deleted one stood
        change = store.direct(unit, key, "put")
        change.keeps_place = stays and not insert
        change.document, change.cells = checked.document, checked.cells
        change.stamps[None] = 0
        change.expect_absent = insert and earlier is None

    def unit_patch(self, key: Key, fields: dict[str, Any], base: Any = None) -> None:
        """Set fields of a stored record, in the current unit. `base`: the row as read, in phase database."""
        store = self.store
        with self._joined() as unit:
            if store.retired:
                self._direct_patch(unit, key, fields, base)
                return
            record = store.image_get(key)
            if record is ABSENT:
                raise Conflict(store=store.name, key=key_name(key), reason="the record was deleted meanwhile")
            if isinstance(store, JsonFileStore) and fields.get(str(store.key_field), key) != key:
                store.rekey(unit, key, {**record, **fields})
                return
            documents = {}
            for name, value in fields.items():
                store.screen(key, name, value, True)
                store.touch(key, name)
                documents[name] = value
            self._set(store, key, record, documents)

    def _set(self, store: Store, key: Key, record: Any, fields: dict[str, Any]) -> None:
        if isinstance(store, JsonFileStore):
            store.image[key] = {**record, **fields}  # lists that were loaded before compare with the old one
            return
        if store.record_type.kind == "dict":
            for name, value in fields.items():
                dict.__setitem__(record, name, value)
        else:
            for name, value in fields.items():
                setattr(record, name, value)
        store.retrack(key, record)

    def _direct_patch(self, unit: Unit, key: Key, fields: dict[str, Any], base: Any) -> None:
        store = self.store
        earlier = unit.change(store, key)
        old = dict(earlier.document or {}) if earlier is not None else dict(base.document)
        document = dict(old)
        for name, value in fields.items():
            document[name] = self.record_type.encode(name, value)
        fresh = document.get(str(store.key_field), MISSING)
        store.check(key, self.record_type.record(document))
        if fresh is not MISSING and fresh != old.get(str(store.key_field), MISSING):
            self._direct_rekey(unit, key, document, base)
            return
        change = store.direct(unit, key, "patch")
        for name in fields:
            change.before_values.setdefault(name, old.get(name, MISSING))
            change.stamps[name] = 0
        change.document = document
        if earlier is None:
            change.base, change.before_position = base.version, base.position

    def _direct_rekey(self, unit: Unit, key: Key, document: dict[str, Any], base: Any) -> None:
        store = self.store
        record = self.record_type.record(document)
        fresh = self.key_of(record)
        if type(fresh) not in (int, str):
            raise Unholdable(
                store=store.name, key=key_text(key), field=str(store.key_field), reason=f"{fresh!r} is no key"
            )
        store.check(fresh, record)
        self.unit_delete(key)
        change = store.direct(unit, fresh, "put")
        change.document, change.expect_absent = document, True
        change.before_position = base.position
        change.stamps[None] = 0

    def unit_delete(self, key: Key) -> None:
        """Remove a stored record, in the current unit."""
        store = self.store
        with self._joined() as unit:
            if store.retired:
                change = store.direct(unit, key, "delete")
                change.document = None
                change.stamps[None] = 0
            elif store.image_get(key) is not ABSENT:
                store.drop(unit, key)

    def _joined(self) -> Any:
        return self.store.mutation()

    # -- queries -----------------------------------------------------------------------------------------------

    def session(self) -> Any:
        """A pooled connection."""
        return self.store.host.session()

    def lane(self) -> Any:
        """The quick way of the running loop's reads."""
        return self.store.host.lane()

    def observe_query(self, seconds: float) -> None:
        self.store.host.observe_query(seconds)

    def settle(self) -> None:
        """Nothing to wait for: a call without a unit waited already."""

    async def asettle(self) -> None:
        """Wait until this loop turn's unit, if it was one, is durable."""
        if current_unit() is None:
            unit = self.store.units._turns.get(asyncio.get_running_loop())
            if unit is not None:
                await unit.ticket
