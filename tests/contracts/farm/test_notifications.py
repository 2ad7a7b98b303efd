"""The notification service's API, alike in every form."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from tests.contracts.farm.conftest import in_every_phase
from tests.contracts.farm.running import Running

PACKAGE = "services.farm.notifications"
KINDS = (
    "weather_alert", "pest_outbreak", "irrigation_reminder", "crop_health", "market_price", "system", "task_reminder",
)  # fmt: skip
LISTED = {
    "id", "farmer_id", "type", "priority", "title", "title_ar", "body", "body_ar", "channel", "data",
    "target_governorates", "target_crops", "is_read", "read_at", "created_at", "expires_at",
}  # fmt: skip
BROADCAST = LISTED - {"farmer_id", "is_read", "read_at"}
NOBODY = {"detail": "Failed to create notification"}


def new_id(prefix: str = "farmer") -> str:
    """An id that nobody used."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def register(http: Running, governorate: str = "marib", crops: Any = ("tomato",), **fields: Any) -> str:
    """The id of a farmer who is registered now."""
    body = {
        "farmer_id": new_id(), "name": "Ali", "name_ar": "علي", "governorate": governorate, "crops": list(crops),
        **fields,
    }  # fmt: skip
    answer = http.post("/v1/farmers/register", json=body)
    assert answer.status_code == 200, answer.text
    return str(body["farmer_id"])


def send(http: Running, **fields: Any) -> Any:
    """The answer to a notification."""
    body = {"type": "system", "title": "T", "title_ar": "ع", "body": "B", "body_ar": "ن", **fields}
    return http.post("/v1/notifications", json=body)


def listed(http: Running, farmer: str, **query: Any) -> dict[str, Any]:
    """The farmer's list."""
    answer = http.get(f"/v1/notifications/farmer/{farmer}", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def titles(http: Running, farmer: str, **query: Any) -> list[str]:
    """The titles of the farmer's list."""
    return [each["title"] for each in listed(http, farmer, **query)["notifications"]]


def test_register_answers_in_two_languages(http: Running) -> None:
    """A farmer is registered, and registered again, with one answer."""
    farmer = new_id()
    for name in ("a", "b"):
        answer = http.post(
            "/v1/farmers/register",
            json={"farmer_id": farmer, "name": name, "name_ar": "ع", "governorate": "ibb", "crops": [], "other": 1},
        )
        assert (answer.status_code, answer.json()) == (
            200,
            {
                "success": True,
                "farmer_id": farmer,
                "message": "تم تسجيل المزارع بنجاح",
                "message_en": "Farmer registered successfully",
            },
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"governorate": "cairo"}, {"crops": ["rice"]}, {"crops": None}, {"name": None}, {"field_ids": None},
        {"notification_channels": ["fax"]}, {"farmer_id": 5}, {"language": None},
    ],
)  # fmt: skip
def test_a_body_that_is_no_profile_is_refused(http: Running, wrong: dict[str, Any]) -> None:
    """422 with the place of what is wrong, and nobody is registered."""
    before = http.get("/v1/stats").json()["registered_farmers"]
    body = {"farmer_id": new_id(), "name": "a", "name_ar": "ع", "governorate": "ibb", "crops": [], **wrong}
    answer = http.post("/v1/farmers/register", json=body)
    assert answer.status_code == 422
    assert {"type", "loc", "msg"} <= set(answer.json()["detail"][0])
    assert http.get("/v1/stats").json()["registered_farmers"] == before


