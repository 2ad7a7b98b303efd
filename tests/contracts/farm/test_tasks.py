"""The task service's API, alike in every form."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.contracts.farm.conftest import Form
from tests.contracts.farm.running import Running

PACKAGE = "services.farm.tasks"
BASE = "/api/v1/tasks"
NOT_FOUND = {"detail": "Task not found"}
FIELDS = {
    "task_id", "tenant_id", "title", "title_ar", "description", "description_ar", "task_type", "priority", "status",
    "field_id", "zone_id", "assigned_to", "created_by", "due_date", "scheduled_time", "estimated_duration_minutes",
    "actual_duration_minutes", "created_at", "updated_at", "completed_at", "completion_notes", "evidence", "metadata",
}  # fmt: skip
ASTRONOMICAL = {
    "astronomical_score", "moon_phase_at_due_date", "lunar_mansion_at_due_date", "optimal_time_of_day",
    "suggested_by_calendar", "astronomical_recommendation", "astronomical_warnings",
}  # fmt: skip
BAD = [
    {}, {"title": ""}, {"title": "x" * 201}, {"title": None}, {"title": "x", "task_type": "sleep"},
    {"title": "x", "priority": "critical"}, {"title": "x", "priority": None}, {"title": "x", "due_date": "soon"},
    {"title": "x", "estimated_duration_minutes": 1.5}, {"title": "x", "metadata": []},
]  # fmt: skip


def head(tenant: str) -> dict[str, str]:
    """The header that names the tenant."""
    return {"X-Tenant-Id": tenant}


def create(http: Running, tenant: str, **fields: Any) -> dict[str, Any]:
    """A new task of the tenant."""
    answer = http.post(BASE, headers=head(tenant), json={"title": "Dig", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def read(http: Running, tenant: str, path: str = "", **query: Any) -> dict[str, Any]:
    """The answer of a GET that works."""
    answer = http.get(BASE + path, headers=head(tenant), params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def do(http: Running, tenant: str, task: dict[str, Any], what: str, **options: Any) -> dict[str, Any]:
    """The answer of a POST to a task that works."""
    answer = http.post(f"{BASE}/{task['task_id']}/{what}", headers=head(tenant), **options)
    assert answer.status_code in (200, 201), answer.text
    body: dict[str, Any] = answer.json()
    return body


def titles(body: dict[str, Any]) -> str:
    """The titles of an answer's tasks, one after the other."""
    return "".join(each["title"] for each in body["tasks"])


def today() -> dt.datetime:
    """The beginning of the day in UTC, naive."""
    return dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)


def test_create_answers_the_whole_record(http: Running, tenant: str, form: Form) -> None:
    """A new task is pending, made by user_system, and null for all that nobody said; unknown fields are ignored."""
    made = create(http, tenant, other=1)
    assert set(made) == FIELDS | (ASTRONOMICAL if form.ours else set())
    assert made["task_id"].startswith("task_")
    assert len(made["task_id"]) == 17
    said = {
        "tenant_id": tenant, "title": "Dig", "task_type": "other", "priority": "medium", "status": "pending",
        "created_by": "user_system", "evidence": [], "created_at": made["created_at"], "task_id": made["task_id"],
        "updated_at": made["created_at"],
    }  # fmt: skip
    assert {name: made[name] for name in FIELDS} == {**dict.fromkeys(FIELDS), **said}
    assert dt.datetime.fromisoformat(made["created_at"]).tzinfo is None
    assert read(http, tenant, f"/{made['task_id']}") == made
    if form.ours:
        nothing = {**dict.fromkeys(ASTRONOMICAL), "suggested_by_calendar": False, "astronomical_warnings": []}
        assert {name: made[name] for name in ASTRONOMICAL} == nothing


def test_create_takes_every_field(http: Running, tenant: str) -> None:
    """What is given is answered, Arabic and nested metadata, zero and a time that is none included."""
    given = {
        "title": "ري " + "x" * 197, "title_ar": "ري", "description": "d", "description_ar": "و", "task_type": "harvest",
        "priority": "urgent", "field_id": "f", "zone_id": "z", "assigned_to": "u", "due_date": "2031-05-06T07:08:09",
        "scheduled_time": "late", "estimated_duration_minutes": 0,
        "metadata": {"z": 1, "a": [1.5, None, {"ق": "$x"}], "big": 2**70},
    }  # fmt: skip
    made = create(http, tenant, **given)
    assert {name: made[name] for name in given} == given
    assert read(http, tenant, f"/{made['task_id']}") == made
    assert read(http, tenant)["tasks"] == [made]


