"""What tenants may still use, and counting what they used. The month is the current one, in UTC."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, replace
from typing import Any

from fastapi import HTTPException

from services.farm.billing.pricing import UNLIMITED
from services.farm.billing.records import Plan, UsageRecord, UsageTotal
from services.farm.billing.stores import plans, service, subscriptions, usage_records, usage_totals
from services.farm.common import clock
from services.farm.common.alone import alone

EXCEEDED = "تم تجاوز الحد الأقصى للاستخدام: {metric}. الحد: {limit}, المستخدم: {used}"


@dataclass(frozen=True)
class Quota:
    """How much of a metric is allowed this month; `limit` None: any amount, and then nothing counts as used."""

    limit: int | None
    used: int

    @property
    def allowed(self) -> bool:
        """Whether one more use may begin."""
        return self.limit is None or self.used < self.limit

    @property
    def remaining(self) -> int | None:
        """What is left of the limit; a call may overshoot it, then nothing is left."""
        return None if self.limit is None else max(0, self.limit - self.used)

    def shown(self) -> dict[str, Any]:
        """As the tenant's page has it."""
        if self.limit is None:
            return {"allowed": True, "limit": None, "used": 0}
        return {"allowed": self.allowed, "limit": self.limit, "used": self.used, "remaining": self.remaining}

    def summed_up(self) -> dict[str, Any]:
        """As the quota page has it."""
        if self.limit is None:
            return {"limit": "unlimited", "used": 0, "remaining": "unlimited", "percentage": 0}
        percentage = round(self.used / self.limit * 100, 2) if self.limit > 0 else 0
        return {"limit": self.limit, "used": self.used, "remaining": self.remaining, "percentage": percentage}


def this_month() -> dt.date:
    """The first of the current month."""
    return clock.today().date().replace(day=1)


async def of_plan(tenant_id: str, plan: Plan | None) -> dict[str, Quota]:
    """The quota of each metric that the plan limits."""
    if plan is None:
        return {}
    found = await usage_totals.repository.for_tenant(tenant_id).find(month=this_month())
    used = {each.metric: each.used for each in found}
    return {metric: _quota(limit, used.get(metric, 0)) for metric, limit in plan.limits.items()}


async def limit_of(tenant_id: str, metric: str) -> int:
    """The plan's limit; 0 for what the plan does not name, and without a subscription for everything."""
    found = await subscriptions.repository.for_tenant(tenant_id).find(limit=1)
    plan: Plan | None = await plans.repository.get(found[0].plan_id) if found else None
    return plan.limits.get(metric, 0) if plan else 0


async def of_metric(tenant_id: str, metric: str) -> Quota:
    """One quota."""
    total = await usage_totals.repository.for_tenant(tenant_id).get(_total_id(tenant_id, metric))
    return _quota(await limit_of(tenant_id, metric), total.used if total else 0)


async def record(tenant_id: str, metric: str, quantity: int, metadata: dict[str, Any]) -> tuple[str, int | None]:
    """(the new record's id, what is left). Raises 429 if nothing was left before.

    Check and addition are one step over all requests and processes: all of them change the same total, and each decides
    on the very total that it changes.
    """
    record_id = str(uuid.uuid4())

    async def check_and_add() -> int | None:
        limit = await limit_of(tenant_id, metric)
        fresh = UsageTotal(_total_id(tenant_id, metric), tenant_id, metric, this_month(), 0, record_id)
        used = await _add(fresh, limit, quantity)
        made = UsageRecord(record_id, tenant_id, metric, quantity, clock.now(), metadata)
        await usage_records.repository.for_tenant(tenant_id).insert(made)
        return _quota(limit, used).remaining

    return record_id, await alone(service, ("usage", tenant_id, metric), check_and_add)


async def _add(fresh: UsageTotal, limit: int, quantity: int) -> int:
    """What is used after it; `fresh` becomes the total where there is none. Raises 429."""
    repository = usage_totals.repository.for_tenant(fresh.tenant_id)

    def decided(held: UsageTotal) -> dict[str, Any]:
        quota = _quota(limit, held.used)
        if not quota.allowed:
            raise HTTPException(429, EXCEEDED.format(metric=held.metric, limit=quota.limit, used=quota.used))
        return {"used": held.used + quantity, "last_record_id": fresh.last_record_id}

    changed: UsageTotal | None = await repository.update(fresh.total_id, decided)
    if changed is None:
        changed = replace(fresh, **decided(fresh))
        await repository.insert(changed)
    return changed.used


def _quota(limit: int, used: int) -> Quota:
    return Quota(None, 0) if limit == UNLIMITED else Quota(limit, used)


def _total_id(tenant_id: str, metric: str) -> str:
    return f"{tenant_id}/{this_month():%Y-%m}/{metric}"
