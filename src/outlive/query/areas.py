"""Places on the earth and the areas they may lie in: a circle, a box, a polygon.

The earth is a sphere of `RADIUS_M` metres. A place is a pair (latitude, longitude) in degrees, -90 to 90 and -180 to
180; anything else is no place and lies in no area. Longitudes -180 and 180 are one line, and all longitudes meet at a
pole. Edges belong to their area. What is decided here on records is the truth; SQL only leaves rows out that
lie outside `rectangles` and `reach`, which are larger than the area.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from outlive import errors
from outlive.query.values import NUMBERS, as_written, is_nan, plain

RADIUS_M = 6_371_008.8
SLACK_DEG = 1e-5  # about a metre: more than any rounding here, and than the fuzz of PostgreSQL's boxes
ON_EDGE = 1e-12

Vector = tuple[float, float, float]
Point = tuple[float, float]


class Rectangle(NamedTuple):
    """Degrees, west <= east."""

    south: float
    west: float
    north: float
    east: float


def place_of(latitude: Any, longitude: Any) -> Point | None:
    """(latitude, longitude) as floats, None where they are no place."""
    found = _degrees(latitude, 90), _degrees(longitude, 180)
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def _degrees(value: Any, limit: int) -> float | None:
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, NUMBERS):
        return None
    exact = as_written(value)
    return float(exact) if not is_nan(exact) and -limit <= exact <= limit else None


def distance_m(one: Point, other: Point) -> float:
    """Metres between two places along the sphere."""
    lat_1, lon_1, lat_2, lon_2 = map(math.radians, (*one, *other))
    half = math.sin((lat_2 - lat_1) / 2) ** 2
    half += math.cos(lat_1) * math.cos(lat_2) * math.sin((lon_2 - lon_1) / 2) ** 2
    return 2 * RADIUS_M * math.asin(min(1.0, math.sqrt(half)))


class Area(ABC):
    """A part of the earth's surface."""

    @abstractmethod
    def _covers(self, at: Point) -> bool:
        """Whether a place lies in the area."""

    @property
    @abstractmethod
    def reach(self) -> tuple[Point, float]:
        """A place and the metres around it within which the whole area lies."""

    @property
    def rectangles(self) -> tuple[Rectangle, ...]:
        """One or two rectangles, none over the date line, that hold every place of the area."""
        (lat, lon), metres = self.reach
        return _around(lat, lon, math.degrees(metres / RADIUS_M) + SLACK_DEG)

    def covers(self, value: Any) -> bool:
        """Whether the place that a value holds lies in the area; a value that is no place does not."""
        at = value if isinstance(value, Place) else Place(*_pair(value))
        found = place_of(*at)
        return found is not None and self._covers(found)


class Place(NamedTuple):
    """Latitude and longitude as a record holds them."""

    lat: Any
    lon: Any


def _pair(value: Any) -> tuple[Any, Any]:
    """What a value holds under `lat` and `lon`: keys of a dict, or attributes. Raises TypeError for all else."""
    if isinstance(value, dict):
        return value.get("lat"), value.get("lon")
    if not (hasattr(value, "lat") and hasattr(value, "lon")):
        raise TypeError(f"{type(value).__name__} is no place")
    return value.lat, value.lon


def _around(lat: float, lon: float, degrees: float) -> tuple[Rectangle, ...]:
    """The rectangles that hold a circle of so many degrees."""
    south, north = lat - degrees, lat + degrees
    if south <= -90 or north >= 90:
        return (Rectangle(max(south, -90.0), -180.0, min(north, 90.0), 180.0),)
    sine = math.sin(math.radians(degrees)) / math.cos(math.radians(lat))
    wide = math.degrees(math.asin(min(1.0, sine))) + SLACK_DEG
    return _unrolled(south, lon - wide, north, lon + wide)


