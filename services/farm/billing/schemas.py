"""What clients send."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from services.farm.billing.records import Cycle, Method, Tier

DIGITS = 15  # before the point and after it: beyond all sums of money, and held by NUMERIC and JSON numbers alike
_LOCAL = r"[^\s@\"(),:;<>\[\]\\.]+(?:\.[^\s@\"(),:;<>\[\]\\.]+)*"
_LABEL = r"[^\W_](?:[^\W_]|-)*"
_EMAIL = re.compile(rf"({_LOCAL})@({_LABEL}(?:\.{_LABEL})+)")
_NOWHERE = ("test", "local", "localhost", "invalid", "onion", "arpa")


def _bounded(amount: Decimal) -> Decimal:
    sign, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int)  # pydantic takes finite numbers only
    if amount.adjusted() >= DIGITS or exponent < -DIGITS:
        raise ValueError(f"a number has at most {DIGITS} digits before the point and {DIGITS} after it")
    return Decimal((sign, digits, exponent))


def _email(text: str) -> str:
    found = _EMAIL.fullmatch(text.strip())
    if found is None or len(found[1]) > 64 or found[2].rpartition(".")[2].lower() in _NOWHERE:
        raise ValueError("value is not a valid email address")
    return f"{found[1]}@{found[2].lower()}"


Amount = Annotated[Decimal, AfterValidator(_bounded)]
Email = Annotated[str, AfterValidator(_email), Field(json_schema_extra={"format": "email"})]


class CreatePlanRequest(BaseModel):
    name: str
    name_ar: str
    description: str
    description_ar: str
    tier: Tier
    monthly_price_usd: Amount
    features: dict[str, bool]
    limits: dict[str, int]
    trial_days: int = 14


class CreateTenantRequest(BaseModel):
    name: str
    name_ar: str
    email: Email
    phone: str
    plan_id: str
    billing_cycle: Cycle = Cycle.MONTHLY


class UpdateSubscriptionRequest(BaseModel):
    """What is null stays as it is."""

    plan_id: str | None = None
    billing_cycle: Cycle | None = None
    payment_method: Method | None = None


class RecordUsageRequest(BaseModel):
    metric: str
    quantity: int = 1
    metadata: dict[str, Any] = {}


class CreatePaymentRequest(BaseModel):
    invoice_id: str
    amount: Amount
    method: Method
    stripe_token: str | None = None
