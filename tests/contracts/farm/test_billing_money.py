"""The billing service's API, alike in every form: invoices, payments, webhooks, reports and history."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
import pytest

from tests.contracts.farm.billing import (
    ENVIRONMENT,  # noqa: F401
    PACKAGE,  # noqa: F401
    invoice,
    pay,
    plan,
    stripe,
    subscribe,
    tharwatt,
    today,
)
from tests.contracts.farm.conftest import PHASES, POSTGIS, Opened, in_both_builds, in_every_phase, in_forms
from tests.contracts.farm.running import Running

NO_INVOICE = {"detail": "الفاتورة غير موجودة"}


@pytest.mark.parametrize(("cycle", "cost"), [("monthly", 99), ("quarterly", 269), ("yearly", 990)])
def test_an_invoice(http: Running, cycle: str, cost: int) -> None:
    """Pending, due in a week, with one line for the cycle's price and no tax."""
    tenant = subscribe(http, "professional", billing_cycle=cycle)
    answer = http.post(f"/v1/tenants/{tenant}/invoices/generate").json()
    assert (set(answer), answer["success"]) == ({"success", "invoice"}, True)
    made = answer["invoice"]
    subscription = http.get(f"/v1/tenants/{tenant}/subscription").json()["subscription"]
    assert made == {
        "invoice_id": made["invoice_id"], "invoice_number": made["invoice_number"], "tenant_id": tenant,
        "subscription_id": subscription["subscription_id"], "status": "pending", "currency": "USD",
        "issue_date": str(today()), "due_date": str(today() + dt.timedelta(days=7)), "paid_date": None,
        "subtotal": cost, "tax_rate": 0, "tax_amount": 0, "discount_amount": 0, "total": cost, "amount_paid": 0,
        "amount_due": cost, "notes": made["notes"], "notes_ar": "شكراً لاختياركم منصة سهول الزراعية",
        "line_items": made["line_items"], "created_at": made["created_at"], "updated_at": made["created_at"],
    }  # fmt: skip
    line = made["line_items"][0]
    assert line["description"] == f"Professional - {cycle.title()}"
    assert (len(made["line_items"]), line["quantity"], line["unit_price"], line["amount"]) == (1, 1, cost, cost)
    body = http.get(f"/v1/invoices/{made['invoice_id']}").json()
    assert body == {
        "invoice": made, "tenant": http.get(f"/v1/tenants/{tenant}").json()["tenant"], "amount_yer": cost * 250,
    }  # fmt: skip
    assert http.get(f"/v1/tenants/{tenant}/invoices").json() == {"invoices": [made], "total": 1}


def test_no_such_invoice(http: Running) -> None:
    """404 for reading and for paying."""
    for answer in (
        http.get("/v1/invoices/none"),
        http.post("/v1/payments", json={"invoice_id": "none", "amount": 1, "method": "cash"}),
    ):
        assert (answer.status_code, answer.json()) == (404, NO_INVOICE)


def test_numbers_follow_each_other(http: Running) -> None:
    """One counter for all tenants, without a gap, also for invoices that are asked for at once or in vain."""
    tenants = [subscribe(http, "free"), subscribe(http)]
    first = int(invoice(http, tenants[0])["invoice_number"].rpartition("-")[2])
    calls = [("POST", f"/v1/tenants/{tenants[each % 2]}/invoices/generate", {}) for each in range(8)]
    calls.insert(3, ("POST", "/v1/tenants/nobody/invoices/generate", {}))
    made = [each.json()["invoice"] for each in http.together(*calls) if each.status_code == 200]
    expected = {f"SAH-{today().year}-{number:04d}" for number in range(first + 1, first + 9)}
    assert {each["invoice_number"] for each in made} == expected
    following = invoice(http, tenants[1])["invoice_number"]
    assert following == f"SAH-{today().year}-{first + 9:04d}"


