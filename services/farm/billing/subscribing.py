"""Tenants and their one subscription: how it begins, changes and ends."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

from fastapi import HTTPException

from services.farm.billing.records import Plan, Subscription, SubscriptionStatus, Tenant
from services.farm.billing.schemas import CreateTenantRequest, UpdateSubscriptionRequest
from services.farm.billing.stores import plans, service, subscriptions, tenants
from services.farm.common import clock
from services.farm.common.alone import alone

NO_PLAN = "الخطة غير موجودة"
NO_SUBSCRIPTION = "لا يوجد اشتراك"
LONGEST_TRIAL_DAYS = 36_500  # what a plan says beyond that would be no date


async def begin(body: CreateTenantRequest) -> Subscription:
    """A new tenant with its subscription, on trial where the plan has one. Raises 400 for an unknown plan."""
    plan = await _plan(body.plan_id)
    now, tenant_id = clock.now(), str(uuid.uuid4())
    contact = {"name": body.name, "email": body.email, "phone": body.phone, "name_ar": body.name_ar}
    tenant = Tenant(tenant_id, body.name, body.name_ar, contact, now, now)
    today = now.date()
    days = min(plan.trial_days, LONGEST_TRIAL_DAYS)
    trial_end = today + dt.timedelta(days=days) if days > 0 else None
    end = today + dt.timedelta(days=body.billing_cycle.days)
    made = Subscription(
        str(uuid.uuid4()), tenant_id, plan.plan_id,
        SubscriptionStatus.TRIAL if trial_end else SubscriptionStatus.ACTIVE,
        body.billing_cycle, today, end, trial_end or end, now, now, trial_end_date=trial_end,
    )  # fmt: skip
    await tenants.repository.for_tenant(tenant_id).insert(tenant)
    await subscriptions.repository.for_tenant(tenant_id).insert(made)
    return made


async def held(tenant_id: str) -> Subscription | None:
    """The tenant's subscription."""
    found = await subscriptions.repository.for_tenant(tenant_id).find(limit=1)
    return found[0] if found else None


async def needed(tenant_id: str) -> Subscription:
    """The tenant's subscription. Raises 404."""
    found = await held(tenant_id)
    if found is None:
        raise HTTPException(404, NO_SUBSCRIPTION)
    return found


async def change(tenant_id: str, body: UpdateSubscriptionRequest) -> tuple[Subscription, list[str]]:
    """The subscription with what the body names, and a text for each change. Raises 404, 400 for an unknown plan."""

    async def once() -> tuple[Subscription, list[str]]:
        subscription = await needed(tenant_id)
        texts = []
        if body.plan_id:
            texts.append(f"Plan changed to {(await _plan(body.plan_id)).name}")
        if body.billing_cycle:
            texts.append(f"Billing cycle changed to {body.billing_cycle.value}")
        if body.payment_method:
            texts.append(f"Payment method set to {body.payment_method.value}")
        return await _updated(subscription, lambda held: _changes(held, body)), texts

    return await alone(service, ("subscription", tenant_id), once)


def _changes(held: Subscription, body: UpdateSubscriptionRequest) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if body.plan_id:
        fields["plan_id"] = body.plan_id
    if body.billing_cycle:
        end = held.start_date + dt.timedelta(days=body.billing_cycle.days)
        fields |= {"billing_cycle": body.billing_cycle, "end_date": end}
    if body.payment_method:
        fields["payment_method"] = body.payment_method
    return fields


async def cancel(tenant_id: str, *, immediate: bool) -> Subscription:
    """The subscription after its end was asked for: canceled as of today, or active until its end. Raises 404."""

    async def once() -> Subscription:
        fields: dict[str, Any] = {"status": SubscriptionStatus.ACTIVE, "canceled_at": clock.now()}
        if immediate:
            fields |= {"status": SubscriptionStatus.CANCELED, "end_date": clock.today().date()}
        return await _updated(await needed(tenant_id), lambda _: fields)

    return await alone(service, ("subscription", tenant_id), once)


async def set_status(subscription: Subscription, status: SubscriptionStatus) -> Subscription:
    """The subscription with this status."""

    async def once() -> Subscription:
        return await _updated(subscription, lambda _: {"status": status})

    return await alone(service, ("subscription", subscription.tenant_id), once)


async def _updated(subscription: Subscription, how: Callable[[Subscription], dict[str, Any]]) -> Subscription:
    """With the fields that `how` gives, decided on the very record that is written; without any it stays as it is."""

    def decided(held: Subscription) -> dict[str, Any]:
        fields = how(held)
        return {**fields, "updated_at": clock.now()} if fields else {}

    repository = subscriptions.repository.for_tenant(subscription.tenant_id)
    changed: Subscription = await repository.update(subscription.subscription_id, decided)
    return changed


async def _plan(plan_id: str) -> Plan:
    plan: Plan | None = await plans.repository.get(plan_id)
    if plan is None:
        raise HTTPException(400, NO_PLAN)
    return plan
