"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Response

from services.farm.billing import invoicing, payments, reports, seed, subscribing, usage, webhooks
from services.farm.billing.auth import Administrator, CurrentUser, OwnTenant, a_service
from services.farm.billing.pricing import QUARTER, YEAR, in_yer
from services.farm.billing.records import InvoiceStatus, Plan, SubscriptionStatus
from services.farm.billing.schemas import (
    CreatePaymentRequest,
    CreatePlanRequest,
    CreateTenantRequest,
    RecordUsageRequest,
    UpdateSubscriptionRequest,
)
from services.farm.billing.stores import history as changes
from services.farm.billing.stores import invoices, plans, service, subscriptions, tenants
from services.farm.billing.stores import payments as payment_store
from services.farm.common import answers, clock
from services.farm.common.alone import alone
from services.farm.common.app import build

NO_TENANT = "المستأجر غير موجود"
PLAN_EXISTS = "الخطة موجودة بالفعل"
NO_ACTIVE_SUBSCRIPTION = "لا يوجد اشتراك نشط"
CANCELED_NOW = "تم إلغاء اشتراكك فوراً."
CANCELED_LATER = "تم إلغاء اشتراكك. سيظل حسابك نشطاً حتى نهاية الفترة المدفوعة."
Limit = Annotated[int, Query(le=100)]
router = APIRouter(prefix="/v1")


@router.get("/plans")
async def list_plans(_: CurrentUser, active_only: bool = True) -> Response:
    found = await plans.repository.find(**({"is_active": True} if active_only else {}))
    return answers.composed(plans=[_listed(plan) for plan in found])


@router.get("/plans/{plan_id}")
async def get_plan(_: CurrentUser, plan_id: str) -> Response:
    plan = await plans.repository.get(plan_id)
    if plan is None:
        raise HTTPException(404, subscribing.NO_PLAN)
    in_rials = {
        "monthly": in_yer(plan.monthly_usd),
        "quarterly": in_yer(plan.quarterly_usd),
        "yearly": in_yer(plan.yearly_usd),
    }
    return answers.composed(plan=plans.repository.encode_json(plan), pricing_yer=in_rials)


@router.post("/plans")
async def create_plan(_: Administrator, body: CreatePlanRequest) -> Response:
    made = _plan_of(body)

    async def once() -> None:
        if await plans.repository.get(made.plan_id) is not None:
            raise HTTPException(400, PLAN_EXISTS)
        await plans.repository.insert(made)

    await alone(service, ("plan", made.plan_id), once)
    return answers.composed(success=True, plan=plans.repository.encode_json(made))


@router.post("/tenants")
async def create_tenant(_: CurrentUser, body: CreateTenantRequest) -> dict[str, Any]:
    subscription = await subscribing.begin(body)
    return {
        "success": True,
        "tenant_id": subscription.tenant_id,
        "subscription_id": subscription.subscription_id,
        "status": subscription.status,
        "trial_ends": subscription.trial_end_date,
        "message_ar": f"مرحباً {body.name_ar}! تم إنشاء حسابك بنجاح.",
    }


@router.get("/tenants/{tenant_id}")
async def get_tenant(tenant: OwnTenant) -> Response:
    shown = await tenants.repository.for_tenant(tenant).get_json(tenant)
    if shown is None:
        raise HTTPException(404, NO_TENANT)
    subscription = await subscribing.held(tenant)
    plan = await plans.repository.get(subscription.plan_id) if subscription else None
    quotas = await usage.of_plan(tenant, plan)
    return answers.composed(
        tenant=shown,
        subscription=subscriptions.repository.encode_json(subscription) if subscription else None,
        usage={metric: quota.shown() for metric, quota in quotas.items()},
    )


@router.get("/tenants/{tenant_id}/subscription")
async def get_subscription(tenant: OwnTenant) -> Response:
    subscription = await subscribing.needed(tenant)
    plan = await plans.repository.get_json(subscription.plan_id)
    return answers.composed(
        subscription=subscriptions.repository.encode_json(subscription),
        plan=plan,
        days_remaining=max(0, (subscription.end_date - clock.today().date()).days),
        is_trial=subscription.status == SubscriptionStatus.TRIAL,
    )


@router.patch("/tenants/{tenant_id}/subscription")
async def update_subscription(tenant: OwnTenant, body: UpdateSubscriptionRequest) -> Response:
    subscription, texts = await subscribing.change(tenant, body)
    shown = subscriptions.repository.encode_json(subscription)
    return answers.composed(success=True, subscription=shown, changes=texts)


@router.post("/tenants/{tenant_id}/cancel")
async def cancel_subscription(tenant: OwnTenant, immediate: bool = False) -> dict[str, Any]:
    subscription = await subscribing.cancel(tenant, immediate=immediate)
    return {
        "success": True,
        "status": subscription.status,
        "end_date": subscription.end_date,
        "message_ar": CANCELED_NOW if immediate else CANCELED_LATER,
    }


@router.post("/tenants/{tenant_id}/usage")
async def record_usage(tenant: OwnTenant, body: RecordUsageRequest) -> dict[str, Any]:
    record_id, remaining = await usage.record(tenant, body.metric, body.quantity, body.metadata)
    return {"success": True, "record_id": record_id, "remaining": remaining}


