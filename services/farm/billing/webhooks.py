"""What the gateways tell. FastAPI reads the annotations, so they are evaluated here and not kept as text.

Whoever does not know the secret is refused, in development too; without a secret everybody is.
"""

import hmac
import json
import os
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, HTTPException, Request

from services.farm.billing import payments, subscribing
from services.farm.billing.records import Payment, PaymentStatus, SubscriptionStatus
from services.farm.billing.stores import payments as payment_store
from services.farm.billing.stores import subscriptions
from services.farm.common import clock

TOLERANCE_S = 300
CANCELLED = "Payment cancelled by user"
STRIPE_STATUS = {
    "active": SubscriptionStatus.ACTIVE,
    "trialing": SubscriptionStatus.TRIAL,
    "past_due": SubscriptionStatus.PAST_DUE,
    "incomplete": SubscriptionStatus.PAST_DUE,
    "canceled": SubscriptionStatus.CANCELED,
    "unpaid": SubscriptionStatus.SUSPENDED,
    "paused": SubscriptionStatus.SUSPENDED,
    "incomplete_expired": SubscriptionStatus.EXPIRED,
}
router = APIRouter(prefix="/v1/webhooks")


@router.post("/tharwatt")
async def tharwatt_webhook(request: Request) -> dict[str, Any]:
    """`reference` is the payment's id; `status` completed, failed or cancelled."""
    body = await request.body()
    if not _signed("THARWATT_WEBHOOK_SECRET", body, [request.headers.get("X-Tharwatt-Signature", "")]):
        raise HTTPException(401, "Invalid webhook signature")
    told = _object(body, "Invalid payload format")
    reference, status = told.get("reference"), told.get("status")
    if not isinstance(reference, str) or not isinstance(status, str):
        raise HTTPException(400, "Invalid payload format")
    payment = await _payment(reference)
    if payment is None:
        raise HTTPException(404, "Payment not found")
    more = {"tharwatt_transaction_id": _text(told.get("transaction_id")) or payment.tharwatt_transaction_id}
    if status == "completed":
        payment = await payments.conclude(payment, PaymentStatus.SUCCEEDED, "tharwatt", failure_reason=None, **more)
    elif status in ("failed", "cancelled"):
        told_reason = _text(told.get("error_message")) or _text(told.get("message")) or "Payment failed"
        reason = CANCELLED if status == "cancelled" else told_reason
        payment = await payments.conclude(payment, PaymentStatus.FAILED, "tharwatt", failure_reason=reason, **more)
    return {"success": True, "payment_id": payment.payment_id, "status": payment.status}


@router.post("/stripe")
async def stripe_webhook(request: Request) -> dict[str, Any]:
    """Charges by `metadata.payment_id`, subscriptions by `metadata.subscription_id`; what is not ours is heard out."""
    body = await request.body()
    if not _stripe_signed(request.headers.get("Stripe-Signature", ""), body):
        raise HTTPException(400, "Invalid signature")
    event = _object(body, "Invalid payload")
    about = _part(_part(event, "data"), "object")
    known = _part(about, "metadata")
    if event.get("type") in ("charge.succeeded", "charge.failed"):
        payment = await _payment(_text(known.get("payment_id")) or "")
        if payment is not None:
            await _charge(payment, event["type"] == "charge.succeeded", about)
    elif event.get("type") == "customer.subscription.updated":
        await _subscription(_text(known.get("subscription_id")) or "", STRIPE_STATUS.get(str(about.get("status"))))
    return {"received": True}


async def _charge(payment: Payment, succeeded: bool, about: dict[str, Any]) -> None:
    status = PaymentStatus.SUCCEEDED if succeeded else PaymentStatus.FAILED
    reason = None if succeeded else _text(about.get("failure_message")) or "Payment failed"
    reference = _text(about.get("id")) or payment.stripe_payment_id
    await payments.conclude(payment, status, "stripe", failure_reason=reason, stripe_payment_id=reference)


async def _subscription(subscription_id: str, status: SubscriptionStatus | None) -> None:
    held = await subscriptions.repository.across_tenants().get(subscription_id) if status else None
    if status is not None and held is not None:
        await subscribing.set_status(held, status)


async def _payment(payment_id: str) -> Payment | None:
    held: Payment | None = await payment_store.repository.across_tenants().get(payment_id)
    return held


def _signed(secret_name: str, message: bytes, signatures: list[str]) -> bool:
    """Whether one of these is the hex HMAC-SHA256 of the message by the secret of that name."""
    secret = os.environ.get(secret_name, "")
    expected = hmac.new(secret.encode(), message, sha256).hexdigest().encode()
    return bool(secret) and any(hmac.compare_digest(each.encode(), expected) for each in signatures)


def _stripe_signed(header: str, body: bytes) -> bool:
    """Whether `t=<seconds>,v1=<hex>` signs `<seconds>.<body>`, at a time within the tolerance."""
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdigit() or len(times[0]) > 12:
        return False
    if abs(clock.now().timestamp() - int(times[0])) > TOLERANCE_S:
        return False
    signatures = [value for name, _, value in pairs if name == "v1"]
    return _signed("STRIPE_WEBHOOK_SECRET", times[0].encode() + b"." + body, signatures)


def _object(body: bytes, refusal: str) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise HTTPException(400, refusal)
    return told


def _part(whole: dict[str, Any], name: str) -> dict[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
