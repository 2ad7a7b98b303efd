"""Places in records of every shape: memory and PostgreSQL find the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import JSONB

import outlive
from outlive.postgres.address import Address
from outlive.transfer.verify import verify


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


@pytest.fixture(params=["points", "postgis"])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Address]:
    """A fresh database on a server without PostGIS, or on one where it is installed."""
    if request.param == "points":
        yield request.getfixturevalue("database_address")
        return
    server = request.getfixturevalue("postgis_server")
    name = f"places_{tmp_path.name[-20:]}".lower()
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(server.with_database(name).conninfo(), autocommit=True) as conn:
        conn.execute("CREATE EXTENSION postgis")
    yield server.with_database(name)
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def far_and_wide(number: int) -> Typed:
    """A place by number: many around one spot, others all over, at the poles and on the date line."""
    spread = (number * 0.6180339887498949) % 1, (number * 0.7548776662466927) % 1
    if number % 3 == 0:
        return Typed(number, 15.35 + (spread[0] - 0.5) / 10, 44.2 + (spread[1] - 0.5) / 10)
    lat, lon = spread[0] * 180 - 90, spread[1] * 360 - 180
    return Typed(number, {1: 90.0, 2: -90.0}.get(number % 50, lat), {3: 180.0, 4: -180.0}.get(number % 50, lon))


EDGES = [
    *AREAS,
    outlive.Circle(0, 180, km=900),
    outlive.Circle(90, 0, km=1000),
    outlive.Circle(-89.5, 120, km=500),
    outlive.Circle(10, 10, km=7000),
    outlive.Box(-91 + 1, -180, 90, 180),
    outlive.Box(10, 170, 40, -170),
    outlive.Polygon([(60, -30), (60, 30), (80, 0)]),
]
STRANGE = [
    Typed(10_000), Typed(10_001, 95.0, 10.0), Typed(10_002, 10.0, float("inf")), Typed(10_003, float("nan"), 1.0),
    Typed(10_004, -0.0, -180.0), Typed(10_005, "15.35", 44.2), Typed(10_006, 15, 44),
]  # fmt: skip


def test_both_builds_find_what_a_look_at_every_record_finds(build: Address, tmp_path: Path) -> None:
    """Circles, boxes and polygons, at the poles and over the date line: the answer is that of the areas themselves."""
    service = outlive.Service("spots", env={"DATABASE_URL": build.libpq_url(), "OUTLIVE_HOME": str(tmp_path / "home")})
    options: Any = {"key": "id", "place": ("lat", "lon"), "service": service, "phase": "database"}
    spots = outlive.mapping("spots", Typed, **options)
    exact = outlive.mapping("exact", Exact, **options)
    records = [*map(far_and_wide, range(3000)), *STRANGE]
    numeric = [Exact(n, Decimal("15.35"), Decimal(n)) for n in range(40, 60)]
    numeric += [Exact(100, Decimal("1e400"), Decimal(1)), Exact(101, Decimal("NaN"), Decimal(1))]
    with service.open():
        spots.repository.bulk_put(records).result()
        exact.repository.bulk_put(numeric).result()
        for area in EDGES:
            for store, held in ((spots, records), (exact, numeric)):
                inside = [each.id for each in held if area.covers(each)]
                assert store.repository.keys(place__within=area).result() == inside, area
        with psycopg.connect(build.conninfo(), autocommit=True) as conn:
            conn.execute("ANALYZE spots.spots")
            geography = "SELECT count(*) FROM pg_attribute WHERE attname = 'outlive_place' AND attrelid = %s::regclass"
            postgis = conn.execute("SELECT count(*) FROM pg_extension WHERE extname = 'postgis'").fetchone()
            assert conn.execute(geography, ("spots.spots",)).fetchone() == postgis
        plan = "\n".join(planned(service, spots, outlive.Circle(15.35, 44.2, km=1)))
        assert "ix_spots_place_geography" in plan if postgis == (1,) else "ix_spots_place_point" in plan
    again = outlive.Service("spots", env={"DATABASE_URL": build.libpq_url(), "OUTLIVE_HOME": str(tmp_path / "home2")})
    spots = outlive.mapping("spots", Typed, key="id", place=("lat", "lon"), service=again, phase="database")
    with again.open():
        moved = spots.repository.patch(1, lat=15.35, lon=44.2).result()
        assert moved in spots.repository.find(place__within=outlive.Circle(15.35, 44.2, metres=1)).result()


def planned(service: outlive.Service, store: Any, area: Any) -> list[str]:
    """PostgreSQL's plan for the places within an area."""
    repository = store.repository
    found = repository._compiler().find(repository._query({"place__within": area}, (), None, 0))
    statement = found.statement
    assert service.database is not None
    with service.database.connect() as conn:
        text = sql.SQL("EXPLAIN ") + statement.text
        return [row[0] for row in conn.execute(text, statement.values).fetchall()]


class Geography(sa.types.UserDefinedType[Any]):
    """PostGIS's type, as a model may name it."""

    def get_col_spec(self, **_: Any) -> str:
        return "geography(Point,4326)"


class Point(sa.types.UserDefinedType[Any]):
    """PostgreSQL's own points."""

    def get_col_spec(self, **_: Any) -> str:
        return "point"


@pytest.mark.parametrize("declared", [Typed, dict])
def test_what_a_model_lets_postgresql_compute_is_left_alone(build: Address, tmp_path: Path, declared: Any) -> None:
    """A computed column, and one that only the table has, are neither written nor compared, in any phase."""
    with psycopg.connect(build.conninfo(), autocommit=True) as conn:
        postgis = conn.execute("SELECT 1 FROM pg_extension WHERE extname = 'postgis'").fetchone()
    made = "ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography" if postgis else "point(lon, lat)"
    kind: Any = Geography() if postgis else Point()
    table = sa.Table(
        "own_spots", sa.MetaData(), sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("lat", sa.Double()),
        sa.Column("lon", sa.Double()), sa.Column("spot", kind, sa.Computed(made, persisted=True)),
        sa.Column("outlive_version", sa.BigInteger, nullable=False), sa.Column("outlive_position", sa.Numeric),
        sa.Column("outlive_extra", JSONB),
    )  # fmt: skip
    engine = sa.create_engine(build.url())
    table.metadata.create_all(engine)
    engine.dispose()
    with psycopg.connect(build.conninfo(), autocommit=True) as conn:
        conn.execute("ALTER TABLE own_spots ADD COLUMN seen timestamptz DEFAULT now()")
    service = outlive.Service("spots", env={"DATABASE_URL": build.libpq_url(), "OUTLIVE_HOME": str(tmp_path / "home")})
    spots = outlive.mapping(
        "spots", declared, key="id", model=table, place=("lat", "lon"), service=service, phase="dual_write"
    )
    with service.open():
        record = {"id": 1, "lat": 15.35, "lon": 44.2}
        spots[1] = record if declared is dict else Typed(**record)  # type: ignore[arg-type]
        with psycopg.connect(build.conninfo(), autocommit=True) as conn:
            assert conn.execute("SELECT count(spot), count(seen) FROM own_spots").fetchone() == (1, 1)
            found = verify(service.stores["spots"], conn, settle=service.flush_blocking)
        assert (found.equal, found.compared) == (True, 1)
        assert spots.repository.keys(place__within=AREAS[0]).result() == [1]
