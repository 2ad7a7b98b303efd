"""What is known of records that were compared once: so that what has not changed since is seen to be equal at a glance.

Two things are remembered of a record beside the canonical bytes that they were proven equal to. Of the live record:
the very objects it held, where none of them can change in itself; while it holds the same objects, it is the same
record. Of its row: a hash of its text as PostgreSQL gave it; while that is the same, so are all its fields. Whatever is
not the same is compared field by field, as if nothing were known. `proofs` are those of the quick verification.
"""

from __future__ import annotations

import datetime as dt
import enum
import operator
import uuid
import weakref
from collections.abc import Collection, Hashable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from outlive.records.shapes import shape_of
from outlive.transfer.proofs import Proofs

if TYPE_CHECKING:
    from outlive.stores.store import Store

_ATOMS = frozenset(
    {type(None), bool, int, float, str, bytes, Decimal, dt.datetime, dt.date, dt.time, dt.timedelta, uuid.UUID}
)
_HIDDEN = "_outlive"
_names: dict[tuple[Any, ...], tuple[Any, ...]] = {}


class Entry:
    """What is known of one record, all of it of the time when its canonical bytes were `encoded`."""

    __slots__ = ("atoms", "encoded", "kind", "line", "names", "version")

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded
        self.kind: type | None = None
        self.names: tuple[Any, ...] = ()
        self.atoms: tuple[Any, ...] = ()
        self.version = 0
        self.line: int | None = None


class Learned:
    """The entries of one store, by key."""

    def __init__(self) -> None:
        self.entries: dict[Hashable, Entry] = {}
        self.proofs = Proofs()

    def same_record(self, key: Hashable, record: Any, encoded: bytes) -> bool:
        """Whether the live record holds the very objects that gave these bytes."""
        entry = self.entries.get(key)
        if entry is None or entry.encoded is not encoded or entry.kind is not type(record):
            return False
        held = _held(record)
        return held is not None and tuple(held) == entry.names and _identical(entry.atoms, dict.values(held))

    def note_record(self, key: Hashable, record: Any, encoded: bytes) -> None:
        """The live record gives these bytes now; remembered where nothing inside it can change in itself."""
        held = _held(record)
        if held is None or not _unchanging(held):
            return
        entry = self._entry(key, encoded)
        names = tuple(held)
        entry.kind, entry.names, entry.atoms = type(record), _names.setdefault(names, names), tuple(dict.values(held))

    def same_row(self, key: Hashable, encoded: bytes, version: int, line: int) -> bool:
        """Whether a row of this text was proven equal to these bytes at this version."""
        entry = self.entries.get(key)
        return entry is not None and entry.encoded is encoded and entry.version == version and entry.line == line

    def note_row(self, key: Hashable, encoded: bytes, version: int, line: int) -> None:
        """A row of this text is equal to these bytes."""
        entry = self._entry(key, encoded)
        entry.version, entry.line = version, line

    def prune(self, keys: Collection[Hashable]) -> None:
        """Forgets records that are gone, once they are many."""
        if len(self.entries) > len(keys) * 1.1 + 100:
            for key in [key for key in self.entries if key not in keys]:
                self.entries.pop(key, None)

    def _entry(self, key: Hashable, encoded: bytes) -> Entry:
        entry = self.entries.get(key)
        if entry is None or entry.encoded is not encoded:
            entry = self.entries[key] = Entry(encoded)
        return entry


_learned: weakref.WeakKeyDictionary[Any, Learned] = weakref.WeakKeyDictionary()


def learned(store: Store) -> Learned:
    """What is known of a store's records."""
    found = _learned.get(store)
    if found is None:
        found = _learned[store] = Learned()
    return found


def forget(store: Store) -> None:
    """Nothing is known of a store that holds no tracked records any more."""
    _learned.pop(store, None)


def _held(record: Any) -> dict[Any, Any] | None:
    """What a record holds, by name: a dict's items, or the attributes of a plain object; None for other records."""
    if isinstance(record, dict):
        return record
    kind = type(record)
    plain = _plain.get(kind)
    if plain is None:
        slotted = any(vars(base).get("__slots__") for base in kind.__mro__)
        plain = _plain[kind] = hasattr(record, "__dict__") and not slotted and not hasattr(kind, "__pydantic_fields__")
    if not plain:
        return None
    shape = shape_of(kind)
    held: dict[Any, Any] = object.__getattribute__(record, "__dict__") if shape is None else shape.values(record)
    return held


_plain: dict[type, bool] = {}


def _unchanging(held: dict[Any, Any]) -> bool:
    for name, value in dict.items(held):
        atom = type(value) in _ATOMS or isinstance(value, enum.Enum)
        if not atom and not (type(name) is str and name.startswith(_HIDDEN)):
            return False
    return True


def _identical(atoms: tuple[Any, ...], values: Any) -> bool:
    return all(map(operator.is_, atoms, values))
