"""How money comes in: payments begin, succeed or fail, and what has succeeded moves its invoice."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any

from fastapi import HTTPException

from services.farm.billing import history
from services.farm.billing.auth import User
from services.farm.billing.gateways import GATEWAYS
from services.farm.billing.records import Invoice, InvoiceStatus, Method, Payment, PaymentStatus
from services.farm.billing.schemas import CreatePaymentRequest
from services.farm.billing.stores import invoices, payments, service
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
        if invoice.status == InvoiceStatus.PAID:
            raise HTTPException(400, ALREADY_PAID)
        now = clock.now()
        begun = Payment(
            payment_id, invoice.invoice_id, invoice.tenant_id, body.amount, body.method, PaymentStatus.PENDING, now,
            currency=invoice.currency,
        )  # fmt: skip
        payment, answer = await _charged(begun, body.stripe_token)
        await history.add_payment(payment, user.name)
        if payment.status == PaymentStatus.SUCCEEDED:
            invoice = await _settle(invoice, payment, user.name)
        return Paid(payment, invoice.status, answer)

    return await alone(service, ("invoice", body.invoice_id), once)


async def conclude(payment: Payment, status: PaymentStatus, by: str, **more: Any) -> Payment:
    """The payment after a gateway told how it went. What has succeeded stays so, and moves its invoice once."""

    async def once() -> Payment:
        held: Payment = await payments.repository.across_tenants().get(payment.payment_id)
        if held.status not in OPEN and not (held.status == PaymentStatus.FAILED and status == PaymentStatus.SUCCEEDED):
            return held
        now = clock.now()
        changed = await history.change_payment(held, by, now, status=status, processed_at=now, **more)
        if status == PaymentStatus.SUCCEEDED:
            invoice = await invoices.repository.across_tenants().get(held.invoice_id)
            await _settle(invoice, changed, by)
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


async def _settle(invoice: Invoice, payment: Payment, by: str) -> Invoice:
    """The invoice with a payment's amount; nothing due means paid, today."""
    paid = invoice.amount_paid + payment.amount
    due = invoice.total - paid
    fields: dict[str, Any] = {"amount_paid": paid, "amount_due": due, "last_payment_id": payment.payment_id}
    if due <= 0 and invoice.status != InvoiceStatus.PAID:
        fields |= {"status": InvoiceStatus.PAID, "paid_date": clock.today().date()}
    return await history.change_invoice(invoice, by, clock.now(), **fields)
