"""Plans, tenants, subscriptions, invoices, payments, usage, and the history of invoices and payments."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from services.farm.common.migrations import document, moment, new, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PLACE = "outlive_position"
INDEXES: tuple[tuple[str, str, list[Any]], ...] = (
    ("ix_tenants_name", "tenants", ["name"]),
    ("ix_subscriptions_position", "subscriptions", [PLACE]),
    ("ix_invoices_tenant_issued", "invoices", ["tenant_id", sa.text("issue_date DESC"), PLACE, "invoice_id"]),
    (
        "ix_invoices_tenant_status_issued", "invoices",
        ["tenant_id", "status", sa.text("issue_date DESC"), PLACE, "invoice_id"],
    ),
    ("ix_invoices_status_paid", "invoices", ["status", "paid_date"]),
    ("ix_invoices_subscription_id", "invoices", ["subscription_id"]),
    ("ix_payments_tenant_created", "payments", ["tenant_id", sa.text("created_at DESC"), PLACE, "payment_id"]),
    ("ix_payments_invoice_id", "payments", ["invoice_id"]),
    ("ix_usage_records_tenant_metric", "usage_records", ["tenant_id", "metric", sa.text('"timestamp" DESC')]),
    ("ix_usage_totals_tenant_month", "usage_totals", ["tenant_id", "month"]),
    ("ix_billing_history_invoice", "billing_history", ["invoice_id", PLACE]),
    ("ix_billing_history_tenant", "billing_history", ["tenant_id", "changed_at"]),
)  # fmt: skip
TABLES = (
    "plans", "tenants", "subscriptions", "invoices", "payments", "usage_records", "usage_totals", "billing_history",
)  # fmt: skip


def upgrade() -> None:
    _plans_and_tenants()
    _subscriptions()
    _invoices_and_payments()
    _usage_and_history()
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    op.create_index(
        "ix_subscriptions_status_plan_id", "subscriptions", ["status", "plan_id"],
        postgresql_include=["tenant_id", PLACE], postgresql_where="outlive_extra IS NULL",
    )  # fmt: skip


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _plans_and_tenants() -> None:
    with new("plans", "plan_id") as table:
        table.needs(words(), "name", "name_ar", "description", "description_ar", "tier")
        table.needs(sa.Numeric, "monthly_usd", "quarterly_usd", "yearly_usd", "trial_days")
        table.needs(document(), "features", "limits")
        table.needs(sa.Boolean, "is_active")
        table.needs(moment(), "created_at")
    with new("tenants", "tenant_id", owned=True) as table:
        table.needs(words(), "name", "name_ar")
        table.needs(document(), "contact", "settings")
        table.needs(sa.Boolean, "is_active")
        table.needs(moment(), "created_at", "updated_at")


def _subscriptions() -> None:
    with new("subscriptions", "subscription_id", owned=True) as table:
        table.needs(words(), "tenant_id", "plan_id", "status", "billing_cycle", "currency")
        table.needs(sa.Date, "start_date", "end_date", "next_billing_date")
        table.may(sa.Date, "trial_end_date")
        table.may(moment(), "canceled_at")
        table.may(words(), "payment_method")
        table.needs(moment(), "created_at", "updated_at")
        table.once("tenant_id")
        table.refers("tenant_id", "tenants.tenant_id")
        table.refers("plan_id", "plans.plan_id")


def _invoices_and_payments() -> None:
    with new("invoices", "invoice_id", owned=True) as table:
        table.needs(words(), "invoice_number", "tenant_id", "subscription_id", "plan_id", "status", "currency")
        table.needs(sa.Date, "issue_date", "due_date")
        table.may(sa.Date, "paid_date")
        table.needs(sa.Numeric, "subtotal", "tax_rate", "tax_amount", "discount_amount")
        table.needs(sa.Numeric, "total", "amount_paid", "amount_due")
        table.needs(document(), "line_items")
        table.may(words(), "notes", "notes_ar", "last_payment_id")
        table.needs(moment(), "created_at", "updated_at")
        table.once("invoice_number")
        table.refers("tenant_id", "tenants.tenant_id")
        table.refers("subscription_id", "subscriptions.subscription_id")
        table.refers("plan_id", "plans.plan_id")
    with new("payments", "payment_id", owned=True) as table:
        table.needs(words(), "invoice_id", "tenant_id", "currency", "method", "status")
        table.needs(sa.Numeric, "amount")
        table.may(words(), "stripe_payment_id", "tharwatt_transaction_id", "failure_reason")
        table.needs(moment(), "created_at")
        table.may(moment(), "processed_at")
        table.may(document(), "metadata")
        table.refers("invoice_id", "invoices.invoice_id")


def _usage_and_history() -> None:
    with new("usage_records", "record_id", owned=True) as table:
        table.needs(words(), "tenant_id", "metric")
        table.needs(sa.Numeric, "quantity")
        table.needs(moment(), "timestamp")
        table.needs(document(), "metadata")
        table.refers("tenant_id", "tenants.tenant_id")
    with new("usage_totals", "total_id", owned=True) as table:
        table.needs(words(), "tenant_id", "metric", "last_record_id")
        table.needs(sa.Date, "month")
        table.needs(sa.Numeric, "used")
        table.refers("tenant_id", "tenants.tenant_id")
    with new("billing_history", "change_id", owned=True) as table:
        table.needs(words(), "tenant_id", "invoice_id", "action", "changed_by")
        table.may(words(), "payment_id")
        table.needs(moment(), "changed_at")
        table.needs(document(), "changes")
        table.refers("invoice_id", "invoices.invoice_id")
