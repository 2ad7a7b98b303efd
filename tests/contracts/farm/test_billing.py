"""The billing service's API, alike in every form: plans, tenants, subscriptions and usage."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.contracts.farm.billing import ENVIRONMENT, PACKAGE, PLAN, TENANT, plan, subscribe, today  # noqa: F401
from tests.contracts.farm.conftest import Form, Opened, in_every_phase
from tests.contracts.farm.running import Running

NO_PLAN = {"detail": "الخطة غير موجودة"}
NO_SUBSCRIPTION = {"detail": "لا يوجد اشتراك"}
BUILT_IN = [
    ("free", "Free", "مجاني", 0, 0, 0, 0, [3, 10, None, None, 1, 100, None]),
    ("starter", "Starter", "المبتدئ", 29, 79, 290, 14, [10, 50, 20, 10, 5, 500, None]),
    ("professional", "Professional", "الاحترافي", 99, 269, 990, 14, [50, 200, 100, -1, 25, 2000, 5]),
    ("enterprise", "Enterprise", "المؤسسات", 499, 1349, 4990, 30, [-1, -1, -1, -1, 100, 10000, -1]),
]
LIMITS = [
    "fields", "satellite_analyses_per_month", "ai_diagnoses_per_month", "pdf_reports_per_month", "storage_gb",
    "api_calls_per_day", "team_members",
]  # fmt: skip
FEATURES = [
    "fields", "satellite", "weather", "irrigation", "ai_diagnosis", "reports", "support", "api_access", "sla",
    "custom_integrations",
]  # fmt: skip


@pytest.mark.parametrize("row", BUILT_IN, ids=lambda row: row[0])
def test_built_in_plans(http: Running, row: tuple[Any, ...]) -> None:
    """Prices, trial days and limits of each; prices in rials are 250 times those in dollars."""
    plan_id, name, name_ar, monthly, quarterly, yearly, trial_days, given = row
    limits = {key: limit for key, limit in zip(LIMITS, given, strict=True) if limit is not None}
    listed = {each["plan_id"]: each for each in http.get("/v1/plans").json()["plans"]}
    assert list(listed)[:4] == [each[0] for each in BUILT_IN]
    assert listed[plan_id] == {
        "plan_id": plan_id, "name": name, "name_ar": name_ar, "tier": plan_id, "limits": limits,
        "trial_days": trial_days,
        "pricing": {
            "monthly_usd": monthly, "monthly_yer": monthly * 250, "yearly_usd": yearly, "yearly_yer": yearly * 250,
        },
    }  # fmt: skip
    body = http.get(f"/v1/plans/{plan_id}").json()
    in_rials = {"monthly": monthly * 250, "quarterly": quarterly * 250, "yearly": yearly * 250}
    assert (set(body), body["pricing_yer"]) == ({"plan", "pricing_yer"}, in_rials)
    whole = body["plan"]
    assert whole["pricing"] == {"monthly_usd": monthly, "quarterly_usd": quarterly, "yearly_usd": yearly}
    assert {name: whole[name] for name in ("plan_id", "name", "name_ar", "tier", "limits", "trial_days")} == {
        name: listed[plan_id][name] for name in ("plan_id", "name", "name_ar", "tier", "limits", "trial_days")
    }
    assert list(whole["features"]) == FEATURES[: {"professional": 8, "enterprise": 10}.get(plan_id, 7)]
    assert {frozenset(each) for each in whole["features"].values()} == {
        frozenset({"name", "name_ar", "included", "limit"})
    }
    assert set(whole) == {
        "plan_id", "name", "name_ar", "description", "description_ar", "tier", "pricing", "features", "limits",
        "trial_days", "is_active", "created_at",
    }  # fmt: skip


def test_no_such_plan(http: Running) -> None:
    """404 by its id, 400 where a tenant wants it."""
    assert (http.get("/v1/plans/gold").status_code, http.get("/v1/plans/gold").json()) == (404, NO_PLAN)
    answer = http.post("/v1/tenants", json={**TENANT, "plan_id": "gold"})
    assert (answer.status_code, answer.json()) == (400, NO_PLAN)


def test_a_new_plan(http: Running) -> None:
    """Its id comes from its name; a quarter costs 2.7 months, a year ten, to the cent; the second of a name is 400."""
    body = {
        **PLAN, "name": "Grün Plan II", "monthly_price_usd": "10.10", "trial_days": 7, "unknown": 1,
        "features": {"team_size": True, "x": False}, "limits": {"team_size": 4, "other": -1},
    }  # fmt: skip
    answer = http.post("/v1/plans", json=body)
    assert (answer.status_code, answer.json()["success"]) == (200, True), answer.text
    made = answer.json()["plan"]
    assert made["plan_id"] == "grün_plan_ii"
    assert made["pricing"] == {"monthly_usd": 10.1, "quarterly_usd": 27.27, "yearly_usd": 101}
    assert made["features"] == {
        "team_size": {"name": "Team Size", "name_ar": "team_size", "included": True, "limit": 4},
        "x": {"name": "X", "name_ar": "x", "included": False, "limit": None},
    }
    assert (made["limits"], made["trial_days"], made["is_active"]) == ({"team_size": 4, "other": -1}, 7, True)
    read = http.get(f"/v1/plans/{made['plan_id']}").json()
    assert read["plan"] == made
    assert read["pricing_yer"] == {"monthly": 2525, "quarterly": 6817.5, "yearly": 25250}
    for query in ({}, {"active_only": "false"}):
        listed = http.get("/v1/plans", params=query).json()["plans"]
        assert listed[-1]["plan_id"] == "grün_plan_ii"
        assert listed[-1]["pricing"]["monthly_usd"] == 10.1
    again = http.post("/v1/plans", json={**body, "name": "GRÜN plan ii"})
    assert (again.status_code, again.json()) == (400, {"detail": "الخطة موجودة بالفعل"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"tier": "gold"}, {"monthly_price_usd": None}, {"monthly_price_usd": "much"}, {"monthly_price_usd": "NaN"},
        {"features": {"a": "x"}}, {"limits": {"a": None}}, {"limits": [1]}, {"name": None}, {"trial_days": 1.5},
    ],
)  # fmt: skip
def test_a_body_that_is_no_plan_is_refused(http: Running, wrong: dict[str, Any]) -> None:
    """422 with the places of what is wrong."""
    answer = http.post("/v1/plans", json={**PLAN, "name": "Wrong", **wrong})
    assert answer.status_code == 422
    assert {"type", "loc", "msg"} <= set(answer.json()["detail"][0])
    assert http.get("/v1/plans/wrong").status_code == 404


def test_a_new_tenant(http: Running) -> None:
    """On trial where the plan has trial days; the first bill comes when the trial ends, else when the period does."""
    answer = http.post("/v1/tenants", json={**TENANT, "plan_id": "starter"})
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert made == {
        "success": True, "tenant_id": made["tenant_id"], "subscription_id": made["subscription_id"], "status": "trial",
        "trial_ends": str(today() + dt.timedelta(days=14)),
        "message_ar": "مرحباً مزرعة! تم إنشاء حسابك بنجاح.",
    }  # fmt: skip
    body = http.get(f"/v1/tenants/{made['tenant_id']}").json()
    assert set(body) == {"tenant", "subscription", "usage"}
    tenant, subscription = body["tenant"], body["subscription"]
    assert tenant["tenant_id"] == made["tenant_id"]
    assert (tenant["name"], tenant["name_ar"]) == ("Farm", "مزرعة")
    assert tenant["contact"] == {**TENANT}
    assert subscription == {
        "subscription_id": made["subscription_id"], "tenant_id": made["tenant_id"], "plan_id": "starter",
        "status": "trial", "billing_cycle": "monthly", "currency": "USD", "start_date": str(today()),
        "end_date": str(today() + dt.timedelta(days=30)), "trial_end_date": made["trial_ends"],
        "next_billing_date": made["trial_ends"], "canceled_at": None, "payment_method": None,
        "created_at": subscription["created_at"], "updated_at": subscription["created_at"],
    }  # fmt: skip
    limits = {key: limit for key, limit in zip(LIMITS, BUILT_IN[1][7], strict=True) if limit is not None}
    assert body["usage"] == {
        key: {"allowed": True, "limit": limit, "used": 0, "remaining": limit} for key, limit in limits.items()
    }


@pytest.mark.parametrize(("cycle", "days"), [("monthly", 30), ("quarterly", 90), ("yearly", 365)])
def test_a_plan_without_trial_begins_active(http: Running, cycle: str, days: int) -> None:
    """It ends, and is billed, after its cycle."""
    answer = http.post("/v1/tenants", json={**TENANT, "plan_id": "free", "billing_cycle": cycle}).json()
    assert (answer["status"], answer["trial_ends"]) == ("active", None)
    body = http.get(f"/v1/tenants/{answer['tenant_id']}/subscription").json()
    end = str(today() + dt.timedelta(days=days))
    assert set(body) == {"subscription", "plan", "days_remaining", "is_trial"}
    assert (body["subscription"]["end_date"], body["subscription"]["next_billing_date"]) == (end, end)
    assert (body["days_remaining"], body["is_trial"], body["plan"]["plan_id"]) == (days, False, "free")
    assert body["plan"] == http.get("/v1/plans/free").json()["plan"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "nobody"}, {"email": "a@b"}, {"email": "a b@c.de"}, {"email": None}, {"phone": None}, {"name": 5},
        {"billing_cycle": "weekly"}, {"plan_id": None},
    ],
)  # fmt: skip
def test_a_body_that_is_no_tenant_is_refused(http: Running, wrong: dict[str, Any]) -> None:
    """422 with the places of what is wrong."""
    answer = http.post("/v1/tenants", json={**TENANT, "plan_id": "free", **wrong})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["body", next(iter(wrong))]


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("nobody", "An email address must have an @-sign."),
        ("nobody@", "There must be something after the @-sign."),
        ("@example.com", "There must be something before the @-sign."),
        ("a@b", "The part after the @-sign is not valid. It should have a period."),
    ],
)
def test_why_an_address_is_refused(http: Running, email: str, reason: str) -> None:
    """In the form and words of Pydantic's own type of addresses."""
    answer = http.post("/v1/tenants", json={**TENANT, "plan_id": "free", "email": email})
    wrong = {
        "type": "value_error", "loc": ["body", "email"], "msg": f"value is not a valid email address: {reason}",
        "input": email, "ctx": {"reason": reason},
    }  # fmt: skip
    assert (answer.status_code, answer.json()) == (422, {"detail": [wrong]})


