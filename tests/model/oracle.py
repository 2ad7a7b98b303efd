"""What a list comprehension says of a query, written apart from the package: no line of it is shared."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
import operator
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from outlive.query.areas import Box, Circle


@dataclasses.dataclass
class Spot:
    lat: Any = None
    lon: Any = None
    name: Any = "here"


Spot.__annotations__.update(lat=float, lon=float, name=str)


@dataclasses.dataclass
class Home:
    id: int
    address: Any = None
    spot: Any = None
    tags: Any = None
    lucky: Any = None
    meta: Any = None
    lat: Any = None
    lon: Any = None
    tenant: Any = None


Home.__annotations__.update(
    id=int, address=dict[str, Any], spot=Spot | None, tags=list[str], lucky=set[int], meta=Any, lat=float,
    lon=Decimal, tenant=str,
)  # fmt: skip


def plain(value: Any) -> Any:
    """A value by which Python itself compares as queries do: exact numbers, instants, enum values."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return Fraction(Decimal(repr(value)))
    if isinstance(value, Decimal) and value.is_finite():
        return Fraction(value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC)
    return value


MISSING_STEP = object()


def step_into(value: Any, step: str) -> Any:
    """What a dict, list or object has under a step of a path."""
    if isinstance(value, dict):
        return value.get(step, MISSING_STEP)
    if isinstance(value, (list, tuple)):
        return value[int(step)] if step.isdigit() and int(step) < len(value) else MISSING_STEP
    return getattr(value, step, MISSING_STEP) if dataclasses.is_dataclass(value) else MISSING_STEP


def holds(record: Any, field: str) -> Any:
    """What a record holds under a field, a path or as its place; None for nothing."""
    if not isinstance(record, dict) and not dataclasses.is_dataclass(record):
        return plain(record) if field == "value" else None
    if field == "place" and (isinstance(record, Home) or "tenant" in record):
        return holds(record, "lat"), holds(record, "lon")
    value: Any = record
    for step in field.split("__"):
        value = step_into(value, step)
    return None if value is MISSING_STEP else plain(value)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal: never of different kinds."""
    one, other = plain(one), plain(other)
    if one is None or other is None:
        return one is other
    return bool(one == other)


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Along the sphere, by the angle between two vectors: another formula than the package's."""
    a, b = unit(*one), unit(*other)
    cross = math.hypot(a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    return 6_371_008.8 * math.atan2(cross, sum(x * y for x, y in zip(a, b, strict=True)))


def unit(lat: float, lon: float) -> tuple[float, float, float]:
    """The place as a vector."""
    lat, lon = math.radians(lat), math.radians(lon)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def lies(value: Any, area: Any) -> bool:
    """Whether a place lies in an area. Raises TypeError for what can be no place."""
    if isinstance(value, tuple) and len(value) == 2:
        lat, lon = value
    elif isinstance(value, dict):
        lat, lon = value.get("lat"), value.get("lon")
    elif isinstance(value, Spot):
        lat, lon = value.lat, value.lon
    else:
        raise TypeError("no place")
    lat, lon = plain(lat), plain(lon)
    if any(isinstance(each, bool) or not isinstance(each, (int, float, Fraction)) for each in (lat, lon)):
        return False
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        return False
    return covered(area, float(lat), float(lon))


def covered(area: Any, lat: float, lon: float) -> bool:
    """Whether an area covers a place."""
    if isinstance(area, Circle):
        return metres((area.lat, area.lon), (lat, lon)) <= area.metres + 1000 * area.km + 1e-6
    if isinstance(area, Box):
        lons = {lon, lon + 360, lon - 360}
        east = area.east if area.west <= area.east else area.east + 360
        return area.south <= lat <= area.north and (abs(lat) == 90 or any(area.west <= each <= east for each in lons))
    corners = [unit(*each) for each in area.corners]
    at, turned = unit(lat, lon), 0.0
    if any(metres(corner, (lat, lon)) < 1e-3 for corner in area.corners):
        return True
    if sum(x * y for x, y in zip(at, map(sum, zip(*corners, strict=True)), strict=True)) <= 0:
        return False
    for a, b in zip(corners, [*corners[1:], corners[0]], strict=True):
        turned += winding(at, a, b)
    return abs(turned) > math.pi


def winding(at: tuple[float, ...], a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """The angle under which a place sees an edge, with its direction."""

    def seen(x: tuple[float, ...]) -> tuple[float, ...]:
        along = sum(p * q for p, q in zip(x, at, strict=True))
        return tuple(p - along * q for p, q in zip(x, at, strict=True))

    u, v = seen(a), seen(b)
    cross = (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])
    return math.atan2(sum(p * q for p, q in zip(cross, at, strict=True)), sum(p * q for p, q in zip(u, v, strict=True)))


def passes(value: Any, op: str, wanted: Any) -> bool:
    """One filter by Python's own operators. Raises TypeError where Python does."""
    if op == "isnull":
        return (value is None) is wanted
    if op == "in":
        return any(same(value, each) for each in wanted)
    if wanted is None and op in {"eq", "ne"}:
        return (value is None) is (op == "eq")
    if op == "has" and value is not None:
        if not isinstance(value, (list, tuple, set, frozenset, dict)):
            raise TypeError("no elements")
        return any(same(each, wanted) for each in value)
    if value is None or wanted is None:
        return False
    if op == "within":
        return lies(value, wanted)
    if op in TEXTUAL:
        if not isinstance(value, str):
            raise TypeError("no text")
        return bool(TEXTUAL[op](value, wanted))
    if (
        op in {"lt", "lte", "gt", "gte"}
        and type(value) is not type(plain(wanted))
        and dt.datetime in {type(value), type(plain(wanted))}
    ):
        raise TypeError("Python compares a datetime with a date")
    return bool({"eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "lte": operator.le, "gt": operator.gt,
                 "gte": operator.ge}[op](value, plain(wanted)))  # fmt: skip


TEXTUAL: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "icontains": lambda value, wanted: wanted.casefold() in value.casefold(),
}


