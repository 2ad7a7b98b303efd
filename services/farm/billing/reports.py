"""What was earned and who subscribes. FastAPI reads the annotations, so they are evaluated here and not kept as text.

Administrators of a tenant see their own; super_admin sees all.
"""

import asyncio
import datetime as dt
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, HTTPException, Response

from services.farm.billing.auth import DENIED, Administrator, User
from services.farm.billing.pricing import in_yer
from services.farm.billing.records import InvoiceStatus, SubscriptionStatus
from services.farm.billing.stores import invoices, plans, subscriptions, tenants
from services.farm.common import answers, clock

router = APIRouter(prefix="/v1/reports")


@router.get("/revenue")
async def revenue(user: Administrator, start_date: dt.date | None = None, end_date: dt.date | None = None) -> Response:
    """Invoices that were paid on these days, both included; without them from the first of the month until today."""
    today = clock.today().date()
    start, end = start_date or today.replace(day=1), end_date or today
    paid = {"status": InvoiceStatus.PAID, "paid_date__gte": start, "paid_date__lte": end}
    repository = _seen(invoices, user)
    by_plan, counts = await asyncio.gather(repository.sum("total", by="plan_id", **paid), repository.count(**paid))
    usd = sum(by_plan.values(), Decimal(0))
    return answers.composed(
        period={"start": start, "end": end},
        total_revenue={"usd": usd, "yer": in_yer(usd)},
        invoices_count=counts,
        by_plan=by_plan,
    )


@router.get("/subscriptions")
async def subscribed(user: Administrator) -> Response:
    """Subscriptions by status and plan; MRR is the monthly price of the active ones, whatever their cycle."""
    repository = _seen(subscriptions, user)
    counts, known, total = await asyncio.gather(
        repository.count(by=("status", "plan_id")), plans.repository.find(), _seen(tenants, user).count()
    )
    monthly = {plan.plan_id: plan.monthly_usd for plan in known}
    by_status: dict[str, int] = {}
    by_plan: dict[str, int] = {}
    mrr = Decimal(0)
    for (status, plan_id), count in counts.items():
        by_status[status] = by_status.get(status, 0) + count
        by_plan[plan_id] = by_plan.get(plan_id, 0) + count
        mrr += monthly[plan_id] * count if status == SubscriptionStatus.ACTIVE else 0
    return answers.composed(
        total_subscriptions=sum(counts.values()),
        by_status=by_status,
        by_plan=by_plan,
        mrr_usd=mrr,
        mrr_yer=in_yer(mrr),
        total_tenants=total,
    )


def _seen(store: Any, user: User) -> Any:
    """The records that an administrator may see. Raises 403 for one of no tenant."""
    if user.sees_all:
        return store.repository.across_tenants()
    if user.tenant_id is None:
        raise HTTPException(403, DENIED)
    return store.repository.for_tenant(user.tenant_id)
