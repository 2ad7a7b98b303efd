"""What all stores share: the image, what is kept of each record, and how a unit's changes begin, end and go back.

Subclasses give the image four operations (`image_get`, `image_put`, `image_drop`, `image_items`) and a `proxy`, the
object that user code holds. `kept` has one entry for each record that the last ended unit left behind; it serves
before-values, partial writes, the scrub and parity alike.

Long: a change begins, ends, goes back and is forgotten over the same few tables, which have to be read together.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from outlive.commit import failpoints
from outlive.commit.unit import ABSENT, WHOLE, Change, Kept, Unit, tick
from outlive.commit.units import Joining, Units
from outlive.errors import BadSetting, KeyTaken, Unholdable
from outlive.postgres.options import TableOptions
from outlive.postgres.partitions import EVERY
from outlive.records import MISSING, RecordType, canonical, key_name, parse
from outlive.records.fixed import Fixed
from outlive.records.versions import VersionClock
from outlive.stores import tracking
from outlive.stores.handover import hand_over
from outlive.stores.memory import Gauge
from outlive.stores.tracking import Place, forget
from outlive.stores.views import Views

if TYPE_CHECKING:
    from outlive.postgres.tables import StoreTable

Key = Hashable
UNHELD = "$unheld"
RESERVED = ("$unset", "$private", "$absent")
Phase = Literal["legacy", "dual_write", "dual_read", "database"]


class Checked(NamedTuple):
    """A record as it was when it was checked: its document, its columns in `table`, and what it was made of."""

    document: dict[str, Any]
    cells: tuple[str | None, ...]
    made_of: Fixed | None
    table: StoreTable | None


class Host(ABC):
    """What a store needs of the service that it belongs to."""

    service: str
    units: Units
    clock: VersionClock
    shadow_share: float
    max_image_bytes: int | None = None
    journal_dies: str = ""  # why journals do not outlive this machine or container, where nobody said that they may go
    sampled: deque[tuple[Store, Key]]

    @abstractmethod
    def ready(self, store: Store) -> None:
        """Open the service if a unit of work needs it. Raises NotOpen when that is impossible here."""

    @abstractmethod
    def session(self) -> Any:
        """A pooled connection as a context manager. Raises Unavailable while PostgreSQL is away."""

    @abstractmethod
    def lane(self) -> Any:
        """The quick way of the running loop's reads. Raises Unavailable where there is no database."""

    @abstractmethod
    def observe_query(self, seconds: float) -> None:
        """Note how long a query took."""

    @property
    @abstractmethod
    def reachable(self) -> bool:
        """Whether PostgreSQL answered last."""


