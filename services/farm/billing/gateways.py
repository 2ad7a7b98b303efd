"""The ways to take money from a card or a wallet. None is configured here, so such payments stay pending.

A deployment sets `GATEWAYS[method]` to an object with `charge`; nothing else of the service changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from services.farm.billing.records import Method, Payment, PaymentStatus


@dataclass(frozen=True)
class Charged:
    """What a gateway said: the payment's status now, the gateway's own id of it, and its answer as clients get it."""

    status: PaymentStatus
    reference: str | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None


class Gateway(Protocol):
    """Takes the money of one payment."""

    async def charge(self, payment: Payment, token: str | None) -> Charged:
        """What came of it. A charge of the same payment id twice must take the money once."""
        ...


GATEWAYS: dict[Method, Gateway] = {}
