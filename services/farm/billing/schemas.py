"""What clients send."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

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
    """The address, its domain in lower case; refused in the words of Pydantic's own type of addresses."""
    name, sign, domain = text.strip().rpartition("@")
    found = _EMAIL.fullmatch(text.strip())
    if not sign:
        reason = "An email address must have an @-sign."
    elif not domain:
        reason = "There must be something after the @-sign."
    elif not name:
        reason = "There must be something before the @-sign."
    elif "." not in domain:
        reason = "The part after the @-sign is not valid. It should have a period."
    elif domain.rpartition(".")[2].lower() in _NOWHERE:
        reason = "The part after the @-sign is a special-use or reserved name that cannot be used with email."
    elif found is None or len(name) > 64:
        reason = "It holds characters that an email address cannot have, or is too long."
    else:
        return f"{name}@{domain.lower()}"
    raise PydanticCustomError("value_error", "value is not a valid email address: {reason}", {"reason": reason})


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
