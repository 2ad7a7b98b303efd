"""PostgreSQL's digest of each row that was proven equal to its record, while what is kept of the record is the same.

Rows fall into places by a hash of their keys, which PostgreSQL tells too. A bucket is some of the places; its digest is
the exclusive or of its rows' digests, so that one changed field of one row changes it.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from operator import attrgetter, is_
from typing import Any

Key = Hashable
Buckets = dict[int, tuple[int, int]]  # bucket -> (records, exclusive or of their digests)
_version = attrgetter("version")


class Proofs:
    """The proofs of one store, side by side in arrays; `kept` is None where one holds no more."""

    def __init__(self) -> None:
        self._keys: list[Key] = []
        self._kept: list[Any] = []
        self._versions: list[int] = []
        self._digests = array("q")
        self._places = array("H")
        self._sums: tuple[int, list[int], list[int]] | None = None

    def add(self, key: Key, kept: Any, digest: int, place: int) -> None:
        """The row is equal to what is kept; one key has one proof at most."""
        self._keys.append(key)
        self._kept.append(kept)
        self._versions.append(kept.version)
        self._digests.append(digest)
        self._places.append(place)
        self._count(len(self._keys) - 1, 1)

    def drop(self, keys: Iterable[Key]) -> None:
        """These are proven no more."""
        wanted = set(keys)
        for at in [at for at, key in enumerate(self._keys) if key in wanted] if wanted else ():
            self._drop(at)

    def clear(self) -> None:
        """Nothing is proven."""
        self.__init__()  # type: ignore[misc]

    def unproven(self, keys: Sequence[Key], kept: Sequence[Any]) -> list[Key]:
        """Those of all that is kept now whose row has no proof; proofs of anything else are dropped."""
        if len(keys) == len(self._keys) and all(map(is_, keys, self._keys)) and all(map(is_, kept, self._kept)):
            versions = list(map(_version, kept))
            if versions == self._versions:
                return []
        if len(self._keys) > 1.2 * len(keys) + 100:
            self._pack()
        now: dict[Key, Any] = dict(zip(keys, kept, strict=True))
        for at, (key, held, version) in enumerate(zip(self._keys, self._kept, self._versions, strict=True)):
            if held is not None:
                if now.get(key) is held and _version(held) == version:
                    del now[key]
                else:
                    self._drop(at)
        return list(now)

    def buckets(self, count: int) -> Buckets:
        """Records and digest of every bucket that has records; `count` is a power of two up to 65,536."""
        if self._sums is None or self._sums[0] != count:
            self._sums = (count, [0] * count, [0] * count)
            for at, held in enumerate(self._kept):
                if held is not None:
                    self._count(at, 1)
        _, numbers, digests = self._sums
        return {at: (number, digests[at]) for at, number in enumerate(numbers) if number}

    def within(self, buckets: set[int], count: int) -> Iterator[tuple[Key, int]]:
        """(key, digest) of each proof in these buckets."""
        mask = count - 1
        for at, place in enumerate(self._places):
            if place & mask in buckets and self._kept[at] is not None:
                yield self._keys[at], self._digests[at]

    def _drop(self, at: int) -> None:
        if self._kept[at] is not None:
            self._count(at, -1)
            self._kept[at] = None

    def _count(self, at: int, change: int) -> None:
        if self._sums is not None:
            count, numbers, digests = self._sums
            bucket = self._places[at] & (count - 1)
            numbers[bucket] += change
            digests[bucket] ^= self._digests[at]

    def _pack(self) -> None:
        live = [at for at, held in enumerate(self._kept) if held is not None]
        self._keys = [self._keys[at] for at in live]
        self._kept = [self._kept[at] for at in live]
        self._versions = [self._versions[at] for at in live]
        self._digests = array("q", [self._digests[at] for at in live])
        self._places = array("H", [self._places[at] for at in live])


__all__ = ["Buckets", "Proofs"]
