"""How an alert's status changes: what is stamped, and the line of history that goes with it in the same unit."""

from __future__ import annotations

import uuid
from typing import Any

from services.farm.alerts.records import Alert, Status, Transition
from services.farm.alerts.stores import alerts, history
from services.farm.common import clock

STAMPED = {Status.ACKNOWLEDGED: "acknowledged", Status.DISMISSED: "dismissed", Status.RESOLVED: "resolved"}


async def raised(alert: Alert) -> None:
    """Keeps a new alert."""
    await alerts.repository.for_tenant(alert.tenant_id).insert(alert)
    await _note(alert, None, Status.ACTIVE, alert.source_service, None)


async def moved(alert: Alert, status: Status, by: str | None = None, note: str | None = None) -> Alert:
    """The alert with its new status, stamped with time and person; stamps of other states stay."""
    now = clock.now()
    fields: dict[str, Any] = {"status": status}
    stamp = STAMPED.get(status)
    if stamp is not None:
        fields |= {f"{stamp}_at": now, f"{stamp}_by": by}
    if status is Status.RESOLVED:
        fields |= {"resolution_note": note, "resolution_hours": (now - alert.created_at).total_seconds() / 3600}
    changed: Alert = await alerts.repository.for_tenant(alert.tenant_id).patch(alert.id, **fields)
    await _note(alert, alert.status, status, by, note)
    return changed


async def expire_due() -> int:
    """How many active alerts were marked as expired because their time is over."""
    due = await alerts.repository.across_tenants().find(status=Status.ACTIVE, ends_at__lte=clock.now(), limit=1000)
    for alert in due:
        await moved(alert, Status.EXPIRED, "system")
    return len(due)


async def _note(alert: Alert, old: Status | None, new: Status, by: str | None, note: str | None) -> None:
    line = Transition(str(uuid.uuid4()), alert.id, alert.tenant_id, old, new, clock.now(), by, note)
    await history.repository.for_tenant(alert.tenant_id).insert(line)