def test_a_notification_for_named_farmers(http: Running) -> None:
    """One row a farmer, registered or not; the answer is the first, its data says type, priority and channels."""
    one, other = new_id(), new_id()
    answer = send(
        http, type="market_price", target_farmers=[one, other], channels=["sms", "in_app"], data={"price": 0, "a": None}
    )
    made = answer.json()
    assert answer.status_code == 200
    assert set(made) == LISTED
    assert made["data"] == {
        "price": 0, "a": None, "type_ar": "سعر السوق", "priority_ar": "متوسطة", "channels": ["sms", "in_app"],
    }  # fmt: skip
    assert (made["type"], made["priority"], made["channel"]) == ("market_price", "medium", "sms")
    assert (made["is_read"], made["read_at"], made["farmer_id"]) == (False, None, one)
    assert (made["target_governorates"], made["target_crops"]) == ([], [])
    assert (made["title"], made["title_ar"], made["body"], made["body_ar"]) == ("T", "ع", "B", "ن")
    created, expires = (dt.datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert made["created_at"].endswith("+00:00")
    assert made["expires_at"].endswith("+00:00")
    assert expires - created == dt.timedelta(hours=24) or abs(expires - created - dt.timedelta(hours=24)).seconds < 1
    first, second = (listed(http, each)["notifications"] for each in (one, other))
    assert first == [made]
    assert second == [
        {
            **made,
            "id": second[0]["id"],
            "farmer_id": other,
            "created_at": second[0]["created_at"],
            "expires_at": second[0]["expires_at"],
        }
    ]
    assert second[0]["id"] != made["id"]
    assert str(uuid.UUID(made["id"])) == made["id"]


def test_a_farmer_who_is_named_twice_is_told_twice(http: Running) -> None:
    """Named farmers are taken as given, and criteria beside them are not looked at."""
    farmer = new_id()
    send(http, target_farmers=[farmer, farmer], target_governorates=["abyan"], target_crops=["qat"])
    assert listed(http, farmer)["total"] == 2


def test_recipients_by_governorate_and_crop(http: Running) -> None:
    """Any of the governorates and any of the crops, both if both are said; each farmer once; nobody is 400."""
    a = register(http, "saada", ["wheat", "corn", "wheat"])
    b = register(http, "lahj", ["corn"])
    c = register(http, "saada", [])

    def told(**criteria: Any) -> set[str]:
        title = uuid.uuid4().hex
        answer = send(http, title=title, **criteria)
        if answer.status_code == 400:
            assert answer.json() == NOBODY
        return {name for name, each in (("a", a), ("b", b), ("c", c)) for _ in range(titles(http, each).count(title))}

    assert told(target_governorates=["saada"]) == {"a", "c"}
    assert told(target_governorates=["saada", "lahj"]) == {"a", "b", "c"}
    assert told(target_crops=["corn"]) == {"a", "b"}
    assert told(target_crops=["wheat", "corn"], target_governorates=["saada"]) == {"a"}
    assert told(target_crops=["wheat"], target_governorates=["lahj"]) == set()
    assert told(target_governorates=["hajjah"]) == set()
    assert told() == {"a", "b", "c"}
    count = len(titles(http, a))
    send(http, target_crops=["corn", "wheat"])
    assert len(titles(http, a)) == count + 1


def test_registering_again_replaces_crops_and_place(http: Running) -> None:
    """What the farmer grew before finds nobody any more."""
    farmer = register(http, "aden", ["grapes", "mango"])
    register(http, "taiz", ["mango"], farmer_id=farmer, field_ids=["f", "f"], notification_channels=["sms", "sms"])
    for criteria, status in (
        ({"target_crops": ["grapes"], "target_governorates": ["aden", "taiz"]}, 400),
        ({"target_crops": ["mango"], "target_governorates": ["aden"]}, 400),
        ({"target_crops": ["mango"], "target_governorates": ["taiz"]}, 200),
        ({"target_governorates": ["aden"]}, 400),
    ):
        assert send(http, **criteria).status_code == status, criteria
    assert listed(http, farmer)["total"] == 1


def test_recipients_are_told_in_the_order_of_their_registration(http: Running) -> None:
    """The answer is about who registered first, whatever was said of crops since; the last one made is the newest."""
    first, second = register(http, "abyan", ["banana"]), register(http, "abyan", ["corn"])
    register(http, "abyan", ["corn", "potato"], farmer_id=first)
    for criteria in ({"target_crops": ["corn"]}, {"target_crops": ["potato", "corn"]}, {}):
        made = send(http, target_governorates=["abyan"], **criteria).json()
        assert made["farmer_id"] == first
        newest = http.get("/v1/notifications/broadcast", params={"governorate": "abyan", "limit": 2}).json()
        assert [each["id"] for each in newest["notifications"]] == [
            listed(http, each, limit=1)["notifications"][0]["id"] for each in (second, first)
        ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "party"}, {"type": None}, {"title": None}, {"channels": ["fax"]}, {"channels": None}, {"data": []},
        {"target_crops": ["rice"]}, {"expires_in_hours": "soon"}, {"priority": "huge"}, {"priority": None},
    ],
)  # fmt: skip
def test_a_body_that_is_no_notification_is_refused(http: Running, wrong: dict[str, Any]) -> None:
    """422 with the place of what is wrong."""
    answer = send(http, **{"target_farmers": ["x"], **wrong})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["body", next(iter(wrong))]


