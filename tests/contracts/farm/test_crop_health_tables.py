"""Each column, type and index of the diagnoses that differs from what the requirements ask, and why."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.contracts.farm.conftest import Form, Opened, in_both_builds
from tests.contracts.farm.running import Running
from tests.contracts.farm.test_crop_health import diagnose

PACKAGE = "services.farm.crop_health"
TABLE = "crop_diagnoses"
ASKED = {
    "id": "uuid", "image_url": "text", "thumbnail_url": "text", "disease_id": "varchar(50)",
    "disease_name": "varchar(200)", "disease_name_ar": "varchar(200)", "confidence": "decimal(4,3)",
    "severity": "varchar(20)", "crop_type": "varchar(50)", "field_id": "varchar(100)", "governorate": "varchar(50)",
    "location": "geography", "status": "varchar(20)", "farmer_id": "varchar(100)", "expert_notes": "text",
    "created_at": "timestamp", "updated_at": "timestamp",
}  # fmt: skip
INDEXES = {
    "(governorate, created_at DESC)", "(field_id, created_at DESC)", "(farmer_id, created_at DESC)", "(status)",
    "(disease_id, created_at DESC)", "USING gist (location)",
}  # fmt: skip
LONGER = "the API always took longer texts"
BACKWARDS = "PostgreSQL reads an ascending index backwards"
PLACE = "the place as it was given, the same with and without PostGIS; location is computed from it"
TOTALS = "the dashboard's totals, by the index alone"
REASONS = {
    **dict.fromkeys(
        [
            "disease_id", "disease_name", "disease_name_ar", "severity", "crop_type", "field_id", "governorate",
            "status", "farmer_id",
        ],
        LONGER,
    ),
    "confidence": "double precision: it comes back as it was answered",
    **dict.fromkeys(["created_at", "updated_at"], "requirement asks for UTC: with time zone"),
    **dict.fromkeys(["lat", "lng", "(lat, lng)"], PLACE),
    **dict.fromkeys(
        [f"({name}, created_at{down})" for name in ("governorate", "field_id", "farmer_id", "disease_id")
         for down in ("", " DESC")],
        BACKWARDS,
    ),
    "(status)": "the index (status, created_at) serves it",
    "(status, created_at)": "the list by status is newest first",
    "(severity, created_at)": "the list by severity is newest first",
    "(created_at)": "the list of all is newest first",
    "(status, severity, disease_name_ar, governorate) INCLUDE (outlive_position) WHERE (outlive_extra IS NULL)": TOTALS,
    "(outlive_position)": "the record that names a group of the totals",
    "(outlive_position) WHERE (outlive_extra IS NOT NULL)": "the few records that columns alone do not decide",
    "primary key": "with created_at, because the table is partitioned by it",
}  # fmt: skip
WITHOUT_POSTGIS = {"location": PLACE, "USING gist (location)": PLACE}
OWN = {"outlive_version", "outlive_position", "outlive_extra"}


def rows(opened: Opened, statement: str, value: str) -> list[Any]:
    """Rows of a statement with one parameter."""
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        return conn.execute(statement.encode(), [value]).fetchall()


@in_both_builds
def test_each_difference_is_named_and_explained(opened: Opened, form: Form) -> None:
    """Columns, types and indexes are as asked, or stand in REASONS; nothing else stands there."""
    held = rows(opened, "SELECT column_name, udt_name FROM information_schema.columns WHERE table_name = %s", TABLE)
    names = {name for name, _ in {each for each in held if each[0] not in OWN} ^ set(ASKED.items())}
    made = rows(opened, "SELECT indexdef FROM pg_indexes WHERE tablename = %s AND indexname LIKE 'ix_%%'", TABLE)
    names |= {row[0].partition(f"public.{TABLE} ")[2].replace("USING btree ", "") for row in made} ^ INDEXES
    (key,) = rows(opened, "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", f"pk_{TABLE}")
    names |= {"primary key"} if key[0] != "PRIMARY KEY (id)" else set()
    assert names == set(REASONS) | (set() if form.postgis else set(WITHOUT_POSTGIS))


@in_both_builds
def test_a_diagnosis_lies_in_its_quarters_partition(opened: Opened, http: Running, form: Form) -> None:
    """With its point where PostGIS is; numbers that are no place have none; quarters that come have their partition."""
    made = diagnose(http, lat=15.5, lng=44.25, governorate="partition")
    diagnose(http, lat=95, lng=44.25, governorate="partition")
    where = "SELECT tableoid::regclass::text FROM crop_diagnoses WHERE id = %s"
    (found,) = rows(opened, where, made["diagnosis_id"])
    year, month = map(int, made["timestamp"].split("-")[:2])
    assert found == (f"{TABLE}_{year}_q{(month + 2) // 3}",)
    parts = rows(opened, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", TABLE)
    assert {found, (f"{TABLE}_{year + 1}_q1",), (f"{TABLE}_default",)} <= set(parts)
    if form.postgis:
        points = "SELECT ST_AsText(location) FROM crop_diagnoses WHERE governorate = %s ORDER BY lat"
        assert rows(opened, points, "partition") == [("POINT(44.25 15.5)",), (None,)]
