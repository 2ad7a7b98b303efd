"""The billing service as it was: FastAPI over dicts, a list and a counter that die with the process.

Long: one module, as such services were.
"""

import hashlib
import hmac
import json
import os
import re
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import uuid4

from fastapi import FastAPI, Header, HTTPException, Query, Request
from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from services.farm.billing.before.plans import DEFAULT_PLANS, FEATURE_NAMES

app = FastAPI(title="SAHOOL Billing Core | خدمة الفوترة")
YER_EXCHANGE_RATE = Decimal(os.getenv("YER_EXCHANGE_RATE", "250"))


class PlanTier(str, Enum):
    FREE = "free"
    STARTER = "starter"
    PROFESSIONAL = "professional"
    ENTERPRISE = "enterprise"


class BillingCycle(str, Enum):
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


class SubscriptionStatus(str, Enum):
    ACTIVE = "active"
    TRIAL = "trial"
    PAST_DUE = "past_due"
    CANCELED = "canceled"
    SUSPENDED = "suspended"
    EXPIRED = "expired"


class InvoiceStatus(str, Enum):
    DRAFT = "draft"
    PENDING = "pending"
    PAID = "paid"
    OVERDUE = "overdue"
    CANCELED = "canceled"
    REFUNDED = "refunded"


class PaymentMethod(str, Enum):
    CREDIT_CARD = "credit_card"
    BANK_TRANSFER = "bank_transfer"
    MOBILE_MONEY = "mobile_money"
    CASH = "cash"
    THARWATT = "tharwatt"


class PaymentStatus(str, Enum):
    PENDING = "pending"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUNDED = "refunded"


class Pricing(BaseModel):
    monthly_usd: Decimal
    quarterly_usd: Decimal
    yearly_usd: Decimal


class Plan(BaseModel):
    plan_id: str
    name: str
    name_ar: str
    description: str
    description_ar: str
    tier: PlanTier
    pricing: Pricing
    features: dict[str, Any]
    limits: dict[str, int]
    trial_days: int = 0
    is_active: bool = True
    created_at: datetime


class Tenant(BaseModel):
    tenant_id: str
    name: str
    name_ar: str
    contact: dict[str, Any]
    settings: dict[str, Any] = Field(default_factory=dict)
    is_active: bool = True
    created_at: datetime
    updated_at: datetime


class Subscription(BaseModel):
    subscription_id: str
    tenant_id: str
    plan_id: str
    status: SubscriptionStatus
    billing_cycle: BillingCycle
    currency: str = "USD"
    start_date: date
    end_date: date
    trial_end_date: date | None = None
    next_billing_date: date
    canceled_at: datetime | None = None
    payment_method: PaymentMethod | None = None
    created_at: datetime
    updated_at: datetime


class LineItem(BaseModel):
    description: str
    description_ar: str
    quantity: int
    unit_price: Decimal
    amount: Decimal


class Invoice(BaseModel):
    invoice_id: str
    invoice_number: str
    tenant_id: str
    subscription_id: str
    plan_id: str = Field(exclude=True)
    status: InvoiceStatus
    currency: str = "USD"
    issue_date: date
    due_date: date
    paid_date: date | None = None
    subtotal: Decimal
    tax_rate: Decimal = Decimal(0)
    tax_amount: Decimal = Decimal(0)
    discount_amount: Decimal = Decimal(0)
    total: Decimal
    amount_paid: Decimal = Decimal(0)
    amount_due: Decimal
    line_items: list[LineItem]
    notes: str | None = None
    notes_ar: str | None = None
    created_at: datetime
    updated_at: datetime


class Payment(BaseModel):
    payment_id: str
    invoice_id: str
    tenant_id: str
    amount: Decimal
    currency: str = "USD"
    method: PaymentMethod
    status: PaymentStatus
    stripe_payment_id: str | None = None
    tharwatt_transaction_id: str | None = None
    failure_reason: str | None = None
    created_at: datetime
    processed_at: datetime | None = None
    metadata: dict[str, Any] | None = None


class UsageRecord(BaseModel):
    record_id: str
    tenant_id: str
    metric: str
    quantity: int
    timestamp: datetime
    metadata: dict[str, Any] = Field(default_factory=dict)