def test_the_list_of_invoices(http: Running) -> None:
    """Newest day first and as they came within it; filtered by status; the total counts before the limit."""
    tenant = subscribe(http)
    made = [invoice(http, tenant)["invoice_id"] for _ in range(3)]
    pay(http, made[1], 29)
    path = f"/v1/tenants/{tenant}/invoices"

    def ids(**query: Any) -> tuple[list[str], int]:
        body = http.get(path, params=query).json()
        return [each["invoice_id"] for each in body["invoices"]], body["total"]

    assert ids() == (made, 3)
    assert ids(status="paid") == ([made[1]], 1)
    assert ids(status="pending", limit=1) == ([made[0]], 2)
    assert ids(status="overdue") == ([], 0)
    assert (ids(limit=0), ids(limit=2), ids(limit=-1), ids(limit=-9)) == (
        ([], 3),
        (made[:2], 3),
        (made[:2], 3),
        ([], 3),
    )
    for wrong in ({"limit": 101}, {"status": "late"}):
        assert http.get(path, params=wrong).status_code == 422


@in_every_phase
def test_invoices_of_several_days(http: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest day comes first, within a day the first invoice."""
    from services.farm.common import clock

    tenant = subscribe(http)
    made = []
    for day in (2, 3, 2):
        monkeypatch.setattr(clock, "now", lambda day=day: dt.datetime(2031, 5, day, 12, tzinfo=dt.UTC))
        made.append(invoice(http, tenant))
    assert [each["invoice_number"][:9] for each in made] == ["SAH-2031-"] * 3
    body = http.get(f"/v1/tenants/{tenant}/invoices").json()
    assert body["invoices"] == [made[1], made[0], made[2]]
    assert made[1]["due_date"] == "2031-05-10"


def test_cash_pays_at_once(http: Running) -> None:
    """It moves what is paid and due, to the cent; nothing due means paid today; more is 400 then."""
    tenant = subscribe(http)
    due = invoice(http, tenant)
    path = f"/v1/invoices/{due['invoice_id']}"
    first = pay(http, due["invoice_id"], "0.10")
    assert set(first) == {"success", "payment", "invoice_status", "tharwatt_response", "stripe_response"}
    payment = first["payment"]
    assert payment == {
        "payment_id": payment["payment_id"], "invoice_id": due["invoice_id"], "tenant_id": tenant, "amount": 0.1,
        "currency": "USD", "method": "cash", "status": "succeeded", "created_at": payment["created_at"],
        "processed_at": payment["created_at"], "stripe_payment_id": None, "tharwatt_transaction_id": None,
        "failure_reason": None, "metadata": None,
    }  # fmt: skip
    assert (first["success"], first["invoice_status"]) == (True, "pending")
    assert (first["tharwatt_response"], first["stripe_response"]) == (None, None)
    pay(http, due["invoice_id"], 0.2)
    held = http.get(path).json()["invoice"]
    assert (held["amount_paid"], held["amount_due"], held["status"], held["paid_date"]) == (0.3, 28.7, "pending", None)
    assert pay(http, due["invoice_id"], 0)["invoice_status"] == "pending"
    assert pay(http, due["invoice_id"], 30)["invoice_status"] == "paid"
    held = http.get(path).json()["invoice"]
    assert (held["amount_paid"], held["amount_due"], held["status"]) == (30.3, -1.3, "paid")
    assert held["paid_date"] == str(today())
    answer = http.post("/v1/payments", json={"invoice_id": due["invoice_id"], "amount": 1, "method": "bank_transfer"})
    assert (answer.status_code, answer.json()) == (400, {"detail": "الفاتورة مدفوعة بالفعل"})


@pytest.mark.parametrize("method", ["bank_transfer", "mobile_money", "credit_card", "tharwatt"])
def test_other_ways_stay_pending(http: Running, method: str) -> None:
    """Nothing is paid until somebody says so; no gateway is configured."""
    due = invoice(http, subscribe(http))
    answer = pay(http, due["invoice_id"], 29, method, stripe_token="tok_1")
    assert (answer["success"], answer["invoice_status"]) == (True, "pending")
    assert (answer["payment"]["status"], answer["payment"]["processed_at"]) == ("pending", None)
    assert (answer["tharwatt_response"], answer["stripe_response"]) == (None, None)
    assert http.get(f"/v1/invoices/{due['invoice_id']}").json()["invoice"] == due


@pytest.mark.parametrize(
    "wrong", [{"amount": None}, {"amount": "x"}, {"amount": "NaN"}, {"method": "gold"}, {"invoice_id": None}]
)  # fmt: skip
def test_a_body_that_is_no_payment_is_refused(http: Running, wrong: dict[str, Any]) -> None:
    """422 with the places of what is wrong."""
    answer = http.post("/v1/payments", json={"invoice_id": "x", "amount": 1, "method": "cash", **wrong})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["body", next(iter(wrong))]


def test_the_list_of_payments(http: Running) -> None:
    """The newest first; the total counts before the limit."""
    tenant = subscribe(http)
    due = invoice(http, tenant)["invoice_id"]
    made = [pay(http, due, amount)["payment"] for amount in (1, 2, 3)]
    path = f"/v1/tenants/{tenant}/payments"
    assert http.get(path).json() == {"payments": made[::-1], "total": 3}
    assert http.get(path, params={"limit": 1}).json() == {"payments": [made[2]], "total": 3}
    assert http.get(path, params={"limit": -1}).json() == {"payments": [made[2], made[1]], "total": 3}
    assert http.get(path, params={"limit": 101}).status_code == 422


def test_payments_at_once_are_all_counted(http: Running) -> None:
    """Ten payments of one dollar at the same time are ten dollars, and one of them completes an invoice."""
    due = invoice(http, subscribe(http))["invoice_id"]
    call = ("POST", "/v1/payments", {"json": {"invoice_id": due, "amount": 1, "method": "cash"}})
    assert [each.status_code for each in http.together(*[call] * 10)] == [200] * 10
    assert http.get(f"/v1/invoices/{due}").json()["invoice"]["amount_paid"] == 10
    rest = ("POST", "/v1/payments", {"json": {"invoice_id": due, "amount": 19, "method": "cash"}})
    assert sorted(each.status_code for each in http.together(*[rest] * 4)) == [200, 400, 400, 400]


def test_tharwatt_tells(http: Running) -> None:
    """Completed counts once however often it is told; failed and cancelled keep their reason and may still succeed."""
    tenant = subscribe(http)
    due = invoice(http, tenant)["invoice_id"]
    one, other = (pay(http, due, amount, "tharwatt")["payment"]["payment_id"] for amount in (9, 20))

    def of(payment_id: str) -> dict[str, Any]:
        listed = http.get(f"/v1/tenants/{tenant}/payments").json()["payments"]
        return next(each for each in listed if each["payment_id"] == payment_id)

    for _ in range(2):
        assert tharwatt(http, {"reference": one, "status": "completed", "transaction_id": "T-9"}).status_code == 200
    assert (of(one)["status"], of(one)["tharwatt_transaction_id"]) == ("succeeded", "T-9")
    assert of(one)["processed_at"] is not None
    assert http.get(f"/v1/invoices/{due}").json()["invoice"]["amount_paid"] == 9
    tharwatt(http, {"reference": one, "status": "failed"})
    assert of(one)["status"] == "succeeded"
    tharwatt(http, {"reference": other, "status": "cancelled"})
    assert (of(other)["status"], of(other)["failure_reason"]) == ("failed", "Payment cancelled by user")
    tharwatt(http, {"reference": other, "status": "unheard"})
    assert of(other)["status"] == "failed"
    tharwatt(http, {"reference": other, "status": "completed"})
    assert (of(other)["status"], of(other)["failure_reason"]) == ("succeeded", None)
    assert http.get(f"/v1/invoices/{due}").json()["invoice"]["status"] == "paid"


def test_tharwatt_is_refused(http: Running) -> None:
    """401 without the right signature, before anything is read; 400 for what is no message; 404 for no payment."""
    told = {"reference": "none", "status": "completed"}
    unsigned = http.post("/v1/webhooks/tharwatt", json=told)
    wrong = tharwatt(http, told, secret="x")
    assert [(each.status_code, each.json()) for each in (unsigned, wrong)] == [
        (401, {"detail": "Invalid webhook signature"})
    ] * 2
    for body in (b"", b"{", b"[]", b"\xff", {"status": "completed"}, {"reference": 5, "status": "completed"}):
        answer = tharwatt(http, body)
        assert (answer.status_code, answer.json()) == (400, {"detail": "Invalid payload format"})
    assert (tharwatt(http, told).status_code, tharwatt(http, told).json()) == (404, {"detail": "Payment not found"})


def test_stripe_tells(http: Running) -> None:
    """Charges by the payment's id, subscriptions by theirs; what is not ours is heard and changes nothing."""
    tenant = subscribe(http)
    due = invoice(http, tenant)["invoice_id"]
    payment_id = pay(http, due, 29, "credit_card")["payment"]["payment_id"]
    charge = {"id": "ch_1", "failure_message": "no funds", "metadata": {"payment_id": payment_id}}

    def tell(kind: str, about: Any) -> dict[str, Any]:
        answer = stripe(http, {"type": kind, "data": {"object": about}})
        assert answer.status_code == 200, answer.text
        payments: list[dict[str, Any]] = http.get(f"/v1/tenants/{tenant}/payments").json()["payments"]
        return payments[0]

    failed = tell("charge.failed", charge)
    assert (failed["status"], failed["failure_reason"], failed["stripe_payment_id"]) == ("failed", "no funds", "ch_1")
    assert tell("charge.succeeded", charge)["status"] == "succeeded"
    assert http.get(f"/v1/invoices/{due}").json()["invoice"]["status"] == "paid"
    subscription = http.get(f"/v1/tenants/{tenant}/subscription").json()["subscription"]
    named = {"metadata": {"subscription_id": subscription["subscription_id"]}}
    for told, status in (
        ("past_due", "past_due"),
        ("unheard", "past_due"),
        ("active", "active"),
        ("canceled", "canceled"),
    ):
        tell("customer.subscription.updated", {**named, "status": told})
        assert http.get(f"/v1/tenants/{tenant}/subscription").json()["subscription"]["status"] == status
    tell("charge.succeeded", {"metadata": {"payment_id": "none"}})
    tell("customer.subscription.updated", {"metadata": {"subscription_id": "none"}, "status": "active"})
    tell("charge.refunded", {})


def test_stripe_is_refused(http: Running) -> None:
    """400 for a wrong signature, a missing one, and one that is over five minutes old."""
    event = {"type": "charge.succeeded", "data": {"object": {}}}
    answers = [
        stripe(http, event, secret="x"), stripe(http, event, age_s=310), stripe(http, event, age_s=-310),
        http.post("/v1/webhooks/stripe", json=event),
        http.post("/v1/webhooks/stripe", json=event, headers={"Stripe-Signature": "t=x,v1=y"}),
    ]  # fmt: skip
    assert [(each.status_code, each.json()) for each in answers] == [(400, {"detail": "Invalid signature"})] * 5
    assert stripe(http, event, age_s=290).status_code == 200


def test_revenue(http: Running) -> None:
    """Paid invoices of the period by plan; without dates from the first of the month until today."""
    one, other = plan(http, "Revenue One", monthly_price_usd="10.10"), plan(http, "Revenue Two", monthly_price_usd=5)
    before = http.get("/v1/reports/revenue").json()
    for plan_id, count in ((one, 2), (other, 1)):
        tenant = subscribe(http, plan_id)
        for _ in range(count):
            pay(http, invoice(http, tenant)["invoice_id"], 11)
        invoice(http, tenant)
    body = http.get("/v1/reports/revenue").json()
    assert set(body) == {"period", "total_revenue", "invoices_count", "by_plan"}
    assert body["period"] == {"start": str(today().replace(day=1)), "end": str(today())}
    assert (body["by_plan"][one], body["by_plan"][other]) == (20.2, 5)
    assert body["invoices_count"] == before["invoices_count"] + 3
    assert body["total_revenue"]["usd"] == pytest.approx(before["total_revenue"]["usd"] + 25.2)
    assert body["total_revenue"]["yer"] == pytest.approx(body["total_revenue"]["usd"] * 250)
    past = {"start_date": "2020-01-01", "end_date": str(today() - dt.timedelta(days=1))}
    assert http.get("/v1/reports/revenue", params=past).json() == {
        "period": {"start": "2020-01-01", "end": past["end_date"]}, "total_revenue": {"usd": 0, "yer": 0},
        "invoices_count": 0, "by_plan": {},
    }  # fmt: skip
    now = {"start_date": str(today()), "end_date": str(today())}
    assert http.get("/v1/reports/revenue", params=now).json()["by_plan"] == body["by_plan"]
    assert http.get("/v1/reports/revenue", params={"start_date": "soon"}).status_code == 422


def test_subscriptions_report(http: Running) -> None:
    """By status and plan; MRR is the monthly price of active subscriptions, whatever their cycle."""
    chosen = plan(http, "Report Plan", monthly_price_usd="10.50")
    on_trial = plan(http, "Trial Plan", trial_days=3)
    before = http.get("/v1/reports/subscriptions").json()
    subscribe(http, chosen)
    subscribe(http, chosen, billing_cycle="yearly")
    gone = subscribe(http, chosen)
    http.post(f"/v1/tenants/{gone}/cancel", params={"immediate": True})
    subscribe(http, on_trial)
    body = http.get("/v1/reports/subscriptions").json()
    assert set(body) == {"total_subscriptions", "by_status", "by_plan", "mrr_usd", "mrr_yer", "total_tenants"}
    assert (body["by_plan"][chosen], body["by_plan"][on_trial]) == (3, 1)
    for name, more in (("active", 2), ("canceled", 1), ("trial", 1)):
        assert body["by_status"][name] == before["by_status"].get(name, 0) + more
    assert body["mrr_usd"] == before["mrr_usd"] + 21
    assert body["mrr_yer"] == body["mrr_usd"] * 250
    assert body["total_subscriptions"] == before["total_subscriptions"] + 4
    assert body["total_tenants"] == before["total_tenants"] + 4
    assert sum(body["by_status"].values()) == sum(body["by_plan"].values()) == body["total_subscriptions"]


@in_every_phase
def test_history(http: Running) -> None:
    """Every change of an invoice and its payments: who, when, what, from what to what; the oldest first."""
    due = invoice(http, subscribe(http))
    waiting = pay(http, due["invoice_id"], 4, "tharwatt")["payment"]
    paid = pay(http, due["invoice_id"], 5)["payment"]
    tharwatt(http, {"reference": waiting["payment_id"], "status": "completed", "transaction_id": "T"})
    body = http.get(f"/v1/invoices/{due['invoice_id']}/history").json()
    assert (body["invoice_id"], body["count"]) == (due["invoice_id"], 6)
    found = body["history"]
    assert [(each["action"], each["changed_by"], each["payment_id"]) for each in found] == [
        ("invoice_created", "development", None),
        ("payment_created", "development", waiting["payment_id"]),
        ("payment_created", "development", paid["payment_id"]),
        ("invoice_updated", "development", None),
        ("payment_updated", "tharwatt", waiting["payment_id"]),
        ("invoice_updated", "tharwatt", None),
    ]
    assert found[0]["changes"]["total"] == {"old": None, "new": 29}
    assert found[3]["changes"] == {"amount_paid": {"old": 0, "new": 5}, "amount_due": {"old": 29, "new": 24}}
    assert found[4]["changes"]["status"] == {"old": "pending", "new": "succeeded"}
    assert found[4]["changes"]["tharwatt_transaction_id"] == {"old": None, "new": "T"}
    assert found[5]["changes"]["amount_due"] == {"old": 24, "new": 20}
    assert [each["changed_at"] for each in found] == sorted(each["changed_at"] for each in found)
    assert http.get("/v1/invoices/none/history").status_code == 404


@in_every_phase
def test_a_gateway(http: Running, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once one is configured its word decides, and clients see what it said."""
    gateways, records = opened.module("gateways"), opened.module("records")
    said = {"succeeded": "ok", "failed": "no", "pending": "later"}

    class Told:
        async def charge(self, payment: Any, token: str | None) -> Any:
            status = records.PaymentStatus(str(token))
            reason = "declined" if token == "failed" else None
            return gateways.Charged(status, f"ref-{token}", {"said": said[str(token)]}, reason)

    monkeypatch.setitem(gateways.GATEWAYS, records.Method.CREDIT_CARD, Told())
    monkeypatch.setitem(gateways.GATEWAYS, records.Method.THARWATT, Told())
    due = invoice(http, subscribe(http))["invoice_id"]
    failed = pay(http, due, 29, "credit_card", stripe_token="failed")
    assert (failed["success"], failed["payment"]["failure_reason"]) == (False, "declined")
    assert (failed["stripe_response"], failed["tharwatt_response"]) == ({"said": "no"}, None)
    later = pay(http, due, 29, "tharwatt", stripe_token="pending")
    assert (later["success"], later["tharwatt_response"]) == (True, {"said": "later"})
    assert later["payment"]["tharwatt_transaction_id"] == "ref-pending"
    done = pay(http, due, 29, "credit_card", stripe_token="succeeded")
    assert (done["invoice_status"], done["payment"]["stripe_payment_id"]) == ("paid", "ref-succeeded")


@in_forms(*PHASES[1:], POSTGIS)
def test_a_refused_invoice_uses_no_number_up(http: Running, opened: Opened) -> None:
    """An invoice that fails after its number was drawn gives it back, and nothing of it remains."""
    tenant = subscribe(http)
    first = int(invoice(http, tenant)["invoice_number"].rpartition("-")[2])
    history = opened.module("history")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_shown", lambda *_: 1 / 0)
        assert http.post(f"/v1/tenants/{tenant}/invoices/generate").status_code == 500
    assert http.get(f"/v1/tenants/{tenant}/invoices").json()["total"] == 1
    assert int(invoice(http, tenant)["invoice_number"].rpartition("-")[2]) == first + 1


@in_both_builds
def test_an_invoice_that_postgresql_refuses_uses_no_number_up(http: Running, opened: Opened) -> None:
    """Its number is the next invoice's."""
    tenant, unlucky = subscribe(http), subscribe(http, plan(http, "Thirteen", monthly_price_usd=13))
    first = int(invoice(http, tenant)["invoice_number"].rpartition("-")[2])
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo(), autocommit=True) as conn:
        conn.execute("ALTER TABLE invoices ADD CONSTRAINT not_thirteen CHECK (total <> 13)")
        refused = http.post(f"/v1/tenants/{unlucky}/invoices/generate")
        conn.execute("ALTER TABLE invoices DROP CONSTRAINT not_thirteen")
    assert refused.status_code in {409, 422}
    assert http.get(f"/v1/tenants/{unlucky}/invoices").json() == {"invoices": [], "total": 0}
    assert int(invoice(http, tenant)["invoice_number"].rpartition("-")[2]) == first + 1
