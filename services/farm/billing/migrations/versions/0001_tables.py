"""Plans, tenants, subscriptions, invoices, payments, usage, and the history of invoices and payments."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from services.farm.common.migrations import create, document, isolate, moment, needed, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PLACE = ("outlive_position",)
INDEXES: tuple[tuple[str, str, list[Any]], ...] = (
    ("ix_tenants_name", "tenants", ["name"]),
    ("ix_subscriptions_status_plan_id", "subscriptions", ["status", "plan_id"]),
    ("ix_invoices_tenant_issued", "invoices", ["tenant_id", sa.text("issue_date DESC"), *PLACE, "invoice_id"]),
    (
        "ix_invoices_tenant_status_issued", "invoices",
        ["tenant_id", "status", sa.text("issue_date DESC"), *PLACE, "invoice_id"],
    ),
    ("ix_invoices_subscription_id", "invoices", ["subscription_id"]),
    ("ix_payments_tenant_created", "payments", ["tenant_id", sa.text("created_at DESC"), *PLACE, "payment_id"]),
    ("ix_payments_invoice_id", "payments", ["invoice_id"]),
    ("ix_usage_records_tenant_metric", "usage_records", ["tenant_id", "metric", sa.text('"timestamp" DESC')]),
    ("ix_usage_totals_tenant_month", "usage_totals", ["tenant_id", "month"]),
    ("ix_billing_history_invoice", "billing_history", ["invoice_id", "outlive_position"]),
    ("ix_billing_history_tenant", "billing_history", ["tenant_id", "changed_at"]),
)  # fmt: skip
TABLES = (
    "billing_history",
    "usage_totals",
    "usage_records",
    "payments",
    "invoices",
    "subscriptions",
    "tenants",
    "plans",
)


def upgrade() -> None:
    _plans()
    _tenants()
    _subscriptions()
    _invoices()
    _payments()
    _usage()
    _history()
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    op.create_index("ix_invoices_paid", "invoices", ["paid_date", "tenant_id"], postgresql_where="status = 'paid'")


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def _to(owner: str, column: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{owner}.{column}"], name=f"fk_{table}_{column}", ondelete="RESTRICT")


def _plans() -> None:
    create(
        "plans",
        needed("plan_id", words()),
        *(needed(name, words()) for name in ("name", "name_ar", "description", "description_ar", "tier")),
        *(needed(name, sa.Numeric) for name in ("monthly_usd", "quarterly_usd", "yearly_usd")),
        needed("features", document()),
        needed("limits", document()),
        needed("trial_days", sa.Numeric),
        needed("is_active", sa.Boolean),
        needed("created_at", moment()),
        sa.PrimaryKeyConstraint("plan_id", name="pk_plans"),
    )


def _tenants() -> None:
    table = create(
        "tenants",
        needed("tenant_id", words()),
        needed("name", words()),
        needed("name_ar", words()),
        needed("contact", document()),
        needed("settings", document()),
        needed("is_active", sa.Boolean),
        needed("created_at", moment()),
        needed("updated_at", moment()),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_tenants"),
    )
    isolate(table)


def _subscriptions() -> None:
    table = create(
        "subscriptions",
        *(needed(name, words()) for name in ("subscription_id", "tenant_id", "plan_id", "status", "billing_cycle")),
        needed("currency", words()),
        needed("start_date", sa.Date),
        needed("end_date", sa.Date),
        sa.Column("trial_end_date", sa.Date),
        needed("next_billing_date", sa.Date),
        sa.Column("canceled_at", moment()),
        sa.Column("payment_method", words()),
        needed("created_at", moment()),
        needed("updated_at", moment()),
        sa.PrimaryKeyConstraint("subscription_id", name="pk_subscriptions"),
        sa.UniqueConstraint("tenant_id", name="uq_subscriptions_tenant_id"),
        _to("tenants", "tenant_id", "subscriptions"),
        _to("plans", "plan_id", "subscriptions"),
    )
    isolate(table)


def _invoices() -> None:
    table = create(
        "invoices",
        *(
            needed(name, words())
            for name in ("invoice_id", "invoice_number", "tenant_id", "subscription_id", "plan_id")
        ),
        needed("status", words()),
        needed("currency", words()),
        needed("issue_date", sa.Date),
        needed("due_date", sa.Date),
        sa.Column("paid_date", sa.Date),
        *(needed(name, sa.Numeric) for name in ("subtotal", "tax_rate", "tax_amount", "discount_amount", "total")),
        needed("amount_paid", sa.Numeric),
        needed("amount_due", sa.Numeric),
        needed("line_items", document()),
        *(sa.Column(name, words()) for name in ("notes", "notes_ar", "last_payment_id")),
        needed("created_at", moment()),
        needed("updated_at", moment()),
        sa.PrimaryKeyConstraint("invoice_id", name="pk_invoices"),
        sa.UniqueConstraint("invoice_number", name="uq_invoices_invoice_number"),
        _to("tenants", "tenant_id", "invoices"),
        _to("subscriptions", "subscription_id", "invoices"),
        _to("plans", "plan_id", "invoices"),
    )
    isolate(table)


def _payments() -> None:
    table = create(
        "payments",
        *(needed(name, words()) for name in ("payment_id", "invoice_id", "tenant_id")),
        needed("amount", sa.Numeric),
        *(needed(name, words()) for name in ("currency", "method", "status")),
        *(sa.Column(name, words()) for name in ("stripe_payment_id", "tharwatt_transaction_id", "failure_reason")),
        needed("created_at", moment()),
        sa.Column("processed_at", moment()),
        sa.Column("metadata", document()),
        sa.PrimaryKeyConstraint("payment_id", name="pk_payments"),
        _to("invoices", "invoice_id", "payments"),
    )
    isolate(table)


def _usage() -> None:
    records = create(
        "usage_records",
        *(needed(name, words()) for name in ("record_id", "tenant_id", "metric")),
        needed("quantity", sa.Numeric),
        needed("timestamp", moment()),
        needed("metadata", document()),
        sa.PrimaryKeyConstraint("record_id", name="pk_usage_records"),
        _to("tenants", "tenant_id", "usage_records"),
    )
    totals = create(
        "usage_totals",
        *(needed(name, words()) for name in ("total_id", "tenant_id", "metric")),
        needed("month", sa.Date),
        needed("used", sa.Numeric),
        needed("last_record_id", words()),
        sa.PrimaryKeyConstraint("total_id", name="pk_usage_totals"),
        _to("tenants", "tenant_id", "usage_totals"),
    )
    isolate(records)
    isolate(totals)


def _history() -> None:
    table = create(
        "billing_history",
        *(needed(name, words()) for name in ("change_id", "tenant_id", "invoice_id")),
        sa.Column("payment_id", words()),
        needed("action", words()),
        needed("changed_by", words()),
        needed("changed_at", moment()),
        needed("changes", document()),
        sa.PrimaryKeyConstraint("change_id", name="pk_billing_history"),
        _to("invoices", "invoice_id", "billing_history"),
    )
    isolate(table)
