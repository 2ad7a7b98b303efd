"""`outlive.json_file`: the records of a JSON file that code loads as a whole and saves as a whole.

`save(rows)` is compared with what is kept, by key, and only what changed joins the unit of work. A list that `load`
gave remembers what it was: what others wrote since stays, unless the caller changed the same record.

In `legacy` the file is the store's home: a unit is acknowledged when the file is written (one write for all units that
wait). From `dual_write` on PostgreSQL is, and the file is written behind.
"""

from __future__ import annotations

import errno
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from outlive.commit.unit import ABSENT, WHOLE, Change, Kept, Unit, tick
from outlive.errors import FileMalformed, KeyTaken, MappingRetired, Unholdable
from outlive.records import key_name, key_text, parse
from outlive.stores import files
from outlive.stores.files import FileLock, Format, Stamp
from outlive.stores.mapping import caller
from outlive.stores.order import rising
from outlive.stores.store import Host, Key, Phase, Store, restored
from outlive.stores.swap import Seen, swap

if TYPE_CHECKING:
    from outlive.stores.repository import Repository

log = logging.getLogger("outlive")
TRIES = 5  # looks at a file that somebody keeps writing; the last one replaces it and compares afterwards


class Rows(list[Any]):
    """A list of records that knows what the store held when it was made."""

    __slots__ = ("base",)

    def __init__(self, rows: Iterable[Any], base: dict[Key, Any] | None = None) -> None:
        super().__init__(rows)
        self.base = base


class JsonFile:
    """What user code holds: load, save, or `with store as rows:`."""

    def __init__(self, store: JsonFileStore) -> None:
        self._store = store
        self._rows: ContextVar[tuple[Rows, ...]] = ContextVar("outlive_rows", default=())

    @property
    def phase(self) -> Phase:
        """The phase that the store is in, in this process."""
        return self._store.phase

    @property
    def repository(self) -> Repository:
        """The same records, by query."""
        repository: Repository = self._store.repository
        return repository

    @property
    def path(self) -> Path:
        """The file."""
        return self._store.path

    def load(self) -> Rows:
        """All records in order, as copies that the caller may change."""
        self._usable()
        return self._store.rows()

    def save(self, rows: Iterable[Any]) -> None:
        """Makes the store hold `rows`, in this order; only what changed is written.

        Of a list that came from `load` only what the caller did to it counts: records that others added since stay, and
        those that others deleted or changed are as they left them, unless the caller changed them too. Any other list
        is the store's whole content.
        """
        self._usable()
        self._replace(rows if isinstance(rows, Rows) else Rows(rows))

    def _replace(self, rows: Rows) -> None:
        with self._store.mutation() as unit:
            self._store.save(unit, rows)

    def _usable(self) -> None:
        self._store.used(caller(3))
        if self._store.retired:
            raise MappingRetired(store=self._store.name, instead=f"{self._store.name}.repository")
        self._store.refresh()

    def __enter__(self) -> Rows:
        self._usable()
        rows = self._store.rows()
        self._rows.set((*self._rows.get(), rows))
        return rows

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        *others, rows = self._rows.get()
        self._rows.set(tuple(others))
        if error is None:
            self._usable()
            self._replace(rows)

    def __repr__(self) -> str:
        return f"<outlive json_file {self._store.path} in {self._store.phase}>"


