"""What a query is: filters joined by "and", an order, a limit and an offset.

    field=value, field__eq=value      equal; None asks for "no value"
    field__ne                         not equal; ne=None asks for "some value"
    field__lt, __lte, __gt, __gte     ranges
    field__in=[...]                   equal to one of them
    field__isnull=True                no value: None, or the field is missing
    field__contains, __startswith     a part, or the beginning, of a text
    field__icontains                  the same as contains, whatever the case of letters
    field__has=value                  a list, tuple or set has this element, a dict this key
    field__within=area                a place lies in a circle, box or polygon (see `outlive.query.areas`)

A field may be a path: `address__city__eq="Haifa"` looks into the dict, list or nested record under `address`. A step
is a key of a dict, a field of a record, or the index of a list, from 0. A path always ends with its operator, so that
a misspelt operator is refused; what the path does not lead to is no value. A declared field whose own name
holds `__` goes before a path.

A comparison with None never matches, except isnull, eq None, in with a None among its values, and has=None. A filter
whose values have no common order is an error if all other filters let the record through. How values compare stands
in `outlive.query.values`. Results come in insertion order; `order_by=("a", "-b")` sorts by fields or paths, None last
where ascending and first where descending, ties in insertion order. `outlive.Ranked("priority", "urgent", "high")`
sorts a text field by a list of its values, those that are not listed after them.

An operator is one line in OPERATORS; without `sql` it is spelt in `outlive.query.conditions`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from outlive import errors
from outlive.query import values
from outlive.query.areas import Area

Test = Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Operator:
    """A comparison. `test(value, wanted)` gets no None and may raise TypeError; `sql` is its PostgreSQL spelling."""

    test: Test
    sql: LiteralString | None = None
    ordered: bool = False


OPERATORS: Mapping[str, Operator] = {
    "eq": Operator(values.equal, "="),
    "ne": Operator(lambda value, wanted: not values.equal(value, wanted), "<>"),
    "lt": Operator(values.less, "<", ordered=True),
    "lte": Operator(values.less_or_equal, "<=", ordered=True),
    "gt": Operator(lambda value, wanted: values.less(wanted, value), ">", ordered=True),
    "gte": Operator(lambda value, wanted: values.less_or_equal(wanted, value), ">=", ordered=True),
    "contains": Operator(values.contains),
    "icontains": Operator(values.icontains),
    "startswith": Operator(values.startswith),
    "has": Operator(values.has),
    "within": Operator(lambda value, area: area.covers(value)),
}
TEXTS = frozenset({"contains", "icontains", "startswith"})
NAMES = (*OPERATORS, "in", "isnull")


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition. `value` is a tuple for `in` and a bool for `isnull`."""

    field: str
    op: str
    value: Any


@dataclass(frozen=True, slots=True, init=False)
class Ranked:
    """For `order_by`: a text field (or an enum of texts) in the order of the given values; others follow, then None.

    order_by=("due_date", outlive.Ranked("priority", "urgent", "high", "medium", "low"))
    """

    field: str
    ranks: tuple[str, ...]

    def __init__(self, field: str, /, *ranks: Any) -> None:
        object.__setattr__(self, "field", field)
        object.__setattr__(self, "ranks", tuple(values.plain(each) for each in ranks))


OrderBy = str | Ranked | Iterable[str | Ranked]


@dataclass(frozen=True, slots=True)
class Order:
    """One field to sort by; with `ranks`, by where its value stands among them."""

    field: str
    descending: bool = False
    ranks: tuple[str, ...] = ()

    def rank(self, value: Any) -> Any:
        """What a field's value is sorted by."""
        if not self.ranks or value is None:
            return value
        text = values.plain(value)
        return self.ranks.index(text) if text in self.ranks else len(self.ranks)


@dataclass(frozen=True, slots=True)
class Query:
    """Which records, in which order; `limit` None means all."""

    filters: tuple[Filter, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that decide the answer, each once."""
        named = [each.field for each in self.filters] + [each.field for each in self.order]
        return tuple(dict.fromkeys(named))

    @property
    def whole(self) -> bool:
        """Whether every match is wanted."""
        return self.limit is None and self.offset == 0


def parse(
    filters: Mapping[str, Any],
    order_by: OrderBy = (),
    limit: int | None = None,
    offset: int = 0,
) -> Query:
    """The query that keyword arguments mean. Raises BadQuery naming the argument that has no meaning."""
    return Query(
        filters=tuple(_filter(name, value) for name, value in filters.items()),
        order=_order(order_by),
        limit=None if limit is None else _count("limit", limit),
        offset=_count("offset", offset),
    )


@functools.lru_cache(maxsize=1024)
def _named(name: str) -> tuple[str, str]:
    """Field and operator."""
    field, _, op = name.rpartition("__")
    if not field:
        field, op = name, "eq"
    if op not in NAMES:
        raise errors.BadQuery(field=name, reason=f"no operator {op!r}; there are {', '.join(NAMES)}")
    return field, op


def _filter(name: str, value: Any) -> Filter:
    field, op = _named(name)
    if op == "eq" and value is not None:
        return Filter(field, op, value)
    if op in TEXTS and not isinstance(value, str):
        raise errors.BadQuery(field=field, reason=f"{op} takes a text")
    if op == "within" and not isinstance(value, Area):
        raise errors.BadQuery(field=field, reason="within takes an outlive.Circle, Box or Polygon")
    if op in {"eq", "ne"} and value is None:
        return Filter(field, "isnull", op == "eq")
    if op == "isnull" and not isinstance(value, bool):
        raise errors.BadQuery(field=field, reason="isnull takes True or False")
    return Filter(field, op, _several(field, value) if op == "in" else value)


def _several(field: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise errors.BadQuery(field=field, reason="in takes a list, tuple or set of values")
    return tuple(value)


def _order(order_by: OrderBy) -> tuple[Order, ...]:
    return tuple(_ordered(each) for each in ((order_by,) if isinstance(order_by, str | Ranked) else order_by))


def _ordered(asked: Any) -> Order:
    name, ranks = (asked.field, asked.ranks) if isinstance(asked, Ranked) else (asked, ())
    if not isinstance(name, str) or not name.removeprefix("-"):
        raise errors.BadQuery(field="order_by", reason=f"{name!r} is no field name")
    if isinstance(asked, Ranked) and not (ranks and all(isinstance(each, str) for each in ranks)):
        raise errors.BadQuery(field=name, reason="Ranked takes the texts that come first, in their order")
    return Order(name.removeprefix("-"), name.startswith("-"), ranks)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise errors.BadQuery(field=name, reason=f"{value!r} is no whole number from 0 up")
    return value
