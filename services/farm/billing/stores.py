"""The stores: this module is all that outlive asks of the service, beside `outlive.install`."""

from __future__ import annotations

from typing import Any

import outlive
from services.farm.billing import models
from services.farm.billing.records import Change, Invoice, Payment, Plan, Subscription, Tenant, UsageRecord, UsageTotal
from services.farm.common.app import declare

service = declare("billing", __file__)


class PlanRepository(outlive.Repository):
    """Prices stand in columns of their own and are shown together."""

    json_view = outlive.JsonView(gather={"pricing": ("monthly_usd", "quarterly_usd", "yearly_usd")})


class InvoiceRepository(outlive.Repository):
    """What serves reports and conflicts is not shown."""

    json_view = outlive.JsonView(hide=("plan_id", "last_payment_id"))


class ChangeRepository(outlive.Repository):
    """Whose invoice it is, is not shown."""

    json_view = outlive.JsonView(hide=("tenant_id",))


def _kept(name: str, kind: Any, key: str, model: Any, **more: Any) -> Any:
    """A store of the service. While PostgreSQL is away money is not written: 503, nothing journalled."""
    common = {"tenant": "tenant_id", "when_away": "refuse", "service": service}
    return outlive.mapping(name, kind, key=key, model=model, **{**common, **more})


invoice_number = outlive.counter("invoice_number", when_away="refuse", service=service)
plans = _kept("plans", Plan, "plan_id", models.PlanRow, tenant=None, repository=PlanRepository)
tenants = _kept("tenants", Tenant, "tenant_id", models.TenantRow)
subscriptions = _kept("subscriptions", Subscription, "subscription_id", models.SubscriptionRow, indexes=["tenant_id"])
invoices = _kept(
    "invoices", Invoice, "invoice_id", models.InvoiceRow, repository=InvoiceRepository,
    indexes=[("tenant_id", "-issue_date"), ("tenant_id", "status")],
)  # fmt: skip
payments = _kept("payments", Payment, "payment_id", models.PaymentRow, indexes=[("tenant_id", "-created_at")])
usage_records = _kept("usage_records", UsageRecord, "record_id", models.UsageRow)
usage_totals = _kept("usage_totals", UsageTotal, "total_id", models.UsageTotalRow, indexes=[("tenant_id", "month")])
history = _kept(
    "billing_history", Change, "change_id", models.ChangeRow, repository=ChangeRepository, indexes=["invoice_id"]
)  # fmt: skip
