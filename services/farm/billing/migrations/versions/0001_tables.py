"""Plans, tenants, subscriptions, invoices, payments, usage, and the history of invoices and payments."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from services.farm.common.migrations import create, document, index_odd_rows, isolate, moment, needed, words

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
    _invoices()
    _payments()
    _usage_and_history()
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    op.create_index(
        "ix_subscriptions_status_plan_id", "subscriptions", ["status", "plan_id"],
        postgresql_include=["tenant_id", PLACE], postgresql_where="outlive_extra IS NULL",
    )  # fmt: skip
    for table in TABLES:
        index_odd_rows(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _key(table: str, column: str) -> tuple[sa.Column[Any], sa.PrimaryKeyConstraint]:
    return needed(column, words()), sa.PrimaryKeyConstraint(column, name=f"pk_{table}")


def _owned(table: str, key: str, *parts: Any) -> None:
    isolate(create(table, *_key(table, key), *parts))


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [needed(name, words()) for name in names]


def _perhaps(kind: Any, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind) for name in names]


def _of(kind: Any, *names: str) -> list[sa.Column[Any]]:
    return [needed(name, kind) for name in names]


def _to(owner: str, column: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{owner}.{column}"], name=f"fk_{table}_{column}", ondelete="RESTRICT")


def _plans_and_tenants() -> None:
    create(
        "plans",
        *_key("plans", "plan_id"),
        *_texts("name", "name_ar", "description", "description_ar", "tier"),
        *_of(sa.Numeric, "monthly_usd", "quarterly_usd", "yearly_usd", "trial_days"),
        *_of(document(), "features", "limits"),
        needed("is_active", sa.Boolean),
        needed("created_at", moment()),
    )
    _owned(
        "tenants",
        "tenant_id",
        *_texts("name", "name_ar"),
        *_of(document(), "contact", "settings"),
        needed("is_active", sa.Boolean),
        *_of(moment(), "created_at", "updated_at"),
    )


def _subscriptions() -> None:
    _owned(
        "subscriptions",
        "subscription_id",
        *_texts("tenant_id", "plan_id", "status", "billing_cycle", "currency"),
        *_of(sa.Date, "start_date", "end_date", "next_billing_date"),
        sa.Column("trial_end_date", sa.Date),
        sa.Column("canceled_at", moment()),
        sa.Column("payment_method", words()),
        *_of(moment(), "created_at", "updated_at"),
        sa.UniqueConstraint("tenant_id", name="uq_subscriptions_tenant_id"),
        _to("tenants", "tenant_id", "subscriptions"),
        _to("plans", "plan_id", "subscriptions"),
    )


def _invoices() -> None:
    sums = ("subtotal", "tax_rate", "tax_amount", "discount_amount", "total", "amount_paid", "amount_due")
    _owned(
        "invoices",
        "invoice_id",
        *_texts("invoice_number", "tenant_id", "subscription_id", "plan_id", "status", "currency"),
        *_of(sa.Date, "issue_date", "due_date"),
        sa.Column("paid_date", sa.Date),
        *_of(sa.Numeric, *sums),
        needed("line_items", document()),
        *_perhaps(words(), "notes", "notes_ar", "last_payment_id"),
        *_of(moment(), "created_at", "updated_at"),
        sa.UniqueConstraint("invoice_number", name="uq_invoices_invoice_number"),
        _to("tenants", "tenant_id", "invoices"),
        _to("subscriptions", "subscription_id", "invoices"),
        _to("plans", "plan_id", "invoices"),
    )


def _payments() -> None:
    _owned(
        "payments",
        "payment_id",
        *_texts("invoice_id", "tenant_id", "currency", "method", "status"),
        needed("amount", sa.Numeric),
        *_perhaps(words(), "stripe_payment_id", "tharwatt_transaction_id", "failure_reason"),
        needed("created_at", moment()),
        sa.Column("processed_at", moment()),
        sa.Column("metadata", document()),
        _to("invoices", "invoice_id", "payments"),
    )


def _usage_and_history() -> None:
    _owned(
        "usage_records",
        "record_id",
        *_texts("tenant_id", "metric"),
        needed("quantity", sa.Numeric),
        needed("timestamp", moment()),
        needed("metadata", document()),
        _to("tenants", "tenant_id", "usage_records"),
    )
    _owned(
        "usage_totals",
        "total_id",
        *_texts("tenant_id", "metric", "last_record_id"),
        needed("month", sa.Date),
        needed("used", sa.Numeric),
        _to("tenants", "tenant_id", "usage_totals"),
    )
    _owned(
        "billing_history",
        "change_id",
        *_texts("tenant_id", "invoice_id", "action", "changed_by"),
        sa.Column("payment_id", words()),
        needed("changed_at", moment()),
        needed("changes", document()),
        _to("invoices", "invoice_id", "billing_history"),
    )
