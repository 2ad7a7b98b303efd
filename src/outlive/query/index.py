"""A secondary index over records in memory: groups of equal values, each group in order.

An index only proposes. Whoever asks checks every proposed record again, so an entry that is out of date costs a look
and never a wrong answer, as long as the records that have changed since are proposed too. Values that have no order
or no hash of their own (lists, objects) are *odd*: their records are always proposed.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from outlive.query import values

CHUNK = 512
ORDERED = frozenset({"text", "number", "date", "instant", "local datetime", "time", "duration", "uuid", "bytes"})

Key = Hashable
Position = Decimal | int
Spot = tuple[bool, str, bool, Any]
Entry = tuple[tuple[Spot, ...], Position, int, Key]
_number = itertools.count().__next__  # tells entries apart, so that keys are never compared


class Shape(NamedTuple):
    """What an index answers: fields that are equal to something, then fields that are in order."""

    equal: tuple[str, ...]
    order: tuple[str, ...] = ()

    @property
    def fields(self) -> frozenset[str]:
        """All fields of the index."""
        return frozenset((*self.equal, *self.order))


class Odd(Exception):
    """A value that an index cannot place."""


def group_of(value: Any) -> Hashable:
    """What equal values have in common. Raises Odd."""
    if value is None:
        return None
    kind, key = values.keyed(value)
    if kind not in ORDERED or isinstance(value, bytearray):
        raise Odd
    return kind, "NaN" if values.is_nan(key) else key


def spot_of(value: Any) -> Spot:
    """Where a value stands among values of its kind, as `values.place` has it; kinds do not mix. Raises Odd."""
    if value is None:
        return True, "", False, 0
    kind, key = values.keyed(value)
    if kind not in ORDERED or isinstance(value, bytearray):
        raise Odd
    return (False, kind, True, 0) if values.is_nan(key) else (False, kind, False, key)


class Run:
    """Entries of one group in order, in chunks, so that a change moves few of them."""

    __slots__ = ("_chunks", "_tops", "kinds", "size")

    def __init__(self) -> None:
        self._chunks: list[list[Entry]] = []
        self._tops: list[Entry] = []
        self.size = 0
        self.kinds: Counter[tuple[int, str]] = Counter()

    def add(self, entry: Entry) -> None:
        """Put an entry in its place."""
        self._count(entry, 1)
        at = bisect_left(self._tops, entry)
        if at == len(self._tops):
            if not self._chunks:
                self._chunks.append([])
                self._tops.append(entry)
            at = len(self._tops) - 1
            self._chunks[at].append(entry)
            self._tops[at] = entry
        else:
            insort(self._chunks[at], entry)
        if len(self._chunks[at]) > 2 * CHUNK:
            self._split(at)

    def _split(self, at: int) -> None:
        chunk = self._chunks[at]
        self._chunks[at : at + 1] = [chunk[:CHUNK], chunk[CHUNK:]]
        self._tops[at : at + 1] = [chunk[CHUNK - 1], chunk[-1]]

    def remove(self, entry: Entry) -> None:
        """Take out an entry that is there."""
        self._count(entry, -1)
        at = bisect_left(self._tops, entry)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, entry)]
        if chunk:
            self._tops[at] = chunk[-1]
        else:
            del self._chunks[at], self._tops[at]

    def _count(self, entry: Entry, by: int) -> None:
        self.size += by
        for place, spot in enumerate(entry[0]):
            if not spot[0]:
                self.kinds[place, spot[1]] += by

    def kinds_of(self, place: int) -> list[str]:
        """The kinds of the values that the entries have at one place of their order."""
        return [kind for (where, kind), count in self.kinds.items() if where == place and count]

    def up(self, low: Any = None) -> Iterator[Entry]:
        """Entries from the first that is not before `low`, upwards."""
        first = 0 if low is None else bisect_left(self._tops, low)
        for at in range(first, len(self._chunks)):
            chunk = self._chunks[at]
            yield from chunk if low is None or at > first else chunk[bisect_left(chunk, low) :]

    def down(self, high: Any = None) -> Iterator[Entry]:
        """Entries below `high`, from the greatest value downwards; equal values in the order of their positions."""
        while (last := self._before(high)) is not None:
            low = ((last[0][0],),)
            for entry in self.up(low):
                if entry[0][0] != last[0][0]:
                    break
                yield entry
            high = low

    def _before(self, high: Any) -> Entry | None:
        if not self._chunks:
            return None
        at = len(self._chunks) if high is None else bisect_left(self._tops, high)
        if at < len(self._chunks):
            inside = bisect_left(self._chunks[at], high)
            if inside:
                return self._chunks[at][inside - 1]
        return self._tops[at - 1] if at else None


class Index:
    """Records of one store by `shape`; `build` takes the keys that were there before it, piece by piece."""

    def __init__(self, shape: Shape, keys: Iterable[Key], *, declared: bool) -> None:
        self.shape = shape
        self.declared = declared
        self.used_at = 0
        self.upkeep = 0
        self.runs: dict[Hashable, Run] = {}
        self.held: dict[Key, tuple[Hashable, Entry]] = {}
        self.odd: set[Key] = set()
        self._todo: Iterator[Key] | None = iter(list(keys))

    @property
    def ready(self) -> bool:
        """Whether every record is in it."""
        return self._todo is None

    def build(self, count: int, find: Callable[[Key], tuple[Any, Position] | None], peek: Any) -> bool:
        """Take up to `count` more of the first keys; whether there are none left."""
        if self._todo is not None:
            taken = list(itertools.islice(self._todo, count))
            for key in taken:
                if key not in self.held and key not in self.odd:
                    self.renew(key, find(key), peek)
            if len(taken) < count:
                self._todo = None
        return self.ready

    def renew(self, key: Key, found: tuple[Any, Position] | None, peek: Callable[[Any, str], Any]) -> None:
        """Bring one record's entry up to date; `found` is the record and its position, None if it is gone."""
        self.upkeep += 1
        old = self.held.pop(key, None)
        if old is not None:
            run = self.runs[old[0]]
            run.remove(old[1])
            if not run.size:
                del self.runs[old[0]]
        self.odd.discard(key)
        if found is None:
            return
        record, position = found
        try:
            group = tuple([group_of(peek(record, field)) for field in self.shape.equal])
            spots = tuple([spot_of(peek(record, field)) for field in self.shape.order])
            hash(group)
        except (Odd, TypeError):
            self.odd.add(key)
            return
        entry = (spots, position, _number(), key)
        self.runs.setdefault(group, Run()).add(entry)
        self.held[key] = (group, entry)