@pytest.mark.parametrize("body", BAD)
def test_a_body_that_is_no_task_is_refused(http: Running, tenant: str, body: dict[str, Any]) -> None:
    """422 with the places of what is wrong, and nothing is stored."""
    answer = http.post(BASE, headers=head(tenant), json=body)
    assert answer.status_code == 422
    assert {"type", "loc", "msg"} <= set(answer.json()["detail"][0])
    assert read(http, tenant)["total"] == 0


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05.678", "2026-01-02T03:04:05.678000"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+03:00", "2026-01-02T03:04:05+03:00"),
        ("2026-01-02T03:04:05-00:30", "2026-01-02T03:04:05-00:30"),
        ("2026-01-02", "2026-01-02T00:00:00"),
        (1767323045, "2026-01-02T03:04:05Z"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00"),
    ],
)
def test_a_due_date_is_answered_in_its_zone(http: Running, tenant: str, given: Any, shown: str) -> None:
    """With a zone or without, in create, get, list and update, as Pydantic writes it."""
    made = create(http, tenant, due_date=given)
    assert made["due_date"] == shown
    path = f"/{made['task_id']}"
    assert read(http, tenant, path) == made
    assert read(http, tenant)["tasks"] == [made]
    http.put(BASE + path, headers=head(tenant), json={"due_date": None})
    assert read(http, tenant, path)["due_date"] is None
    assert http.put(BASE + path, headers=head(tenant), json={"due_date": given}).json()["due_date"] == shown


def test_the_list_is_by_due_date_then_priority(http: Running, tenant: str) -> None:
    """No due date last; at one moment, in whatever zone, urgent before high, medium, low; ties as they came."""
    for title, due, priority in (
        ("a", None, "low"), ("b", None, "urgent"), ("c", "2026-01-02T00:00:00", "low"),
        ("d", "2026-01-02T03:00:00+03:00", "urgent"), ("e", "2026-01-02T00:00:00Z", "medium"),
        ("f", "2026-01-01T23:59:59", "low"), ("g", "2026-01-02T00:00:00", "high"),
        ("h", "2026-01-02T00:00:00", "low"), ("i", "2026-01-02T00:30:00+01:00", "low"), ("j", None, "low"),
    ):  # fmt: skip
        create(http, tenant, title=title, due_date=due, priority=priority)
    body = read(http, tenant)
    assert titles(body) == "ifdgechbaj"
    assert {name: body[name] for name in ("total", "limit", "offset")} == {"total": 10, "limit": 50, "offset": 0}
    page = read(http, tenant, limit=3, offset=4)
    assert page["tasks"] == body["tasks"][4:7]
    assert {name: page[name] for name in ("total", "limit", "offset")} == {"total": 10, "limit": 3, "offset": 4}
    assert read(http, tenant, offset=99)["tasks"] == []
    for wrong in ({"limit": 0}, {"limit": 101}, {"offset": -1}, {"status": "open"}, {"task_type": ""}, {"limit": "x"}):
        assert http.get(BASE, headers=head(tenant), params=wrong).status_code == 422