class CreatePlanRequest(BaseModel):
    name: str
    name_ar: str
    description: str
    description_ar: str
    tier: PlanTier
    monthly_price_usd: Decimal
    features: dict[str, bool]
    limits: dict[str, int]
    trial_days: int = 14


def check_email(text: str) -> str:
    reason = None
    name, sign, domain = text.strip().rpartition("@")
    if not sign:
        reason = "An email address must have an @-sign."
    elif not domain:
        reason = "There must be something after the @-sign."
    elif not name:
        reason = "There must be something before the @-sign."
    elif "." not in domain:
        reason = "The part after the @-sign is not valid. It should have a period."
    elif re.search(r"[\s@]", name + domain):
        reason = "It holds characters that an email address cannot have, or is too long."
    if reason:
        raise PydanticCustomError("value_error", "value is not a valid email address: {reason}", {"reason": reason})
    return f"{name}@{domain.lower()}"


class CreateTenantRequest(BaseModel):
    name: str
    name_ar: str
    email: Annotated[str, AfterValidator(check_email)]
    phone: str
    plan_id: str
    billing_cycle: BillingCycle = BillingCycle.MONTHLY


class UpdateSubscriptionRequest(BaseModel):
    plan_id: str | None = None
    billing_cycle: BillingCycle | None = None
    payment_method: PaymentMethod | None = None


class RecordUsageRequest(BaseModel):
    metric: str
    quantity: int = 1
    metadata: dict[str, Any] = Field(default_factory=dict)


class CreatePaymentRequest(BaseModel):
    invoice_id: str
    amount: Decimal
    method: PaymentMethod
    stripe_token: str | None = None


CYCLE_DAYS = {BillingCycle.MONTHLY: 30, BillingCycle.QUARTERLY: 90, BillingCycle.YEARLY: 365}
CYCLE_NAMES_AR = {BillingCycle.MONTHLY: "شهري", BillingCycle.QUARTERLY: "ربع سنوي", BillingCycle.YEARLY: "سنوي"}

PLANS: dict[str, Plan] = {}
TENANTS: dict[str, Tenant] = {}
SUBSCRIPTIONS: dict[str, Subscription] = {}
INVOICES: dict[str, Invoice] = {}
PAYMENTS: dict[str, Payment] = {}
USAGE_RECORDS: list[UsageRecord] = []
INVOICE_COUNTER: int = 0


def utcnow() -> datetime:
    return datetime.now(UTC)


def today() -> date:
    return utcnow().date()


