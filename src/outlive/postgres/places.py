"""How a derived table finds places: by PostGIS where the server has it, else by an index over points.

Either only leaves rows out that lie outside an area; what is inside is decided on records (`outlive.query.areas`), so
that the answers are the same. A table with a tenant has neither: under row-level security PostgreSQL asks no operator
of theirs before the policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from outlive.postgres.upsert import relation
from outlive.query.near import PLACE_COLUMN, on_earth, point_of
from outlive.query.pieces import Piece, build

if TYPE_CHECKING:
    from outlive.postgres.tables import StoreTable

_SCHEMA = """
SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'postgis'
"""
_HAS = "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped"


def missing_geography(conn: psycopg.Connection, table: StoreTable) -> Iterator[str]:
    """SQL that gives a table its geography column where the server has PostGIS and the table lacks it.

    The table knows from then on by what it finds places.
    """
    if not table.by_point:
        return
    row = conn.execute(_SCHEMA).fetchone()
    table.geography = None if row is None else row[0]
    if table.geography is None or conn.execute(_HAS, (relation(table).as_string(conn), PLACE_COLUMN)).fetchone():
        return
    lat, lon = coordinates(table)
    schema = sql.Identifier(table.geography)
    yield (
        build(
            "ALTER TABLE {} ADD COLUMN {} {}.geography(Point, 4326) GENERATED ALWAYS AS (CASE WHEN {} THEN"
            " {}.ST_SetSRID({}.ST_MakePoint({}::float8, {}::float8), 4326)::{}.geography END) STORED",
            relation(table), sql.Identifier(PLACE_COLUMN), schema, on_earth(lat, lon), schema, schema, lon, lat, schema,
        ).text.as_string(None)
    )  # fmt: skip


def place_index(table: StoreTable) -> sql.Composed:
    """What the index over a table's places indexes."""
    if table.geography is not None:
        return sql.SQL("USING gist ({})").format(sql.Identifier(PLACE_COLUMN))
    return build("USING gist (({}))", point_of(*coordinates(table))).text


def coordinates(table: StoreTable) -> tuple[Piece, Piece]:
    """The columns of latitude and longitude."""
    names = {column.field: column.name for column in table.columns}
    lat, lon = (build("{}", sql.Identifier(names[field])) for field in table.place or ())
    return lat, lon