def test_the_lists_filters(http: Running, tenant: str) -> None:
    """Alone and together; bounds belong to their span, tasks without a due date to none; empty text is no filter."""
    rows: list[tuple[str, dict[str, Any]]] = [
        ("a", {"field_id": "f1", "task_type": "harvest", "due_date": "2026-01-01T00:00:00"}),
        ("b", {"field_id": "f1", "priority": "high", "assigned_to": "u", "due_date": "2026-01-02T00:00:00Z"}),
        ("c", {"field_id": "f2", "assigned_to": "u", "due_date": "2026-01-03T03:00:00+03:00"}),
        ("d", {"field_id": "f2"}),
    ]
    made = {title: create(http, tenant, title=title, **fields) for title, fields in rows}
    do(http, tenant, made["c"], "start")
    for query, expected in (
        ({"field_id": "f1"}, "ab"), ({"field_id": "f2"}, "cd"), ({"field_id": ""}, "abcd"), ({"field_id": "f"}, ""),
        ({"task_type": "harvest"}, "a"), ({"priority": "high"}, "b"), ({"assigned_to": "u"}, "bc"),
        ({"status": "in_progress"}, "c"), ({"status": "pending"}, "abd"), ({"status": "overdue"}, ""),
        ({"due_before": "2026-01-02T00:00:00"}, "ab"), ({"due_after": "2026-01-02T00:00:00"}, "bc"),
        ({"due_before": "2026-01-02T02:59:59+03:00"}, "a"), ({"due_after": "2026-01-03T00:00:00Z"}, "c"),
        ({"due_after": "2026-01-02", "due_before": "2026-01-02"}, "b"),
        ({"assigned_to": "u", "status": "pending", "field_id": "f1", "due_after": "2026-01-01T00:00:00"}, "b"),
        ({"assigned_to": "", "priority": "medium", "limit": 1, "offset": 1}, "c"),
    ):  # fmt: skip
        assert titles(read(http, tenant, **query)) == expected, query


def test_today_and_upcoming(http: Running, tenant: str) -> None:
    """Today: the whole UTC day, any status. Upcoming: open tasks from tomorrow on. Both as they were created."""
    day, now = today(), dt.datetime.now(dt.UTC).replace(tzinfo=None)
    made = {}
    for title, due in (
        ("a", day + dt.timedelta(hours=23, minutes=59, seconds=59)), ("b", day), ("c", day + dt.timedelta(days=1)),
        ("d", day - dt.timedelta(microseconds=1)), ("e", now + dt.timedelta(days=2)), ("f", now + dt.timedelta(days=8)),
        ("g", day + dt.timedelta(days=1, hours=1)), ("h", day + dt.timedelta(days=1, hours=2)), ("i", None),
        ("j", now + dt.timedelta(days=6, hours=23)), ("k", day + dt.timedelta(days=1, hours=3)),
    ):  # fmt: skip
        made[title] = create(http, tenant, title=title, due_date=due and due.isoformat())
    do(http, tenant, made["b"], "complete", json={})
    do(http, tenant, made["g"], "complete", json={})
    do(http, tenant, made["h"], "cancel")
    http.put(f"{BASE}/{made['k']['task_id']}", headers=head(tenant), json={"status": "overdue"})
    body = read(http, tenant, "/today")
    assert (titles(body), body["count"], set(body)) == ("ab", 2, {"tasks", "count"})
    body = read(http, tenant, "/upcoming")
    assert (titles(body), body["count"], body["days"], set(body)) == ("cejk", 4, 7, {"tasks", "count", "days"})
    assert titles(read(http, tenant, "/upcoming", days=30)) == "cefjk"
    assert "f" not in titles(read(http, tenant, "/upcoming", days=1))
    for wrong in (0, 31, "x"):
        assert http.get(f"{BASE}/upcoming", headers=head(tenant), params={"days": wrong}).status_code == 422


def test_stats(http: Running, tenant: str) -> None:
    """By status, late ones, and the week by due date; what is cancelled counts in the total and the week."""
    week = {"completed": 0, "total": 0, "percentage": 0}
    empty = {"total": 0, "pending": 0, "in_progress": 0, "completed": 0, "overdue": 0, "week_progress": week}
    assert read(http, tenant, "/stats") == empty
    monday = today() - dt.timedelta(days=today().weekday())
    made = {}
    for title, due in (
        ("a", monday), ("b", monday + dt.timedelta(days=7, microseconds=-1)), ("c", monday - dt.timedelta(seconds=1)),
        ("d", monday + dt.timedelta(days=7)), ("e", None), ("f", monday - dt.timedelta(days=30)),
        ("g", monday - dt.timedelta(days=30)), ("h", monday + dt.timedelta(days=7, microseconds=-1)),
    ):  # fmt: skip
        made[title] = create(http, tenant, title=title, due_date=due and due.isoformat() + "Z")
    do(http, tenant, made["a"], "complete", json={})
    do(http, tenant, made["b"], "cancel")
    do(http, tenant, made["f"], "complete", json={})
    do(http, tenant, made["e"], "start")
    http.put(f"{BASE}/{made['g']['task_id']}", headers=head(tenant), json={"status": "overdue"})
    assert read(http, tenant, "/stats") == {
        "total": 8, "pending": 3, "in_progress": 1, "completed": 2, "overdue": 2,
        "week_progress": {"completed": 1, "total": 3, "percentage": 33},
    }  # fmt: skip


