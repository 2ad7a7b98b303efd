"""Conditions that an index over places can answer; each leaves out only what lies outside the area."""

from __future__ import annotations

from psycopg import sql

from outlive.query.areas import RADIUS_M, Area, Rectangle
from outlive.query.pieces import Piece, build

PLACE_COLUMN = "outlive_place"  # PostGIS's, beside the columns that records have
FAR_M = RADIUS_M  # a circle that is larger covers too much of the earth for an index to help
# PostGIS measures on the spheroid, which differs from the sphere by half a per cent at most.
WIDER, MORE_M = 1.01, 10.0


def on_earth(lat: Piece, lon: Piece) -> Piece:
    """True where two numbers are a latitude and a longitude."""
    return build("{} BETWEEN -90 AND 90 AND {} BETWEEN -180 AND 180", lat, lon)


def point_of(lat: Piece, lon: Piece) -> Piece:
    """The point of two columns, NULL where they are no place; the very expression that the index is over."""
    return build("CASE WHEN {} THEN point({}::float8, {}::float8) END", on_earth(lat, lon), lon, lat)


def in_box(lat: Piece, lon: Piece, sides: Rectangle) -> Piece:
    """True where the point lies in a rectangle."""
    south, west, north, east = map(float, sides)
    corners = build("box(point({}::float8, {}::float8), point({}::float8, {}::float8))", west, south, east, north)
    return build("{} <@ {}", point_of(lat, lon), corners)


def in_reach(schema: str, area: Area) -> Piece | None:
    """True where the geography column lies within reach of an area; None for one that reaches far."""
    (lat, lon), metres = area.reach
    if metres > FAR_M:
        return None
    at = sql.Identifier(schema)
    return build(
        "{}.ST_DWithin({}, {}.ST_SetSRID({}.ST_MakePoint({}::float8, {}::float8), 4326)::{}.geography, {}::float8)",
        at, sql.Identifier(PLACE_COLUMN), at, at, lon, lat, at, metres * WIDER + MORE_M,
    )  # fmt: skip
