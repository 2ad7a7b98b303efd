"""What the task service does beyond its first version, alike in every phase."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from typing import Any

import pytest

from services.farm.common import clock
from tests.contracts.farm.conftest import Opened, in_every_phase
from tests.contracts.farm.running import Running
from tests.contracts.farm.test_tasks import BASE, NOT_FOUND, create, do, head, read, titles

PACKAGE = "services.farm.tasks"
TEMPLATES = "/api/v1/task-templates"
ASKED = dt.datetime(2026, 1, 18, 12, 0)  # half a day before a new moon
pytestmark = in_every_phase


def events(http: Running, tenant: str, task: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """A task's history."""
    body = read(http, tenant, f"/{task['task_id']}/history", **query)
    found: list[dict[str, Any]] = body["history"]
    return found


def test_history_says_who_did_what(http: Running, tenant: str) -> None:
    """Each change with its time, statuses and fields from what to what, as text; a change of nothing leaves none."""
    made = create(http, tenant, metadata={"a": 1})
    path = f"{BASE}/{made['task_id']}"
    http.put(path, headers=head(tenant), json={"title": "ري", "estimated_duration_minutes": 5, "priority": "medium"})
    http.put(path, headers=head(tenant), json={"title": "ري"})
    http.post(f"{path}/start", headers={**head(tenant), "X-User-Id": "user_ahmed"})
    assert http.post(f"{path}/start", headers=head(tenant)).status_code == 400
    do(http, tenant, made, "evidence", params={"evidence_type": "note", "content": "n"})
    done = do(http, tenant, made, "complete", json={"notes": "done", "completion_metadata": {"b": "و"}})
    do(http, tenant, made, "cancel", params={"reason": "rain"})
    http.delete(path, headers=head(tenant))
    found = events(http, tenant, made)
    assert [(each["action"], each["old_status"], each["new_status"], each["notes"]) for each in found] == [
        ("created", None, "pending", None), ("updated", "pending", "pending", None),
        ("started", "pending", "in_progress", None), ("updated", "in_progress", "in_progress", None),
        ("completed", "in_progress", "completed", "done"), ("cancelled", "completed", "cancelled", "rain"),
        ("deleted", "cancelled", None, None),
    ]  # fmt: skip
    assert [each["performed_by"] for each in found[1:4]] == ["user_system", "user_ahmed", "user_system"]
    assert set(found[0]) == {
        "history_id", "task_id", "action", "old_status", "new_status", "performed_by", "changes", "notes", "created_at",
    }  # fmt: skip
    assert [found[0]["changes"], found[6]["changes"]] == [None, None]
    assert found[1]["changes"] == {
        "title": {"old": "Dig", "new": "ري"},
        "estimated_duration_minutes": {"old": None, "new": "5"},
    }
    assert found[2]["changes"] == {"status": {"old": "pending", "new": "in_progress"}}
    assert found[3]["changes"] == {"evidence": {"old": "0", "new": "1"}}
    assert found[4]["changes"] == {
        "status": {"old": "in_progress", "new": "completed"},
        "completed_at": {"old": None, "new": done["completed_at"]},
        "completion_notes": {"old": None, "new": "done"},
        "metadata": {"old": '{"a": 1}', "new": '{"a": 1, "b": "و"}'},
    }
    assert [each["created_at"] for each in found] == sorted(each["created_at"] for each in found)


def test_history_outlives_its_task_and_comes_in_pages(http: Running, tenant: str) -> None:
    """A deleted task answers 404 and its history stays; other tenants see neither."""
    made = create(http, tenant)
    http.delete(f"{BASE}/{made['task_id']}", headers=head(tenant))
    body = read(http, tenant, f"/{made['task_id']}/history", limit=1, offset=1)
    assert [each["action"] for each in body["history"]] == ["deleted"]
    assert {name: body[name] for name in ("total", "limit", "offset")} == {"total": 2, "limit": 1, "offset": 1}
    for tenant_, key in (("tenant_other", made["task_id"]), (tenant, "task_none")):
        answer = http.get(f"{BASE}/{key}/history", headers=head(tenant_))
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


