"""DBSCAN on the sphere, exact, over a grid: which points lie in crowds.

A point is *core* if at least `min_points` points, itself included, lie within the radius. Core points within the
radius of each other belong to one cluster; any other point within the radius of a core point belongs to the cluster of
the nearest one; the rest is noise. The answer does not hang on the order of the points.

Distances are great circles: points become unit vectors, and the haversine of an angle is a quarter of the squared
chord between them, so that comparing chords is comparing haversines, without a date line or a pole. Cells of the grid
are so small that all points of one lie within the radius of each other; a crowded cell needs no distance at all
(Gunawan 2013; Gan and Tao 2015).
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

RADIUS_KM = 6371.0088
MOST_PAIRS = 100_000_000
Vector = tuple[float, float, float]
Cell = int


def dbscan(points: Sequence[tuple[float, float]], radius_km: float, min_points: int) -> list[list[int]]:
    """Clusters as lists of indexes into `points`, (latitude, longitude) in degrees; the largest first.

    Raises TooDense where more than about MOST_PAIRS distances would have to be measured.
    """
    return _Grid([vector(*point) for point in points], radius_km, min_points).clusters()


def vector(lat: float, lng: float) -> Vector:
    """The point on the unit sphere."""
    phi, theta = math.radians(lat), math.radians(lng)
    return math.cos(phi) * math.cos(theta), math.cos(phi) * math.sin(theta), math.sin(phi)


def centre(vectors: Sequence[Vector]) -> tuple[float, float]:
    """(latitude, longitude) of the middle of points."""
    x, y, z = (sum(parts) for parts in zip(*vectors, strict=True))
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))


def km_between(one: Vector, other: Vector) -> float:
    """Kilometres along the sphere."""
    return 2 * RADIUS_KM * math.asin(min(1.0, math.sqrt(_chord2(one, other)) / 2))


def _chord2(one: Vector, other: Vector) -> float:
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 + (one[2] - other[2]) ** 2


class TooDense(Exception):
    """More distances would have to be measured than anybody waits for."""


class _Grid:
    """Points in cells; a cell's number tells where it lies, so that a neighbour is one addition away."""

    def __init__(self, vectors: list[Vector], radius_km: float, min_points: int) -> None:
        self.vectors, self.min_points = vectors, min_points
        chord = 2 * math.sin(min(radius_km / RADIUS_KM, math.pi) / 2)
        self.limit = chord * chord
        side = max(chord / math.sqrt(3) * (1 - 1e-9), 1e-12)
        self.base = 2 * math.ceil(1 / side) + 8
        self.cells: dict[Cell, list[int]] = defaultdict(list)
        for index, (x, y, z) in enumerate(vectors):
            at = (math.floor(x / side) * self.base + math.floor(y / side)) * self.base + math.floor(z / side)
            self.cells[at].append(index)
        self.places = {cell: [vectors[index] for index in members] for cell, members in self.cells.items()}
        self.pairs = 0

    def clusters(self) -> list[list[int]]:
        beside = self._beside()
        cores = {cell: self._core(members, beside[cell]) for cell, members in self.cells.items()}
        root = self._joined({cell: core for cell, core in cores.items() if core}, beside)
        found: dict[Cell, list[int]] = defaultdict(list)
        crowded = {cell for cell, core in cores.items() if core}
        for cell, members in self.cells.items():
            if cores[cell]:
                found[root.of(cell)] += cores[cell]
            near = [] if len(cores[cell]) == len(members) else crowded.intersection((cell, *beside[cell]))
            for index in sorted({*members} - {*cores[cell]}) if near else []:
                home = self._nearest(index, [(other, cores[other]) for other in near])
                if home is not None:
                    found[root.of(home)].append(index)
        return sorted((sorted(each) for each in found.values()), key=lambda each: (-len(each), each))

    def _beside(self) -> dict[Cell, list[Cell]]:
        """The cells that hold points, each with those near enough to hold a point within the radius of its own."""
        steps = [(x * self.base + y) * self.base + z for x, y, z in itertools.product(range(-2, 3), repeat=3)]
        steps = [step for step in steps if step > 0]  # half of them: to be beside is mutual
        held = set(self.cells)
        beside: dict[Cell, list[Cell]] = {cell: [] for cell in held}
        for cell in self.cells:
            for other in held.intersection([cell + step for step in steps]):
                beside[cell].append(other)
                beside[other].append(cell)
        return beside

    def _core(self, members: list[int], beside: list[Cell]) -> list[int]:
        """The core points among a cell's members."""
        missing = self.min_points - len(members)
        if missing <= 0:
            return members
        if sum(len(self.cells[cell]) for cell in beside) < missing:
            return []
        others = [place for cell in beside for place in self.places[cell]]
        self.pairs += len(members) * min(len(others), 8 * missing)
        if self.pairs > MOST_PAIRS:
            raise TooDense
        return [index for index in members if self._reaches(self.vectors[index], others, missing)]

    def _reaches(self, at: Vector, others: list[Vector], missing: int) -> bool:
        """Whether at least so many of the others lie within the radius."""
        (x, y, z), limit = at, self.limit
        for x2, y2, z2 in others:
            dx, dy, dz = x - x2, y - y2, z - z2
            if dx * dx + dy * dy + dz * dz <= limit:
                missing -= 1
                if not missing:
                    return True
        return False

    def _joined(self, cores: dict[Cell, list[int]], beside: dict[Cell, list[Cell]]) -> _Union:
        """Which cells with core points are of one cluster."""
        root = _Union()
        for cell, core in cores.items():
            for other in beside[cell]:
                if cell < other and other in cores and root.of(cell) != root.of(other):
                    others = [self.vectors[index] for index in cores[other]]
                    if any(self._reaches(self.vectors[index], others, 1) for index in core):
                        root.join(cell, other)
        return root

    def _nearest(self, index: int, near: list[tuple[Cell, list[int]]]) -> Cell | None:
        """The cell of the nearest core point within the radius; of equally near ones that of the least place."""
        at = self.vectors[index]
        within = (
            (chord2, self.vectors[core], cell)
            for cell, cores in near
            for core in cores
            if (chord2 := _chord2(at, self.vectors[core])) <= self.limit
        )
        return min(within, default=(0.0, at, None))[2]


class _Union:
    """Which cells are of one cluster."""

    def __init__(self) -> None:
        self._above: dict[Cell, Cell] = {}

    def of(self, cell: Cell) -> Cell:
        """The cell that stands for its cluster."""
        while (above := self._above.get(cell, cell)) != cell:
            self._above[cell] = self._above.get(above, above)
            cell = above
        return cell

    def join(self, one: Cell, other: Cell) -> None:
        """Makes two clusters one."""
        first, second = sorted((self.of(one), self.of(other)))
        self._above[second] = first
