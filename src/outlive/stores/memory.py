"""How much memory an image takes, measured on a sample of its records, and the limit that it must keep.

What counts: the records with all that is inside them, what is kept of each (canonical bytes, version, position), the
entries of the tables that hold them, encoded JSON and indexes. Objects that several records share count once.
"""

from __future__ import annotations

import enum
import itertools
import sys
import types
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from outlive.commit.unit import Kept
from outlive.errors import ImageTooLarge
from outlive.records import inline
from outlive.stores import tracking

if TYPE_CHECKING:
    from outlive.stores.store import Store

SAMPLE = 200
ENTRIES_BYTES = 340  # one record's part of the image's, kept's and tracking's tables, and its place
KEPT_BYTES = sys.getsizeof(Kept(b"", 0, 0)) + 2 * sys.getsizeof(2**62)
INDEX_BYTES = 330  # one record's entry in one index
POINTER_BYTES, INLINE_BYTES = 8, 24  # of an instance's attributes beside the instance, where it has no dict
GROWN = 1.1  # how much an image grows before it is measured again

_SHARED = (type, types.ModuleType, types.FunctionType, types.MethodType, enum.Enum)
_SEQUENCES = (list, tuple, set, frozenset, deque)


def deep_bytes(values: Iterable[Any]) -> int:
    """Bytes of the values with all that they refer to, each object once; classes and the like are not theirs."""
    seen: set[int] = set()
    waiting = list(values)
    total = 0
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, _SHARED):
            continue
        seen.add(id(value))
        total += sys.getsizeof(value)
        if isinstance(value, dict):
            waiting += [*dict.keys(value), *dict.values(value)]
        elif isinstance(value, _SEQUENCES):
            waiting += list(value)
        elif type(value) not in tracking._ATOMS:
            inside = inline.held(value)
            if inside is not None:
                total += INLINE_BYTES + POINTER_BYTES * len(inside)
            waiting += _inside(value) if inside is None else inside
    return total


def _inside(value: Any) -> list[Any]:
    held = getattr(value, "__dict__", None)
    parts = [held] if held else []
    for name in tracking._slots(type(value)):
        part = getattr(value, name, None)
        if part is not None:
            parts.append(part)
    given = getattr(value, "__pydantic_fields_set__", None)
    return parts if given is None else [*parts, given]


def record_bytes(sample: list[tuple[Any, int]]) -> float:
    """Bytes that one record takes, over (record, length of its canonical bytes) pairs; 0 without any."""
    if not sample:
        return 0.0
    encoded = sum(size + sys.getsizeof(b"") for _, size in sample)
    return (deep_bytes([record for record, _ in sample]) + encoded) / len(sample) + ENTRIES_BYTES + KEPT_BYTES


def _sample(store: Store) -> list[tuple[Any, int]]:
    """Records spread over the image, with the length of their canonical bytes."""
    step = max(1, store.image_size() // SAMPLE)
    items = itertools.islice(store.image_items(), 0, None, step)
    sampled = []
    for key, record in items:
        kept = store.kept.get(key)
        sampled.append((record, len(kept.encoded if kept is not None else store.encoded(record))))
    return sampled


class Gauge:
    """One image's figures, measured again when it has grown or shrunk by a tenth."""

    def __init__(self) -> None:
        self._records = -1
        self._each = 0.0

    def record_bytes(self, store: Store) -> int:
        """Bytes a record."""
        size = store.image_size()
        if not (self._records >= 0 and self._records / GROWN <= size <= self._records * GROWN):
            with store.units.lock:
                self._each = record_bytes(_sample(store))
            self._records = size
        return round(self._each)

    def image_bytes(self, store: Store) -> int:
        """Bytes of the whole image, with what is derived from it."""
        entries = sum(len(index.held) for index in list(store.views.indexes.values()))
        return self.record_bytes(store) * store.image_size() + store.views.json_bytes + entries * INDEX_BYTES


def refuse_too_large(
    store: Store,
    encoded: Mapping[Hashable, tuple[bytes, int, Any]],
    build: Callable[[Store, Any, bytes], Any],
) -> None:
    """Nothing, if an image of these records keeps the limit; measured on some of them. Raises ImageTooLarge."""
    limit = store.host.max_image_bytes
    if limit is None or not encoded:
        return
    sample = []
    for key in itertools.islice(encoded, 0, None, max(1, len(encoded) // SAMPLE)):
        content = encoded[key][0]
        sample.append((build(store, key, content), len(content)))
        tracking.release(sample[-1][0], store, key)
    _refuse(store, len(encoded), record_bytes(sample), limit)


def refuse_grown(store: Store) -> None:
    """Nothing, if the image as it is, with what tracking keeps beside it, keeps the limit. Raises ImageTooLarge."""
    limit = store.host.max_image_bytes
    if limit is not None:
        with store.units.lock:
            _refuse(store, store.image_size(), record_bytes(_sample(store)), limit)


def _refuse(store: Store, records: int, each: float, limit: int) -> None:
    if records * each > limit:
        raise ImageTooLarge(
            store=store.name, records=records, record_bytes=round(each), needed_bytes=round(records * each),
            limit_bytes=limit,
        )  # fmt: skip