def test_data_comes_back_as_it_was(http: Running) -> None:
    """Numbers with their form, empty things, every script, keys in their order."""
    farmer = new_id()
    data = {
        "a": 1.0,
        "b": 1,
        "c": 1e22,
        "d": 10**30,
        "e": -0.0,
        "f": [],
        "g": {"": None},
        "h": "א ع 🌾",
        "i": 0.1,
        "j": True,
    }
    made = send(http, target_farmers=[farmer], data=data).json()
    row = listed(http, farmer)["notifications"][0]
    for found in (made["data"], row["data"]):
        assert repr(dict(list(found.items())[: len(data)])) == repr(data)


@in_every_phase
@pytest.mark.parametrize("wrong", ["NaN", "-Infinity", '"\\ud800"', '{"\\ud800": 1}'])
def test_what_json_does_not_know_is_refused(http: Running, wrong: str) -> None:
    """422 with the place, in data as in a number of its own."""
    body = '{"type":"system","title":"T","title_ar":"","body":"","body_ar":"","target_farmers":["x"],"data":{"a":%s}}'
    reminder = '{"farmer_id":"x","field_id":"f","field_name":"N","crop":"qat","urgency":"low","water_needed_mm":%s}'
    for path, text in (("notifications", body), ("reminders/irrigation", reminder)):
        answer = http.post(f"/v1/{path}", content=text % wrong, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["detail"][0]["loc"][0]) == (422, "body")


def test_texts_that_are_empty(http: Running) -> None:
    """Empty Arabic texts become the others; without channels it is for the app."""
    farmer = new_id()
    made = send(http, title_ar="", body_ar="", title="", channels=[], target_farmers=[farmer]).json()
    assert (made["title"], made["title_ar"], made["body_ar"], made["data"]["channels"]) == ("", "", "B", [])


def test_how_long_it_is_shown(http: Running) -> None:
    """Null and zero hours are for good; what has expired is in no list and not counted; it can still be read."""
    farmer = new_id()
    never = send(http, title="never", target_farmers=[farmer], expires_in_hours=None).json()
    zero = send(http, title="zero", target_farmers=[farmer], expires_in_hours=0).json()
    past = send(http, title="past", target_farmers=[farmer], expires_in_hours=-1).json()
    assert (never["expires_at"], zero["expires_at"]) == (None, None)
    assert past["expires_at"] < past["created_at"]
    body = listed(http, farmer)
    assert [each["title"] for each in body["notifications"]] == ["zero", "never"]
    assert (body["total"], body["unread_count"]) == (2, 2)
    assert http.patch(f"/v1/notifications/{past['id']}/read", params={"farmer_id": farmer}).status_code == 200
    everybody = http.get("/v1/notifications/broadcast", params={"limit": 50}).json()["notifications"]
    assert past["id"] not in {each["id"] for each in everybody}


def test_the_list_is_newest_first_and_in_pages(http: Running) -> None:
    """The total is that of the page; unread are counted over all that is shown, whatever the filters."""
    farmer = new_id()
    made = [
        send(http, title=str(number), target_farmers=[farmer], type="system" if number % 2 else "crop_health").json()
        for number in range(5)
    ]
    assert titles(http, farmer) == ["4", "3", "2", "1", "0"]
    page = listed(http, farmer, limit=2, offset=1)
    assert [each["title"] for each in page["notifications"]] == ["3", "2"]
    assert (page["farmer_id"], page["total"], page["unread_count"]) == (farmer, 2, 5)
    http.patch(f"/v1/notifications/{made[3]['id']}/read", params={"farmer_id": farmer})
    assert titles(http, farmer, unread_only=True) == ["4", "2", "1", "0"]
    assert titles(http, farmer, type="system") == ["3", "1"]
    assert titles(http, farmer, type="system", unread_only=True) == ["1"]
    body = listed(http, farmer, type="system", offset=9)
    assert (body["total"], body["unread_count"], body["notifications"]) == (0, 4, [])
    assert [each["is_read"] for each in listed(http, farmer)["notifications"]] == [False, True, False, False, False]
    for wrong in ({"limit": 0}, {"limit": 101}, {"offset": -1}, {"type": "party"}, {"unread_only": "maybe"}):
        assert http.get(f"/v1/notifications/farmer/{farmer}", params=wrong).status_code == 422
    assert listed(http, new_id()) | {"farmer_id": ""} == {
        "farmer_id": "", "total": 0, "unread_count": 0, "notifications": [],
    }  # fmt: skip