def test_nobody(http: Running) -> None:
    """What an unknown tenant's paths answer."""
    path = "/v1/tenants/nobody"
    assert (http.get(path).status_code, http.get(path).json()) == (404, {"detail": "المستأجر غير موجود"})
    for answer in (
        http.get(f"{path}/subscription"), http.patch(f"{path}/subscription", json={}), http.post(f"{path}/cancel"),
        http.post(f"{path}/invoices/generate"),
    ):  # fmt: skip
        assert (answer.status_code, answer.json()) == (404, NO_SUBSCRIPTION)
    assert http.get(f"{path}/quota").json() == {"error": "لا يوجد اشتراك نشط"}
    assert http.get(f"{path}/invoices").json() == {"invoices": [], "total": 0}
    assert http.get(f"{path}/payments").json() == {"payments": [], "total": 0}
    assert http.post(f"{path}/usage", json={"metric": "fields"}).status_code == 429
    assert http.get("/v1/tenants/%F0%9F%8C%BE").status_code == 404


def test_a_subscription_changes(http: Running) -> None:
    """Plan, cycle and method, with a text for each; null and nothing change nothing."""
    path = f"/v1/tenants/{subscribe(http)}/subscription"
    before = http.get(path).json()["subscription"]
    body = {"plan_id": "professional", "billing_cycle": "yearly", "payment_method": "mobile_money", "status": "active"}
    answer = http.patch(path, json=body).json()
    assert (set(answer), answer["success"]) == ({"success", "subscription", "changes"}, True)
    assert answer["changes"] == [
        "Plan changed to Professional", "Billing cycle changed to yearly", "Payment method set to mobile_money",
    ]  # fmt: skip
    after = answer["subscription"]
    expected = {
        **before, "plan_id": "professional", "billing_cycle": "yearly", "payment_method": "mobile_money",
        "end_date": str(today() + dt.timedelta(days=365)), "updated_at": after["updated_at"],
    }  # fmt: skip
    assert after == expected
    assert http.get(path).json()["subscription"] == after
    for nothing in ({}, {"plan_id": None, "billing_cycle": None, "payment_method": None}):
        answer = http.patch(path, json=nothing).json()
        assert (answer["changes"], answer["subscription"]) == ([], after)
    refused = http.patch(path, json={"plan_id": "gold", "payment_method": "cash"})
    assert (refused.status_code, refused.json()) == (400, NO_PLAN)
    assert http.patch(path, json={"billing_cycle": "weekly"}).status_code == 422
    assert http.get(path).json()["subscription"] == after


