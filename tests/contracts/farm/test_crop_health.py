"""The crop health service's API, alike in every form."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import httpx
import pytest

from tests.contracts.farm.running import Running

PACKAGE = "services.farm.crop_health"
NOT_FOUND = {"detail": "التشخيص غير موجود"}
RECORD = {
    "id", "image_url", "thumbnail_url", "disease_id", "disease_name", "disease_name_ar", "confidence", "severity",
    "crop_type", "field_id", "governorate", "location", "status", "timestamp", "farmer_id",
}  # fmt: skip
RESULT = {
    "diagnosis_id", "timestamp", "disease_name", "disease_name_ar", "disease_description", "disease_description_ar",
    "confidence", "severity", "affected_area_percent", "detected_crop", "growth_stage", "treatments",
    "urgent_action_required", "needs_expert_review", "expert_review_reason", "weather_consideration",
    "prevention_tips", "prevention_tips_ar", "image_url",
}  # fmt: skip
TREATMENT = {
    "treatment_type", "product_name", "product_name_ar", "dosage", "dosage_ar", "application_method",
    "application_method_ar", "frequency", "frequency_ar", "precautions", "precautions_ar",
}  # fmt: skip


@pytest.fixture
def where() -> str:
    """A governorate that nobody used."""
    return f"صنعاء {uuid.uuid4().hex[:8]}"


def upload(http: Running, content: bytes, kind: str = "image/jpeg", name: str = "leaf.JPG", **query: Any) -> Any:
    """The answer to one picture."""
    return http.post("/v1/diagnose", files={"image": (name, content, kind)}, params=query)


def diagnose(http: Running, content: bytes = b"leaf", **query: Any) -> dict[str, Any]:
    """The diagnosis of one picture."""
    answer = upload(http, content, **query)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def listed(http: Running, **query: Any) -> list[dict[str, Any]]:
    """The list's answer."""
    answer = http.get("/v1/diagnoses", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def picture(**wanted: Any) -> bytes:
    """A picture in which the stand-in sees a severity, or a disease, or is as sure as asked."""
    from services.farm.crop_health.diagnosis import judge

    for number in range(1000):
        content = f"picture {number}".encode()
        found = judge(content)
        seen = {"severity": found.severity, "disease_id": found.disease_id, "sure": found.confidence >= 0.5}
        if all(seen[name] == value for name, value in wanted.items()):
            return content
    raise AssertionError(wanted)


def test_a_diagnosis_is_answered_and_stored(http: Running, where: str) -> None:
    """The answer says what is seen and what helps; the stored record is pending and says where and whose."""
    content = picture(disease_id="tomato_late_blight", sure=True)
    query = {"field_id": "f1", "crop_type": "wheat", "symptoms": "بقع", "governorate": where, "farmer_id": "u1"}
    made = diagnose(http, content, lat=15.3694, lng=44.191, **query)
    assert set(made) == RESULT
    assert (made["disease_name"], made["severity"], made["detected_crop"]) == (
        "Tomato Late Blight", "critical", "tomato",
    )  # fmt: skip
    assert (made["urgent_action_required"], made["needs_expert_review"]) == (True, False)
    assert (made["growth_stage"], made["expert_review_reason"]) == (None, None)
    assert made["treatments"]
    assert all(set(each) == TREATMENT for each in made["treatments"])
    assert dt.datetime.fromisoformat(made["timestamp"]).tzinfo is None
    (record,) = listed(http, governorate=where)
    assert set(record) == RECORD
    assert uuid.UUID(record["id"]) == uuid.UUID(made["diagnosis_id"])
    assert (record["status"], record["severity"], record["crop_type"]) == ("pending", "critical", "tomato")
    assert record["location"] == {"lat": 15.3694, "lng": 44.191}
    assert [record[name] for name in ("field_id", "farmer_id", "governorate")] == ["f1", "u1", where]
    assert [record[name] for name in ("timestamp", "confidence")] == [made["timestamp"], made["confidence"]]
    assert record["image_url"] == record["thumbnail_url"] == made["image_url"]
    assert made["image_url"].endswith(f"/images/{record['id']}.jpg")


@pytest.mark.parametrize("place", [{}, {"lat": 15.5}, {"lat": 0, "lng": 44.2}, {"lat": 15.5, "lng": 0}])
def test_no_location_without_both_coordinates(http: Running, where: str, place: dict[str, float]) -> None:
    """A coordinate that is absent or 0 makes the location null; all that nobody said is null too."""
    diagnose(http, governorate=where, **place)
    (record,) = listed(http, governorate=where)
    assert [record[name] for name in ("location", "field_id", "farmer_id")] == [None, None, None]


def test_an_unsure_finding_is_low_and_asks_for_an_expert(http: Running, where: str) -> None:
    """Below 0.5 the severity is low, whatever the disease, and nothing is urgent."""
    made = diagnose(http, picture(disease_id="date_palm_bayoud", sure=False), governorate=where)
    assert (made["severity"], made["urgent_action_required"], made["needs_expert_review"]) == ("low", False, True)
    assert made["expert_review_reason"]
    assert listed(http, governorate=where)[0]["severity"] == "low"
    healthy = diagnose(http, picture(severity="healthy"), governorate=where)
    assert (healthy["treatments"], healthy["weather_consideration"]) == ([], None)
    assert healthy["detected_crop"] == "unknown"


def test_the_same_picture_shows_the_same(http: Running, where: str) -> None:
    """Two diagnoses of one picture differ by id and time alone."""
    one, two = (diagnose(http, b"same", governorate=where) for _ in range(2))
    own = {"diagnosis_id", "timestamp", "image_url"}
    assert {name: one[name] for name in RESULT - own} == {name: two[name] for name in RESULT - own}
    assert one["diagnosis_id"] != two["diagnosis_id"]


def test_what_is_no_picture_is_refused(http: Running, where: str) -> None:
    """Another type is 400 with the Arabic text, over 10 MB is 400, no file and an unknown crop are 422."""
    answer = upload(http, b"text", kind="text/plain", name="a.txt", governorate=where)
    assert (answer.status_code, answer.json()) == (400, {"detail": "الملف المرفوع ليس صورة صالحة"})
    answer = upload(http, bytes(10 * 1024 * 1024 + 1), governorate=where)
    assert (answer.status_code, answer.json()) == (
        400, {"detail": "الصورة أكبر من 10 ميجابايت"},
    )  # fmt: skip
    assert http.post("/v1/diagnose", params={"governorate": where}).status_code == 422
    assert upload(http, b"leaf", crop_type="rice", governorate=where).status_code == 422
    assert upload(http, b"leaf", lat="north", governorate=where).status_code == 422
    assert listed(http, governorate=where) == []
    assert upload(http, bytes(10 * 1024 * 1024), governorate=where).status_code == 200


def batch(http: Running, *kinds: str) -> httpx.Response:
    """The answer to a batch of pictures of these types."""
    files = [("images", (f"{number}.png", f"{number}".encode(), kind)) for number, kind in enumerate(kinds)]
    return http.post("/v1/diagnose/batch", files=files, params={"field_id": "f9"})


def test_a_batch_is_answered_and_not_stored(http: Running) -> None:
    """At most 20 pictures; one that is none is 400, as it would be alone."""
    before = http.get("/v1/diagnoses/stats").json()["total"]
    answer = batch(http, *["image/png"] * 20)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (set(body), body["field_id"], body["total"]) == ({"field_id", "total", "results"}, "f9", 20)
    assert [each["filename"] for each in body["results"]] == [f"{number}.png" for number in range(20)]
    assert set(body["results"][0]) == {
        "filename", "disease_id", "disease_name", "disease_name_ar", "confidence", "severity", "crop_type",
    }  # fmt: skip
    answer = batch(http, *["image/png"] * 21)
    assert (answer.status_code, answer.json()) == (400, {"detail": "لا تزيد الدفعة على 20 صورة"})
    answer = batch(http, "image/png", "text/plain")
    assert (answer.status_code, answer.json()) == (400, {"detail": "الملف المرفوع ليس صورة صالحة"})
    assert http.get("/v1/diagnoses/stats").json()["total"] == before


@pytest.mark.parametrize("urgency", ["urgent", "soon", None])
def test_an_expert_is_asked(http: Running, urgency: str | None) -> None:
    """A review gets a number; its diagnosis need not be there, its urgency need not be a known one."""
    query = {"diagnosis_id": "any", **({"urgency": urgency} if urgency else {})}
    answer = http.post("/v1/expert-review", params=query, files={"image": ("a.png", b"a", "image/png")})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert uuid.UUID(body.pop("review_id"))
    assert body == {"success": True, "diagnosis_id": "any", "urgency": urgency or "normal", "status": "pending"}
    assert http.post("/v1/expert-review", params=query).status_code == 422


def test_the_list_is_bare_newest_first_and_in_pages(http: Running, where: str) -> None:
    """Limit and offset cut it; wrong ones are 422."""
    made = [diagnose(http, bytes([number]), governorate=where)["diagnosis_id"] for number in range(5)]
    assert [each["id"] for each in listed(http, governorate=where)] == made[::-1]
    assert [each["id"] for each in listed(http, governorate=where, limit=2, offset=1)] == made[::-1][1:3]
    assert listed(http, governorate=where, offset=9) == []
    assert [each["id"] for each in listed(http, limit=5)] == made[::-1]
    for wrong in ({"limit": 0}, {"limit": 201}, {"offset": -1}, {"limit": "x"}):
        assert http.get("/v1/diagnoses", params=wrong).status_code == 422


def test_the_lists_filters(http: Running, where: str) -> None:
    """Status, severity and governorate narrow it, alone and together; an empty one is none, an unknown one empty."""
    high = diagnose(http, picture(severity="high"), governorate=where)["diagnosis_id"]
    medium = diagnose(http, picture(severity="medium"), governorate=where)["diagnosis_id"]
    http.patch(f"/v1/diagnoses/{high}", params={"status": "confirmed"})
    for query, found in (
        ({}, [medium, high]), ({"status": "confirmed"}, [high]), ({"severity": "medium"}, [medium]),
        ({"status": "confirmed", "severity": "medium"}, []), ({"severity": "dreadful"}, []),
        ({"status": "", "severity": ""}, [medium, high]),
    ):  # fmt: skip
        assert [each["id"] for each in listed(http, governorate=where, **query)] == found
    assert listed(http, governorate="", limit=1)[0]["id"] == medium
    assert listed(http, governorate=f"{where}!") == []


def test_one_diagnosis_with_its_treatments(http: Running, where: str) -> None:
    """The record with treatments and tips in Arabic; the list stays as it was."""
    made = diagnose(http, picture(disease_id="coffee_leaf_rust", sure=True), governorate=where)
    answer = http.get(f"/v1/diagnoses/{made['diagnosis_id']}")
    assert answer.status_code == 200
    (record,) = listed(http, governorate=where)
    assert answer.json() == {
        **record, "treatments": made["treatments"], "prevention_tips_ar": made["prevention_tips_ar"],
    }  # fmt: skip
    for unknown in ("none", str(uuid.uuid4()), made["diagnosis_id"].upper()):
        answer = http.get(f"/v1/diagnoses/{unknown}")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


def test_a_status_is_set(http: Running, where: str) -> None:
    """Any text is a status; notes are kept until others come, and stand in the record from the first update on."""
    key = diagnose(http, governorate=where)["diagnosis_id"]
    path = f"/v1/diagnoses/{key}"
    answer = http.patch(path, params={"status": "confirmed"})
    assert (answer.status_code, answer.json()) == (200, {"success": True, "diagnosis_id": key, "status": "confirmed"})
    (record,) = listed(http, governorate=where)
    assert set(record) == RECORD | {"updated_at"}
    assert dt.datetime.fromisoformat(record["updated_at"]).tzinfo is None
    assert record["updated_at"] > record["timestamp"]
    http.patch(path, params={"status": "odd", "expert_notes": "مؤكد"})
    http.patch(path, params={"status": "treated", "expert_notes": ""})
    read = http.get(path).json()
    assert (read["status"], read["expert_notes"]) == ("treated", "مؤكد")
    assert http.patch(path).status_code == 422
    answer = http.patch("/v1/diagnoses/none", params={"status": "treated"})
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


def test_stats_count_all(http: Running, where: str) -> None:
    """By status, severity, disease and governorate; no governorate and an empty one are counted as one."""
    before = http.get("/v1/diagnoses/stats").json()
    high = diagnose(http, picture(severity="high"), governorate=where)
    key = diagnose(http, picture(severity="critical"), governorate="")["diagnosis_id"]
    diagnose(http, picture(severity="critical"))
    http.patch(f"/v1/diagnoses/{key}", params={"status": "treated"})
    after = http.get("/v1/diagnoses/stats").json()
    assert dt.datetime.fromisoformat(after.pop("last_updated")).tzinfo is None
    grown = {name: after[name] - before[name] for name in after if not name.startswith("by_")}
    assert grown == {"total": 3, "pending": 2, "confirmed": 0, "treated": 1, "critical_count": 2, "high_count": 1}
    assert after["by_governorate"][where] == 1
    assert after["by_governorate"]["غير محدد"] - before["by_governorate"].get("غير محدد", 0) == 2
    assert sum(after["by_disease"].values()) == after["total"]
    name = high["disease_name_ar"]
    assert after["by_disease"][name] == before["by_disease"].get(name, 0) + 1


def test_every_answer_says_that_the_service_is_deprecated(http: Running) -> None:
    """Answers, errors and paths that are none have the headers."""
    for path in ("/v1/diagnoses", "/v1/diagnoses/none", "/v1/diagnoses?limit=0", "/nowhere", "/healthz"):
        headers = http.get(path).headers
        assert (headers["X-API-Deprecated"], headers["Deprecation"]) == ("true", "true")
        assert headers["Link"].endswith('; rel="successor-version"')


def test_health(http: Running, form: Any) -> None:
    """Healthy in every form; ours says whether the database answers."""
    body = http.get("/healthz").json()
    assert (body["status"], body["service"], body["version"]) == ("healthy", "crop-health-ai", "2.2.0")
    if form.ours:
        assert body["database"] == ("disconnected" if form.phase == "legacy" else "connected")