def test_marking_as_read(http: Running) -> None:
    """400 for no id, 404 for none that is there, 403 for somebody else's; once more is as good as once."""
    farmer = new_id()
    made = send(http, target_farmers=[farmer]).json()
    path = f"/v1/notifications/{made['id']}/read"

    def mark(key: str, who: str = farmer) -> tuple[int, Any]:
        answer = http.patch(f"/v1/notifications/{key}/read", params={"farmer_id": who})
        return answer.status_code, answer.json()

    assert mark("5") == (400, {"detail": "Invalid notification ID format"})
    assert mark(str(uuid.uuid4())) == (404, {"detail": "Notification not found"})
    assert mark(made["id"], "other") == (403, {"detail": "Not authorized to mark this notification"})
    assert http.patch(path).status_code == 422
    assert listed(http, farmer)["unread_count"] == 1
    for key in (made["id"], made["id"].upper().replace("-", "")):
        status, body = mark(key)
        assert (status, body | {"read_at": ""}) == (
            200,
            {"success": True, "notification_id": key, "is_read": True, "read_at": ""},
        )
        assert body["read_at"].endswith("+00:00")
    body = listed(http, farmer)
    assert body["notifications"][0]["read_at"] is not None
    assert (body["total"], body["unread_count"], body["notifications"][0]["is_read"]) == (1, 0, True)


@pytest.mark.parametrize(
    ("kind", "title", "body"),
    [
        ("frost", "Frost is coming to marib, dhamar", "The night may freeze."),
        ("heat_wave", "Days of great heat in marib, dhamar", "Water early in the day"),
        ("storm", "A storm is near marib, dhamar", "Tie down"),
        ("flood", "Water may rise in marib, dhamar", "Clear the ditches"),
        ("drought", "Little rain ahead for marib, dhamar", "Spare water"),
        ("other", "Unusual weather in marib, dhamar", "Look at the forecast"),
        ("hail", "Unusual weather in marib, dhamar", "Look at the forecast"),
    ],
)
def test_a_weather_alert(http: Running, kind: str, title: str, body: str) -> None:
    """Worded by its type and its governorates, for the farmers there, for 48 hours."""
    farmer = register(http, "dhamar")
    answer = http.post(
        "/v1/alerts/weather",
        json={
            "governorates": ["marib", "dhamar"], "alert_type": kind, "severity": "critical",
            "expected_date": "2026-01-05", "details": {"min_c": -2.5, "channels": "x", "alert_type": "own"},
        },
    )  # fmt: skip
    made = answer.json()
    assert (answer.status_code, set(made)) == (200, LISTED)
    assert (made["title"], made["body"].startswith(body), "مأرب، ذمار" in made["title_ar"]) == (title, True, True)
    row = listed(http, farmer)["notifications"][0]
    assert row["data"] == {
        "alert_type": "own", "expected_date": "2026-01-05", "min_c": -2.5, "type_ar": "تنبيه جوي",
        "priority_ar": "حرجة", "channels": ["push", "in_app"],
    }  # fmt: skip
    assert (row["type"], row["priority"], hours(row)) == ("weather_alert", "critical", 48)


def test_a_weather_alert_for_everybody(http: Running) -> None:
    """Without governorates there are no criteria, and so it is for every farmer."""
    farmer = register(http, "taiz")
    body = {"governorates": [], "alert_type": "storm", "severity": "low", "expected_date": "2026-01-05"}
    made = http.post("/v1/alerts/weather", json=body).json()
    assert (made["title"], "جميع المحافظات" in made["title_ar"]) == ("A storm is near all governorates", True)
    assert titles(http, farmer) == [made["title"]]