def test_a_new_cycle_moves_the_end_alone(http: Running) -> None:
    """The end is a cycle after the start; the next bill stays where it was set when the tenant came."""
    path = f"/v1/tenants/{subscribe(http, 'free')}/subscription"
    first = http.get(path).json()["subscription"]
    changed = http.patch(path, json={"billing_cycle": "quarterly"}).json()["subscription"]
    assert changed["end_date"] == str(today() + dt.timedelta(days=90))
    assert changed["next_billing_date"] == first["next_billing_date"] == str(today() + dt.timedelta(days=30))


def test_a_subscription_is_canceled(http: Running) -> None:
    """At once it ends today; otherwise it is active until its end, also on trial."""
    later, now = subscribe(http), subscribe(http)
    end = str(today() + dt.timedelta(days=30))
    assert http.post(f"/v1/tenants/{later}/cancel").json() == {
        "success": True, "status": "active", "end_date": end,
        "message_ar": "تم إلغاء اشتراكك. سيظل حسابك نشطاً حتى نهاية الفترة المدفوعة.",
    }  # fmt: skip
    body = http.get(f"/v1/tenants/{later}/subscription").json()
    assert (body["is_trial"], body["days_remaining"], body["subscription"]["status"]) == (False, 30, "active")
    assert body["subscription"]["canceled_at"] is not None
    assert http.post(f"/v1/tenants/{now}/cancel", params={"immediate": "true"}).json() == {
        "success": True, "status": "canceled", "end_date": str(today()), "message_ar": "تم إلغاء اشتراكك فوراً.",
    }  # fmt: skip
    body = http.get(f"/v1/tenants/{now}/subscription").json()
    assert (body["days_remaining"], body["subscription"]["status"]) == (0, "canceled")
    assert http.post(f"/v1/tenants/{now}/cancel", params={"immediate": "x"}).status_code == 422


