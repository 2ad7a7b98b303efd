"""Places in records of every shape: memory and PostgreSQL find the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import outlive


@dataclass
class Typed:
    """Coordinates in float columns."""

    id: int
    lat: float | None = None
    lon: float | None = None


@dataclass
class Exact:
    """Coordinates in numeric columns."""

    id: int
    lat: Decimal | None = None
    lon: Decimal | None = None


@dataclass
class Loose:
    """Coordinates of any type, in jsonb columns."""

    id: int
    lat: Any = None
    lon: Any = None


@dataclass
class Text:
    """Coordinates as text are no place."""

    id: int
    lat: str | None = None
    lon: str | None = None


def dicts(id: int, lat: Any = None, lon: Any = None) -> dict[str, Any]:
    """A record without a declared shape; without coordinates it has no such keys."""
    return {"id": id} if lat is None else {"id": id, "lat": lat, "lon": lon}


SPOTS = [(15.35, 44.2), (15.36, 44.21), (16.0, 45.0), (None, None), (-15.35, -135.8)]
AREAS = [
    outlive.Circle(15.35, 44.2, km=5),
    outlive.Box(15, 44, 17, 46),
    outlive.Polygon([(15, 44), (15, 45), (15.9, 44.5)]),
]


@pytest.mark.parametrize("declared", [Typed, Exact, Loose, Text, dict])
def test_places_are_found_wherever_they_are_kept(declared: Any, database_url: str, tmp_path: Path) -> None:
    """One question to an image and to a table has one answer, whatever type the coordinates have."""
    env = {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path / "home")}
    service = outlive.Service("spots", env=env)
    made = dicts if declared is dict else declared
    kind = {Exact: lambda n: Decimal(str(n)), Text: str}.get(declared, lambda n: n)
    options: Any = {"key": "id", "place": ("lat", "lon"), "service": service}
    near = outlive.mapping("near", declared, phase="dual_write", **options)
    far = outlive.mapping("far", declared, phase="database", **options)
    with service.open():
        for store in (near, far):
            for number, (lat, lon) in enumerate(SPOTS):
                store.repository.put(made(number, *(None if n is None else kind(n) for n in (lat, lon)))).result()
            if declared in {Loose, dict}:
                store.repository.put(made(9, "15.35", {"deep": 1})).result()
                store.repository.put(made(10, 15, 44)).result()
        for area in AREAS:
            found = near.repository.keys(place__within=area).result()
            assert far.repository.keys(place__within=area).result() == found
            assert bool(found) is (declared is not Text)
