"""Who did what to an invoice or a payment, written with the change itself."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from services.farm.billing.records import Change, Invoice, Payment
from services.farm.billing.stores import history, invoices, payments

UNTOLD = ("updated_at", "last_payment_id")
T = TypeVar("T")
How = Callable[[T], Mapping[str, Any]]


async def add_invoice(invoice: Invoice, by: str) -> None:
    """Inserts a new invoice."""
    await invoices.repository.across_tenants().insert(invoice)
    await _note("invoice_created", invoice, by, invoice.created_at, _shown(invoices, invoice))


async def add_payment(payment: Payment, by: str) -> None:
    """Inserts a new payment."""
    await payments.repository.across_tenants().insert(payment)
    await _note("payment_created", payment, by, payment.created_at, _shown(payments, payment))


async def change_invoice(invoice_id: str, by: str, at: dt.datetime, how: How[Invoice]) -> Invoice:
    """The invoice with the fields that `how` gives, decided on the very record that is written."""
    changed: Invoice = await _change(invoices, "invoice_updated", invoice_id, by, at, how)
    return changed


async def change_payment(payment_id: str, by: str, at: dt.datetime, how: How[Payment]) -> Payment:
    """The payment with the fields that `how` gives; without fields nothing is noted."""
    changed: Payment = await _change(payments, "payment_updated", payment_id, by, at, how)
    return changed


async def _change(store: Any, action: str, key: str, by: str, at: dt.datetime, how: Any) -> Any:
    seen: list[Any] = []

    def decided(held: Any) -> dict[str, Any]:
        seen.append(held)
        return dict(how(held))

    changed = await store.repository.across_tenants().update(key, decided)
    new, old = _shown(store, changed), _shown(store, seen[-1])
    if new != old:
        await _note(action, changed, by, at, new, old)
    return changed


def _shown(store: Any, record: Any) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(store.repository.encode_json(record))
    return {name: value for name, value in shown.items() if name not in UNTOLD}


async def _note(
    action: str, record: Invoice | Payment, by: str, at: dt.datetime,
    new: dict[str, Any], old: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """What was null and is null is left out. Names stand in jsonb's order, so that no copy is kept for their own."""
    before = old or {}
    changes = {
        name: {"new": new[name], "old": before.get(name)}
        for name in sorted(new, key=lambda name: (len(name), name))
        if before.get(name) != new[name]
    }
    payment_id = record.payment_id if isinstance(record, Payment) else None
    made = Change(str(uuid.uuid4()), record.tenant_id, record.invoice_id, action, by, at, changes, payment_id)
    await history.repository.across_tenants().insert(made)
