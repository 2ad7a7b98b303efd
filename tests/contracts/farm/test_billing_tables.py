"""Each column, type, index and key of the billing tables that differs from what the requirements ask, and why."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.contracts.farm.billing import ENVIRONMENT, PACKAGE, invoice, pay, subscribe  # noqa: F401
from tests.contracts.farm.conftest import Opened, in_database
from tests.contracts.farm.running import Running

ASKED = {
    "plans": {
        "plan_id": "varchar(50)", "name": "varchar(100)", "name_ar": "varchar(100)", "tier": "varchar(20)",
        "pricing": "jsonb", "features": "jsonb", "limits": "jsonb", "trial_days": "int4", "is_active": "bool",
        "created_at": "timestamp",
    },
    "tenants": {
        "tenant_id": "uuid", "name": "varchar(200)", "name_ar": "varchar(200)", "contact": "jsonb", "settings": "jsonb",
        "created_at": "timestamp", "updated_at": "timestamp",
    },
    "invoices": {"line_items": "jsonb"},
    "payments": {
        "payment_id": "uuid", "invoice_id": "uuid", "tenant_id": "varchar(100)", "amount": "numeric(12,2)",
        "currency": "varchar(3)", "method": "varchar(20)", "status": "varchar(20)", "stripe_payment_id": "varchar(200)",
        "processed_at": "timestamp", "metadata": "jsonb",
    },
    "usage_records": {
        "id": "uuid", "tenant_id": "varchar(100)", "metric": "varchar(50)", "quantity": "int4",
        "timestamp": "timestamp", "metadata": "jsonb",
    },
}  # fmt: skip
OURS = ("subscriptions", "usage_totals", "billing_history")  # tables that the requirement leaves to us, or that are new
INDEXES = {
    "tenants (name)", "payments (tenant_id)", "payments (invoice_id)",
    'usage_records (tenant_id, metric, "timestamp" DESC)',
}  # fmt: skip
LONGER = "the API always took longer texts; a new word of an enum needs no migration"
TEXT_ID = "an id that is no UUID is 404, not an error of the database"
ZONE = "times are UTC, with their zone"
EXACT = "nothing that clients send is rounded or refused"
PRICES = "money stands in columns of its own, for sums in SQL"
TENANT = "tenants can be switched off"
ODD = "(outlive_position) WHERE (outlive_extra IS NOT NULL)"
REASONS = {
    **dict.fromkeys(
        ["plans.plan_id", "plans.name", "plans.name_ar", "plans.tier", "tenants.name", "tenants.name_ar",
         "payments.tenant_id", "payments.currency", "payments.method", "payments.status", "payments.stripe_payment_id",
         "usage_records.tenant_id", "usage_records.metric"],
        LONGER,
    ),
    **dict.fromkeys(["tenants.tenant_id", "payments.payment_id", "payments.invoice_id"], TEXT_ID),
    **dict.fromkeys(
        ["plans.created_at", "tenants.created_at", "tenants.updated_at", "payments.processed_at",
         "usage_records.timestamp"],
        ZONE,
    ),
    **dict.fromkeys(["plans.trial_days", "payments.amount", "usage_records.quantity"], EXACT),
    **dict.fromkeys(["plans.pricing", "plans.monthly_usd", "plans.quarterly_usd", "plans.yearly_usd"], PRICES),
    "plans.description": "the API asks for it", "plans.description_ar": "the API asks for it",
    "tenants.is_active": TENANT,
    "payments.created_at": "lists show the newest first; a pending payment is not processed",
    "payments.failure_reason": "why it failed, as the gateway said",
    "payments.tharwatt_transaction_id": "the wallet's own id, beside the card's",
    "usage_records.id": "record_id, as the API calls it", "usage_records.record_id": "id of the requirement",
    "payments (tenant_id)": "the index of the list serves it",
    "payments (tenant_id, created_at DESC, outlive_position, payment_id)": "the list in its order",
    "invoices (tenant_id, issue_date DESC, outlive_position, invoice_id)": "the list in its order",
    "invoices (tenant_id, status, issue_date DESC, outlive_position, invoice_id)": "the list of one status",
    "invoices (status, paid_date)": "the revenue report", "invoices (subscription_id)": "its foreign key",
    "subscriptions (status, plan_id) INCLUDE (tenant_id, outlive_position) WHERE (outlive_extra IS NULL)":
        "their report",
    "subscriptions (outlive_position)": "the subscription that names a group of the report",
    "usage_totals (tenant_id, month)": "all quotas of a tenant in one read",
    "billing_history (invoice_id, outlive_position)": "the history of an invoice, in its order",
    "billing_history (tenant_id, changed_at)": "what was done to a tenant's invoices lately",
    **{f"{table} {ODD}": "the few rows that no other index decides" for table in (*ASKED, *OURS)},
}  # fmt: skip
RESTRICT = {
    "billing_history -> invoices", "invoices -> plans", "invoices -> subscriptions", "invoices -> tenants",
    "payments -> invoices", "subscriptions -> plans", "subscriptions -> tenants", "usage_records -> tenants",
    "usage_totals -> tenants",
}  # fmt: skip
OWN = {"outlive_version", "outlive_position", "outlive_extra"}


def catalogue(opened: Opened, statement: str) -> list[Any]:
    """Rows of a statement over the system's catalogue, about the billing tables."""
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        return conn.execute(statement.encode(), ([*ASKED, *OURS],)).fetchall()