def test_usage_is_checked_and_then_added(http: Running) -> None:
    """One call may overshoot the limit, the next is refused with limit and use; other metrics and tenants are apart."""
    one, other = subscribe(http, "free"), subscribe(http, "free")
    path = f"/v1/tenants/{one}/usage"
    first = http.post(path, json={"metric": "fields", "quantity": 2, "metadata": {"by": "ä", "n": [1, None]}}).json()
    assert first == {"success": True, "record_id": first["record_id"], "remaining": 1}
    assert http.post(path, json={"metric": "fields", "quantity": 0}).json()["remaining"] == 1
    assert http.post(path, json={"metric": "fields", "quantity": 5}).json()["remaining"] == 0
    refused = http.post(path, json={"metric": "fields"})
    text = "تم تجاوز الحد الأقصى للاستخدام: fields. الحد: 3, المستخدم: 7"
    assert (refused.status_code, refused.json()) == (429, {"detail": text})
    usage = http.get(f"/v1/tenants/{one}").json()["usage"]
    assert usage["fields"] == {"allowed": False, "limit": 3, "used": 7, "remaining": 0}
    assert usage["storage_gb"]["used"] == 0
    assert http.get(f"/v1/tenants/{other}").json()["usage"]["fields"]["used"] == 0
    assert http.post(path, json={"metric": "storage_gb"}).json()["remaining"] == 0
    for wrong in ({}, {"metric": None}, {"metric": "fields", "quantity": None}, {"metric": "fields", "quantity": "x"}):
        assert http.post(path, json=wrong).status_code == 422


def test_what_the_plan_does_not_limit(http: Running) -> None:
    """A metric of limit -1 is always allowed and never counted down; one without a limit has limit 0."""
    tenant = subscribe(http, plan(http, "Unlimited Reports"))
    path = f"/v1/tenants/{tenant}/usage"
    for _ in range(2):
        answer = http.post(path, json={"metric": "reports", "quantity": 1000}).json()
        assert (answer["success"], answer["remaining"]) == (True, None)
    assert http.get(f"/v1/tenants/{tenant}").json()["usage"]["reports"] == {"allowed": True, "limit": None, "used": 0}
    for metric in ("none", "unheard"):
        refused = http.post(path, json={"metric": metric})
        assert refused.status_code == 429
        assert refused.json()["detail"].endswith("الحد: 0, المستخدم: 0")


def test_quota(http: Running) -> None:
    """Each metric of the plan with its percentage; words where there is no limit."""
    tenant = subscribe(http, plan(http, "Quota Plan"), billing_cycle="yearly")
    http.post(f"/v1/tenants/{tenant}/usage", json={"metric": "fields", "quantity": 2})
    http.post(f"/v1/tenants/{tenant}/usage", json={"metric": "reports", "quantity": 2})
    assert http.get(f"/v1/tenants/{tenant}/quota").json() == {
        "tenant_id": tenant, "plan": "Quota Plan", "plan_ar": "خطة", "subscription_status": "active",
        "usage": {
            "fields": {"limit": 3, "used": 2, "remaining": 1, "percentage": 66.67},
            "reports": {"limit": "unlimited", "used": 0, "remaining": "unlimited", "percentage": 0},
            "none": {"limit": 0, "used": 0, "remaining": 0, "percentage": 0},
        },
        "billing_cycle_ends": str(today() + dt.timedelta(days=365)),
    }  # fmt: skip