def comprehension(records: dict[Any, Any], filters: dict[str, Any]) -> list[Any]:
    """Keys of the records that pass, in insertion order."""
    if any(name.rpartition("__")[2] in TEXTUAL and not isinstance(wanted, str) for name, wanted in filters.items()):
        raise TypeError("only text is part of a text")

    def ok(record: Any) -> bool:
        error: TypeError | None = None
        for name, wanted in filters.items():
            field, _, op = name.rpartition("__")
            try:
                if not passes(holds(record, field), op, wanted):
                    return False
            except TypeError as caught:
                error = caught
        if error is not None:
            raise error
        return True

    return [key for key, record in records.items() if ok(record)]


def in_order(records: dict[Any, Any], query: dict[str, Any]) -> list[Any]:
    """The keys of one page: passing records, sorted field by field, cut."""
    keys = comprehension(records, query["filters"])
    for name in reversed(query["order_by"]):
        values = {key: holds(records[key], name.removeprefix("-")) for key in keys}
        kinds = {kind_of(value) for value in values.values() if value is not None}
        if len(kinds) > 1:
            raise TypeError("no common order")
        keys.sort(key=lambda key: rank(values[key]), reverse=name.startswith("-"))
    end = None if query["limit"] is None else query["offset"] + query["limit"]
    return keys[query["offset"] : end]


def kind_of(value: Any) -> Any:
    """What values must share to have an order."""
    if isinstance(value, (int, float, Fraction, Decimal)):
        return float
    if isinstance(value, dt.datetime):
        return dt.datetime, value.tzinfo is None
    return next((kind for kind in ORDERLY if isinstance(value, kind)), object)


ORDERLY = (str, dt.date, dt.time, dt.timedelta, uuid.UUID, bytes)


def rank(value: Any) -> Any:
    """A sort key: None last, NaN before it."""
    if value is None:
        return (2,)
    return (1,) if value != value else (0, value)


def groups(records: dict[Any, Any], query: dict[str, Any]) -> dict[Any, int]:
    """How many passing records each combination of `by` has."""
    found: dict[Any, int] = {}
    for key in comprehension(records, query["filters"]):
        label = tuple(labelled(holds(records[key], field), period) for field, period in query["groups"])
        found[label] = found.get(label, 0) + 1
    return found


def labelled(value: Any, period: str | None) -> Any:
    """The value, or the first day of its period."""
    if value is None or period is None:
        return "NaN" if value != value else value
    if not isinstance(value, dt.date):
        raise TypeError("no day")
    day = value.date() if isinstance(value, dt.datetime) else value
    return {"day": day, "week": dt.date.fromordinal(day.toordinal() - day.weekday()), "month": day.replace(day=1)}[
        period
    ]
