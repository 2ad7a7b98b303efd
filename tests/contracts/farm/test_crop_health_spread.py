"""Where diseases spread: the nearest diagnoses, epidemics, outbreaks, and a history without an end."""

from __future__ import annotations

import datetime as dt
import math
import random
import uuid
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.farm.common import clock
from services.farm.crop_health.clusters import TooDense, dbscan, km_between, vector
from tests.contracts.farm.conftest import BEFORE, Form, Opened, in_both_builds, in_every_phase, in_forms
from tests.contracts.farm.running import Running
from tests.contracts.farm.test_crop_health import diagnose, picture

PACKAGE = "services.farm.crop_health"
Point = tuple[float, float]
DISEASES = ["wheat_leaf_rust", "tomato_late_blight", "coffee_leaf_rust", "date_palm_bayoud", "mango_anthracnose"]


def ask(http: Running, path: str, **query: Any) -> dict[str, Any]:
    """The answer to a GET."""
    answer = http.get(f"/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@in_every_phase
def test_the_nearest_diagnoses(http: Running, form: Form) -> None:
    """By distance along the sphere, over the date line too, as many as asked; what is no place is never near."""
    places = {"a": (-16.5, 179.9), "b": (-16.5, -179.9), "far": (-16.5, 170.0), "none": (95.0, 179.9), "pole": (-90, 5)}
    for name, (lat, lng) in places.items():
        diagnose(http, field_id=name, lat=lat, lng=lng)
    diagnose(http, field_id="nowhere")

    def near(lat: float, lng: float, limit: int) -> list[str]:
        found = ask(http, "diagnoses/nearest", lat=lat, lng=lng, limit=limit)
        assert found["count"] == len(found["diagnoses"])
        return [each["field_id"] for each in found["diagnoses"]]

    assert near(-16.5, -179.97, 1) == ["b"]
    assert near(-16.5, 179.97, 2) == ["a", "b"]
    assert near(-89, -170, 3) == ["pole", "b", "a"]
    assert sorted(near(80, 0, 100)) == ["a", "b", "far", "pole"]
    first = ask(http, "diagnoses/nearest", lat=-16.5, lng=180, limit=1)["diagnoses"][0]
    assert first["distance_km"] == round(km_between(vector(-16.5, 180), vector(-16.5, first["location"]["lng"])), 3)
    assert first["location"]["lat"] == -16.5
    for wrong in ({"lat": 91, "lng": 0}, {"lat": 0, "lng": 181}, {"lat": 0}, {"lat": 0, "lng": 0, "limit": 0}):
        assert http.get("/v1/diagnoses/nearest", params=wrong).status_code == 422


@in_every_phase
def test_epidemics_count_cases_beside_the_time_before(http: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """By governorate and disease, the most cases first; healthy plants and rejected diagnoses are none."""
    where, now = f"تعز {uuid.uuid4().hex[:6]}", dt.datetime.now(dt.UTC)
    blight = picture(disease_id="tomato_late_blight", sure=True)

    def seen(days_ago: float, content: bytes, governorate: str | None = where) -> str:
        monkeypatch.setattr(clock, "now", lambda: now - dt.timedelta(days=days_ago))
        query = {"governorate": governorate} if governorate else {}
        key: str = diagnose(http, content, **query)["diagnosis_id"]
        monkeypatch.setattr(clock, "now", lambda: now)
        return key

    for days_ago in (1, 2, 9, 11, 12, 25):
        seen(days_ago, blight)
    seen(1, picture(disease_id="tomato_late_blight", sure=False))
    seen(2, picture(disease_id="mango_anthracnose", sure=True))
    seen(2, picture(disease_id="healthy"))
    http.patch(f"/v1/diagnoses/{seen(3, blight)}", params={"status": "rejected"})
    seen(1, blight, None)
    found = ask(http, "epidemics", governorate=where, days=10)
    assert (found["days"], found["governorate"], found["count"]) == (10, where, 2)
    assert found["epidemics"] == [
        {
            "governorate": where, "disease_id": "tomato_late_blight", "disease_name": "Tomato Late Blight",
            "disease_name_ar": "اللفحة المتأخرة في الطماطم", "cases": 4, "by_severity": {"critical": 3, "low": 1},
            "previous_cases": 2, "change_percent": 100.0,
        },
        {
            "governorate": where, "disease_id": "mango_anthracnose", "disease_name": "Mango Anthracnose",
            "disease_name_ar": "أنثراكنوز المانجو", "cases": 1, "by_severity": {"medium": 1},
            "previous_cases": 0, "change_percent": None,
        },
    ]  # fmt: skip
    everywhere = {each["governorate"] for each in ask(http, "epidemics")["epidemics"]}
    assert {where, "غير محدد"} <= everywhere
    assert http.get("/v1/epidemics", params={"days": 0}).status_code == 422


@in_every_phase
def test_an_outbreak_is_a_crowd_of_one_disease(http: Running) -> None:
    """As many cases as asked within the radius make one; fewer, other diseases, and rejected ones do not."""
    blight, rust = (picture(disease_id=name, sure=True) for name in ("tomato_late_blight", "wheat_leaf_rust"))
    keys = [
        diagnose(http, blight, lat=-40 + number / 1000, lng=20, governorate="عدن")["diagnosis_id"]
        for number in range(5)
    ]
    diagnose(http, rust, lat=-40, lng=20)
    query = {"radius_km": 0.5, "min_cases": 5, "days": 1}
    found = ask(http, "outbreaks", **query)
    (one,) = found["outbreaks"]
    assert (found["count"], found["min_cases"]) == (1, 5)
    assert (one["disease_id"], one["cases"], one["by_governorate"]) == ("tomato_late_blight", 5, {"عدن": 5})
    assert one["center"] == {"lat": -39.998, "lng": 20}
    assert one["radius_km"] == 0.222
    assert one["first_case"] < one["last_case"]
    http.patch(f"/v1/diagnoses/{keys[0]}", params={"status": "rejected"})
    assert ask(http, "outbreaks", **query)["outbreaks"] == []
    for wrong in ({"radius_km": 0}, {"min_cases": 1}, {"days": 366}, {"radius_km": "inf"}):
        assert http.get("/v1/outbreaks", params=wrong).status_code == 422


@in_every_phase
def test_more_than_a_thousand_are_kept(opened: Opened, http: Running) -> None:
    """All of them are listed, counted, and found by their ids."""
    stores, records = opened.module("stores"), opened.module("records")
    first = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    made = [_record(records, first + dt.timedelta(minutes=number)) for number in range(1100)]

    async def put() -> None:
        await stores.diagnoses.bulk_put(made)

    http.run(put())
    pages = [http.get("/v1/diagnoses", params={"governorate": "old", "limit": 200, "offset": at}).json()
             for at in range(0, 1400, 200)]  # fmt: skip
    assert [each["id"] for page in pages for each in page] == [str(each.id) for each in reversed(made)]
    assert ask(http, "diagnoses/stats")["by_governorate"]["old"] == 1100
    assert http.get(f"/v1/diagnoses/{made[0].id}").json()["timestamp"] == "2001-01-01T00:00:00"


def _record(records: Any, at: dt.datetime) -> Any:
    return records.Diagnosis(
        id=uuid.uuid4(), image_url=None, thumbnail_url=None, disease_id="healthy", disease_name="Healthy Plant",
        disease_name_ar="نبات سليم", confidence=0.9, severity="healthy", crop_type="unknown", governorate="old",
        created_at=at,
    )  # fmt: skip


@in_forms(BEFORE)
def test_the_first_version_forgot(opened: Opened, http: Running) -> None:
    """It kept the newest thousand."""
    service = opened.module("before.service").diagnosis_service
    ids = [service.diagnose(b"leaf", "a.jpg")["diagnosis_id"] for _ in range(1001)]
    assert ask(http, "diagnoses/stats")["total"] == 1000
    assert http.get(f"/v1/diagnoses/{ids[0]}").status_code == 404
    assert http.get(f"/v1/diagnoses/{ids[1]}").status_code == 200


def noise(count: int) -> list[Point]:
    """Places anywhere in a country, always the same ones."""
    draw = random.Random(7)
    return [(round(draw.uniform(12, 19), 6), round(draw.uniform(42, 54), 6)) for _ in range(count)]


def fill(opened: Opened, points: list[Point], disease: Any) -> None:
    """Writes cases to the table as an import would."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    names = "id, disease_id, disease_name, disease_name_ar, confidence, severity, status, crop_type, lat, lng,"
    names += " created_at, outlive_version, outlive_position"
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        (last,) = conn.execute("SELECT coalesce(max(outlive_position), 0) FROM crop_diagnoses").fetchone() or (0,)
        with conn.cursor().copy(f"COPY crop_diagnoses ({names}) FROM STDIN".encode()) as copy:
            for number, (lat, lng) in enumerate(points):
                kept = (uuid.uuid4(), disease(number), "d", "د", 0.9, "high", "pending", "wheat", lat, lng, at, 1)
                copy.write_row((*kept, last + number + 1))


@in_both_builds
def test_a_planted_outbreak_is_found_among_100_000_cases(opened: Opened, http: Running) -> None:
    """In noise of five diseases there is none; sixty cases of one within two kilometres are one, in both builds."""
    scattered = noise(100_000)
    query = {"radius_km": 5, "min_cases": 20, "days": 7}
    before = ask(http, "outbreaks", **query)["cases_examined"]
    fill(opened, scattered, lambda number: DISEASES[number % 5])
    found = ask(http, "outbreaks", **query)
    assert (found["outbreaks"], found["cases_examined"]) == ([], before + 100_000)
    draw = random.Random(1)
    planted = [(15.35 + draw.uniform(-0.012, 0.012), 44.2 + draw.uniform(-0.012, 0.012)) for _ in range(60)]
    fill(opened, planted, lambda _: "coffee_leaf_rust")
    rusty = [point for number, point in enumerate(scattered) if DISEASES[number % 5] == "coffee_leaf_rust"]
    (expected,) = dbscan([*rusty, *planted], 5, 20)
    (one,) = ask(http, "outbreaks", **query)["outbreaks"]
    assert (one["disease_id"], one["cases"]) == ("coffee_leaf_rust", len(expected))
    assert {*range(len(rusty), len(rusty) + 60)} <= {*expected}
    assert km_between(vector(**one["center"]), vector(15.35, 44.2)) < 3
    nearest = ask(http, "diagnoses/nearest", lat=15.35, lng=44.2, limit=60)["diagnoses"]
    ranked = sorted(km_between(vector(*point), vector(15.35, 44.2)) for point in [*scattered, *planted])
    assert [each["distance_km"] for each in nearest] == pytest.approx([round(km, 3) for km in ranked[:60]], abs=0.0011)


def by_definition(points: list[Point], radius_km: float, least: int) -> list[list[int]]:
    """DBSCAN as it is defined, every point against every point; a border point goes to the nearest core."""
    vectors = [vector(*point) for point in points]
    numbers = range(len(points))
    near = [[b for b in numbers if km_between(vectors[a], vectors[b]) <= radius_km] for a in numbers]
    core = {a for a in numbers if len(near[a]) >= least}
    label: dict[int, int] = {}
    for start in sorted(core):
        todo = [start] if start not in label else []
        while todo:
            a = todo.pop()
            label[a] = start
            todo += [b for b in near[a] if b in core and b not in label]
    for a in set(numbers) - core:
        ways = [(km_between(vectors[a], vectors[b]), vectors[b], b) for b in near[a] if b in core]
        if ways:
            label[a] = label[min(ways)[2]]
    found: dict[int, list[int]] = {}
    for a in sorted(label):
        found.setdefault(label[a], []).append(a)
    return sorted(found.values(), key=lambda each: (-len(each), each))


SOMEWHERE = [(15.0, 44.0), (0.0, 179.99), (89.95, 0.0), (-89.99, 120.0)]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SOMEWHERE), st.integers(0, 2**32), st.integers(0, 60), st.floats(0.3, 40), st.integers(2, 7))
def test_clusters_are_those_of_the_definition(at: Point, seed: int, count: int, km: float, least: int) -> None:
    """At the date line and the poles too, whatever the radius, and whatever the order of the points."""
    draw = random.Random(seed)
    points = [_moved(at, draw.gauss(0, 25), draw.gauss(0, 25)) for _ in range(count)]
    points += points[: count // 10]
    found = dbscan(points, km, least)
    assert found == by_definition(points, km, least)
    order = draw.sample(range(len(points)), len(points))
    turned = dbscan([points[index] for index in order], km, least)
    assert {frozenset(points[order[index]] for index in each) for each in turned} == {
        frozenset(points[index] for index in each) for each in found
    }


def _moved(at: Point, north_km: float, east_km: float) -> Point:
    """A place so far from another, roughly."""
    lat = max(-90.0, min(90.0, at[0] + north_km / 111))
    lng = at[1] + east_km / (111 * max(math.cos(math.radians(at[0])), 0.01))
    return lat, (lng + 180) % 360 - 180


def test_what_nobody_waits_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points that crowd without being enough for a cluster would take a distance for each two of them."""
    monkeypatch.setitem(dbscan.__globals__, "MOST_PAIRS", 10_000)  # the module may have been loaded anew since
    with pytest.raises(TooDense):
        dbscan(noise(1000), 300, 300)