class Store(ABC):
    """A named collection of records of one type; its identity is (service, name)."""

    kind = "store"

    def __init__(
        self,
        host: Host,
        name: str,
        declared: Any,
        *,
        key: str | None = None,
        model: Any = None,
        when_away: Literal["journal", "refuse"] | None = None,
        journal_may_be_lost: bool = False,
        default_phase: Phase = "legacy",
        tenant: str | None = None,
        place: tuple[str, str] | None = None,
        indexes: Iterable[Any] = (),
        unique: Iterable[Any] = (),
        references: Mapping[str, Any] | None = None,
        partition_by: tuple[str, Any] | None = None,
        repository: type[Any] | None = None,
    ) -> None:
        self.host = host
        self.units = host.units
        self.name = name
        self.record_type = RecordType.of(declared)
        self.key_field = key
        self.model = model
        self.options = TableOptions.of(indexes, unique, tenant, place, self._referred(references or {}), partition_by)
        self.tenant = tenant
        self.repository_class = repository
        self._check_fields()
        self.declared_away = when_away
        self.journal_may_be_lost = journal_may_be_lost
        self.default_phase: Phase = default_phase
        self.phase: Phase = "legacy"
        self.tracking = False
        self.disordered = False
        self.copying = False  # a back-fill runs: what it has not copied may still have a row from before
        self.gone: set[Key] = set()  # keys that the live path deleted meanwhile
        self.since = 0  # the version at which it entered dual_write: the live path writes above it
        self.table: StoreTable | None = None
        self.kept: dict[Key, Kept] = {}
        self.fresh: dict[Key, Decimal | int] = {}
        self.outside: set[Key] = set()  # keys whose newest change is unlanded: their row is older, or there is none
        self.unsettled: dict[Key, list[Change]] = {}
        self.repository: Any = None
        self.gauge = Gauge()
        self.views = Views(self, [each.fields for each in self.options.indexes if each.using == "btree"])
        self.used_at: float | None = None
        self.used_by: str | None = None
        self.stats: dict[str, int] = {
            "unlanded": 0,
            "scrubbed": 0,
            "unholdable": 0,
            "writes": 0,
            "shadowed": 0,
            "shadow_differences": 0,
        }

    def _referred(self, references: Mapping[str, Any]) -> dict[str, str]:
        """The names of the stores that fields refer to, given as what `mapping` returned, or as names."""
        if references and self.model is not None:
            reason = "the ForeignKey columns of the model say it"
            raise BadSetting(name=f"{self.name}: references", value=", ".join(references), reason=reason)
        names = {}
        for field, given in references.items():
            other = getattr(given, "_store", None)
            if not isinstance(given, str) and (not isinstance(other, Store) or other.host is not self.host):
                reason = "give a store of the same service, or its name"
                raise BadSetting(name=f"{self.name}: references", value=repr(given), reason=reason)
            names[field] = given if isinstance(given, str) else other.name  # type: ignore[union-attr]
        return names

    def _check_partition(self, field: str, every: Any) -> None:
        if field not in self.record_type.fields or every not in EVERY:
            reason = f"a date or time field and one of {', '.join(EVERY)} are expected"
            raise BadSetting(name=f"{self.name}: partition_by", value=f"{field}, {every}", reason=reason)
        if any(each.unique for each in self.options.indexes):
            reason = "PostgreSQL keeps nothing unique over partitions; leave unique= out"
            raise BadSetting(name=f"{self.name}: partition_by", value=field, reason=reason)

    def _check_fields(self) -> None:
        """Raises BadSetting where tenant=, place= or references= name what the record type does not have."""
        fields, options = self.record_type.fields, self.options
        if options.partition_by is not None:
            self._check_partition(*options.partition_by)
        named = [("place", each) for each in options.place or ()] + [
            ("references", each) for each, _ in options.references
        ]
        for option, name in [("tenant", options.tenant), *named]:
            if name is not None and fields and name not in fields:
                reason = f"no such field; there are {', '.join(fields)}"
                raise BadSetting(name=f"{self.name}: {option}", value=name, reason=reason)
        if options.place is not None and "place" in fields:
            reason = "the record type has a field called place, which queries would mean"
            raise BadSetting(name=f"{self.name}: place", value=str(options.place), reason=reason)

    # -- the image ---------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def proxy(self) -> Any:
        """The object that user code holds."""

    @abstractmethod
    def image_get(self, key: Key) -> Any:
        """The live record, or ABSENT."""

    def image_many(self, keys: Iterable[Key]) -> list[Any]:
        """`image_get` of each key."""
        return list(map(self.image_get, keys))

    @abstractmethod
    def image_put(self, key: Key, record: Any) -> None:
        """Adds at the end or replaces in place; no tracking, no unit."""

    @abstractmethod
    def image_drop(self, key: Key) -> None:
        """Removes the record; no tracking, no unit."""

    @abstractmethod
    def image_items(self) -> Iterator[tuple[Key, Any]]:
        """Live records in order."""

    @abstractmethod
    def image_reset(self, items: Iterable[tuple[Key, Any]]) -> None:
        """Makes the image hold exactly `items`, in order."""

    @abstractmethod
    def image_size(self) -> int:
        """How many records the image holds."""

    @abstractmethod
    def enter(self, phase: Phase) -> None:
        """Behave as `phase` asks from the next operation on."""

    def track(self, on: bool) -> None:
        """Notice in-place changes of records from now on, or no longer."""
        if self.tracking and not on:
            forget(self)
        self.tracking = on

    # -- settings ----------------------------------------------------------------------------------------------

    @property
    def strict(self) -> bool:
        """Whether what PostgreSQL cannot hold is refused at the operation (from dual_read on)."""
        return self.phase in ("dual_read", "database")

    @property
    def when_away(self) -> Literal["journal", "refuse"]:
        """What a write does while PostgreSQL is away; no journal acknowledges what may be lost with it, unless told."""
        wish = self.declared_away or ("refuse" if self.strict else "journal")
        lost = bool(self.host.journal_dies) and not self.journal_may_be_lost
        return "refuse" if lost else wish

    @property
    def retired(self) -> bool:
        return self.phase == "database"

    @property
    def durable(self) -> bool:
        """Whether a unit's changes of this store go to PostgreSQL."""
        return self.phase != "legacy"

    # -- changes -----------------------------------------------------------------------------------------------

    def mutation(self) -> Any:
        """The context of one in-place operation on a record."""
        self.host.ready(self)
        return Joining(self.units)

    def touch(self, key: Key, field: str | None) -> None:
        """Note, before it happens, that the running operation changes a field of a stored record."""
        unit = self.units.active
        if unit is None or not self.tracking:
            return
        if self.record_type.kind == "value":
            field = "value"
        elif self.record_type.kind == "dict" and field is not None:
            field = self.record_type.field_name(field)
        change = self._change(unit, key)
        if not isinstance(field, str):
            field = WHOLE
        elif field not in change.before_values and not change.whole:
            change.before_values[field] = self._value_before(key, field)
            if len(self.unsettled[key]) > 1:
                change.firsts[field] = tick()
        change.stamps[field] = tick()

    def _change(self, unit: Unit, key: Key) -> Change:
        change = unit.change(self, key)
        if change is None:
            change = Change(unit, self, key)
            change.before_record = self.image_get(key)
            change.before_kept = self.kept.get(key)
            change.before_position = self.position(key)
            unit.changes[(id(self), key)] = change
            self.unsettled.setdefault(key, []).append(change)
            self.views.altered(key)
        return change

    def _value_before(self, key: Key, field: str) -> Any:
        kept = self.kept.get(key)
        if kept is not None and not any(field in c.stamps or c.whole for c in self.unsettled.get(key, ())):
            return parse(kept.encoded).get(field, MISSING)
        value = self.record_type.peek(self.image_get(key), field)
        return MISSING if value is MISSING else self.record_type.encode(field, value)

    def position(self, key: Key) -> Decimal | int | None:
        """Where the record stands among the others; None if it is not stored."""
        fresh = self.fresh.get(key)
        if fresh is not None:
            return fresh
        kept = self.kept.get(key)
        return None if kept is None else kept.position

    def key_of(self, record: Any) -> Key:
        """The key that the record would be stored under. Raises Unholdable if it tells none."""
        value = MISSING if self.key_field is None else self.record_type.peek(record, self.key_field)
        if value is MISSING:
            reason = "the record does not tell its key; declare the store with key="
            raise Unholdable(store=self.name, field=self.key_field or "key", reason=reason)
        key: Key = value
        return key

    def put(
        self, unit: Unit, key: Key, record: Any, *, insert: bool = False, position: Decimal | int | None = None
    ) -> Any:
        """Store a record as a whole; returns the object that the image holds now."""
        previous = self.image_get(key)
        if insert and previous is not ABSENT:
            raise KeyTaken(store=self.name, key=key_name(key))
        checked = self.check(key, record) if self.strict else None
        change = self._change(unit, key)
        change.checked = checked
        if previous is not ABSENT and previous is not record:
            tracking.release(previous, self, key)
        fixed = checked is not None and checked.made_of is not None
        adopted = tracking.adopt(record, (Place(self, key, None),), bare=fixed)
        if previous is ABSENT or position is not None:
            self.kept_position(key, self.host.clock.next() if position is None else position)
        change.stamps[WHOLE] = tick()
        failpoints.hit("image.before")
        self.image_put(key, adopted)
        failpoints.hit("image.after")
        change.expect_absent = change.expect_absent or insert
        return adopted

    def kept_position(self, key: Key, position: Decimal | int) -> None:
        """Give a record its place; the unit's end writes it down."""
        self.fresh[key] = position

    def drop(self, unit: Unit, key: Key) -> None:
        """Remove a record."""
        change = self._change(unit, key)
        tracking.release(self.image_get(key), self, key)
        self.image_drop(key)
        self.fresh.pop(key, None)
        change.stamps[WHOLE] = tick()

    def check(self, key: Key, record: Any) -> Checked:
        """The record as PostgreSQL will hold it. Raises Unholdable, naming store, key and field, if it cannot."""
        try:
            if self.table is None:
                return Checked(self.record_type.document(record), (), self.record_type.fixed(record), None)
            return Checked(*self.table.made(key, record), self.table)
        except Unholdable as error:
            raise self.named(error, key) from None

    def screen(self, key: Key, field: Any, value: Any, top: bool) -> None:
        """The same for one value that is about to enter a record, at the record's field or somewhere below it."""
        if not self.strict:
            return
        try:
            if top and isinstance(field, str) and self.record_type.kind != "value":
                field = self.record_type.field_name(field) if self.record_type.kind == "dict" else field
                encoded = self.record_type.encode(field, value)
                if self.table is not None:
                    self.table.check_field(field, encoded)
            else:
                RecordType.of(dict).document({"value": value})
        except Unholdable as error:
            if not top and isinstance(field, str):  # the path began at a stand-in for the field
                error = Unholdable(field=field + error.field.removeprefix("value"), reason=error.reason)
            raise self.named(error, key, str(field)) from None

    def named(self, error: Unholdable, key: Key, field: str = "") -> Unholdable:
        """The error with this store's name, the record's key and a field."""
        return Unholdable(store=self.name, key=key_name(key), field=error.field or field, reason=error.reason)

    # -- the end of a unit -------------------------------------------------------------------------------------

    def seal(self, change: Change) -> None:
        """Encode a change at its unit's end; see commit.unit."""
        key = change.key
        change.local = not self.durable
        if change.direct:
            change.version = self.host.clock.next()
            change.position = change.version if change.before_position is None else change.before_position
            if not self.retired:
                self.take_over(change)
            return
        others = self._beside(change) if len(self.unsettled.get(key, ())) > 1 else []
        record = self._as_written(change, others)
        kept = self.kept.get(key)
        change.before_kept = kept
        change.version = self.host.clock.next()
        change.base = kept.version if kept is not None else 0
        if record is ABSENT:
            change.op = "none" if kept is None and not self.copying else "delete"
            if self.copying:
                self.gone.add(key)
            self.kept.pop(key, None)
            return
        change.document, encoded = self._encode(change, record, kept, others)
        change.encoded = encoded
        change.position = self._sealed_position(change, kept)
        same = kept is not None and kept.encoded == encoded and kept.position == change.position
        if same and key not in self.outside:  # what did not land is written again, equal or not
            change.op = "none"
            return
        change.op = "put" if kept is None or change.whole or change.key in self.outside else "patch"
        self.kept[key] = Kept(encoded, change.version, change.position)
        self.fresh.pop(key, None)

    def _beside(self, change: Change) -> list[Change]:
        """Other open units' changes of the record; the change's unit depends on whoever has a hand in what it wrote."""
        unit = change.unit
        others = [c for c in self.unsettled[change.key] if c is not change and not c.unit.settled]
        unit.depends.update(c.unit.root() for c in others if c.unit.ended or change.overlaps(c))
        unit.depends.discard(unit)
        return [c for c in others if not c.unit.ended]

    def _as_written(self, change: Change, others: list[Change]) -> Any:
        if not others:
            return self.image_get(change.key)
        latest = change.stamps.get(WHOLE) or max(change.stamps.values())
        later = [c for c in others if c.stamps.get(WHOLE, 0) > latest]
        if later:
            return min(later, key=lambda c: c.stamps[WHOLE]).before_record
        return self.image_get(change.key)

    def _encode(self, change: Change, record: Any, kept: Kept | None, others: list[Change]) -> tuple[Any, bytes]:
        try:
            if kept is None or change.whole or change.key in self.outside:
                document = self._whole_document(change, record)
            else:
                document = parse(kept.encoded)
                for field in change.stamps:
                    self._set_field(document, str(field), record)
                if self.record_type.kind == "dict":
                    document = _in_order(document, self.record_type, record)
                elif self.record_type.kind == "model":
                    for field in RESERVED:
                        self._set_field(document, field, record)
            if others:
                change.cells = ()
                for field, value in _foreign_fields(change, others).items():
                    _assign(document, field, value)
            return document, canonical(document)
        except Unholdable as error:
            if self.strict:
                raise self.named(error, change.key) from None
            return self._unholdable(change, record, self.named(error, change.key))

    def _whole_document(self, change: Change, record: Any) -> dict[str, Any]:
        """The record's document: the one that was checked, unless the record has changed since."""
        checked, change.checked = change.checked, None
        if checked is None or checked.made_of is None or not self.record_type.same(record, checked.made_of):
            plain = None if self.table is None else self.table.plain(change.key, record)
            if plain is None:
                return self.record_type.document(record)
            checked = Checked(*plain, self.table)
        change.cells = checked.cells if checked.table is self.table else ()
        document: dict[str, Any] = checked.document
        return document

    def _set_field(self, document: dict[str, Any], field: str, record: Any) -> None:
        value = self.record_type.peek(record, field)
        _assign(document, field, MISSING if value is MISSING else self.record_type.encode(field, value))

    def _unholdable(self, change: Change, record: Any, error: Unholdable) -> tuple[Any, bytes]:
        """Before dual_read the request stands: the record is kept field by field, what has no form as plain text."""
        change.error = error
        self.stats["unholdable"] += 1
        document, _ = self.document(record)
        return document, canonical(document)

    def document(self, record: Any) -> tuple[dict[str, Any], Unholdable | None]:
        """The record's document; if PostgreSQL cannot hold it, field by field as far as it can be told, and why."""
        try:
            return self.record_type.document(record), None
        except Unholdable as error:
            document: dict[str, Any] = {}
            for name, value in fields_of(self.record_type, record):
                try:
                    document[name] = self.record_type.encode(name, value)
                except Unholdable:
                    document[name] = {UNHELD: _as_text(value)}
            return document, error

    def encoded(self, record: Any) -> bytes:
        """The canonical bytes of `document`."""
        return canonical(self.document(record)[0])

    def _sealed_position(self, change: Change, kept: Kept | None) -> Decimal | int:
        fresh = self.fresh.get(change.key)
        if fresh is not None:
            return fresh
        return kept.position if kept is not None else change.version

    # -- going back --------------------------------------------------------------------------------------------

    def undo(self, change: Change) -> None:
        """Give back what the change replaced, as far as its unit was the last to write it."""
        key = change.key
        if change.direct:
            return
        others = [c for c in self.unsettled.get(key, ()) if c is not change]
        if change.whole and not any(c.stamps.get(WHOLE, 0) > change.stamps[WHOLE] for c in others):
            self._undo_whole(change)
        elif not change.whole:
            self._undo_fields(change, others)
        if others:
            hand_over(self, change, others)
        if change.op != "none" and not (change.local and self.durable):
            kept = self.kept.get(key)
            if change.before_kept is None:
                self.kept.pop(key, None)
            elif kept is None or kept.version == change.version:
                self.kept[key] = change.before_kept

    def _undo_whole(self, change: Change) -> None:
        key = change.key
        now = self.image_get(key)
        if now is not ABSENT and now is not change.before_record:
            tracking.release(now, self, key)
        if change.before_record is ABSENT:
            if now is not ABSENT:
                self.image_drop(key)
            self.fresh.pop(key, None)
            return
        record = tracking.adopt(change.before_record, (Place(self, key, None),))
        moved = now is ABSENT or self.position(key) != change.before_position
        self.fresh.pop(key, None)
        if change.before_position is not None and self.position(key) != change.before_position:
            self.fresh[key] = change.before_position
        self.image_put(key, record)
        for field, value in change.before_values.items():
            self.write_field(key, record, field, value)
        self.disordered = self.disordered or moved

    def _undo_fields(self, change: Change, others: list[Change]) -> None:
        record = self.image_get(change.key)
        if record is ABSENT:
            return
        for field, value in change.before_values.items():
            stamp = change.stamps[field]
            if not any(max(c.stamps.get(field, 0), c.stamps.get(WHOLE, 0)) > stamp for c in others):
                self.write_field(change.key, record, field, value)

    def write_field(self, key: Key, record: Any, field: str, value: Any) -> None:
        """Set one field of a live record to an encoded value, keeping the record's identity and tracking."""
        self.views.altered(key)
        document = {} if value is MISSING else {field: value}
        if self.record_type.kind == "value":
            self.image_put(key, tracking.adopt(self.record_type.record(document), (Place(self, key, None),)))
            return
        self.record_type.update(record, document, (field,))
        self.retrack(key, record)

    def retrack(self, key: Key, record: Any) -> None:
        """Track what was put into a live record behind the tracking's back."""
        tracking.release(record, self, key)
        adopted = tracking.adopt(record, (Place(self, key, None),))
        if adopted is not record:
            self.image_put(key, adopted)

    def undone(self) -> None:
        """A unit has been undone: what it moved stands in its old place again."""
        if self.disordered:
            self.disordered = False
            self.reorder()

    def reorder(self) -> None:
        """Bring the image into the order of its records' positions."""
        items = sorted(self.image_items(), key=lambda item: self.position(item[0]) or 0)
        self.image_reset(items)

    def settled(self, change: Change) -> None:
        """Forget the change; its outcome is final."""
        changes = self.unsettled.get(change.key)
        if changes is not None and change in changes:
            if len(changes) == 1:
                del self.unsettled[change.key]
            else:
                changes.remove(change)

    # -- phase database: changes without an image --------------------------------------------------------------

    def direct(self, unit: Unit, key: Key, op: Literal["put", "patch", "delete"]) -> Change:
        """A change whose document, base and before-values the caller gives; nothing is held in memory."""
        change = unit.change(self, key)
        if change is None:
            change = Change(unit, self, key)
            change.direct = True
            unit.changes[(id(self), key)] = change
            self.unsettled.setdefault(key, []).append(change)
        change.op = "put" if op == "patch" and change.op == "put" else op
        change.cells = ()
        return change

    def claimed(self, unit: Unit, key: Key) -> bool:
        """Whether another unit of this process is about to store a record under the key."""
        others = [c for c in self.unsettled.get(key, ()) if c.unit.root() is not unit.root()]
        return bool(others) and others[-1].op != "delete"

    def take_over(self, change: Change) -> None:
        """Bring a sealed change that was made without an image into the image that is there again."""
        key, kept = change.key, self.kept.get(change.key)
        change.direct = False
        change.before_record, change.before_kept, change.before_position = self.image_get(key), kept, self.position(key)
        tracking.release(change.before_record, self, key)
        if change.op == "delete":
            if change.before_record is not ABSENT:
                self.image_drop(key)
            self.kept.pop(key, None)
            return
        document = dict(change.document or {})
        if change.op == "patch" and kept is not None:
            document = parse(kept.encoded)
            for field in change.stamps:
                _assign(document, str(field), (change.document or {}).get(str(field), MISSING))
        self.image_put(key, self.record_type.record(document))
        self.retrack(key, self.image_get(key))
        self.kept[key] = Kept(canonical(document), change.version, change.position)

    # -- use ---------------------------------------------------------------------------------------------------

    def used(self, where: str) -> None:
        """Remember that the mapping was used, and from where."""
        self.used_at = time.time()
        self.used_by = where