@router.get("/tenants/{tenant_id}/quota")
async def get_quota(tenant: OwnTenant) -> dict[str, Any]:
    subscription = await subscribing.held(tenant)
    plan = await plans.repository.get(subscription.plan_id) if subscription else None
    if subscription is None or plan is None:
        return {"error": NO_ACTIVE_SUBSCRIPTION}
    quotas = await usage.of_plan(tenant, plan)
    return {
        "tenant_id": tenant,
        "plan": plan.name,
        "plan_ar": plan.name_ar,
        "subscription_status": subscription.status,
        "usage": {metric: quota.summed_up() for metric, quota in quotas.items()},
        "billing_cycle_ends": subscription.end_date,
    }


@router.get("/enforce", dependencies=[Depends(a_service)])
async def enforce_quota(
    metric: str, x_tenant_id: Annotated[str | None, Header(alias="x-tenant-id")] = None
) -> dict[str, Any]:
    """Asked by other services before they serve a tenant; nothing is counted."""
    if not x_tenant_id:
        raise HTTPException(400, "Missing x-tenant-id header")
    quota = await usage.of_metric(x_tenant_id, metric)
    if not quota.allowed:
        raise HTTPException(
            429, {"error": "quota_exceeded", "metric": metric, "limit": quota.limit, "used": quota.used}
        )  # fmt: skip
    return {"allowed": True, "tenant_id": x_tenant_id, "metric": metric, "remaining": quota.remaining}


@router.get("/tenants/{tenant_id}/invoices")
async def list_invoices(tenant: OwnTenant, status: InvoiceStatus | None = None, limit: Limit = 20) -> Response:
    repository = invoices.repository.for_tenant(tenant)
    total, body = await invoicing.listed(repository, limit, "-issue_date", **answers.given(status=status))
    return answers.enveloped("invoices", body, total=total)


@router.post("/tenants/{tenant_id}/invoices/generate")
async def generate_invoice(tenant: OwnTenant, user: CurrentUser) -> Response:
    made = await invoicing.generate(tenant, user.name)
    return answers.composed(success=True, invoice=invoices.repository.encode_json(made))


@router.get("/invoices/{invoice_id}")
async def get_invoice(user: CurrentUser, invoice_id: str) -> Response:
    invoice = await payments.invoice_of(invoice_id, user)
    return answers.composed(
        invoice=invoices.repository.encode_json(invoice),
        tenant=await tenants.repository.for_tenant(invoice.tenant_id).get_json(invoice.tenant_id),
        amount_yer=in_yer(invoice.total),
    )


@router.get("/invoices/{invoice_id}/history")
async def get_history(user: CurrentUser, invoice_id: str) -> Response:
    """What was done to the invoice and its payments, the oldest first."""
    invoice = await payments.invoice_of(invoice_id, user)
    repository = changes.repository.for_tenant(invoice.tenant_id)
    body = await repository.find_json(invoice_id=invoice_id)
    count = await repository.count(invoice_id=invoice_id)
    return answers.enveloped("history", body, invoice_id=invoice_id, count=count)


@router.post("/payments")
async def create_payment(user: CurrentUser, body: CreatePaymentRequest) -> Response:
    paid = await payments.pay(body, user)
    by_tharwatt = paid.payment.method == "tharwatt"
    return answers.composed(
        success=paid.payment.status != "failed",
        payment=payment_store.repository.encode_json(paid.payment),
        invoice_status=paid.invoice_status,
        tharwatt_response=paid.answer if by_tharwatt else None,
        stripe_response=None if by_tharwatt else paid.answer,
    )


@router.get("/tenants/{tenant_id}/payments")
async def list_payments(tenant: OwnTenant, limit: Limit = 20) -> Response:
    repository = payment_store.repository.for_tenant(tenant)
    total, body = await invoicing.listed(repository, limit, "-created_at")
    return answers.enveloped("payments", body, total=total)


def _listed(plan: Plan) -> dict[str, Any]:
    return {
        "plan_id": plan.plan_id,
        "name": plan.name,
        "name_ar": plan.name_ar,
        "tier": plan.tier,
        "pricing": {
            "monthly_usd": plan.monthly_usd,
            "monthly_yer": in_yer(plan.monthly_usd),
            "yearly_usd": plan.yearly_usd,
            "yearly_yer": in_yer(plan.yearly_usd),
        },
        "limits": plan.limits,
        "trial_days": plan.trial_days,
    }


def _plan_of(body: CreatePlanRequest) -> Plan:
    features = {
        key: {
            "name": key.replace("_", " ").title(),
            "name_ar": key,
            "included": included,
            "limit": body.limits.get(key),
        }
        for key, included in body.features.items()
    }
    price = body.monthly_price_usd
    return Plan(
        body.name.lower().replace(" ", "_"), body.name, body.name_ar, body.description, body.description_ar, body.tier,
        price, price * QUARTER, price * YEAR, clock.now(), features=features, limits=body.limits,
        trial_days=body.trial_days,
    )  # fmt: skip


seed.fill(clock.now())
app = build(
    service, "SAHOOL Billing Core | خدمة الفوترة", router, webhooks.router, reports.router,
    health={"status": "healthy", "service": "sahool-billing-core"},
)  # fmt: skip
