"""Positions: numbers that order a store's records, and how they follow an order that has changed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

Position = Decimal | int


def rising(known: list[Position | None], draw: Callable[[], int]) -> list[Position]:
    """Positions that rise along the list; keeps the known ones if they rise already, else all are drawn anew."""
    held = [position for position in known if position is not None]
    if any(a >= b for a, b in pairwise(held)):
        return [draw() for _ in known]
    places: list[Position] = []
    upper = iter(held)
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