def shown(value: Any) -> Any:
    """Records as JSON, with money as numbers."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {name: shown(getattr(value, name)) for name in fields if not fields[name].exclude}
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and "." not in str(value) else float(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [shown(each) for each in value]
    return value


def in_yer(usd: Decimal) -> Any:
    return shown(usd * YER_EXCHANGE_RATE)


def next_invoice_number() -> str:
    global INVOICE_COUNTER
    INVOICE_COUNTER += 1
    return f"SAH-{today().year}-{INVOICE_COUNTER:04d}"


def subscription_of(tenant_id: str) -> Subscription | None:
    for subscription in SUBSCRIPTIONS.values():
        if subscription.tenant_id == tenant_id:
            return subscription
    return None


def price_of(plan: Plan, cycle: BillingCycle) -> Decimal:
    if cycle == BillingCycle.QUARTERLY:
        return plan.pricing.quarterly_usd
    if cycle == BillingCycle.YEARLY:
        return plan.pricing.yearly_usd
    return plan.pricing.monthly_usd


def used_this_month(tenant_id: str, metric: str) -> int:
    start = utcnow().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return sum(
        r.quantity for r in USAGE_RECORDS if r.tenant_id == tenant_id and r.metric == metric and r.timestamp >= start
    )


def check_quota(tenant_id: str, metric: str) -> dict[str, Any]:
    subscription = subscription_of(tenant_id)
    plan = PLANS.get(subscription.plan_id) if subscription else None
    limit = plan.limits.get(metric, 0) if plan else 0
    if limit == -1:
        return {"allowed": True, "limit": None, "used": 0}
    used = used_this_month(tenant_id, metric)
    return {"allowed": used < limit, "limit": limit, "used": used, "remaining": max(0, limit - used)}


@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "healthy", "service": "sahool-billing-core"}


@app.get("/v1/plans")
async def list_plans(active_only: bool = True) -> dict[str, Any]:
    return {
        "plans": [
            {
                "plan_id": plan.plan_id,
                "name": plan.name,
                "name_ar": plan.name_ar,
                "tier": plan.tier,
                "pricing": {
                    "monthly_usd": shown(plan.pricing.monthly_usd),
                    "monthly_yer": in_yer(plan.pricing.monthly_usd),
                    "yearly_usd": shown(plan.pricing.yearly_usd),
                    "yearly_yer": in_yer(plan.pricing.yearly_usd),
                },
                "limits": plan.limits,
                "trial_days": plan.trial_days,
            }
            for plan in PLANS.values()
            if plan.is_active or not active_only
        ]
    }


@app.get("/v1/plans/{plan_id}")
async def get_plan(plan_id: str) -> dict[str, Any]:
    plan = PLANS.get(plan_id)
    if plan is None:
        raise HTTPException(404, "الخطة غير موجودة")
    prices = plan.pricing
    return {
        "plan": shown(plan),
        "pricing_yer": {
            "monthly": in_yer(prices.monthly_usd),
            "quarterly": in_yer(prices.quarterly_usd),
            "yearly": in_yer(prices.yearly_usd),
        },
    }


@app.post("/v1/plans")
async def create_plan(request: CreatePlanRequest) -> dict[str, Any]:
    plan_id = request.name.lower().replace(" ", "_")
    if plan_id in PLANS:
        raise HTTPException(400, "الخطة موجودة بالفعل")
    price = request.monthly_price_usd
    features = {
        key: {
            "name": key.replace("_", " ").title(),
            "name_ar": key,
            "included": included,
            "limit": request.limits.get(key),
        }
        for key, included in request.features.items()
    }
    plan = Plan(
        plan_id=plan_id,
        name=request.name,
        name_ar=request.name_ar,
        description=request.description,
        description_ar=request.description_ar,
        tier=request.tier,
        pricing=Pricing(monthly_usd=price, quarterly_usd=price * Decimal("2.7"), yearly_usd=price * 10),
        features=features,
        limits=request.limits,
        trial_days=request.trial_days,
        created_at=utcnow(),
    )
    PLANS[plan_id] = plan
    return {"success": True, "plan": shown(plan)}


@app.post("/v1/tenants")
async def create_tenant(request: CreateTenantRequest) -> dict[str, Any]:
    plan = PLANS.get(request.plan_id)
    if plan is None:
        raise HTTPException(400, "الخطة غير موجودة")
    now = utcnow()
    tenant = Tenant(
        tenant_id=str(uuid4()),
        name=request.name,
        name_ar=request.name_ar,
        contact={
            "name": request.name,
            "name_ar": request.name_ar,
            "email": request.email,
            "phone": request.phone,
        },
        created_at=now,
        updated_at=now,
    )
    end = now.date() + timedelta(days=CYCLE_DAYS[request.billing_cycle])
    trial_end = now.date() + timedelta(days=plan.trial_days) if plan.trial_days > 0 else None
    subscription = Subscription(
        subscription_id=str(uuid4()),
        tenant_id=tenant.tenant_id,
        plan_id=plan.plan_id,
        status=SubscriptionStatus.TRIAL if trial_end else SubscriptionStatus.ACTIVE,
        billing_cycle=request.billing_cycle,
        start_date=now.date(),
        end_date=end,
        trial_end_date=trial_end,
        next_billing_date=trial_end or end,
        created_at=now,
        updated_at=now,
    )
    TENANTS[tenant.tenant_id] = tenant
    SUBSCRIPTIONS[subscription.subscription_id] = subscription
    return {
        "success": True,
        "tenant_id": tenant.tenant_id,
        "subscription_id": subscription.subscription_id,
        "status": subscription.status,
        "trial_ends": subscription.trial_end_date,
        "message_ar": f"مرحباً {request.name_ar}! تم إنشاء حسابك بنجاح.",
    }


@app.get("/v1/tenants/{tenant_id}")
async def get_tenant(tenant_id: str) -> dict[str, Any]:
    tenant = TENANTS.get(tenant_id)
    if tenant is None:
        raise HTTPException(404, "المستأجر غير موجود")
    subscription = subscription_of(tenant_id)
    plan = PLANS.get(subscription.plan_id) if subscription else None
    usage = {metric: check_quota(tenant_id, metric) for metric in plan.limits} if plan else {}
    return {"tenant": shown(tenant), "subscription": shown(subscription), "usage": usage}


@app.get("/v1/tenants/{tenant_id}/subscription")
async def get_subscription(tenant_id: str) -> dict[str, Any]:
    subscription = subscription_of(tenant_id)
    if subscription is None:
        raise HTTPException(404, "لا يوجد اشتراك")
    return {
        "subscription": shown(subscription),
        "plan": shown(PLANS.get(subscription.plan_id)),
        "days_remaining": max(0, (subscription.end_date - today()).days),
        "is_trial": subscription.status == SubscriptionStatus.TRIAL,
    }


@app.patch("/v1/tenants/{tenant_id}/subscription")
async def update_subscription(tenant_id: str, request: UpdateSubscriptionRequest) -> dict[str, Any]:
    subscription = subscription_of(tenant_id)
    if subscription is None:
        raise HTTPException(404, "لا يوجد اشتراك")
    changes = []
    if request.plan_id:
        plan = PLANS.get(request.plan_id)
        if plan is None:
            raise HTTPException(400, "الخطة غير موجودة")
        subscription.plan_id = plan.plan_id
        changes.append(f"Plan changed to {plan.name}")
    if request.billing_cycle:
        subscription.billing_cycle = request.billing_cycle
        subscription.end_date = subscription.start_date + timedelta(days=CYCLE_DAYS[request.billing_cycle])
        changes.append(f"Billing cycle changed to {request.billing_cycle.value}")
    if request.payment_method:
        subscription.payment_method = request.payment_method
        changes.append(f"Payment method set to {request.payment_method.value}")
    if changes:
        subscription.updated_at = utcnow()
    return {"success": True, "subscription": shown(subscription), "changes": changes}


@app.post("/v1/tenants/{tenant_id}/cancel")
async def cancel_subscription(tenant_id: str, immediate: bool = False) -> dict[str, Any]:
    subscription = subscription_of(tenant_id)
    if subscription is None:
        raise HTTPException(404, "لا يوجد اشتراك")
    subscription.canceled_at = subscription.updated_at = utcnow()
    if immediate:
        subscription.status = SubscriptionStatus.CANCELED
        subscription.end_date = today()
        message = "تم إلغاء اشتراكك فوراً."
    else:
        subscription.status = SubscriptionStatus.ACTIVE
        message = "تم إلغاء اشتراكك. سيظل حسابك نشطاً حتى نهاية الفترة المدفوعة."
    return {
        "success": True,
        "status": subscription.status,
        "end_date": subscription.end_date,
        "message_ar": message,
    }


@app.post("/v1/tenants/{tenant_id}/usage")
async def record_usage(tenant_id: str, request: RecordUsageRequest) -> dict[str, Any]:
    quota = check_quota(tenant_id, request.metric)
    if not quota["allowed"]:
        raise HTTPException(
            429,
            f"تم تجاوز الحد الأقصى للاستخدام: {request.metric}. الحد: {quota['limit']}, المستخدم: {quota['used']}",
        )
    record = UsageRecord(
        record_id=str(uuid4()),
        tenant_id=tenant_id,
        metric=request.metric,
        quantity=request.quantity,
        timestamp=utcnow(),
        metadata=request.metadata,
    )
    USAGE_RECORDS.append(record)
    return {
        "success": True,
        "record_id": record.record_id,
        "remaining": check_quota(tenant_id, request.metric).get("remaining"),
    }


@app.get("/v1/tenants/{tenant_id}/quota")
async def get_quota(tenant_id: str) -> dict[str, Any]:
    subscription = subscription_of(tenant_id)
    plan = PLANS.get(subscription.plan_id) if subscription else None
    if subscription is None or plan is None:
        return {"error": "لا يوجد اشتراك نشط"}
    usage = {}
    for metric in plan.limits:
        quota = check_quota(tenant_id, metric)
        if quota["limit"] is None:
            usage[metric] = {"limit": "unlimited", "used": 0, "remaining": "unlimited", "percentage": 0}
        else:
            limit, used = quota["limit"], quota["used"]
            percentage = round(used / limit * 100, 2) if limit > 0 else 0
            usage[metric] = {
                "limit": limit, "used": used, "remaining": quota["remaining"], "percentage": percentage,
            }  # fmt: skip
    return {
        "tenant_id": tenant_id,
        "plan": plan.name,
        "plan_ar": plan.name_ar,
        "subscription_status": subscription.status,
        "usage": usage,
        "billing_cycle_ends": subscription.end_date,
    }


@app.get("/v1/enforce")
async def enforce_quota(
    metric: str, x_tenant_id: Annotated[str | None, Header(alias="x-tenant-id")] = None
) -> dict[str, Any]:
    if not x_tenant_id:
        raise HTTPException(400, "Missing x-tenant-id header")
    quota = check_quota(x_tenant_id, metric)
    if not quota["allowed"]:
        raise HTTPException(
            429, {"error": "quota_exceeded", "metric": metric, "limit": quota["limit"], "used": quota["used"]}
        )
    return {"allowed": True, "tenant_id": x_tenant_id, "metric": metric, "remaining": quota.get("remaining")}


@app.get("/v1/tenants/{tenant_id}/invoices")
async def list_invoices(
    tenant_id: str, status: InvoiceStatus | None = None, limit: int = Query(20, le=100)
) -> dict[str, Any]:
    found = [i for i in INVOICES.values() if i.tenant_id == tenant_id]
    if status:
        found = [i for i in found if i.status == status]
    found.sort(key=lambda i: i.issue_date, reverse=True)
    return {"invoices": shown(found[:limit]), "total": len(found)}


@app.post("/v1/tenants/{tenant_id}/invoices/generate")
async def generate_tenant_invoice(tenant_id: str) -> dict[str, Any]:
    subscription = subscription_of(tenant_id)
    if subscription is None:
        raise HTTPException(404, "لا يوجد اشتراك")
    plan = PLANS[subscription.plan_id]
    cycle = subscription.billing_cycle
    price = price_of(plan, cycle)
    now = utcnow()
    item = LineItem(
        description=f"{plan.name} - {cycle.value.title()}",
        description_ar=f"{plan.name_ar} - {CYCLE_NAMES_AR[cycle]}",
        quantity=1,
        unit_price=price,
        amount=price,
    )
    invoice = Invoice(
        invoice_id=str(uuid4()),
        invoice_number=next_invoice_number(),
        tenant_id=tenant_id,
        subscription_id=subscription.subscription_id,
        plan_id=plan.plan_id,
        status=InvoiceStatus.PENDING,
        issue_date=now.date(),
        due_date=now.date() + timedelta(days=7),
        subtotal=price,
        total=price,
        amount_due=price,
        line_items=[item],
        notes="Thank you for choosing the SAHOOL platform",
        notes_ar="شكراً لاختياركم منصة سهول الزراعية",
        created_at=now,
        updated_at=now,
    )
    INVOICES[invoice.invoice_id] = invoice
    return {"success": True, "invoice": shown(invoice)}


@app.get("/v1/invoices/{invoice_id}")
async def get_invoice(invoice_id: str) -> dict[str, Any]:
    invoice = INVOICES.get(invoice_id)
    if invoice is None:
        raise HTTPException(404, "الفاتورة غير موجودة")
    tenant = TENANTS.get(invoice.tenant_id)
    return {"invoice": shown(invoice), "tenant": shown(tenant), "amount_yer": in_yer(invoice.total)}


def settle(invoice: Invoice, payment: Payment) -> None:
    invoice.amount_paid += payment.amount
    invoice.amount_due = invoice.total - invoice.amount_paid
    if invoice.amount_due <= 0 and invoice.status != InvoiceStatus.PAID:
        invoice.status = InvoiceStatus.PAID
        invoice.paid_date = today()
    invoice.updated_at = utcnow()


@app.post("/v1/payments")
async def create_payment(request: CreatePaymentRequest) -> dict[str, Any]:
    invoice = INVOICES.get(request.invoice_id)
    if invoice is None:
        raise HTTPException(404, "الفاتورة غير موجودة")
    if invoice.status == InvoiceStatus.PAID:
        raise HTTPException(400, "الفاتورة مدفوعة بالفعل")
    payment = Payment(
        payment_id=str(uuid4()),
        invoice_id=invoice.invoice_id,
        tenant_id=invoice.tenant_id,
        amount=request.amount,
        method=request.method,
        status=PaymentStatus.PENDING,
        created_at=utcnow(),
    )
    if request.method == PaymentMethod.CASH:
        payment.status = PaymentStatus.SUCCEEDED
        payment.processed_at = payment.created_at
        settle(invoice, payment)
    PAYMENTS[payment.payment_id] = payment
    return {
        "success": True,
        "payment": shown(payment),
        "invoice_status": invoice.status,
        "tharwatt_response": None,
        "stripe_response": None,
    }


@app.get("/v1/tenants/{tenant_id}/payments")
async def list_payments(tenant_id: str, limit: int = Query(20, le=100)) -> dict[str, Any]:
    found = [p for p in PAYMENTS.values() if p.tenant_id == tenant_id]
    found.sort(key=lambda p: p.created_at, reverse=True)
    return {"payments": shown(found[:limit]), "total": len(found)}


def conclude(payment: Payment, status: PaymentStatus, reason: str | None) -> None:
    settled = payment.status not in (PaymentStatus.PENDING, PaymentStatus.PROCESSING)
    if settled and not (payment.status == PaymentStatus.FAILED and status == PaymentStatus.SUCCEEDED):
        return
    payment.status = status
    payment.failure_reason = reason
    payment.processed_at = utcnow()
    if status == PaymentStatus.SUCCEEDED:
        settle(INVOICES[payment.invoice_id], payment)


def is_signed(secret: str, message: bytes, signature: str) -> bool:
    expected = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return bool(secret) and hmac.compare_digest(signature.encode(), expected.encode())


@app.post("/v1/webhooks/tharwatt")
async def tharwatt_webhook(request: Request) -> dict[str, Any]:
    body = await request.body()
    if not is_signed(os.getenv("THARWATT_WEBHOOK_SECRET", ""), body, request.headers.get("X-Tharwatt-Signature", "")):
        raise HTTPException(401, "Invalid webhook signature")
    try:
        data = json.loads(body)
    except ValueError:
        raise HTTPException(400, "Invalid payload format") from None
    if not isinstance(data, dict) or not isinstance(data.get("reference"), str) or "status" not in data:
        raise HTTPException(400, "Invalid payload format")
    payment = PAYMENTS.get(data["reference"])
    if payment is None:
        raise HTTPException(404, "Payment not found")
    payment.tharwatt_transaction_id = data.get("transaction_id") or payment.tharwatt_transaction_id
    if data["status"] == "completed":
        conclude(payment, PaymentStatus.SUCCEEDED, None)
    elif data["status"] == "failed":
        conclude(payment, PaymentStatus.FAILED, data.get("error_message") or data.get("message") or "Payment failed")
    elif data["status"] == "cancelled":
        conclude(payment, PaymentStatus.FAILED, "Payment cancelled by user")
    return {"success": True, "payment_id": payment.payment_id, "status": payment.status}


STRIPE_STATUS = {
    "active": SubscriptionStatus.ACTIVE,
    "trialing": SubscriptionStatus.TRIAL,
    "past_due": SubscriptionStatus.PAST_DUE,
    "incomplete": SubscriptionStatus.PAST_DUE,
    "canceled": SubscriptionStatus.CANCELED,
    "unpaid": SubscriptionStatus.SUSPENDED,
    "paused": SubscriptionStatus.SUSPENDED,
    "incomplete_expired": SubscriptionStatus.EXPIRED,
}


def is_from_stripe(header: str, body: bytes) -> bool:
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t" and value.isdigit()]
    if len(times) != 1 or abs(time.time() - int(times[0])) > 300:
        return False
    secret = os.getenv("STRIPE_WEBHOOK_SECRET", "")
    return any(is_signed(secret, f"{times[0]}.".encode() + body, value) for name, _, value in parts if name == "v1")


@app.post("/v1/webhooks/stripe")
async def stripe_webhook(request: Request) -> dict[str, Any]:
    body = await request.body()
    if not is_from_stripe(request.headers.get("Stripe-Signature", ""), body):
        raise HTTPException(400, "Invalid signature")
    event = json.loads(body)
    about = event.get("data", {}).get("object", {})
    metadata = about.get("metadata") or {}
    payment = PAYMENTS.get(metadata.get("payment_id", ""))
    if payment is not None and event.get("type") in ("charge.succeeded", "charge.failed"):
        payment.stripe_payment_id = about.get("id") or payment.stripe_payment_id
        if event["type"] == "charge.succeeded":
            conclude(payment, PaymentStatus.SUCCEEDED, None)
        else:
            conclude(payment, PaymentStatus.FAILED, about.get("failure_message") or "Payment failed")
    subscription = SUBSCRIPTIONS.get(metadata.get("subscription_id", ""))
    if subscription is not None and event.get("type") == "customer.subscription.updated":
        subscription.status = STRIPE_STATUS.get(about.get("status"), subscription.status)
        subscription.updated_at = utcnow()
    return {"received": True}


@app.get("/v1/reports/revenue")
async def get_revenue_report(start_date: date | None = None, end_date: date | None = None) -> dict[str, Any]:
    start = start_date or today().replace(day=1)
    end = end_date or today()
    paid = [
        i
        for i in INVOICES.values()
        if i.status == InvoiceStatus.PAID and i.paid_date is not None and start <= i.paid_date <= end
    ]
    by_plan: dict[str, Decimal] = {}
    for invoice in paid:
        by_plan[invoice.plan_id] = by_plan.get(invoice.plan_id, Decimal(0)) + invoice.total
    usd = sum((i.total for i in paid), Decimal(0))
    return {
        "period": {"start": start, "end": end},
        "total_revenue": {"usd": shown(usd), "yer": in_yer(usd)},
        "invoices_count": len(paid),
        "by_plan": {plan_id: shown(total) for plan_id, total in by_plan.items()},
    }


@app.get("/v1/reports/subscriptions")
async def get_subscriptions_report() -> dict[str, Any]:
    by_status: dict[str, int] = {}
    by_plan: dict[str, int] = {}
    mrr = Decimal(0)
    for subscription in SUBSCRIPTIONS.values():
        by_status[subscription.status.value] = by_status.get(subscription.status.value, 0) + 1
        by_plan[subscription.plan_id] = by_plan.get(subscription.plan_id, 0) + 1
        if subscription.status == SubscriptionStatus.ACTIVE:
            mrr += PLANS[subscription.plan_id].pricing.monthly_usd
    return {
        "total_subscriptions": len(SUBSCRIPTIONS),
        "by_status": by_status,
        "by_plan": by_plan,
        "mrr_usd": shown(mrr),
        "mrr_yer": in_yer(mrr),
        "total_tenants": len(TENANTS),
    }


def init_default_plans() -> None:
    """The plans above, with the day of the start."""
    for row in DEFAULT_PLANS:
        included = {**row["features"], **dict.fromkeys(row.get("not_included", []))}
        features = {
            key: {
                "name": FEATURE_NAMES[key][0],
                "name_ar": FEATURE_NAMES[key][1],
                "included": key in row["features"],
                "limit": limit,
            }
            for key, limit in included.items()
        }
        monthly, quarterly, yearly = row["prices"]
        PLANS[row["plan_id"]] = Plan(
            plan_id=row["plan_id"],
            name=row["name"],
            name_ar=row["name_ar"],
            description=row["description"],
            description_ar=row["description_ar"],
            tier=row["tier"],
            pricing=Pricing(monthly_usd=monthly, quarterly_usd=quarterly, yearly_usd=yearly),
            features=features,
            limits=row["limits"],
            trial_days=row["trial_days"],
            created_at=utcnow(),
        )


init_default_plans()