def test_enforce(http: Running) -> None:
    """Allowed with what remains, or 429 with limit and use; asking counts nothing."""
    tenant = subscribe(http, "free")

    def ask(metric: str, **headers: str) -> Any:
        return http.get("/v1/enforce", params={"metric": metric}, headers=headers)

    for _ in range(2):
        assert ask("fields", **{"x-tenant-id": tenant}).json() == {
            "allowed": True, "tenant_id": tenant, "metric": "fields", "remaining": 3,
        }  # fmt: skip
    http.post(f"/v1/tenants/{tenant}/usage", json={"metric": "fields", "quantity": 4})
    refused = ask("fields", **{"X-Tenant-Id": tenant})
    detail = {"error": "quota_exceeded", "metric": "fields", "limit": 3, "used": 4}
    assert (refused.status_code, refused.json()) == (429, {"detail": detail})
    unlimited = ask("fields", **{"x-tenant-id": subscribe(http, "enterprise")}).json()
    assert (unlimited["allowed"], unlimited["remaining"]) == (True, None)
    for headers in ({}, {"x-tenant-id": ""}):
        assert (ask("fields", **headers).status_code, ask("fields", **headers).json()) == (
            400, {"detail": "Missing x-tenant-id header"},
        )  # fmt: skip
    assert ask("fields", **{"x-tenant-id": "nobody"}).json()["detail"]["limit"] == 0
    assert http.get("/v1/enforce", headers={"x-tenant-id": tenant}).status_code == 422


def test_usage_at_once_is_counted_exactly(http: Running) -> None:
    """Of twenty calls for the last three, three pass."""
    tenant = subscribe(http, "free")
    call = ("POST", f"/v1/tenants/{tenant}/usage", {"json": {"metric": "fields"}})
    answers = http.together(*[call] * 20)
    assert sorted(each.status_code for each in answers) == [200] * 3 + [429] * 17
    assert sorted(each.json()["remaining"] for each in answers if each.status_code == 200) == [0, 1, 2]
    assert http.get(f"/v1/tenants/{tenant}").json()["usage"]["fields"]["used"] == 3


@in_every_phase
def test_usage_begins_anew_each_month(http: Running, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last moment of a month counts for it, the first of the next no more."""
    from services.farm.common import clock

    tenant = subscribe(http, "free")
    path = f"/v1/tenants/{tenant}/usage"
    for now, quantity, remaining in (
        (dt.datetime(2031, 1, 31, 23, 59, 59, 999999, dt.UTC), 2, 1), (dt.datetime(2031, 2, 1, tzinfo=dt.UTC), 1, 2),
    ):  # fmt: skip
        monkeypatch.setattr(clock, "now", lambda now=now: now)
        assert http.post(path, json={"metric": "fields", "quantity": quantity}).json()["remaining"] == remaining


@in_every_phase
def test_what_postgresql_cannot_hold_is_no_failure(http: Running, form: Form) -> None:
    """Refused where PostgreSQL is the truth, taken before; never a 500. No tenant's name holds NUL."""
    assert http.get("/v1/tenants/%00").status_code == http.post("/v1/tenants/%00/cancel").status_code == 422
    assert http.get("/v1/plans/%00").status_code == http.get("/v1/invoices/%00").status_code == 404
    answer = http.post("/v1/tenants", json={**TENANT, "plan_id": "free", "name": "a\x00b"})
    assert answer.status_code == (422 if form.strict else 200)
    for price in ("1e400", "-1e-400", 10**15):
        assert http.post("/v1/plans", json={**PLAN, "name": f"p{price}", "monthly_price_usd": price}).status_code == 422
    far = plan(http, "Far Away", trial_days=10**12)
    assert http.post("/v1/tenants", json={**TENANT, "plan_id": far}).json()["status"] == "trial"
    tenant = subscribe(http, "free")
    answer = http.post(f"/v1/tenants/{tenant}/usage", json={"metric": "fields", "quantity": 10**30})
    assert answer.json()["remaining"] == 0


def test_health(http: Running, form: Form) -> None:
    """Healthy in every form; ours says whether the database answers."""
    body = http.get("/healthz").json()
    assert body["status"] == "healthy"
    if form.ours:
        assert body["database"] == ("disconnected" if form.phase == "legacy" else "connected")
