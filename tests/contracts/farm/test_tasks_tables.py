"""Each column, type and index of the task tables that differs from what the requirements ask, and why."""

from __future__ import annotations

from typing import Any

import psycopg

import outlive
from tests.contracts.farm.conftest import Opened, in_both_builds, in_database
from tests.contracts.farm.running import Running
from tests.contracts.farm.test_tasks import BASE, create, do, head, read

PACKAGE = "services.farm.tasks"
ASKED = {
    "tasks": {
        "task_id": "uuid", "tenant_id": "varchar(50)", "title": "varchar(200)", "title_ar": "varchar(200)",
        "description": "text", "description_ar": "text", "task_type": "varchar(50)", "priority": "varchar(20)",
        "status": "varchar(20)", "field_id": "varchar(100)", "zone_id": "varchar(100)", "assigned_to": "varchar(100)",
        "created_by": "varchar(100)", "due_date": "timestamptz", "scheduled_time": "varchar(10)",
        "estimated_duration_minutes": "int4", "actual_duration_minutes": "int4", "created_at": "timestamp",
        "updated_at": "timestamp", "completed_at": "timestamp", "completion_notes": "text", "task_metadata": "jsonb",
        "astronomical_score": "int4", "moon_phase_at_due_date": "varchar", "lunar_mansion_at_due_date": "varchar",
        "optimal_time_of_day": "varchar", "suggested_by_calendar": "bool", "astronomical_recommendation": "jsonb",
        "astronomical_warnings": "text[]",
    },
    "task_evidence": {
        "evidence_id": "uuid", "task_id": "uuid", "type": "varchar(20)", "content": "text", "captured_at": "timestamp",
        "location": "geography",
    },
    "task_history": {
        "history_id": "uuid", "task_id": "varchar(50)", "action": "varchar", "old_status": "varchar",
        "new_status": "varchar", "performed_by": "varchar", "changes": "jsonb", "notes": "text",
        "created_at": "timestamptz",
    },
}  # fmt: skip
INDEXES = {
    "tasks (tenant_id, status)", "tasks (assigned_to, status)", "tasks (field_id, status)", "tasks (due_date)",
    "tasks (due_date, status)", "task_evidence (task_id)",
}  # fmt: skip

ODD = "(outlive_position) WHERE (outlive_extra IS NOT NULL)"
LONGER = "the API always took longer texts, and any text as a time"
LARGER = "the API always took larger numbers"
ZONE = "requirement and facts sheet ask for UTC with time zone"
PREFIXED = "ids keep their prefix: task_..., ev_..."
PLACE = "coordinates are the same on a server with and without PostGIS"
TENANT = "row-level security covers it"
REASONS = {
    "tasks.task_id": PREFIXED, "task_evidence.evidence_id": PREFIXED, "task_evidence.task_id": PREFIXED,
    **dict.fromkeys(
        [
            *(f"tasks.{name}" for name in (
                "tenant_id", "title", "title_ar", "task_type", "priority", "status", "field_id", "zone_id",
                "assigned_to", "created_by", "scheduled_time", "moon_phase_at_due_date", "lunar_mansion_at_due_date",
                "optimal_time_of_day",
            )),
            "task_evidence.type",
            *(f"task_history.{name}" for name in ("task_id", "action", "old_status", "new_status", "performed_by")),
        ],
        LONGER,
    ),
    **dict.fromkeys(
        ["tasks.estimated_duration_minutes", "tasks.actual_duration_minutes", "tasks.astronomical_score"], LARGER
    ),
    **dict.fromkeys(
        ["tasks.created_at", "tasks.updated_at", "tasks.completed_at", "task_evidence.captured_at"], ZONE
    ),
    "task_evidence.location": PLACE, "task_evidence.lat": PLACE, "task_evidence.lon": PLACE,
    "task_evidence.tenant_id": TENANT, "task_history.tenant_id": TENANT,
    "tasks.due_date_given": "a due date is answered in the zone it was given in, or without one",
    "tasks.evidence": "a list of tasks shows their evidence without a join",
    "tasks.deleted_at": "deleted tasks keep their history",
    "tasks (due_date)": "the index (due_date, status) serves it",
    "task_evidence (task_id)": "the index (task_id, captured_at) serves it",
    "task_evidence (task_id, captured_at)": "evidence in the order it was made",
    "tasks (tenant_id, due_date) WHERE (deleted_at IS NULL)": "the default order of lists; today, upcoming, stats",
    "tasks (tenant_id, status, completed_at) WHERE (deleted_at IS NULL)": "analytics",
    "tasks (tenant_id, status, due_date) INCLUDE (outlive_position)"
    " WHERE ((deleted_at IS NULL) AND (outlive_extra IS NULL))": "stats, by the index alone",
    "tasks (outlive_position)": "the task that names a group of the stats",
    **dict.fromkeys([f"{table} {ODD}" for table in ASKED], "the few rows that no other index decides"),
    "task_history (task_id, created_at)": "the history of a task; the requirement counts three and names none",
    "task_history (action, created_at)": "what was done lately",
    "task_history (performed_by, created_at)": "what somebody did",
    "task_history foreign key": "RESTRICT in place of CASCADE: history outlives its task",
    "task_evidence foreign key": "RESTRICT in place of CASCADE: a task is only marked as deleted",
}  # fmt: skip
OWN = {"outlive_version", "outlive_position", "outlive_extra"}


