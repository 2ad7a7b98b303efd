"""Who did what to an invoice or a payment, written with the change itself."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

from services.farm.billing.records import Change, Invoice, Payment
from services.farm.billing.stores import history, invoices, payments

UNTOLD = ("updated_at", "last_payment_id")


async def add_invoice(invoice: Invoice, by: str) -> None:
    """Inserts a new invoice."""
    await invoices.repository.across_tenants().insert(invoice)
    await _note("invoice_created", invoice, by, invoice.created_at, _shown(invoices, invoice))


async def add_payment(payment: Payment, by: str) -> None:
    """Inserts a new payment."""
    await payments.repository.across_tenants().insert(payment)
    await _note("payment_created", payment, by, payment.created_at, _shown(payments, payment))


async def change_invoice(invoice: Invoice, by: str, at: dt.datetime, **fields: Any) -> Invoice:
    """The invoice with these fields set."""
    changed: Invoice = await invoices.repository.across_tenants().patch(invoice.invoice_id, updated_at=at, **fields)
    await _note("invoice_updated", changed, by, at, _shown(invoices, changed), _shown(invoices, invoice))
    return changed


async def change_payment(payment: Payment, by: str, at: dt.datetime, **fields: Any) -> Payment:
    """The payment with these fields set."""
    changed: Payment = await payments.repository.across_tenants().patch(payment.payment_id, **fields)
    await _note("payment_updated", changed, by, at, _shown(payments, changed), _shown(payments, payment))
    return changed


def _shown(store: Any, record: Any) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(store.repository.encode_json(record))
    return {name: value for name, value in shown.items() if name not in UNTOLD}


async def _note(
    action: str, record: Invoice | Payment, by: str, at: dt.datetime,
    new: dict[str, Any], old: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """What was null and is null is left out."""
    before = old or {}
    changes = {
        name: {"old": before.get(name), "new": value} for name, value in new.items() if before.get(name) != value
    }  # fmt: skip
    payment_id = record.payment_id if isinstance(record, Payment) else None
    made = Change(str(uuid.uuid4()), record.tenant_id, record.invoice_id, action, by, at, changes, payment_id)
    await history.repository.across_tenants().insert(made)
