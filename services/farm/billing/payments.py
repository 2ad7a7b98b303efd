"""How money comes in: payments begin, succeed or fail, and what has succeeded moves its invoice."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fastapi import HTTPException

from services.farm.billing import history
from services.farm.billing.auth import User
from services.farm.billing.gateways import GATEWAYS
from services.farm.billing.records import Invoice, InvoiceStatus, Method, Payment, PaymentStatus
from services.farm.billing.schemas import CreatePaymentRequest
from services.farm.billing.stores import invoices, service
from services.farm.common import clock
from services.farm.common.alone import alone

NO_INVOICE = "الفاتورة غير موجودة"
ALREADY_PAID = "الفاتورة مدفوعة بالفعل"
OPEN = (PaymentStatus.PENDING, PaymentStatus.PROCESSING)


@dataclass(frozen=True)
class Paid:
    """A payment, its invoice's status after it, and what a gateway answered."""

    payment: Payment
    invoice_status: InvoiceStatus
    answer: dict[str, Any] | None


async def invoice_of(invoice_id: str, user: User) -> Invoice:
    """The invoice. Raises 404, and 403 where it is another tenant's."""
    held: Invoice | None = await invoices.repository.across_tenants().get(invoice_id)
    if held is None:
        raise HTTPException(404, NO_INVOICE)
    user.must_own(held.tenant_id)
    return held


async def pay(body: CreatePaymentRequest, user: User) -> Paid:
    """A new payment: cash succeeds at once, cards and tharwatt if their gateway says so, the rest waits."""
    payment_id = str(uuid.uuid4())

    async def once() -> Paid:
        invoice = await invoice_of(body.invoice_id, user)
        _must_be_open(invoice)
        begun = Payment(
            payment_id, invoice.invoice_id, invoice.tenant_id, body.amount, body.method, PaymentStatus.PENDING,
            clock.now(), currency=invoice.currency,
        )  # fmt: skip
        payment, answer = await _charged(begun, body.stripe_token)
        await history.add_payment(payment, user.name)
        if payment.status == PaymentStatus.SUCCEEDED:
            invoice = await _settle(payment, user.name, _must_be_open)
        return Paid(payment, invoice.status, answer)

    return await alone(service, ("invoice", body.invoice_id), once)


async def conclude(payment: Payment, status: PaymentStatus, by: str, **more: Any) -> Payment:
    """The payment after a gateway told how it went. What has succeeded stays so, and moves its invoice once."""

    async def once() -> Payment:
        now = clock.now()
        told = {"status": status, "processed_at": now, **more}
        counts = []

        def how(held: Payment) -> dict[str, Any]:
            again = held.status == PaymentStatus.FAILED and status == PaymentStatus.SUCCEEDED
            counts.append(held.status in OPEN or again)
            return told if counts[-1] else {}

        changed = await history.change_payment(payment.payment_id, by, now, how)
        if counts[-1] and status == PaymentStatus.SUCCEEDED:
            await _settle(changed, by)
        return changed

    return await alone(service, ("invoice", payment.invoice_id), once)


async def _charged(payment: Payment, token: str | None) -> tuple[Payment, dict[str, Any] | None]:
    if payment.method == Method.CASH:
        return replace(payment, status=PaymentStatus.SUCCEEDED, processed_at=payment.created_at), None
    gateway = GATEWAYS.get(payment.method)
    if gateway is None:
        return payment, None
    said = await gateway.charge(payment, token)
    name = "tharwatt_transaction_id" if payment.method == Method.THARWATT else "stripe_payment_id"
    known: dict[str, Any] = {name: said.reference, "failure_reason": said.reason}
    processed = None if said.status in OPEN else payment.created_at
    return replace(payment, status=said.status, processed_at=processed, **known), said.answer


async def _settle(payment: Payment, by: str, check: Callable[[Invoice], None] | None = None) -> Invoice:
    """The invoice with a payment's amount, if `check` lets it pass; nothing due means paid, today."""
    now = clock.now()

    def how(held: Invoice) -> dict[str, Any]:
        if check is not None:
            check(held)
        paid = held.amount_paid + payment.amount
        due = held.total - paid
        fields = {"amount_paid": paid, "amount_due": due, "last_payment_id": payment.payment_id, "updated_at": now}
        if due <= 0 and held.status != InvoiceStatus.PAID:
            fields |= {"status": InvoiceStatus.PAID, "paid_date": now.date()}
        return fields

    return await history.change_invoice(payment.invoice_id, by, now, how)


def _must_be_open(invoice: Invoice) -> None:
    """Raises 400 for an invoice that is paid."""
    if invoice.status == InvoiceStatus.PAID:
        raise HTTPException(400, ALREADY_PAID)
