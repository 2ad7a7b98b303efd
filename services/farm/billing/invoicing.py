"""Invoices: numbered without a gap over all tenants, and what is shown of them."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from typing import Any

from services.farm.billing import history, pricing, subscribing
from services.farm.billing.records import Invoice, InvoiceStatus, LineItem
from services.farm.billing.stores import invoice_number, plans, service
from services.farm.common import answers, clock
from services.farm.common.alone import alone

DUE_DAYS = 7
THANKS, THANKS_AR = "Thank you for choosing the SAHOOL platform", "شكراً لاختياركم منصة سهول الزراعية"
CYCLES_AR = {"monthly": "شهري", "quarterly": "ربع سنوي", "yearly": "سنوي"}


async def generate(tenant_id: str, by: str) -> Invoice:
    """A new invoice for one cycle of the tenant's plan. Raises 404 without a subscription.

    The number is the last thing that is asked for, and is written in the invoice's own transaction: an invoice that is
    refused, before or by PostgreSQL, uses none up.
    """

    async def once() -> Invoice:
        subscription = await subscribing.needed(tenant_id)
        plan = await plans.repository.get(subscription.plan_id)
        cycle = subscription.billing_cycle
        price = pricing.price(plan, cycle)
        item = LineItem(
            price, 1, price, f"{plan.name} - {cycle.value.title()}", f"{plan.name_ar} - {CYCLES_AR[cycle.value]}"
        )  # fmt: skip
        now = clock.now()
        today = now.date()
        # taking waits for other processes, which must not hold up this one's other requests
        number = await asyncio.to_thread(invoice_number.take)
        made = Invoice(
            str(uuid.uuid4()), f"SAH-{today.year}-{number:04d}", tenant_id, subscription.subscription_id, plan.plan_id,
            InvoiceStatus.PENDING, today, today + dt.timedelta(days=DUE_DAYS), price, price, price, now, now,
            line_items=[item], notes=THANKS, notes_ar=THANKS_AR,
        )  # fmt: skip
        await history.add_invoice(made, by)
        return made

    return await alone(service, "invoice_number", once)


async def listed(repository: Any, limit: int, order: str, **filters: Any) -> tuple[int, bytes]:
    """(how many there are, the first of them as a JSON array); a negative limit leaves so many out at the end."""
    if limit < 0:
        limit = max(0, limit + await repository.count(**filters))
    return await answers.counted(repository, limit=limit, order_by=order, **filters)