def catalogue(opened: Opened, statement: str) -> list[Any]:
    """Rows of a statement over the system's catalogue."""
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        return conn.execute(statement.encode(), (list(ASKED),)).fetchall()


def columns(opened: Opened) -> set[tuple[str, str]]:
    """`table.column` and type, outlive's own left out."""
    found = catalogue(
        opened,
        "SELECT table_name, column_name, CASE udt_name WHEN '_text' THEN 'text[]' ELSE udt_name END"
        " FROM information_schema.columns WHERE table_name = ANY(%s) AND table_schema = 'public'",
    )
    return {(f"{table}.{name}", kind) for table, name, kind in found if name not in OWN}


@in_database
def test_each_difference_is_named_and_explained(opened: Opened) -> None:
    """Columns, types, indexes and foreign keys are as asked, or stand in REASONS; nothing else stands there."""
    asked = {(f"{table}.{name}", kind) for table, row in ASKED.items() for name, kind in row.items()}
    names = {name for name, _ in columns(opened) ^ asked}
    made = catalogue(opened, "SELECT indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname LIKE 'ix_%%'")
    indexes = {row[0].partition(" ON public.")[2].replace(" USING btree", "") for row in made}
    keys = catalogue(
        opened, "SELECT conrelid::regclass::text, confdeltype::text FROM pg_constraint"
        " WHERE contype = 'f' AND conrelid::regclass::text = ANY(%s)",
    )  # fmt: skip
    names |= (indexes ^ INDEXES) | {f"{table} foreign key" for table, kind in keys if kind == "r"}
    assert names == set(REASONS)


@in_database
def test_evidence_and_history_are_rows_of_their_tables(opened: Opened, http: Running, tenant: str) -> None:
    """With their place, action and statuses, also when the task is deleted; the task's row stays, marked."""
    made = create(http, tenant)
    do(http, tenant, made, "evidence", params={"evidence_type": "note", "content": "n", "lat": 0, "lon": 1.5})
    http.delete(f"{BASE}/{made['task_id']}", headers=head(tenant))
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        key = (made["task_id"],)
        row = conn.execute("SELECT type, content, lat, lon FROM task_evidence WHERE task_id = %s", key).fetchall()
        assert row == [("note", "n", 0, 1.5)]
        actions = conn.execute("SELECT action FROM task_history WHERE task_id = %s ORDER BY created_at", key).fetchall()
        assert actions == [("created",), ("updated",), ("deleted",)]
        left = conn.execute("SELECT deleted_at IS NOT NULL, due_date FROM tasks WHERE task_id = %s", key).fetchall()
        assert left == [(True, None)]


@in_database
def test_a_change_and_its_history_land_together(opened: Opened, http: Running, tenant: str) -> None:
    """Where PostgreSQL cannot hold the history, 422, and the task is as it was."""
    made = create(http, tenant)
    nobody = {**head(tenant), "X-User-Id": "nul \x00"}
    path = f"{BASE}/{made['task_id']}"
    for method, what, options in (
        ("POST", "/start", {}), ("POST", "/complete", {"json": {"photo_urls": ["u"]}}), ("DELETE", "", {}),
        ("POST", "/cancel", {"params": {"reason": "nul \x00"}}),
    ):  # fmt: skip
        assert http.request(method, path + what, headers=nobody, **options).status_code == 422
    assert read(http, tenant, f"/{made['task_id']}") == made
    assert len(read(http, tenant, f"/{made['task_id']}/history")["history"]) == 1
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        kept = conn.execute("SELECT count(*) FROM task_evidence WHERE task_id = %s", (made["task_id"],)).fetchone()
        assert kept == (0,)


@in_both_builds
def test_evidence_is_found_by_its_place(opened: Opened, http: Running, tenant: str) -> None:
    """Within a circle, for its tenant; evidence without a place is nowhere."""
    made = create(http, tenant)
    for content, where in (("near", {"lat": 15.37, "lon": 44.19}), ("far", {"lat": 16.5, "lon": 44.19}), ("", {})):
        do(http, tenant, made, "evidence", params={"evidence_type": "photo", "content": content, **where})

    async def near() -> list[str]:
        repository = opened.module("stores").evidence.repository.for_tenant(tenant)
        return [each.content for each in await repository.find(place__within=outlive.Circle(15.38, 44.19, km=5))]

    assert http.run(near()) == ["near"]


@in_database
def test_postgresql_shows_a_tenant_its_own_rows_only(opened: Opened, http: Running, tenant: str) -> None:
    """A session as an ordinary role sees nothing before it names a tenant, then that tenant's rows in each table."""
    made = create(http, tenant)
    do(http, tenant, made, "evidence", params={"evidence_type": "note", "content": "n"})
    http.post("/api/v1/task-templates", headers=head(tenant), json={"name": "a", "title": "b"})
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        conn.execute("CREATE ROLE reader_of_tasks NOLOGIN")
        conn.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_of_tasks")
        conn.execute("SET LOCAL ROLE reader_of_tasks")
        for table in (b"tasks", b"task_evidence", b"task_history", b"task_templates"):
            counts = []
            for named in ("", "tenant_other", tenant):
                conn.execute("SELECT set_config('outlive.tenant', %s, true)", (named,))
                row = conn.execute(b"SELECT count(*) FROM " + table).fetchone()
                counts.append(row[0] if row else None)
            assert counts[:2] == [0, 0]
            assert counts[2]
        conn.rollback()
