"""The tables in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Index, MetaData, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, PLAIN, Day, Lines, Many, Moment, Object, Sum, Words, odd_rows, refers


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class PlanRow(SystemColumns, Base):
    __tablename__ = "plans"
    __table_args__ = (odd_rows("plans"),)

    plan_id: Mapped[Words] = mapped_column(primary_key=True)
    name: Mapped[Words]
    name_ar: Mapped[Words]
    description: Mapped[Words]
    description_ar: Mapped[Words]
    tier: Mapped[Words]
    monthly_usd: Mapped[Sum]
    quarterly_usd: Mapped[Sum]
    yearly_usd: Mapped[Sum]
    features: Mapped[Object]
    limits: Mapped[Object]
    trial_days: Mapped[Many]
    is_active: Mapped[bool]
    created_at: Mapped[Moment]


class TenantRow(SystemColumns, Base):
    __tablename__ = "tenants"
    __table_args__ = (Index("ix_tenants_name", "name"), odd_rows("tenants"))

    tenant_id: Mapped[Words] = mapped_column(primary_key=True)
    name: Mapped[Words]
    name_ar: Mapped[Words]
    contact: Mapped[Object]
    settings: Mapped[Object]
    is_active: Mapped[bool]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class SubscriptionRow(SystemColumns, Base):
    __tablename__ = "subscriptions"
    __table_args__ = (
        Index(
            "ix_subscriptions_status_plan_id", "status", "plan_id",
            postgresql_include=["tenant_id", "outlive_position"], postgresql_where=PLAIN,
        ),
        Index("ix_subscriptions_position", "outlive_position"),
        odd_rows("subscriptions"),
    )  # fmt: skip

    subscription_id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words] = refers("tenants.tenant_id", unique=True)
    plan_id: Mapped[Words] = refers("plans.plan_id")
    status: Mapped[Words]
    billing_cycle: Mapped[Words]
    currency: Mapped[Words]
    start_date: Mapped[Day]
    end_date: Mapped[Day]
    trial_end_date: Mapped[Day | None]
    next_billing_date: Mapped[Day]
    canceled_at: Mapped[Moment | None]
    payment_method: Mapped[Words | None]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class InvoiceRow(SystemColumns, Base):
    __tablename__ = "invoices"
    __table_args__ = (
        odd_rows("invoices"),
        Index("ix_invoices_tenant_issued", "tenant_id", text("issue_date DESC"), "outlive_position", "invoice_id"),
        Index(
            "ix_invoices_tenant_status_issued",
            "tenant_id", "status", text("issue_date DESC"), "outlive_position", "invoice_id",
        ),
        Index("ix_invoices_subscription_id", "subscription_id"),
        Index("ix_invoices_status_paid", "status", "paid_date"),
    )  # fmt: skip

    invoice_id: Mapped[Words] = mapped_column(primary_key=True)
    invoice_number: Mapped[Words] = mapped_column(unique=True)
    tenant_id: Mapped[Words] = refers("tenants.tenant_id")
    subscription_id: Mapped[Words] = refers("subscriptions.subscription_id")
    plan_id: Mapped[Words] = refers("plans.plan_id")
    status: Mapped[Words]
    currency: Mapped[Words]
    issue_date: Mapped[Day]
    due_date: Mapped[Day]
    paid_date: Mapped[Day | None]
    subtotal: Mapped[Sum]
    tax_rate: Mapped[Sum]
    tax_amount: Mapped[Sum]
    discount_amount: Mapped[Sum]
    total: Mapped[Sum]
    amount_paid: Mapped[Sum]
    amount_due: Mapped[Sum]
    line_items: Mapped[Lines]
    notes: Mapped[Words | None]
    notes_ar: Mapped[Words | None]
    last_payment_id: Mapped[Words | None]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class PaymentRow(SystemColumns, Base):
    __tablename__ = "payments"
    __table_args__ = (
        odd_rows("payments"),
        Index("ix_payments_tenant_created", "tenant_id", text("created_at DESC"), "outlive_position", "payment_id"),
        Index("ix_payments_invoice_id", "invoice_id"),
    )

    payment_id: Mapped[Words] = mapped_column(primary_key=True)
    invoice_id: Mapped[Words] = refers("invoices.invoice_id")
    tenant_id: Mapped[Words]
    amount: Mapped[Sum]
    currency: Mapped[Words]
    method: Mapped[Words]
    status: Mapped[Words]
    stripe_payment_id: Mapped[Words | None]
    tharwatt_transaction_id: Mapped[Words | None]
    failure_reason: Mapped[Words | None]
    created_at: Mapped[Moment]
    processed_at: Mapped[Moment | None]
    more: Mapped[Object | None] = mapped_column("metadata", info={"field": "metadata"})


class UsageRow(SystemColumns, Base):
    __tablename__ = "usage_records"
    __table_args__ = (
        Index("ix_usage_records_tenant_metric", "tenant_id", "metric", text('"timestamp" DESC')),
        odd_rows("usage_records"),
    )

    record_id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words] = refers("tenants.tenant_id")
    metric: Mapped[Words]
    quantity: Mapped[Many]
    timestamp: Mapped[Moment]
    more: Mapped[Object] = mapped_column("metadata", info={"field": "metadata"})


class UsageTotalRow(SystemColumns, Base):
    __tablename__ = "usage_totals"
    __table_args__ = (Index("ix_usage_totals_tenant_month", "tenant_id", "month"), odd_rows("usage_totals"))

    total_id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words] = refers("tenants.tenant_id")
    metric: Mapped[Words]
    month: Mapped[Day]
    used: Mapped[Many]
    last_record_id: Mapped[Words]


class ChangeRow(SystemColumns, Base):
    __tablename__ = "billing_history"
    __table_args__ = (
        odd_rows("billing_history"),
        Index("ix_billing_history_invoice", "invoice_id", "outlive_position"),
        Index("ix_billing_history_tenant", "tenant_id", "changed_at"),
    )

    change_id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words]
    invoice_id: Mapped[Words] = refers("invoices.invoice_id")
    payment_id: Mapped[Words | None]
    action: Mapped[Words]
    changed_by: Mapped[Words]
    changed_at: Mapped[Moment]
    changes: Mapped[Object]
