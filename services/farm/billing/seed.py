"""The built-in plans; the store takes them once in its life."""

from __future__ import annotations

import datetime as dt

from services.farm.billing.pricing import built_in
from services.farm.billing.stores import plans


def fill(now: dt.datetime) -> None:
    """Puts the built-in plans into a store that never held any."""
    for plan in built_in(now):
        plans[plan.plan_id] = plan