def _unrolled(south: float, west: float, north: float, east: float) -> tuple[Rectangle, ...]:
    """Rectangles that do not pass the date line, for one that may; both of its sides where it touches the line."""
    if east - west >= 360:
        return (Rectangle(south, -180.0, north, 180.0),)
    if west <= -180:
        return Rectangle(south, -180.0, north, east), Rectangle(south, west + 360, north, 180.0)
    if east >= 180:
        return Rectangle(south, west, north, 180.0), Rectangle(south, -180.0, north, east - 360)
    return (Rectangle(south, west, north, east),)


@dataclass(frozen=True)
class Circle(Area):
    """All places at most `metres` (or `km`) from a centre. Raises BadQuery for a centre or radius that cannot be."""

    lat: float
    lon: float
    metres: float = 0.0
    km: float = 0.0

    def __post_init__(self) -> None:
        _checked(self.lat, self.lon)
        if not 0 <= self.radius_m < math.inf:
            raise errors.BadQuery(field="within", reason="a circle's radius is a number of metres from 0 up")

    @property
    def radius_m(self) -> float:
        """The radius: metres and kilometres together."""
        return self.metres + 1000 * self.km

    def km_to(self, lat: float, lon: float) -> float:
        """Kilometres from the centre to a place, on the sphere that `within` measures on."""
        return distance_m((float(self.lat), float(self.lon)), (float(lat), float(lon))) / 1000

    def _covers(self, at: Point) -> bool:
        return distance_m((float(self.lat), float(self.lon)), at) <= self.radius_m

    @property
    def reach(self) -> tuple[Point, float]:
        return (float(self.lat), float(self.lon)), self.radius_m


@dataclass(frozen=True)
class Box(Area):
    """All places between two latitudes and two longitudes; over the date line where `west` is greater than `east`.

    A pole lies in every box that reaches up to it. Raises BadQuery for edges that cannot be.
    """

    south: float
    west: float
    north: float
    east: float

    def __post_init__(self) -> None:
        _checked(self.south, self.west)
        _checked(self.north, self.east)
        if self.south > self.north:
            raise errors.BadQuery(field="within", reason="a box's south is above its north")

    def _covers(self, at: Point) -> bool:
        lat, lon = at
        if not self.south <= lat <= self.north:
            return False
        return abs(lat) == 90 or any(map(self._between, {lon, -lon} if abs(lon) == 180 else {lon}))

    def _between(self, lon: float) -> bool:
        if self.west <= self.east:
            return self.west <= lon <= self.east
        return lon >= self.west or lon <= self.east

    @property
    def reach(self) -> tuple[Point, float]:
        """Around the box's middle, as far as its corners and the middles of its edges; half the earth at least where
        it is wider than a half."""
        east = self.east if self.west <= self.east else self.east + 360
        middle = (self.south + self.north) / 2, (self.west + east) / 2
        at = middle[0], (middle[1] + 180) % 360 - 180
        if east - self.west >= 180:
            return at, math.pi * RADIUS_M
        edges = [(lat, lon) for lat in (self.south, self.north) for lon in (self.west, middle[1], east)]
        return at, max(distance_m(middle, edge) for edge in edges)

    @property
    def rectangles(self) -> tuple[Rectangle, ...]:
        south, north = self.south - SLACK_DEG, self.north + SLACK_DEG
        if self.north == 90 or self.south == -90:
            return (Rectangle(south, -180.0, north, 180.0),)
        east = self.east if self.west <= self.east else self.east + 360
        return _unrolled(south, self.west - SLACK_DEG, north, east + SLACK_DEG)


