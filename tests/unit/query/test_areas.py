"""Places and areas: over the poles, across the date line, and what is no place."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlive.errors import BadQuery
from outlive.query.areas import Area, Box, Circle, Place, Polygon, distance_m

HAIFA, SYDNEY = (32.794, 34.9896), (-33.8688, 151.2093)
FIJI = Polygon([(-20, 176), (-15, 176), (-15, -178), (-20, -178)])
ARCTIC = Polygon([(80, 0), (80, 120), (80, -120)])
HALF_M = math.pi * 6_371_008.8


def test_distances_are_those_of_a_sphere() -> None:
    """A degree of latitude, half the earth, and no distance at all."""
    assert distance_m((0, 0), (1, 0)) == pytest.approx(HALF_M / 180)
    assert distance_m((90, 7), (-90, 3)) == pytest.approx(HALF_M)
    assert distance_m((0, 180), (0, -180)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("area", "inside", "outside"),
    [
        (Circle(*HAIFA, km=10), [HAIFA, (32.85, 35.0)], [(32.9, 35.1), SYDNEY]),
        (Circle(0, 179.99, metres=5000), [(0, -179.99), (0, 180), (0, -180)], [(0, -179.9), (1, 180)]),
        (Circle(89.99, 0, km=5), [(90, 77), (89.99, 180)], [(89.9, 180)]),
        (Circle(0, 0, km=20_016), [SYDNEY, (0, 180), (-90, 0)], []),
        (Box(-10, 170, 10, -170), [(0, 175), (0, -175), (0, 180), (0, -180), (10, 170)], [(0, 0), (0, 169.9)]),
        (Box(-10, -180, 10, -170), [(0, 180), (0, -180)], [(0, 179.9)]),
        (Box(80, 10, 90, 20), [(90, -100), (85, 15)], [(85, 25), (-90, 15)]),
        (FIJI, [(-17, 179), (-17, -179), (-17.5, 180), (-20, 176)], [(-17, 0), (-25, 180), (17, -1)]),
        (ARCTIC, [(90, 0), (89, 45), (80, 0)], [(79, 0), (80, 60), (-90, 0)]),
    ],
)
def test_areas_hold_their_places(area: Area, inside: list[Any], outside: list[Any]) -> None:
    """Edges belong to an area; the date line and the poles are places like others."""
    assert [at for at in inside if not area.covers(Place(*at))] == []
    assert [at for at in outside if area.covers(Place(*at))] == []


@pytest.mark.parametrize(
    "value", [{"lat": 91, "lon": 0}, {"lat": 0}, {"lat": "0", "lon": 0}, {"lat": math.nan, "lon": 0},
              {"lat": True, "lon": 0}, {"lat": 10**400, "lon": 0}, {"lat": Decimal("NaN"), "lon": 0}],
)  # fmt: skip
def test_what_is_no_place_lies_nowhere(value: Any) -> None:
    """Coordinates out of range or of another kind lie in no area."""
    assert not Box(-90, -180, 90, 180).covers(value)


@pytest.mark.parametrize("value", ["here", 3, [1, 2], None])
def test_what_cannot_be_a_place_is_an_error(value: Any) -> None:
    """A scalar has no latitude to ask for."""
    with pytest.raises(TypeError, match="is no place"):
        Circle(0, 0).covers(value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Circle(91, 0),
        lambda: Circle(0, 0, metres=-1),
        lambda: Circle(0, 0, metres=math.nan),
        lambda: Box(1, 0, 0, 0),
        lambda: Box(0, 0, 0, 181),
        lambda: Polygon([(0, 0), (1, 1)]),
        lambda: Polygon([(0, 0), (0, 120), (0, -120)]),
    ],
)
def test_areas_that_cannot_be_are_refused(make: Any) -> None:
    """Edges out of range, a radius below nothing, a polygon that has no inside."""
    with pytest.raises(BadQuery):
        make()


def test_a_polygon_may_be_closed_and_run_either_way() -> None:
    """The first corner again at the end changes nothing, and neither does the direction."""
    again = Polygon([*FIJI.corners, FIJI.corners[0]])
    assert again == FIJI
    assert Polygon(reversed(FIJI.corners)).covers(Place(-17, 180))


latitudes = st.floats(-90, 90) | st.sampled_from([90.0, -90.0, 0.0])
longitudes = st.floats(-180, 180) | st.sampled_from([180.0, -180.0, 0.0])
circles = st.builds(Circle, latitudes, longitudes, st.floats(0, 3e7))
boxes = st.builds(lambda a, b, w, e: Box(min(a, b), w, max(a, b), e), latitudes, latitudes, longitudes, longitudes)


@given(circles | boxes | st.sampled_from([FIJI, ARCTIC]), latitudes, longitudes)
def test_rectangles_and_reach_leave_no_place_of_an_area_out(area: Area, lat: float, lon: float) -> None:
    """What SQL may leave out is never in the area."""
    if not area.covers(Place(lat, lon)):
        return
    assert any(r.south <= lat <= r.north and r.west <= lon <= r.east for r in area.rectangles)
    centre, metres = area.reach
    assert distance_m(centre, (lat, lon)) <= metres + 1


def test_a_corner_given_twice_makes_no_difference() -> None:
    """An edge without length holds its own place and nothing else."""
    twice = Polygon([(0, 0), (0, 10), (0, 10), (10, 10)])
    for place in ((0, 10), (5, 9), (5, 1), (0, 5)):
        assert twice.covers(Place(*place)) == Polygon([(0, 0), (0, 10), (10, 10)]).covers(Place(*place))


@pytest.mark.parametrize("value", ["a text", 5, object()])
def test_what_has_no_coordinates_is_no_place(value: Any) -> None:
    """Only what has lat and lon can be asked for."""
    with pytest.raises(TypeError, match="is no place"):
        Circle(0, 0, km=1).covers(value)
