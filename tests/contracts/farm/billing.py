"""What the tests of the billing service share: requests that most of them need."""

from __future__ import annotations

import datetime as dt
import hmac
import json
import time
from typing import Any

from tests.contracts.farm.running import Running

PACKAGE = "services.farm.billing"
THARWATT, STRIPE = "tharwatt-secret", "stripe-secret"
ENVIRONMENT = {
    "ENVIRONMENT": "development",
    "THARWATT_WEBHOOK_SECRET": THARWATT,
    "STRIPE_WEBHOOK_SECRET": STRIPE,
}
PLAN = {
    "name": "Small Plan", "name_ar": "خطة", "description": "d", "description_ar": "و", "tier": "starter",
    "monthly_price_usd": 10, "features": {"fields": True}, "limits": {"fields": 3, "reports": -1, "none": 0},
    "trial_days": 0,
}  # fmt: skip
TENANT = {"name": "Farm", "name_ar": "مزرعة", "email": "owner@example.com", "phone": "+967 1 234"}


def today() -> dt.date:
    """The current day in UTC."""
    return dt.datetime.now(dt.UTC).date()


def plan(http: Running, name: str, **fields: Any) -> str:
    """The id of a new plan with this name."""
    answer = http.post("/v1/plans", json={**PLAN, "name": name, **fields})
    assert answer.status_code == 200, answer.text
    plan_id: str = answer.json()["plan"]["plan_id"]
    return plan_id


def subscribe(http: Running, plan_id: str = "starter", **fields: Any) -> str:
    """The id of a new tenant."""
    answer = http.post("/v1/tenants", json={**TENANT, "plan_id": plan_id, **fields})
    assert answer.status_code == 200, answer.text
    tenant_id: str = answer.json()["tenant_id"]
    return tenant_id


def invoice(http: Running, tenant_id: str) -> dict[str, Any]:
    """A new invoice of the tenant."""
    answer = http.post(f"/v1/tenants/{tenant_id}/invoices/generate")
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()["invoice"]
    return made


def pay(http: Running, invoice_id: str, amount: Any, method: str = "cash", **fields: Any) -> dict[str, Any]:
    """The answer to a payment."""
    body = {"invoice_id": invoice_id, "amount": amount, "method": method, **fields}
    answer = http.post("/v1/payments", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def tharwatt(http: Running, told: Any, secret: str = THARWATT) -> Any:
    """The answer to what tharwatt tells, signed."""
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
    return http.post("/v1/webhooks/tharwatt", content=body, headers={"X-Tharwatt-Signature": signature})


def stripe(http: Running, event: Any, *, age_s: int = 0, secret: str = STRIPE) -> Any:
    """The answer to an event of Stripe's, signed so long ago."""
    body, at = json.dumps(event).encode(), int(time.time()) - age_s
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, "sha256").hexdigest()
    return http.post("/v1/webhooks/stripe", content=body, headers={"Stripe-Signature": f"t={at},v1=0a,v1={signature}"})
