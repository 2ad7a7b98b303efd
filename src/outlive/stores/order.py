"""Positions: numbers that order a store's records, and how they follow an order that has changed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

Position = Decimal | int


def rising(known: list[Position | None], draw: Callable[[], int]) -> list[Position]:
    """Positions that rise along the list; as many of the known ones as possible are kept, the rest lie between them.

    All are drawn anew where no more digits fit between two of them.
    """
    kept = _most_rising(known)
    places = _filled(kept, draw)
    return places if _rises(places) else [draw() for _ in known]


def _rises(places: list[Position]) -> bool:
    return all(a < b for a, b in pairwise(places))


def _most_rising(known: list[Position | None]) -> list[Position | None]:
    """The list with None for all but a longest run of values that rise: what was moved gives way to what was not."""
    held = [position for position in known if position is not None]
    if _rises(held):
        return known
    ends: list[Position] = []  # the least value that a run of each length ends with, where in the list, after whom
    places: list[int] = []
    before: dict[int, int | None] = {}
    for index, position in enumerate(known):
        if position is not None:
            length = bisect_left(ends, position)
            before[index] = places[length - 1] if length else None
            ends[length : length + 1] = [position]
            places[length : length + 1] = [index]
    chosen = set()
    last: int | None = places[-1]
    while last is not None:
        chosen.add(last)
        last = before[last]
    return [position if index in chosen else None for index, position in enumerate(known)]


def _filled(known: list[Position | None], draw: Callable[[], int]) -> list[Position]:
    places: list[Position] = []
    upper = iter([position for position in known if position is not None])
    following = next(upper, None)
    low: Position | None = None
    for index, position in enumerate(known):
        if position is not None:
            low, following = position, next(upper, None)
        elif following is None:
            low = draw()
        else:
            gap = next(i for i, p in enumerate(known[index:]) if p is not None)
            start = Decimal(following) - 2 * (gap + 1) if low is None else Decimal(low)
            low = start + (Decimal(following) - start) / (gap + 1)
        assert low is not None
        places.append(low)
    return places