def test_an_update_sets_what_it_names(http: Running, tenant: str) -> None:
    """Null clears, zero stays zero, metadata is replaced as a whole, any status may be set, the rest is ignored."""
    made = create(http, tenant, description="d", metadata={"a": 1, "b": 2}, assigned_to="u", field_id="f")
    path, headers = f"{BASE}/{made['task_id']}", head(tenant)
    body = {
        "description": None, "metadata": {"c": 3}, "estimated_duration_minutes": 0, "status": "completed",
        "priority": "urgent", "title": "y" * 300, "actual_duration_minutes": 9, "created_by": "me", "task_id": "x",
    }  # fmt: skip
    changed = http.put(path, headers=headers, json=body).json()
    kept = {
        name: value for name, value in body.items() if name not in ("actual_duration_minutes", "created_by", "task_id")
    }
    assert {**changed, "updated_at": made["updated_at"]} == {**made, **kept}
    assert changed["updated_at"] > made["updated_at"]
    assert http.put(path, headers=headers, json={"metadata": None, "assigned_to": ""}).json()["metadata"] is None
    again = http.put(path, headers=headers, json={}).json()
    assert (again["assigned_to"], again["field_id"], again["completed_at"]) == ("", "f", None)
    for wrong in ({"status": "done"}, {"priority": 1}, {"due_date": "x"}):
        assert http.put(path, headers=headers, json=wrong).status_code == 422
    assert http.put(f"{BASE}/task_none", headers=headers, json={}).json() == NOT_FOUND


def test_start_is_for_pending_tasks(http: Running, tenant: str) -> None:
    """From pending to in progress; from anything else 400."""
    made = create(http, tenant)
    started = do(http, tenant, made, "start")
    assert {**started, "updated_at": made["updated_at"]} == {**made, "status": "in_progress"}
    for status in ("in_progress", "completed", "cancelled", "overdue"):
        http.put(f"{BASE}/{made['task_id']}", headers=head(tenant), json={"status": status})
        answer = http.post(f"{BASE}/{made['task_id']}/start", headers=head(tenant))
        assert (answer.status_code, answer.json()) == (400, {"detail": "Task is not pending"})
    assert read(http, tenant, f"/{made['task_id']}")["status"] == "overdue"


def test_complete(http: Running, tenant: str) -> None:
    """From any status; photos become evidence, metadata is merged, a duration of 0 or none keeps the old one."""
    made = create(http, tenant, metadata={"a": 1, "b": 2})
    do(http, tenant, made, "cancel")
    body = {
        "notes": "", "notes_ar": "تم", "photo_urls": ["u1", "u2"], "actual_duration_minutes": 5,
        "completion_metadata": {"b": 3, "c": None},
    }  # fmt: skip
    done = do(http, tenant, made, "complete", json=body)
    assert (done["status"], done["completion_notes"], done["actual_duration_minutes"]) == ("completed", "تم", 5)
    assert done["metadata"] == {"a": 1, "b": 3, "c": None}
    assert done["completed_at"] == done["updated_at"] > made["updated_at"]
    assert [(each["type"], each["content"], each["location"]) for each in done["evidence"]] == [
        ("photo", "u1", None),
        ("photo", "u2", None),
    ]
    assert read(http, tenant, f"/{made['task_id']}") == done
    again = do(http, tenant, made, "complete", json={"actual_duration_minutes": 0, "completion_metadata": {}})
    assert (again["completion_notes"], again["actual_duration_minutes"]) == (None, 5)
    assert (again["metadata"], again["evidence"]) == (done["metadata"], done["evidence"])
    other = create(http, tenant)
    bare = do(http, tenant, other, "complete", json={})
    assert (bare["metadata"], bare["actual_duration_minutes"], bare["evidence"]) == (None, None, [])
    path = f"{BASE}/{made['task_id']}/complete"
    assert http.post(path, headers=head(tenant)).json()["detail"][0]["loc"] == ["body"]
    for wrong in ({"photo_urls": "u"}, {"photo_urls": [None]}, {"actual_duration_minutes": "x"}, [], None):
        assert http.post(path, headers=head(tenant), json=wrong).status_code == 422


