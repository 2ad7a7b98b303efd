"""Which records an index proposes for a query.

A proposal holds every record that the query's answer consists of, and seldom more: all records of the groups that the
filters name, those of a range, or, where order and limit allow it, only the first ones that pass.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

from outlive.query import values
from outlive.query.evaluate import Peek, record_check
from outlive.query.index import ORDERED, Entry, Index, Key, Odd, Run, Shape, group_of, spot_of
from outlive.query.language import Filter, Query

EQUAL_FIELDS = 3
GROUPS = 64
RANGES = frozenset({"lt", "lte", "gt", "gte"})
NEVER_REFUSED = frozenset({"eq", "ne", "in", "isnull"})
ABOVE = (2,)  # after every spot

Find = Callable[[Key], Any]


def shapes(query: Query, declared: Iterable[frozenset[str]] = ()) -> list[Shape]:
    """The indexes that would serve a query, the most useful first."""
    equal = tuple(sorted(list(dict.fromkeys(f.field for f in query.filters if _is_equal(f)))[:EQUAL_FIELDS]))
    order = tuple(dict.fromkeys(each.field for each in query.order))
    found = []
    if order and query.limit is not None and not any(each.ranks for each in query.order):
        found.append(Shape(tuple(f for f in equal if f not in order), order))
    ranged = next((f.field for f in query.filters if f.op in RANGES), None)
    if ranged is not None and ranged not in equal:
        found.append(Shape(equal, (ranged,)))
    if equal:
        found.append(Shape(equal))
    for fields in declared:
        part = tuple(field for field in equal if field in fields)
        if part and part != equal:
            found.append(Shape(part))
    return list(dict.fromkeys(found))


def _is_equal(each: Filter) -> bool:
    if each.op == "in":
        return len(each.value) <= GROUPS
    return each.op == "eq" or (each.op == "isnull" and each.value is True)


def _names_a_group(each: Filter) -> bool:
    return each.op == "eq" and each.value is not None and not values.is_nan(values.keyed(each.value)[1])


class Proposal:
    """What one index proposes for one query. `usable` is false where only a look at every record is safe."""

    def __init__(self, index: Index, query: Query, peek: Peek[Any]) -> None:
        self.index = index
        self.query = query
        self.peek = peek
        self.usable = True
        self.low: Any = None
        self.high: Any = None
        self.runs = self._runs()
        if index.shape.order:
            self._bound()
        self.early = self._early()

    def _runs(self) -> list[Run]:
        """The groups that the filters name."""
        choices: list[list[Hashable]] = []
        for field in self.index.shape.equal:
            wanted = self._wanted(field)
            if wanted is None:
                self.usable = False
                return []
            choices.append(wanted)
        if len(choices) > 1 and any(len(choice) > 1 for choice in choices):
            count = 1
            for choice in choices:
                count *= len(choice)
            self.usable = count <= GROUPS * 4
        runs = self.index.runs
        return [runs[group] for group in itertools.product(*choices) if group in runs] if self.usable else []

    def _wanted(self, field: str) -> list[Hashable] | None:
        """Groups of a field that may pass, None if an index cannot tell."""
        for each in self.query.filters:
            if each.field == field and _is_equal(each):
                asked = each.value if each.op == "in" else (None,) if each.op == "isnull" else (each.value,)
                try:
                    return list(dict.fromkeys(group_of(value) for value in asked))
                except Odd:
                    return None
        return None

    def _bound(self) -> None:
        """Takes the range filters of the first field in order as bounds; every value must compare with them."""
        if self.index.odd:
            self.usable = False
        kinds = [{kind for run in self.runs for kind in run.kinds_of(at)} for at in range(len(self.index.shape.order))]
        if any(len(found) > 1 for found in kinds):
            self.usable = False
        for each in self.query.filters:
            if each.field == self.index.shape.order[0] and each.op in RANGES:
                self._narrow(each, kinds[0])

    def _narrow(self, each: Filter, kinds: set[str]) -> None:
        try:
            spot = spot_of(each.value)
        except Odd:
            self.usable = False
            return
        if each.value is None or values.is_nan(spot[3]) or spot[2]:
            return  # matches nothing, which the check will say
        if kinds and spot[1] not in kinds:
            self.usable = False
        elif each.op in ("gt", "gte"):
            low = ((spot,),)
            self.low = low if self.low is None else max(self.low, low)
        else:
            high = ((spot, ABOVE),)
            self.high = high if self.high is None else min(self.high, high)

    def _early(self) -> bool:
        """Whether the first records that pass, in the index's order, are the answer."""
        query, shape = self.query, self.index.shape
        if query.limit is None or not all(self._never_refused(each) for each in query.filters):
            return False
        if tuple(each.field for each in query.order) != shape.order or any(each.ranks for each in query.order):
            return False
        downwards = {each.descending for each in query.order}
        if len(shape.order) > 1 and downwards != {False}:
            return len(self.runs) <= 1
        return downwards != {True} or len(self.runs) <= 1

    @property
    def exact(self) -> bool:
        """Whether the first entries of the index are the answer, with nothing to check: each filter names its group."""
        filters = self.query.filters
        plain = self.early and not self.index.odd and len(self.runs) <= 1 and not self._in_groups
        return plain and len(filters) == len(self.index.shape.equal) and all(map(_names_a_group, filters))

    def first(self) -> list[Key]:
        """The keys of an exact answer, in its order."""
        end = self.query.offset + (self.query.limit or 0)
        return [entry[3] for entry in itertools.islice(self._walk(), self.query.offset, end)] if self.runs else []

    def _never_refused(self, each: Filter) -> bool:
        """Whether the filter has an answer for every record, so that none that is left out could refuse the query."""
        if each.op in RANGES:
            return bool(self.index.shape.order) and each.field == self.index.shape.order[0]
        if each.op not in NEVER_REFUSED or each.op == "isnull":
            return each.op == "isnull"
        asked: Sequence[Any] = each.value if each.op == "in" else (each.value,)
        return all(value is None or values.keyed(value)[0] in ORDERED for value in asked)

    @property
    def size(self) -> int:
        """How many records it proposes at most."""
        return sum(run.size for run in self.runs) + len(self.index.odd)

    def keys(self, find: Find) -> list[Key]:
        """The keys of the proposed records, in no particular order; `find` gives the live record of a key."""
        if not self.early:
            return [entry[3] for run in self.runs for entry in self._within(run.up(self.low))] + list(self.index.odd)
        passes = record_check(self.query.filters, self.peek)
        need = self.query.offset + (self.query.limit or 0)
        taken: list[Key] = []
        whole: Any = None  # several fields in order: the first field's last value is taken to its end
        for entry in self._walk():
            first = entry[0][0] if entry[0] else None
            if len(taken) >= need and (whole is None or first != whole):
                break
            if passes(find(entry[3])):
                taken.append(entry[3])
                if self._in_groups and len(taken) == need:
                    whole = first
        return taken + list(self.index.odd)

    @property
    def _in_groups(self) -> bool:
        return len(self.query.order) > 1 and any(each.descending for each in self.query.order)

    def _walk(self) -> Iterator[Entry]:
        order = self.query.order
        if order and order[0].descending:
            for run in self.runs:
                for entry in run.down(self.high):
                    if self.low is not None and (entry[0],) < self.low:
                        return
                    yield entry
            return
        rising = [self._within(run.up(self.low)) for run in self.runs]
        yield from rising[0] if len(rising) == 1 else heapq.merge(*rising)

    def _within(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        if self.high is None:
            return iter(entries)
        high = self.high
        return itertools.takewhile(lambda entry: (entry[0],) < high, entries)