def hours(row: dict[str, Any]) -> int:
    """For how many hours a notification is shown."""
    created, expires = (dt.datetime.fromisoformat(row[name]) for name in ("created_at", "expires_at"))
    return round((expires - created).total_seconds() / 3600)


def test_a_pest_alert(http: Running) -> None:
    """For farmers of the governorate who grow an affected crop, for 72 hours."""
    farmer = register(http, "abyan", ["coffee"])
    other = register(http, "abyan", ["grapes"])
    body = {
        "governorate": "abyan", "pest_name": "Locust", "pest_name_ar": "جراد", "affected_crops": ["coffee", "qat"],
        "severity": "high", "recommendations": ["net"], "recommendations_ar": ["شبك"],
    }  # fmt: skip
    answer = http.post("/v1/alerts/pest", json=body)
    made = answer.json()
    assert (answer.status_code, set(made), made["type"]) == (200, LISTED, "pest_outbreak")
    assert (made["title"], made["title_ar"]) == ("Locust was seen in abyan", "ظهرت آفة جراد في أبين")
    assert made["body"] == "Look under the leaves of your coffee, qat, and report what you find."
    assert made["body_ar"].startswith("افحص أوراق البن، القات")
    row = listed(http, farmer)["notifications"][0]
    assert row["data"] == {
        **{name: body[name] for name in body if name not in ("governorate", "severity")},
        "type_ar": "تفشي آفة", "priority_ar": "مرتفعة", "channels": ["push", "in_app"],
    }  # fmt: skip
    assert hours(row) == 72
    assert "Locust was seen in abyan" not in titles(http, other)


def test_an_irrigation_reminder(http: Running) -> None:
    """For one farmer, registered or not, for 12 hours."""
    farmer = new_id()
    body = {
        "farmer_id": farmer, "field_id": "f", "field_name": "North", "crop": "date_palm", "water_needed_mm": 25,
        "urgency": "low",
    }  # fmt: skip
    answer = http.post("/v1/reminders/irrigation", json=body)
    made = answer.json()
    assert (answer.status_code, set(made), made["type"]) == (200, LISTED, "irrigation_reminder")
    assert (made["title"], made["title_ar"]) == ("Time to water North", "حان وقت ري North")
    assert made["body"] == "The date_palm there needs 25.0 mm."
    assert made["body_ar"].startswith("محصول نخيل التمر هناك")
    row = listed(http, farmer)["notifications"][0]
    assert row["data"] == {
        "field_id": "f", "field_name": "North", "crop": "date_palm", "water_needed_mm": 25.0,
        "type_ar": "تذكير بالري", "priority_ar": "منخفضة", "channels": ["push", "in_app"],
    }  # fmt: skip
    assert hours(row) == 12


def test_alerts_for_nobody_are_no_server_error(http: Running) -> None:
    """400 with the text of a notification for nobody; upstream answers 500."""
    weather = {"governorates": ["hadramaut"], "alert_type": "frost", "severity": "low", "expected_date": "2026-01-05"}
    pest = {"governorate": "hadramaut", "pest_name": "a", "pest_name_ar": "b", "affected_crops": ["qat"]}
    for path, body in (("weather", weather), ("pest", {**pest, "severity": "low"})):
        answer = http.post(f"/v1/alerts/{path}", json=body)
        assert (answer.status_code, answer.json()) == (400, NOBODY)
    for path, body in (
        ("alerts/weather", {**weather, "governorates": None}), ("alerts/weather", {**weather, "expected_date": "soon"}),
        ("alerts/pest", pest), ("reminders/irrigation", {}),
    ):  # fmt: skip
        assert http.post(f"/v1/{path}", json=body).status_code == 422