def test_templates(http: Running, tenant: str) -> None:
    """Created, listed by name, read and deleted; what is missing is named."""
    headers = head(tenant)
    body = {"name": "b", "title": "Check pump", "task_type": "maintenance", "metadata": {"k": [1]}, "zone_id": "z"}
    answer = http.post(TEMPLATES, headers=headers, json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert {name: made[name] for name in body} == body
    assert (made["priority"], made["title_ar"], made["tenant_id"]) == ("medium", None, tenant)
    assert made["template_id"].startswith("tmpl_")
    http.post(TEMPLATES, headers=headers, json={"name": "a", "title": "Dig"})
    listed = http.get(TEMPLATES, headers=headers, params={"limit": 1, "offset": 1}).json()
    assert listed == {"templates": [made], "total": 2, "limit": 1, "offset": 1}
    path = f"{TEMPLATES}/{made['template_id']}"
    assert http.get(path, headers=headers).json() == made
    for wrong in ({"name": "a"}, {"title": "a"}, {"name": "", "title": "a"}, {"name": "a", "title": "x" * 201}):
        assert http.post(TEMPLATES, headers=headers, json=wrong).status_code == 422
    assert http.delete(path, headers=headers).status_code == 204
    for again in (http.get(path, headers=headers), http.delete(path, headers=headers)):
        assert (again.status_code, again.json()) == (404, {"detail": "Task template not found"})


def test_a_task_from_a_template(http: Running, tenant: str) -> None:
    """It takes the template's fields, the body's instead where it names them, and stays when the template goes."""
    body = {"name": "b", "title": "Check", "priority": "high", "metadata": {"k": 1}, "assigned_to": "u", "zone_id": "z"}
    made = http.post(TEMPLATES, headers=head(tenant), json=body).json()
    path = f"{BASE}/from-template/{made['template_id']}"
    answer = http.post(path, headers=head(tenant))
    assert answer.status_code == 201, answer.text
    plain = answer.json()
    assert {name: plain[name] for name in body if name != "name"} == {
        name: value for name, value in body.items() if name != "name"
    }
    own = {"title": "Look", "assigned_to": None, "due_date": "2026-01-02T03:04:05Z", "metadata": {"x": 2}}
    task = http.post(path, headers=head(tenant), json=own).json()
    assert {name: task[name] for name in own} == own
    assert (task["zone_id"], task["priority"], task["status"]) == ("z", "high", "pending")
    assert [each["action"] for each in events(http, tenant, task)] == ["created"]
    assert http.post(path, headers=head(tenant), json={"title": None}).status_code == 422
    http.delete(f"{TEMPLATES}/{made['template_id']}", headers=head(tenant))
    gone = http.post(path, headers=head(tenant))
    assert (gone.status_code, gone.json()) == (404, {"detail": "Task template not found"})
    assert read(http, tenant, f"/{task['task_id']}") == task


def test_analytics(http: Running, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Completed a week, by assignee, and the mean duration of what said how long it took."""
    now = dt.datetime(2026, 1, 14, 12, 0, tzinfo=dt.UTC)  # a Wednesday
    for title, who, day, minutes in (
        ("a", "u", dt.date(2026, 1, 12), 10), ("b", "u", dt.date(2026, 1, 11), 25), ("c", None, dt.date(2026, 1, 5), 7),
        ("d", "v", dt.date(2026, 1, 13), None), ("e", "u", dt.date(2026, 1, 4), 900),
    ):  # fmt: skip
        at = dt.datetime.combine(day, dt.time(0, 0), dt.UTC)
        monkeypatch.setattr(clock, "now", lambda at=at: at)
        task = create(http, tenant, title=title, assigned_to=who)
        do(http, tenant, task, "complete", json={"actual_duration_minutes": minutes})
    gone = create(http, tenant, assigned_to="u")
    do(http, tenant, gone, "complete", json={"actual_duration_minutes": 1})
    http.delete(f"{BASE}/{gone['task_id']}", headers=head(tenant))
    monkeypatch.setattr(clock, "now", lambda: now)
    assert read(http, tenant, "/analytics", weeks=2) == {
        "completed_per_week": [{"week": "2026-01-05", "completed": 2}, {"week": "2026-01-12", "completed": 2}],
        "by_assignee": [
            {"assigned_to": "u", "completed": 2, "mean_duration_minutes": 17.5},
            {"assigned_to": "v", "completed": 1, "mean_duration_minutes": None},
            {"assigned_to": None, "completed": 1, "mean_duration_minutes": 7.0},
        ],
        "completed": 4,
        "mean_duration_minutes": 14.0,
    }
    assert [each["completed"] for each in read(http, tenant, "/analytics")["completed_per_week"]] == [*[0] * 9, 1, 2, 2]
    empty = read(http, "tenant_empty", "/analytics", weeks=1)
    assert (empty["by_assignee"], empty["mean_duration_minutes"]) == ([], None)
    assert http.get(f"{BASE}/analytics", headers=head(tenant), params={"weeks": 0}).status_code == 422


class Asked:
    """A calendar that says what it is told to, or fails so."""

    def __init__(self, sky: Any, answer: Any) -> None:
        self.answer, self.sky_of = answer, sky

    async def sky(self, moment: dt.datetime) -> Any:
        """The answer, whatever the moment."""
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            await asyncio.sleep(60)
        return self.sky_of(**self.answer)


@pytest.fixture
def calendar(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a calendar that gives this answer in place."""
    module = opened.module("sky")
    monkeypatch.setattr(module, "TIMEOUT_S", 0.02)
    return lambda answer: monkeypatch.setattr(module, "calendar", Asked(module.Sky, answer))


def test_the_phase_of_the_moon(http: Running, tenant: str) -> None:
    """Computed for the due date, anew when it changes, gone when it is; the body's own score stays."""
    made = create(http, tenant, due_date=ASKED.isoformat(), astronomical_score=7, suggested_by_calendar=True)
    assert (made["moon_phase_at_due_date"], made["astronomical_score"]) == ("new_moon", 7)
    assert (made["suggested_by_calendar"], made["astronomical_warnings"]) == (True, [])
    path = f"{BASE}/{made['task_id']}"
    for days, phase in ((4, "waxing_crescent"), (7, "first_quarter"), (15, "full_moon"), (22, "last_quarter")):
        later = (ASKED + dt.timedelta(days=days)).isoformat()
        assert http.put(path, headers=head(tenant), json={"due_date": later}).json()["moon_phase_at_due_date"] == phase
    body = http.put(path, headers=head(tenant), json={"due_date": None, "astronomical_recommendation": {"r": 1}}).json()
    assert (body["moon_phase_at_due_date"], body["astronomical_score"]) == (None, 7)
    assert body["astronomical_recommendation"] == {"r": 1}
    for wrong in ({"astronomical_score": 0}, {"astronomical_score": 11}, {"suggested_by_calendar": None}):
        assert http.put(path, headers=head(tenant), json=wrong).status_code == 422


def test_a_calendar_fills_in_what_it_knows(http: Running, tenant: str, calendar: Any) -> None:
    """What it says goes before the body, the rest is the body's; without a due date it is not asked."""
    calendar({"moon_phase": "p", "score": 3, "recommendation": {"best": ["ق"]}, "warnings": ["w"]})
    body = {"astronomical_score": 9, "optimal_time_of_day": "dawn", "moon_phase_at_due_date": "mine"}
    made = create(http, tenant, due_date=ASKED.isoformat(), **body)
    assert (made["astronomical_score"], made["optimal_time_of_day"], made["moon_phase_at_due_date"]) == (3, "dawn", "p")
    assert (made["astronomical_recommendation"], made["astronomical_warnings"]) == ({"best": ["ق"]}, ["w"])
    assert read(http, tenant)["tasks"] == [made]
    other = create(http, tenant, **body)
    assert {name: other[name] for name in body} == body


@pytest.mark.parametrize("answer", [OSError("down"), None], ids=["fails", "hangs"])
def test_a_calendar_that_fails_leaves_the_task_written(http: Running, tenant: str, calendar: Any, answer: Any) -> None:
    """With what the body said, in create and update."""
    calendar(answer)
    made = create(http, tenant, due_date=ASKED.isoformat(), moon_phase_at_due_date="mine")
    assert (made["moon_phase_at_due_date"], made["astronomical_warnings"]) == ("mine", [])
    changed = http.put(f"{BASE}/{made['task_id']}", headers=head(tenant), json={"due_date": "2027-01-01T00:00:00"})
    assert (changed.status_code, changed.json()["moon_phase_at_due_date"]) == (200, None)


def test_dates_at_the_end_of_time(http: Running, tenant: str) -> None:
    """A due date that UTC's calendar does not reach is answered as given and sorts first or last."""
    for title, due in (("a", "9999-12-31T23:59:59-05:00"), ("b", "0001-01-01T00:00:00+05:00"), ("c", "2026-01-01")):
        create(http, tenant, title=title, due_date=due)
    body = read(http, tenant)
    assert titles(body) == "bca"
    assert body["tasks"][0]["due_date"] == "0001-01-01T00:00:00+05:00"
    assert body["tasks"][2]["due_date"] == "9999-12-31T23:59:59-05:00"
    assert titles(read(http, tenant, due_before="9999-12-31T23:59:59-01:00")) == "bca"


def test_requests_at_the_same_time_lose_nothing(http: Running, tenant: str) -> None:
    """All evidence is there, in the task and in its history; all changes are made; a task is started once."""
    made = create(http, tenant)
    path, headers = f"{BASE}/{made['task_id']}", head(tenant)
    query = {"evidence_type": "note", "content": "n"}
    asked = [("POST", f"{path}/evidence", {"headers": headers, "params": query})] * 5
    asked += [("POST", f"{path}/complete", {"headers": headers, "json": {"photo_urls": ["u", "v"]}})]
    asked += [
        ("PUT", path, {"headers": headers, "json": {name: "new"}}) for name in ("zone_id", "field_id", "title_ar")
    ]
    answers = http.together(*asked)
    assert [each.status_code for each in answers] == [*[201] * 5, *[200] * 4]
    task = read(http, tenant, f"/{made['task_id']}")
    assert {each.json()["evidence_id"] for each in answers[:5]} < {each["evidence_id"] for each in task["evidence"]}
    assert len(task["evidence"]) == 7
    assert [task[name] for name in ("zone_id", "field_id", "title_ar", "status")] == ["new", "new", "new", "completed"]
    other = create(http, tenant)
    started = http.together(*[("POST", f"{BASE}/{other['task_id']}/start", {"headers": headers})] * 4)
    assert sorted(each.status_code for each in started) == [200, 400, 400, 400]
    assert [each["action"] for each in events(http, tenant, other)] == ["created", "started"]
    assert len(events(http, tenant, made)) == 10


SCOPED = [
    ("GET", "", 200), ("POST", "", 201), ("GET", "/today", 200), ("GET", "/upcoming", 200), ("GET", "/stats", 200),
    ("GET", "/analytics", 200), ("GET", "/{task_id}", 404), ("PUT", "/{task_id}", 404), ("DELETE", "/{task_id}", 404),
    ("GET", "/{task_id}/history", 404), ("POST", "/{task_id}/start", 404), ("POST", "/{task_id}/complete", 404),
    ("POST", "/{task_id}/cancel", 404), ("POST", "/{task_id}/evidence", 404),
    ("POST", "/from-template/{template_id}", 404),
]  # fmt: skip
SCOPED_TEMPLATES = [
    ("GET", "", 200),
    ("POST", "", 201),
    ("GET", "/{template_id}", 404),
    ("DELETE", "/{template_id}", 404),
]


def test_no_tenant_sees_another(http: Running, tenant: str) -> None:
    """Every route but /healthz: 400 without a tenant, and to others one tenant's records are not there."""
    other = head(tenant + "_other")
    day = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    made = create(http, tenant, due_date=day.isoformat())
    template = http.post(TEMPLATES, headers=head(tenant), json={"name": "a", "title": "b"}).json()
    names = {"task_id": made["task_id"], "template_id": template["template_id"]}
    routes = [(method, BASE + path, status) for method, path, status in SCOPED]
    routes += [(method, TEMPLATES + path, status) for method, path, status in SCOPED_TEMPLATES]
    documented = http.get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, way in documented.items() for method in way} == {
        *((method, path) for method, path, _ in routes),
        ("GET", "/healthz"),
    }
    query = {"evidence_type": "note", "content": "n"}
    for method, path, status in routes:
        options: dict[str, Any] = {"params": query}
        if method in ("POST", "PUT"):
            options["json"] = {"title": "t", "name": "n"}
        for headers in ({}, {"X-Tenant-Id": ""}):
            refused = http.request(method, path.format(**names), headers=headers, **options)
            assert (refused.status_code, refused.json()) == (400, {"detail": "X-Tenant-Id header is required"})
        answer = http.request(method, path.format(**names), headers=other, **options)
        assert answer.status_code == status, (method, path)
        if method == "GET":
            assert made["task_id"] not in answer.text
            assert template["template_id"] not in answer.text
    assert read(http, tenant)["tasks"] == [made]
    assert http.get(TEMPLATES, headers=head(tenant)).json()["templates"] == [template]
    assert len(events(http, tenant, made)) == 1


def test_metadata_of_any_size_and_order(http: Running, tenant: str) -> None:
    """Metadata comes back as it was sent, however long and in whatever order, and the task is listed and counted."""
    metadata = {"zz": secrets.token_hex(10_000), "a": {"z": 1, "b": 2}}
    made = create(http, tenant, metadata=metadata, due_date="2020-01-01")
    read_back = read(http, tenant, f"/{made['task_id']}")["metadata"]
    assert list(read_back.items()) == list(metadata.items())
    assert read(http, tenant, "")["total"] == 1
    stats = read(http, tenant, "/stats")
    assert (stats["total"], stats["pending"], stats["overdue"]) == (1, 1, 1)
