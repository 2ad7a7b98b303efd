"""What the service keeps. Money is Decimal, in US dollars; times are aware, in UTC; days are days in UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

ZERO = Decimal(0)


class Tier(StrEnum):
    FREE = "free"
    STARTER = "starter"
    PROFESSIONAL = "professional"
    ENTERPRISE = "enterprise"


class Cycle(StrEnum):
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"

    @property
    def days(self) -> int:
        """How long one lasts."""
        return {"monthly": 30, "quarterly": 90, "yearly": 365}[self.value]


class SubscriptionStatus(StrEnum):
    ACTIVE = "active"
    TRIAL = "trial"
    PAST_DUE = "past_due"
    CANCELED = "canceled"
    SUSPENDED = "suspended"
    EXPIRED = "expired"


class InvoiceStatus(StrEnum):
    DRAFT = "draft"
    PENDING = "pending"
    PAID = "paid"
    OVERDUE = "overdue"
    CANCELED = "canceled"
    REFUNDED = "refunded"


class Method(StrEnum):
    CREDIT_CARD = "credit_card"
    BANK_TRANSFER = "bank_transfer"
    MOBILE_MONEY = "mobile_money"
    CASH = "cash"
    THARWATT = "tharwatt"


class PaymentStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUNDED = "refunded"


class Currency(StrEnum):
    USD = "USD"
    YER = "YER"


@dataclass
class Plan:
    """What can be subscribed to: `limits` by metric, -1 for none; `features` by key."""

    plan_id: str
    name: str
    name_ar: str
    description: str
    description_ar: str
    tier: Tier
    monthly_usd: Decimal
    quarterly_usd: Decimal
    yearly_usd: Decimal
    created_at: dt.datetime
    features: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    trial_days: int = 0
    is_active: bool = True


@dataclass
class Tenant:
    """One customer. `contact` {name, email, phone, name_ar}."""

    tenant_id: str
    name: str
    name_ar: str
    contact: dict[str, Any]
    created_at: dt.datetime
    updated_at: dt.datetime
    settings: dict[str, Any] = field(default_factory=dict)
    is_active: bool = True


@dataclass
class Subscription:
    """A tenant's plan; a tenant has one."""

    subscription_id: str
    tenant_id: str
    plan_id: str
    status: SubscriptionStatus
    billing_cycle: Cycle
    start_date: dt.date
    end_date: dt.date
    next_billing_date: dt.date
    created_at: dt.datetime
    updated_at: dt.datetime
    currency: Currency = Currency.USD
    trial_end_date: dt.date | None = None
    canceled_at: dt.datetime | None = None
    payment_method: Method | None = None


@dataclass
class LineItem:
    """One line of an invoice: `amount` is `quantity` times `unit_price`. The fields stand in jsonb's own order, so that
    no second copy is kept for the sake of theirs."""

    amount: Decimal
    quantity: int
    unit_price: Decimal
    description: str
    description_ar: str


@dataclass
class Invoice:
    """`amount_due` is `total` less `amount_paid`.

    Each payment that moves them leaves its id in `last_payment_id`, so that two at once are never taken for one.
    """

    invoice_id: str
    invoice_number: str
    tenant_id: str
    subscription_id: str
    plan_id: str
    status: InvoiceStatus
    issue_date: dt.date
    due_date: dt.date
    subtotal: Decimal
    total: Decimal
    amount_due: Decimal
    created_at: dt.datetime
    updated_at: dt.datetime
    currency: Currency = Currency.USD
    tax_rate: Decimal = ZERO
    tax_amount: Decimal = ZERO
    discount_amount: Decimal = ZERO
    amount_paid: Decimal = ZERO
    paid_date: dt.date | None = None
    line_items: list[LineItem] = field(default_factory=list)
    notes: str | None = None
    notes_ar: str | None = None
    last_payment_id: str | None = None


@dataclass
class Payment:
    """Money for an invoice; it counts once it has succeeded."""

    payment_id: str
    invoice_id: str
    tenant_id: str
    amount: Decimal
    method: Method
    status: PaymentStatus
    created_at: dt.datetime
    currency: Currency = Currency.USD
    processed_at: dt.datetime | None = None
    stripe_payment_id: str | None = None
    tharwatt_transaction_id: str | None = None
    failure_reason: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass
class UsageRecord:
    """One use of what a plan limits."""

    record_id: str
    tenant_id: str
    metric: str
    quantity: int
    timestamp: dt.datetime
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class UsageTotal:
    """What a tenant has used of a metric in the month that begins on `month`: the sum of its records, always."""

    total_id: str
    tenant_id: str
    metric: str
    month: dt.date
    used: int
    last_record_id: str


@dataclass
class Change:
    """What was done to an invoice or to a payment of it: who, when, and `changes` {field: {old, new}}."""

    change_id: str
    tenant_id: str
    invoice_id: str
    action: str
    changed_by: str
    changed_at: dt.datetime
    changes: dict[str, Any]
    payment_id: str | None = None
