"""Counts, sums, averages and extremes over records, grouped or not, whatever the order they arrive in.

Sums are exact: every number counts as written (see `outlive.query.values`) and is rounded once, at the end. The
answer is a float if the field is declared float or else holds a float and no Decimal, a Decimal if it holds one, else
an int. An average is rounded to 28 digits (Decimal) or to the nearest float. No values: sum 0, the others None.
Groups come in the order in which their first records were inserted. A group may be a day, week or month: its label is
the period's first date, a week's its Monday; aware datetimes count in UTC, naive ones as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any, Literal, NamedTuple, TypeVar

from outlive import errors
from outlive.query import values
from outlive.query.evaluate import Peek

R = TypeVar("R")
Name = Literal["count", "sum", "avg", "figures", "min", "max"]
SUMMED = frozenset({"sum", "avg", "figures"})
EXACT = Context(prec=200_000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
SHOWN = Context(prec=28, traps=[])
FINE = Context(prec=60, traps=[])


def _day(value: Any) -> date:
    """The calendar day of a date or datetime. Raises TypeError for other values, OverflowError beyond the calendar."""
    value = values.plain(value)
    if isinstance(value, datetime):
        return (value if value.utcoffset() is None else value.astimezone(UTC)).date()
    if isinstance(value, date):
        return value
    raise TypeError(f"{type(value).__name__} has no day")


PERIODS: dict[str, Callable[[date], date]] = {
    "day": lambda day: day,
    "week": lambda day: day - timedelta(days=day.weekday()),
    "month": lambda day: day.replace(day=1),
}


class Figures(NamedTuple):
    """Of some records: how many there are, how many of them have a value, and what these come to."""

    records: int
    values: int
    sum: Any
    avg: Any


@dataclass(frozen=True, slots=True)
class By:
    """What groups are made by: a field's values, or the days, weeks or months that they fall into."""

    field: str
    period: str | None = None

    def label(self, value: Any) -> Any:
        """The value, or the first date of its period. Raises BadQuery for a value that has no day."""
        if self.period is None or value is None:
            return value
        try:
            return PERIODS[self.period](_day(value))
        except (TypeError, OverflowError) as error:
            raise errors.BadQuery(field=self.field, reason=f"by {self.period}: {error}") from None


def parse_by(by: str | Iterable[str] | None, declared: Container[str]) -> tuple[tuple[By, ...], bool]:
    """(what to group by, whether it is a single name): "field", "path__to", "field__month" or several of them."""
    single = by is None or isinstance(by, str)
    names = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    for name in names:
        if not isinstance(name, str) or not name:
            raise errors.BadQuery(field="by", reason=f"{name!r} is no field name")
    return tuple(_by(name, declared) for name in names), single


def _by(name: str, declared: Container[str]) -> By:
    field, _, period = name.rpartition("__")
    return By(field, period) if field and period in PERIODS and name not in declared else By(name)


def _group_key(by: By, value: Any) -> Hashable:
    try:
        return values.group_key(value)
    except TypeError:
        raise errors.BadQuery(field=by.field, reason="its values cannot name groups") from None


@dataclass(frozen=True, slots=True)
class Total:
    """What is asked: `name` of `field` for each combination of `by`; `single` where one label, not a tuple, names a
    group; `declared` is the field's number type if it has one."""

    name: Name
    field: str = ""
    by: tuple[By, ...] = ()
    single: bool = True
    declared: type | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the answer is made of."""
        return tuple(name for name in (self.field, *(each.field for each in self.by)) if name)

    def labels(self, record: R, peek: Peek[R]) -> tuple[Any, ...]:
        """What names the record's group. Raises BadQuery for a value that has no day."""
        return tuple([each.label(peek(record, each.field)) for each in self.by])


@dataclass(slots=True)
class Group:
    """Records with one value of `by`: how many, and what their values come to so far."""

    label: tuple[Any, ...]
    first: Any
    rows: int = 0
    counted: int = 0
    total: Decimal = Decimal(0)
    types: set[type] = field(default_factory=set)
    kind: str | None = None
    extreme: Any = None
    at: Any = None