def test_the_broadcast_list(http: Running) -> None:
    """What was aimed at a governorate, a crop or both, one row a recipient, the newest first, within the limit."""
    farmers = [register(http, "hodeidah", ["banana", "corn"]) for _ in range(2)]
    for title, criteria in (
        ("place", {"target_governorates": ["hodeidah", "hajjah"]}),
        ("crop", {"target_crops": ["banana"], "target_governorates": ["hodeidah"]}),
        ("named", {"target_farmers": farmers}),
    ):
        assert send(http, title=title, **criteria).status_code == 200

    def shown(**query: Any) -> list[str]:
        answer = http.get("/v1/notifications/broadcast", params=query)
        body = answer.json()
        assert (answer.status_code, body["total"]) == (200, len(body["notifications"]))
        assert all(set(each) == BROADCAST for each in body["notifications"])
        return [each["title"] for each in body["notifications"]]

    assert shown(limit=6) == ["named"] * 2 + ["crop"] * 2 + ["place"] * 2
    assert shown(governorate="hajjah") == ["place"] * 2
    assert shown(governorate="hodeidah") == ["crop"] * 2 + ["place"] * 2
    assert shown(governorate="hodeidah", crop="banana") == ["crop"] * 2
    assert shown(governorate="hodeidah", limit=1) == ["crop"]
    row = http.get("/v1/notifications/broadcast", params={"limit": 1}).json()["notifications"][0]
    assert (row["target_governorates"], row["target_crops"]) == ([], [])
    row = http.get("/v1/notifications/broadcast", params={"crop": "banana"}).json()["notifications"][0]
    assert (row["target_governorates"], row["target_crops"]) == (["hodeidah"], ["banana"])
    for wrong in ({"limit": 0}, {"limit": 51}, {"crop": "rice"}, {"governorate": "cairo"}):
        assert http.get("/v1/notifications/broadcast", params=wrong).status_code == 422


def test_preferences_are_three_rows(http: Running) -> None:
    """The answer shows what was sent with all defaults; the farmer of the path counts, known or not."""
    before = http.get("/v1/stats").json()["total_preferences"]
    farmer = new_id()
    path = f"/v1/farmers/{farmer}/preferences"
    answer = http.put(path, json={"farmer_id": "another", "weather_alerts": False})
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "success": True,
            "farmer_id": farmer,
            "preferences": {
                "farmer_id": "another", "weather_alerts": False, "pest_alerts": True, "irrigation_reminders": True,
                "crop_health_alerts": True, "market_prices": True, "quiet_hours_start": "22:00",
                "quiet_hours_end": "06:00", "min_priority": "low",
            },
            "message": "تم حفظ التفضيلات",
            "message_en": "Preferences saved",
        },
    )  # fmt: skip
    body = {"farmer_id": farmer, "quiet_hours_start": None, "quiet_hours_end": "", "min_priority": "critical"}
    again = http.put(path, json=body).json()["preferences"]
    assert {name: again[name] for name in body} == body
    assert http.get("/v1/stats").json()["total_preferences"] == before + 3
    for wrong in ({}, {"quiet_hours_start": "25:00"}, {"quiet_hours_end": "late"}, {"min_priority": None}):
        assert http.put(path, json={"farmer_id": farmer, **wrong} if wrong else {}).status_code == 422


def test_stats(http: Running) -> None:
    """Every type is listed; an alert is active until it expires, without an end never."""
    before = http.get("/v1/stats").json()
    farmer = register(http)
    for kind, life in (("weather_alert", 1), ("weather_alert", None), ("pest_outbreak", 1), ("pest_outbreak", -1)):
        send(http, type=kind, target_farmers=[farmer], expires_in_hours=life)
    send(http, type="task_reminder", target_farmers=[farmer])
    after = http.get("/v1/stats").json()
    assert set(after) == {
        "total_notifications", "total_preferences", "registered_farmers", "by_type", "active_weather_alerts",
        "active_pest_alerts",
    }  # fmt: skip
    assert set(after["by_type"]) == set(KINDS)

    def more(name: str) -> int:
        return int(after[name] - before[name])

    assert (more("total_notifications"), more("registered_farmers")) == (5, 1)
    assert (more("active_weather_alerts"), more("active_pest_alerts")) == (1, 1)
    grown = {kind: after["by_type"][kind] - before["by_type"][kind] for kind in KINDS}
    assert {kind: n for kind, n in grown.items() if n} == {
        "weather_alert": 2, "pest_outbreak": 2, "task_reminder": 1,
    }  # fmt: skip


def test_health(http: Running, form: Any) -> None:
    """Healthy in every form; ours says whether the database answers."""
    body = http.get("/healthz").json()
    assert (body["status"], body["service"]) == ("healthy", "notification-service")
    if form.ours:
        assert body["database"] == ("disconnected" if form.phase == "legacy" else "connected")