def _as_text(value: Any) -> str:
    """JSON text of what has no canonical form; of what contains itself, or cannot be shown, only its type."""
    try:
        return json.dumps(value, default=repr)
    except Exception:  # noqa: BLE001  repr is the record's own code
        return json.dumps(object.__repr__(value))


def _assign(document: dict[str, Any], field: str, value: Any) -> None:
    if value is MISSING:
        document.pop(field, None)
    else:
        document[field] = value


def _foreign_fields(change: Change, others: list[Change]) -> dict[str, Any]:
    """Fields that only other open units wrote, at their before-values: the first of them saw the settled one."""
    found: dict[str, Any] = {}
    for other in others:
        for field, value in other.before_values.items():
            if field not in change.before_values and change.stamps.get(field) is None:
                written_after = other.stamps.get(field, 0) > change.stamps.get(WHOLE, 0)
                if written_after:
                    found.setdefault(field, value)
    return found


def _in_order(document: dict[str, Any], record_type: RecordType, record: dict[Any, Any]) -> dict[str, Any]:
    """A dict record's document in the record's own key order; what only the document has comes last."""
    names = [record_type.field_name(key) for key in record]
    if list(document) == names:
        return document
    ordered = {field: document[field] for field in names if field in document}
    ordered.update((field, value) for field, value in document.items() if field not in ordered)
    return ordered


def fields_of(record_type: RecordType, record: Any) -> Iterator[tuple[str, Any]]:
    """The record's live fields, name and value, as far as they can be told one by one."""
    if record_type.kind == "dict" and isinstance(record, dict):
        yield from ((record_type.field_name(key), value) for key, value in dict.items(record))
    elif record_type.kind == "model":
        names = [name for name in record_type.fields if record_type.peek(record, name) is not MISSING]
        yield from ((name, record_type.peek(record, name)) for name in names)
    else:
        yield "value", record


def restored(document: dict[str, Any]) -> dict[str, Any]:
    """A document of `_unholdable` with its plain text turned back into values, as far as text can."""
    held: dict[str, Any] = {}
    for name, value in document.items():
        unheld = isinstance(value, dict) and set(value) == {UNHELD}
        held[name] = json.loads(value[UNHELD]) if unheld else value
    return held
