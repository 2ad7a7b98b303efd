"""A query answered over records in Python: the meaning of every query, SQL's included.

Records come as (key, record) pairs in insertion order; `peek(record, field)` gives a field's value, None for a
missing one. What SQL brings is checked and sorted here again, so that both ways have one result.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from outlive import errors
from outlive.query import values
from outlive.query.language import OPERATORS, Filter, Order, Query

R = TypeVar("R")
K = TypeVar("K", bound=Hashable)
Peek = Callable[[R, str], Any]
Check = Callable[[Any], bool]


def select(query: Query, items: Iterable[tuple[K, R]], peek: Peek[R]) -> list[tuple[K, R]]:
    """The (key, record) pairs that a query asks for, in its order. Raises BadQuery where values cannot be compared."""
    found = list(matching(query.filters, items, peek))
    arrange(found, query.order, peek)
    end = None if query.limit is None else query.offset + query.limit
    return found[query.offset : end]


def matching(filters: Sequence[Filter], items: Iterable[tuple[K, R]], peek: Peek[R]) -> Iterable[tuple[K, R]]:
    """The pairs that pass all filters, in the order they come. Raises BadQuery as `select` does."""
    passes = record_check(filters, peek)
    return ((key, record) for key, record in items if passes(record))


def record_check(filters: Sequence[Filter], peek: Peek[R]) -> Callable[[R], bool]:
    """The test whether a record passes all filters, which raises BadQuery as `select` does."""
    checks = [(each, check(each)) for each in filters]
    return lambda record: _passes(record, checks, peek)


def _passes(record: R, checks: Sequence[tuple[Filter, Check]], peek: Peek[R]) -> bool:
    """Whether a record passes. A filter that says no decides, even beside one that cannot be answered."""
    unanswered: errors.BadQuery | None = None
    for each, passes in checks:
        value = peek(record, each.field)
        try:
            if not passes(value):
                return False
        except TypeError:
            unanswered = errors.BadQuery(field=each.field, reason=_incomparable(each, value))
    if unanswered is not None:
        raise unanswered
    return True


def _incomparable(each: Filter, value: Any) -> str:
    return f"{type(values.plain(value)).__name__} has no {each.op} with {type(values.plain(each.value)).__name__}"


def check(condition: Filter) -> Check:
    """The test that a filter puts to a field's value (None for no value). The test may raise TypeError."""
    wanted = condition.value
    if condition.op == "isnull":
        return lambda value: (value is None) is wanted
    if condition.op == "in":
        return _member(wanted)
    test = OPERATORS[condition.op].test
    if condition.op == "has":
        return lambda value: value is not None and test(value, wanted)
    return lambda value: value is not None and wanted is not None and test(value, wanted)


def _member(wanted: Sequence[Any]) -> Check:
    known: set[tuple[str, Hashable]] = set()
    unhashable = []
    for each in wanted:
        try:
            known.add(("", None) if each is None else values.keyed(each))
        except TypeError:
            unhashable.append(each)

    def passes(value: Any) -> bool:
        key = ("", None) if value is None else values.keyed(value)
        if values.is_nan(key[1]):
            return False
        try:
            if key in known:
                return True
        except TypeError:
            return any(values.equal(value, each) for each in wanted if each is not None)
        return value is not None and any(values.equal(value, each) for each in unhashable)

    return passes


def arrange(found: list[tuple[K, R]], order: Sequence[Order], peek: Peek[R]) -> None:
    """Sort pairs in place; ties keep their order. Raises BadQuery if a field's values have no common order."""
    for each in reversed(order):
        keys = {index: each.rank(peek(record, each.field)) for index, (_, record) in enumerate(found)}
        one_kind(each.field, keys.values())
        try:
            ranks = sorted(keys, key=lambda index: values.place(keys[index]), reverse=each.descending)
        except TypeError as error:
            raise errors.BadQuery(field=each.field, reason=f"its values have no order: {error}") from None
        found[:] = [found[index] for index in ranks]


def one_kind(field: str, held: Iterable[Any]) -> None:
    """Nothing if all values that are not None have one kind. Raises BadQuery otherwise."""
    kinds = {values.keyed(value)[0] for value in held if value is not None}
    if len(kinds) > 1:
        raise errors.BadQuery(field=field, reason=f"{' and '.join(sorted(kinds))} have no common order")