class JsonFileStore(Store):
    """The store behind a `JsonFile`. The image is a dict of plain records by key, in file order."""

    kind = "json_file"

    def __init__(
        self, host: Host, name: str, declared: Any, *, path: Path, default: Any = None, format: Format, **options: Any
    ) -> None:
        super().__init__(host, name, declared, **options)
        self.path = path
        self.default: Callable[[], list[Any]] | list[Any] | None = default
        self.format = format
        self.lock = FileLock(path)
        self._writing = threading.RLock()  # file, stamp and what is known to be in the file change together
        self.image: dict[Key, Any] = {}
        self.stamp: Stamp | None = None
        self.read_once = False
        self.dirty = False
        self.seen = Seen(None)
        self.behind = 0  # a version: of the table's rows the file is known to hold only what came to it since
        self.in_file: dict[Key, bytes] = {}
        self._texts: dict[Key, tuple[bytes, Format, str]] = {}
        self.write_s = 0.0
        self.written_at = 0.0
        self.taken_in = 0
        self.set_aside: list[str] = []
        self._front = JsonFile(self)

    @property
    def proxy(self) -> Any:
        return self._front

    def image_get(self, key: Key) -> Any:
        return self.image.get(key, ABSENT)

    def image_put(self, key: Key, record: Any) -> None:
        self.views.altered(key)
        self.image[key] = record

    def image_drop(self, key: Key) -> None:
        self.views.altered(key)
        del self.image[key]

    def image_items(self) -> Iterator[tuple[Key, Any]]:
        return iter(list(self.image.items()))

    def image_reset(self, items: Iterable[tuple[Key, Any]]) -> None:
        self.image = dict(items)

    def image_size(self) -> int:
        return len(self.image)

    def enter(self, phase: Phase) -> None:
        self.phase = phase
        self.views.reset()
        self.track(phase != "database")

    def retrack(self, key: Key, record: Any) -> None:
        """Records of a file are copies; nobody outside holds one."""

    def rows(self) -> Rows:
        """Copies of all records, in order."""
        with self.units.lock:
            return Rows((self.copy_of(record) for record in self.image.values()), dict(self.image))

    def copy_of(self, record: Any) -> Any:
        """A record equal to this one that shares nothing with it."""
        return _plain_copy(record)

    # -- changes -----------------------------------------------------------------------------------------------

    def put(
        self, unit: Unit, key: Key, record: Any, *, insert: bool = False, position: Decimal | int | None = None
    ) -> Any:
        if insert and key in self.image:
            raise KeyTaken(store=self.name, key=key_text(key))
        if self.strict:
            self.check(key, record)
        change = self._change(unit, key)
        if key not in self.image or position is not None:
            self.kept_position(key, self.host.clock.next() if position is None else position)
        self.image[key] = _plain_copy(record)
        change.stamps[WHOLE] = tick()
        change.expect_absent = change.expect_absent or insert
        return self.image[key]

    def drop(self, unit: Unit, key: Key) -> None:
        change = self._change(unit, key)
        del self.image[key]
        self.fresh.pop(key, None)
        change.stamps[WHOLE] = tick()

    def rekey(self, unit: Unit, key: Key, record: Any) -> Key:
        """A record whose key field was changed: it leaves the old key and stands at the same place under the new."""
        place = self.position(key)
        fresh = self.key_for(record, self.image, key)
        if self.strict:
            self.refuse_unkeyed(fresh, record)
            self.check(fresh, record)
        self.drop(unit, key)
        self.put(unit, fresh, record, position=place)
        self.reorder()
        return fresh

    def key_for(self, record: Any, taken: Any, but: Key = ABSENT) -> Key:
        """The record's key; one of the store's own making where the file has none or a repeated one."""
        value = self.record_type.peek(record, self.key_field) if self.key_field else ABSENT
        if type(value) not in (int, str):
            return ("unkeyed", self.host.clock.next())
        if value in taken and value != but:
            return ("unkeyed", self.host.clock.next())
        key: Key = value
        return key

    def save(self, unit: Unit, rows: Rows) -> None:
        """Bring the image to what others did since the rows were loaded, and what the caller did to them."""
        base = rows.base
        if base is None:
            self.replace(unit, list(rows))
        elif len(base) == len(self.image) and all(self.image.get(key) is base[key] for key in base):
            self.replace(unit, list(rows))
            rows.base = dict(self.image)
        else:
            keys = self._keys(rows)
            self.replace(unit, self._merged(keys, rows, base))
            held = {key: self.image.get(key, ABSENT) for key in keys}
            rows.base = {
                key: held[key] if _same(held[key], row) else base[key]
                for key, row in zip(keys, rows, strict=True)
                if key in base or held[key] is not ABSENT
            }

    def _merged(self, keys: list[Key], rows: list[Any], base: dict[Key, Any]) -> list[Any]:
        found: list[Any] = []
        known = 0
        for key, row in zip(keys, rows, strict=True):
            if key not in base or not _same(base[key], row):
                found.append(row)
            elif key in self.image:
                found.append(self.image[key])
            known = len(found) if key in self.image else known
        mine = set(keys)
        found[known:known] = [each for key, each in self.image.items() if key not in mine and key not in base]
        return found

    def replace(self, unit: Unit, rows: list[Any]) -> None:
        """Bring the image to `rows`, as changes of `unit`."""
        keys = self._keys(rows)
        if self.strict:
            for key, row in zip(keys, rows, strict=True):
                self.refuse_unkeyed(key, row)
                if key not in self.image or not _same(self.image[key], row):
                    self.check(key, row)
        wanted = set(keys)
        for key in [key for key in self.image if key not in wanted]:
            self.drop(unit, key)
        known = [self.position(key) if key in self.image else None for key in keys]
        for key, row, old, new in zip(keys, rows, known, rising(known, self.host.clock.next), strict=True):
            if old != new or key not in self.image or not _same(self.image[key], row):
                self.put(unit, key, row, position=new)
        self.image = {key: self.image[key] for key in keys}

    def refuse_unkeyed(self, key: Key, record: Any) -> None:
        """Raises Unholdable for a record without a key of its own, KeyTaken for one with a key that another has."""
        if unkeyed(key):
            value = self.record_type.peek(record, self.key_field or "")
            if type(value) in (int, str):
                raise KeyTaken(store=self.name, key=repr(value))
            field = self.key_field or ""
            raise Unholdable(store=self.name, key=repr(value), field=field, reason=f"{value!r} is no key")

    def _keys(self, rows: list[Any]) -> list[Key]:
        """Each row's key. Rows without a usable one keep the key that an equal row has in the image."""
        if not isinstance(rows, list):
            raise FileMalformed(path=str(self.path), reason="a list of records is expected")
        spare = {self.encoded(r): k for k, r in self.image.items() if unkeyed(k)}
        taken: dict[Key, None] = {}
        for row in rows:
            key = self.key_for(row, taken)
            if unkeyed(key):
                key = spare.pop(self.encoded(row), key)
            taken[key] = None
        return list(taken)

    def seal(self, change: Change) -> None:
        super().seal(change)
        if change.op != "none":
            if self.phase == "legacy":
                change.unit.root().files.add(self)
            else:
                self.dirty = True

    # -- the file ----------------------------------------------------------------------------------------------

    def read(self) -> None:
        """Fill the image from the file, or from `default` where there is none. Raises FileMalformed."""
        stamp = files.stamp_of(self.path)
        if stamp is None:
            rows = self.default() if callable(self.default) else list(self.default or [])
            self.fill(rows)
            self.in_file = {}
        else:
            rows, text = files.read_rows(self.path)
            self.format = files.format_of(text, self.format)
            self.seen = _seen(stamp, text)
            self.fill(rows)
            self.in_file = {key: kept.encoded for key, kept in self.kept.items()}
        self.stamp = stamp
        self.read_once = True

    def fill(self, rows: list[Any]) -> None:
        """Make image and kept hold `rows`, as the file's own state: no unit, no change."""
        self.kept.clear()
        self.views.reset()
        self.image = {}
        keys = self._keys(rows)
        for key, row in zip(keys, rows, strict=True):
            version = self.host.clock.next()
            self.image[key] = _plain_copy(row)
            self.kept[key] = Kept(self.encoded(row), version, version)

    def refresh(self) -> None:
        """Notice an edit of the file by another hand: taken in up to dual_write, set aside from dual_read on.

        While another thread writes the file, what stands there is our own, and nobody waits for that here.
        """
        if not self.read_once or self.strict or not self._writing.acquire(blocking=False):
            return
        try:
            stamp = files.stamp_of(self.path)
            if stamp != self.stamp and stamp is not None:
                with self.units.lock:
                    self.take_in(stamp)
        finally:
            self._writing.release()

    def take_in(self, stamp: Stamp) -> None:
        """Bring another hand's edit of the file into the image: what differs from the file as we last knew it."""
        rows, text = files.read_rows(self.path)
        self.format = files.format_of(text, self.format)
        before = self.in_file
        keys = self._keys(rows)
        self.stamp, self.seen = stamp, _seen(stamp, text)
        self.in_file = {key: self.encoded(row) for key, row in zip(keys, rows, strict=True)}
        self._join(before, self.in_file, dict(zip(keys, rows, strict=True)))

    def _join(self, before: dict[Key, bytes], theirs: dict[Key, bytes], by_key: dict[Key, Any]) -> None:
        """Bring the difference between the file as it was and as another hand made it into the image."""
        changed = [key for key in theirs if before.get(key) != theirs[key]]
        gone = [key for key in before if key not in theirs and key in self.image]
        if not changed and not gone:
            return
        self.taken_in += len(changed) + len(gone)
        log.warning("outlive: %s was edited by another hand: %d records taken in", self.path, len(changed) + len(gone))
        unit = self.units.begin("file edited by another hand")
        previous, self.units.active = self.units.active, unit
        try:
            for key in gone:
                self.drop(unit, key)
            for key in changed:
                self.put(unit, key, by_key[key])
        finally:
            self.units.active = previous
            self.units.end(unit)  # nobody waits: this may be the thread that writes files

    def keep_foreign(self) -> None:
        """From dual_read on an edit by another hand is not taken in; a copy is kept aside before it is overwritten."""
        stamp = files.stamp_of(self.path)
        if self.strict and stamp is not None and self.stamp is not None and stamp != self.stamp:
            aside = files.keep_aside(self.path)
            self.set_aside.append(str(aside))
            self.stamp, self.seen = stamp, Seen(None)
            log.error("outlive: %s was edited while PostgreSQL is in charge; kept aside as %s", self.path, aside)

    def content(self) -> tuple[bytes, int, dict[Key, bytes]]:
        """The file's bytes for what is kept, the newest version in them, and the records as encoded."""
        with self.units.lock:
            states = {key: (kept.position, kept.encoded) for key, kept in self.kept.items()}
            # what a back-fill has not copied yet has no entry in kept, and belongs to the file all the same
            for key in self.image.keys() - self.kept.keys() - self.unsettled.keys():
                states[key] = (self.position(key) or 0, self.encoded(self.image[key]))
            encoded = {key: state[1] for key, state in sorted(states.items(), key=lambda item: item[1][0])}
            items = self.kept.items()
            upto = max((kept.version for _, kept in items), default=0)
        return self.format.dump(self._rendered(encoded)), upto, encoded

    def _rendered(self, encoded: dict[Key, bytes]) -> list[str]:
        """Each record's text in the file; only what has changed since the last write is made anew."""
        known, fresh = self._texts, {}
        for key, value in encoded.items():
            held = known.get(key)
            if held is None or held[0] != value or held[1] != self.format:
                record = self.record_type.record(restored(parse(value)))
                held = (value, self.format, self.format.render(record))
            fresh[key] = held
        self._texts = fresh
        return [text for _, _, text in fresh.values()]

    def write_file(self, upto: int | None = None) -> None:
        """Write what is kept to the file. In `legacy` this is the acknowledgement; later it is written behind."""
        with self._writing:
            began = time.monotonic()
            for tries in range(TRIES):
                self.refresh()
                self.keep_foreign()
                self.dirty = False
                content, newest, encoded = self.content()
                if self.phase != "legacy":
                    files.announce(self.path, content, *self._claimed(newest if upto is None else upto))
                seen = self.seen if self.seen.stamp == self.stamp else Seen(self.stamp)
                swapped = swap(self.path, content, seen, anyway=tries + 1 == TRIES)
                if swapped.done:
                    break
            else:
                self.dirty = True
                raise OSError(errno.EBUSY, "somebody else keeps making and removing it", str(self.path))
            before, self.in_file = self.in_file, encoded
            self.stamp, self.seen = swapped.stamp, Seen(swapped.stamp, files.digest(content))
            self.written_at = time.monotonic()
            self.write_s = self.written_at - began
            if swapped.displaced is not None:
                self._displaced(swapped.displaced, before)

    def _displaced(self, aside: Path, before: dict[Key, bytes]) -> None:
        """What another hand wrote between our last look and the exchange: kept beside the file, and taken in."""
        self.set_aside.append(str(aside))
        log.error("outlive: %s was edited while it was being written; kept aside as %s", self.path, aside)
        if self.strict:
            return
        try:
            rows, _ = files.read_rows(aside)
            with self.units.lock:
                keys = self._keys(rows)
                theirs = {key: self.encoded(row) for key, row in zip(keys, rows, strict=True)}
                self._join(before, theirs, dict(zip(keys, rows, strict=True)))
        except FileMalformed as error:
            log.error("outlive: %s cannot be taken in: %s", aside, error)

    def _claimed(self, newest: int) -> tuple[int, Phase, dict[str, int]]:
        """What the sidecar may say of the table's rows; while not all are known here, nothing new but key by key."""
        if not self.behind:
            return newest, self.phase, {}
        old = files.Sidecar.read(self.path)
        with self.units.lock:
            came = {key_name(key): kept.version for key, kept in self.kept.items() if kept.version > self.behind}
        return (0, self.phase, came) if old is None else (old.upto, self.phase, {**old.folded, **came})

    def write_is_due(self) -> bool:
        """Whether a file that is written behind may be written again: it takes a tenth of the time at most."""
        return time.monotonic() - self.written_at >= 10 * self.write_s


def _seen(stamp: Stamp, text: str) -> Seen:
    return Seen(stamp, files.digest(text.encode("utf-8", "surrogatepass")))


def unkeyed(key: Key) -> bool:
    """Whether a key is of the store's own making, for a record that the file gives none."""
    return isinstance(key, tuple)


def _plain_copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain_copy(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain_copy(part) for part in value]
    return value


def _same(a: Any, b: Any) -> bool:
    """Equal as JSON text: key order, types and digits included."""
    return a == b and json.dumps(a) == json.dumps(b)