def columns(opened: Opened) -> set[tuple[str, str]]:
    """`table.column` and type, outlive's own left out."""
    found = catalogue(
        opened,
        "SELECT table_name, column_name, udt_name FROM information_schema.columns"
        " WHERE table_name = ANY(%s) AND table_schema = 'public'",
    )
    return {(f"{table}.{name}", kind) for table, name, kind in found if name not in OWN}


@in_database
def test_each_difference_is_named_and_explained(opened: Opened) -> None:
    """Columns, types and indexes are as asked, or stand in REASONS; nothing else stands there."""
    asked = {(f"{table}.{name}", kind) for table, row in ASKED.items() for name, kind in row.items()}
    ours = {(name, kind) for name, kind in columns(opened) if name.partition(".")[0] in ASKED}
    whole = {
        (name, kind) for name, kind in ours if not name.startswith("invoices.")
    }  # the requirement names one column
    names = {name for name, _ in (whole | {("invoices.line_items", dict(ours)["invoices.line_items"])}) ^ asked}
    made = catalogue(opened, "SELECT indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname LIKE 'ix_%%'")
    indexes = {row[0].partition(" ON public.")[2].replace(" USING btree", "") for row in made}
    assert names | (indexes ^ INDEXES) == set(REASONS)


@in_database
def test_money_is_numeric_and_nothing_is_deleted_with_its_owner(opened: Opened) -> None:
    """Money is NUMERIC; a number is given once, a tenant has one subscription; every foreign key is RESTRICT."""
    kinds = dict(columns(opened))
    money = [
        name for name in kinds if name.endswith(("_usd", "total", "amount", "amount_paid", "amount_due", "tax_rate"))
    ]
    assert len(money) == 11
    assert {kinds[name] for name in money} == {"numeric"}
    keys = catalogue(
        opened, "SELECT conrelid::regclass::text, confrelid::regclass::text, confdeltype::text FROM pg_constraint"
        " WHERE contype = 'f' AND conrelid::regclass::text = ANY(%s)",
    )  # fmt: skip
    assert {f"{one} -> {other}" for one, other, _ in keys} == RESTRICT
    assert {kind for _, _, kind in keys} == {"r"}
    unique = catalogue(
        opened, "SELECT conname FROM pg_constraint WHERE contype = 'u' AND conrelid::regclass::text = ANY(%s)"
    )  # fmt: skip
    assert {name for (name,) in unique} == {"uq_invoices_invoice_number", "uq_subscriptions_tenant_id"}


@in_database
def test_rows_hold_what_was_answered(opened: Opened, http: Running) -> None:
    """Sums to the last digit, lines as JSON, and the month's use beside its records."""
    tenant = subscribe(http)
    due = invoice(http, tenant)
    pay(http, due["invoice_id"], "0.10")
    pay(http, due["invoice_id"], "0.20")
    for quantity in (2, 3):
        http.post(f"/v1/tenants/{tenant}/usage", json={"metric": "fields", "quantity": quantity})
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        sums = "SELECT amount_paid::text, amount_due::text, outlive_extra FROM invoices WHERE tenant_id = %s"
        assert conn.execute(sums, [tenant]).fetchall() == [("0.30", "28.70", None)]
        lines = "SELECT line_items -> 0 -> 'amount' ->> '$decimal' FROM invoices WHERE tenant_id = %s"
        assert conn.execute(lines, [tenant]).fetchall() == [("29",)]
        used = "SELECT sum(quantity)::int FROM usage_records WHERE tenant_id = %s"
        assert conn.execute(used, [tenant]).fetchall() == [(5,)]
        total = "SELECT metric, used::int, extract(day FROM month)::int FROM usage_totals WHERE tenant_id = %s"
        assert conn.execute(total, [tenant]).fetchall() == [("fields", 5, 1)]
        noted = "SELECT action, count(*) FROM billing_history WHERE tenant_id = %s GROUP BY 1 ORDER BY 1"
        assert conn.execute(noted, [tenant]).fetchall() == [
            ("invoice_created", 1), ("invoice_updated", 2), ("payment_created", 2),
        ]  # fmt: skip
