"""The notification service's tables: what differs from the requirement, and why; what stands in them."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
from psycopg import sql

from tests.contracts.farm.conftest import Form, Opened, in_database, in_every_phase
from tests.contracts.farm.running import Running
from tests.contracts.farm.test_notifications import register, send

PACKAGE = "services.farm.notifications"
ASKED = {
    "farmer_profiles": {
        "farmer_id": "varchar(100)", "name": "varchar(200)", "name_ar": "varchar(200)", "governorate": "varchar(50)",
        "district": "varchar(100)", "phone": "varchar(20)", "fcm_token": "varchar(500)", "language": "varchar(5)",
        "created_at": "timestamp", "updated_at": "timestamp",
    },
    "farmer_crops": {"farmer_id": "varchar(100)", "crop_type": "varchar(50)"},
    "farmer_fields": {"farmer_id": "varchar(100)", "field_id": "varchar(100)"},
    "farmer_channels": {"farmer_id": "varchar(100)", "channel": "varchar(20)"},
}  # fmt: skip
INDEXES = {
    "farmer_profiles (governorate)", "farmer_profiles (farmer_id) unique", "farmer_crops (farmer_id, crop_type) unique",
    "farmer_fields (farmer_id, field_id) unique", "farmer_channels (farmer_id, channel) unique",
}  # fmt: skip

LONGER = "the API always took longer texts"
ZONE = "the requirement asks for UTC with time zone elsewhere"
KEY = "a store has one key, made of both parts; they are unique together"
RESTRICT = "RESTRICT in place of CASCADE: rows that PostgreSQL deletes by itself change behind the records"
HELD = "a new profile knows what it replaces without a look at rows that others may be writing"
NO_DEFAULT = "the service writes every column"
PLACE = "recipients by place and crop in one query, by one index"
REASONS = {
    **{f"{table}.{name}": LONGER for table, row in ASKED.items() for name, kind in row.items() if "varchar" in kind},
    "farmer_profiles.created_at": ZONE, "farmer_profiles.updated_at": ZONE,
    "farmer_profiles.email": "the API takes it",
    "farmer_profiles.crops": HELD, "farmer_profiles.field_ids": HELD, "farmer_profiles.channels": HELD,
    "farmer_profiles defaults": NO_DEFAULT,
    **{f"{table}.key": KEY for table in ASKED if table != "farmer_profiles"},
    **{f"{table} (key) unique": KEY for table in ASKED if table != "farmer_profiles"},
    **{f"{table} foreign key": RESTRICT for table in ASKED if table != "farmer_profiles"},
    **{
        f"{table} (outlive_position) WHERE (outlive_extra IS NOT NULL)": "the few rows that columns do not decide"
        for table in ASKED
    },
    "farmer_crops.governorate": PLACE, "farmer_crops (crop_type, governorate)": PLACE,
    "farmer_crops.registered_at": "recipients in the order in which they registered, by the same query",
    "notifications": "the requirement counts it as done elsewhere",
    "notification_preferences": "the requirement counts notifications and what belongs to them as done elsewhere",
    "notification_outbox": "sending is new",
}  # fmt: skip
OWN = {"outlive_version", "outlive_position", "outlive_extra"}


def rows(opened: Opened, statement: str, **names: str) -> list[Any]:
    """Rows of a statement; names fill its braces."""
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        filled = sql.SQL(statement).format(**{key: sql.Identifier(name) for key, name in names.items()})  # type: ignore[arg-type]
        return conn.execute(filled).fetchall()


@in_database
def test_each_difference_is_named_and_explained(opened: Opened) -> None:
    """Tables, columns, types, defaults, indexes and foreign keys are as asked, or stand in REASONS; no others do."""
    asked = {(f"{table}.{name}", kind) for table, row in ASKED.items() for name, kind in row.items()}
    held = rows(
        opened,
        "SELECT table_name, column_name, udt_name, column_default FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name NOT LIKE '%_version'",
    )
    names = {table for table, *_ in held} - set(ASKED)
    made = {(f"{table}.{name}", kind) for table, name, kind, _ in held if table in ASKED and name not in OWN}
    names |= {name for name, _ in made ^ asked}
    if not any(default for *_, default in held):
        names.add("farmer_profiles defaults")
    defined = rows(opened, "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'")
    names |= INDEXES ^ {
        definition.partition(" ON public.")[2].replace(" USING btree", "") + " unique" * ("UNIQUE" in definition)
        for table, definition in defined
        if table in ASKED
    }
    keys = rows(opened, "SELECT conrelid::regclass::text, confdeltype::text FROM pg_constraint WHERE contype = 'f'")
    names |= {f"{table} foreign key" for table, kind in keys if kind != "c" and table in ASKED}
    assert names == set(REASONS)


@in_database
def test_a_farmer_is_a_row_with_rows(opened: Opened, http: Running) -> None:
    """Profile, crops, fields and channels stand in their tables; registering again leaves what was said last."""
    farmer = register(http, "ibb", ["mango", "corn", "mango"], field_ids=["a", "b"], notification_channels=["sms"])
    fields = {"email": "a@example.org", "district": "d", "field_ids": ["b", "c"], "notification_channels": []}
    register(http, "aden", ["corn", "qat"], farmer_id=farmer, **fields)
    assert rows(
        opened, "SELECT governorate, email, district, phone, language, updated_at > created_at FROM farmer_profiles"
    ) == [("aden", "a@example.org", "d", None, "ar", True)]
    for table, column, expected in (
        ("farmer_crops", "crop_type", ["corn", "qat"]), ("farmer_fields", "field_id", ["b", "c"]),
        ("farmer_channels", "channel", []), ("farmer_crops", "governorate", ["aden", "aden"]),
    ):  # fmt: skip
        held = rows(opened, "SELECT farmer_id, {column} FROM {table} ORDER BY 2", table=table, column=column)
        assert held == [(farmer, each) for each in expected]


@in_every_phase
def test_registrations_at_the_same_moment_are_not_mixed(form: Form, http: Running) -> None:
    """The farmer has the crops and the place of one of them; one that was refused says 409."""
    crops = ["tomato", "wheat", "coffee", "qat", "banana", "corn"]
    places = ["sanaa", "aden", "taiz", "marib", "saada", "lahj"]
    for _ in range(3):
        farmer = f"farmer-{uuid.uuid4().hex}"
        body = {"farmer_id": farmer, "name": "a", "name_ar": "b"}
        for _ in range(2):
            answers = http.together(
                *(
                    ("POST", "/v1/farmers/register", {"json": {**body, "governorate": place, "crops": [crop]}})
                    for place, crop in zip(places, crops, strict=True)
                )
            )
            statuses = {answer.status_code for answer in answers}
            assert 200 in statuses
            assert statuses <= ({200} if form.phase in ("legacy", "dual_write") else {200, 409})
            told = [
                (place, crop)
                for place in places
                for crop in crops
                if send(http, target_governorates=[place], target_crops=[crop], title=farmer).status_code == 200
                and found(http, farmer)
            ]
            assert told in [[pair] for pair in zip(places, crops, strict=True)]


def found(http: Running, farmer: str) -> bool:
    """Whether the farmer was told since it was asked last."""
    body = http.get(f"/v1/notifications/farmer/{farmer}", params={"unread_only": True}).json()
    for each in body["notifications"]:
        http.patch(f"/v1/notifications/{each['id']}/read", params={"farmer_id": farmer})
    return bool(body["total"])


@in_every_phase
def test_farmers_see_their_own(http: Running) -> None:
    """A list, a count and a mark are of one farmer; another's id in the path or query leads to nothing of the first."""
    one, other = register(http), register(http)
    made = send(http, target_farmers=[one]).json()
    assert http.get(f"/v1/notifications/farmer/{other}").json()["notifications"] == []
    assert http.patch(f"/v1/notifications/{made['id']}/read", params={"farmer_id": other}).status_code == 403
    http.put(f"/v1/farmers/{other}/preferences", json={"farmer_id": one, "min_priority": "critical"})
    assert http.get(f"/v1/notifications/farmer/{one}").json()["unread_count"] == 1