class Tally:
    """Groups under one `Total`, filled by records and by sums that PostgreSQL made of other records."""

    def __init__(self, asked: Total) -> None:
        self.asked = asked
        self.groups: dict[Hashable, Group] = {}
        if not asked.by:
            self.groups[()] = Group((), None)

    def group(self, label: tuple[Any, ...], first: Any) -> Group:
        """The group of these values of `by`; `first` is a position in insertion order at which it appears."""
        key = tuple([_group_key(each, value) for each, value in zip(self.asked.by, label, strict=True)])
        group = self.groups.setdefault(key, Group(label, first))
        if group.first is None or first < group.first:
            group.label, group.first = label, first
        return group

    def add(self, record: R, position: Any, peek: Peek[R]) -> Group:
        """The record's group, with the record counted in."""
        group = self.group(self.asked.labels(record, peek), position)
        group.rows += 1
        value = peek(record, self.asked.field) if self.asked.field else None
        if value is not None:
            group.counted += 1
            self._take(group, value, position)
        return group

    def _take(self, group: Group, value: Any, position: Any) -> None:
        if self.asked.name in {"min", "max"}:
            self._compare(group, value, position)
            return
        number = values.plain(value)
        if not isinstance(number, values.NUMBERS):
            raise errors.BadQuery(field=self.asked.field, reason=f"{type(number).__name__} is no number")
        group.total = EXACT.add(group.total, Decimal(values.as_written(number)))
        group.types.add(_number_type(number))

    def _compare(self, group: Group, value: Any, position: Any) -> None:
        kind = values.keyed(value)[0]
        if group.kind not in {None, kind}:
            raise errors.BadQuery(field=self.asked.field, reason=f"{group.kind} and {kind} have no common order")
        if group.kind is None or self._better(value, position, group):
            group.kind, group.extreme, group.at = kind, value, position

    def _better(self, value: Any, position: Any, group: Group) -> bool:
        new, old = values.place(value), values.place(group.extreme)
        try:
            wins = new < old if self.asked.name == "min" else old < new
        except TypeError as error:
            raise errors.BadQuery(field=self.asked.field, reason=f"its values have no order: {error}") from None
        return wins or (new == old and position < group.at)

    def answer(self) -> Any:
        """The total, or without a group of its own a dict of label -> total."""
        if not self.asked.by:
            return self._result(self.groups[()])
        ordered = sorted(self.groups.values(), key=lambda group: group.first)
        one = self.asked.single
        return {group.label[0] if one else group.label: self._result(group) for group in ordered}

    def _result(self, group: Group) -> Any:
        if self.asked.name == "count":
            return group.rows
        if self.asked.name == "figures":
            mean = self._average(group) if group.counted else None
            return Figures(group.rows, group.counted, _number(group.total, self._type(group)), mean)
        if self.asked.name == "sum":
            return _number(group.total, self._type(group))
        if not group.counted:
            return None
        return self._average(group) if self.asked.name == "avg" else self._extreme(group)

    def _type(self, group: Group) -> type:
        if self.asked.declared is float:
            return float
        if not group.types:
            return self.asked.declared or int
        return next(kind for kind in (Decimal, float, int) if kind in group.types)

    def _average(self, group: Group) -> float | Decimal:
        if self._type(group) is Decimal:
            return SHOWN.divide(group.total, Decimal(group.counted))
        return float(FINE.divide(group.total, Decimal(group.counted)))

    def _extreme(self, group: Group) -> Any:
        if self.asked.declared is float and isinstance(group.extreme, values.NUMBERS):
            return _number(values.as_written(group.extreme), float)
        return group.extreme


def total(asked: Total, records: Iterable[R], peek: Peek[R]) -> Any:
    """The answer over records in insertion order. Raises BadQuery for values that cannot be added or compared."""
    tally = Tally(asked)
    for position, record in enumerate(records):
        tally.add(record, position, peek)
    return tally.answer()


def _number_type(value: Any) -> type:
    return next(kind for kind in (Decimal, float, int) if isinstance(value, kind))


def _number(exact: int | Decimal, kind: type) -> Any:
    if kind is float or (kind is int and not Decimal(exact).is_finite()):
        return float(exact) + 0.0  # a sum has no negative zero
    return exact if kind is Decimal else int(exact)