@dataclass(frozen=True, init=False)
class Polygon(Area):
    """All places inside corners (latitude, longitude) that great circles join, in either direction round.

    The inside is the side that lies around the middle of the corners, so a polygon must fit into less than half the
    earth. Where edges cross, a place counts that an odd number of edges surrounds. Raises BadQuery otherwise.
    """

    corners: tuple[Point, ...]

    def __init__(self, corners: Iterable[Point]) -> None:
        found = tuple((float(_checked(lat, lon)[0]), float(lon)) for lat, lon in corners)
        if len(found) > 1 and found[0] == found[-1]:
            found = found[:-1]
        if len(found) < 3:
            raise errors.BadQuery(field="within", reason="a polygon has at least three corners")
        object.__setattr__(self, "corners", found)
        if any(_dot(self._middle, _vector(each)) < ON_EDGE for each in found):
            raise errors.BadQuery(field="within", reason="a polygon must fit into less than half the earth; split it")

    @cached_property
    def _middle(self) -> Vector:
        sums = [sum(parts) for parts in zip(*map(_vector, self.corners), strict=True)]
        length = math.hypot(*sums)
        return (0.0, 0.0, 0.0) if length < ON_EDGE else (sums[0] / length, sums[1] / length, sums[2] / length)

    @cached_property
    def _axes(self) -> tuple[Vector, Vector]:
        """Two directions that are square to the middle and to each other."""
        x, y, z = self._middle
        away: Vector = (0.0, 0.0, 1.0) if abs(z) < 0.9 else (1.0, 0.0, 0.0)
        first = _cross(away, self._middle)
        length = math.hypot(*first)
        first = (first[0] / length, first[1] / length, first[2] / length)
        return first, _cross((x, y, z), first)

    def _flat(self, at: Vector) -> Point:
        """Where a place of the middle's half is on the plane that touches the middle; great circles are lines on it."""
        depth = _dot(self._middle, at)
        return _dot(self._axes[0], at) / depth, _dot(self._axes[1], at) / depth

    @cached_property
    def _edges(self) -> tuple[tuple[Point, Point], ...]:
        flat = [self._flat(_vector(each)) for each in self.corners]
        return tuple(zip(flat, [*flat[1:], flat[0]], strict=True))

    def _covers(self, at: Point) -> bool:
        where = _vector(at)
        if _dot(self._middle, where) < ON_EDGE:
            return False
        point = self._flat(where)
        if any(_on_edge(point, *edge) for edge in self._edges):
            return True
        return sum(_crossed(point, *edge) for edge in self._edges) % 2 == 1

    @cached_property
    def _reach(self) -> tuple[Point, float]:
        x, y, z = self._middle
        at = math.degrees(math.asin(max(-1.0, min(1.0, z)))), math.degrees(math.atan2(y, x))
        return at, max(distance_m(at, each) for each in self.corners)

    @property
    def reach(self) -> tuple[Point, float]:
        return self._reach


def _checked(lat: Any, lon: Any) -> Point:
    found = place_of(lat, lon)
    if found is None:
        raise errors.BadQuery(field="within", reason=f"({lat!r}, {lon!r}) is no latitude and longitude")
    return found


def _vector(at: Point) -> Vector:
    lat, lon = math.radians(at[0]), math.radians(at[1])
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def _dot(one: Vector, other: Vector) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _cross(one: Vector, other: Vector) -> Vector:
    return (
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    )


def _on_edge(at: Point, one: Point, other: Point) -> bool:
    along, aside = (other[0] - one[0], other[1] - one[1]), (at[0] - one[0], at[1] - one[1])
    length = math.hypot(*along)
    if length == 0:
        return math.hypot(*aside) <= ON_EDGE
    if abs(along[0] * aside[1] - along[1] * aside[0]) > ON_EDGE * length:
        return False
    return -ON_EDGE <= (along[0] * aside[0] + along[1] * aside[1]) / length <= length + ON_EDGE


def _crossed(at: Point, one: Point, other: Point) -> bool:
    """Whether the edge crosses the ray that goes from a place in the direction of the first axis."""
    if (one[1] > at[1]) == (other[1] > at[1]):
        return False
    return at[0] < one[0] + (at[1] - one[1]) / (other[1] - one[1]) * (other[0] - one[0])