def test_cancel(http: Running, tenant: str) -> None:
    """From any status; the reason joins the metadata, no reason or an empty one leaves it."""
    made = create(http, tenant, metadata={"a": 1})
    path = {"params": {"reason": "مطر"}}
    gone = do(http, tenant, made, "cancel", **path)
    assert (gone["status"], gone["metadata"]) == ("cancelled", {"a": 1, "cancel_reason": "مطر"})
    assert do(http, tenant, made, "cancel", params={"reason": ""})["metadata"] == gone["metadata"]
    other = create(http, tenant)
    do(http, tenant, other, "complete", json={})
    assert do(http, tenant, other, "cancel")["metadata"] is None
    assert do(http, tenant, other, "cancel", params={"reason": "r"})["metadata"] == {"cancel_reason": "r"}


def test_evidence(http: Running, tenant: str) -> None:
    """Of any type, in the order it came, with its place when both coordinates are given; 0 is a coordinate."""
    made = create(http, tenant)
    rows: list[tuple[dict[str, Any], Any]] = [
        ({"evidence_type": "voice", "content": "ملاحظة"}, None),
        ({"evidence_type": "odd one", "content": "", "lat": 15.25, "lon": 44.5}, {"lat": 15.25, "lon": 44.5}),
        ({"evidence_type": "photo", "content": "$u", "lat": 0, "lon": -1}, {"lat": 0, "lon": -1}),
        ({"evidence_type": "photo", "content": "x", "lat": 1}, None),
    ]
    added = [do(http, tenant, made, "evidence", params=query) for query, _ in rows]
    for (query, location), each in zip(rows, added, strict=True):
        assert set(each) == {"evidence_id", "task_id", "type", "content", "captured_at", "location"}
        said = (made["task_id"], query["evidence_type"], query["content"], location)
        assert (each["task_id"], each["type"], each["content"], each["location"]) == said
        assert each["evidence_id"].startswith("ev_")
        assert len(each["evidence_id"]) == 11
        assert dt.datetime.fromisoformat(each["captured_at"]).tzinfo is None
    task = read(http, tenant, f"/{made['task_id']}")
    assert task["evidence"] == added
    assert task["updated_at"] >= added[-1]["captured_at"]
    assert read(http, tenant)["tasks"] == [task]
    path = f"{BASE}/{made['task_id']}/evidence"
    for wrong in ({"evidence_type": "x"}, {"content": "x"}, {"evidence_type": "x", "content": "x", "lat": "north"}):
        assert http.post(path, headers=head(tenant), params=wrong).status_code == 422
    assert http.post(f"{BASE}/none/evidence", headers=head(tenant), params=rows[0][0]).json() == NOT_FOUND


def test_deleted_is_gone(http: Running, tenant: str) -> None:
    """204 and no body, 404 from then on, out of lists and stats."""
    made = create(http, tenant, due_date=(today() + dt.timedelta(hours=1)).isoformat())
    path, headers = f"{BASE}/{made['task_id']}", head(tenant)
    do(http, tenant, made, "evidence", params={"evidence_type": "note", "content": "n"})
    answer = http.delete(path, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    for again in (
        http.delete(path, headers=headers), http.get(path, headers=headers), http.put(path, headers=headers, json={}),
        http.post(f"{path}/start", headers=headers), http.post(f"{path}/complete", headers=headers, json={}),
        http.post(f"{path}/cancel", headers=headers),
        http.post(f"{path}/evidence", headers=headers, params={"evidence_type": "note", "content": "n"}),
    ):  # fmt: skip
        assert (again.status_code, again.json()) == (404, NOT_FOUND)
    assert read(http, tenant)["total"] == read(http, tenant, "/today")["count"] == 0
    assert read(http, tenant, "/stats")["total"] == read(http, tenant, "/stats")["week_progress"]["total"] == 0


def test_health(http: Running, form: Form) -> None:
    """Healthy without a tenant; ours says whether the database answers."""
    body = http.get("/healthz").json()
    assert (body["status"], body["service"]) == ("healthy", "sahool-task-service")
    if form.ours:
        assert body["database"] == ("disconnected" if form.phase == "legacy" else "connected")
