"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response

import outlive
from services.farm.alerts import changes, stats
from services.farm.alerts.records import Alert, AlertType, Rule, Severity, Status
from services.farm.alerts.schemas import NOTHING, AlertCreate, AlertUpdate, RuleCreate
from services.farm.alerts.stores import alerts, history, rules, service
from services.farm.common import answers, clock
from services.farm.common.app import build
from services.farm.common.tenant import Tenant

router = APIRouter(prefix="/alerts")


@router.post("")
async def create_alert(tenant: Tenant, body: AlertCreate) -> Response:
    if body.tenant_id is not None and body.tenant_id != tenant:
        raise HTTPException(403, "Tenant ID mismatch")
    given = dict(body)
    place = given.pop("location")
    made = Alert(
        **{
            **given,
            "id": str(uuid.uuid4()),
            "tenant_id": tenant,
            "created_at": clock.now(),
            "fields": list(dict.fromkeys([body.field_id, *(body.field_ids or [])])),
            "recommendations": body.recommendations or [],
            "recommendations_en": body.recommendations_en or [],
            "metadata": body.metadata or {},
            "expires_at": body.expires_at and body.expires_at.isoformat(),
            "ends_at": body.expires_at and clock.in_utc(body.expires_at),
            "lat": place and place.lat,
            "lng": place and place.lng,
        }
    )
    await changes.raised(made)
    return _shown(made)


@router.get("/field/{field_id}")
async def list_of_field(
    tenant: Tenant,
    field_id: str,
    status: Status | None = None,
    severity: Severity | None = None,
    type: AlertType | None = None,
    skip: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Response:
    """Alerts about a field, the newest first, whether it is their field or one of several."""
    filters = answers.given(status=status, severity=severity, type=type)
    total, items = await answers.counted(
        alerts.repository.for_tenant(tenant), limit=limit, offset=skip, order_by="-created_at", fields__has=field_id,
        **filters,
    )  # fmt: skip
    return answers.enveloped("items", items, total=total, skip=skip, limit=limit, has_more=skip + limit < total)


@router.get("/stats")
async def get_stats(field_id: str | None = None, period: str = "30d") -> dict[str, Any]:
    return await stats.of(field_id, period)


@router.post("/expire-due")
async def expire_due() -> dict[str, int]:
    """Marks active alerts as expired whose time is over, a thousand a call; for a scheduler."""
    return {"expired": await changes.expire_due()}


@router.post("/rules")
async def create_rule(body: RuleCreate) -> Response:
    now = clock.now()
    parts = {
        "condition": body.condition.model_dump(mode="json"),
        "alert_config": body.alert_config.model_dump(mode="json"),
    }
    made = Rule(**{**dict(body), **parts, "id": str(uuid.uuid4()), "created_at": now, "updated_at": now})
    await rules.repository.insert(made)
    return answers.record(rules.repository, made)


@router.get("/rules")
async def list_rules(field_id: str | None = None, enabled: bool | None = None) -> Response:
    return outlive.json_response(await rules.repository.find_json(**answers.given(field_id=field_id, enabled=enabled)))


@router.delete("/rules/{rule_id}")
async def delete_rule(rule_id: str) -> dict[str, str]:
    if not await rules.repository.delete(rule_id):
        raise HTTPException(404, "Rule not found")
    return {"status": "deleted", "rule_id": rule_id}


@router.get("/{alert_id}")
async def get_alert(tenant: Tenant, alert_id: str) -> Response:
    body = await alerts.repository.for_tenant(tenant).get_json(alert_id)
    return _shown(await _owned(tenant, alert_id)) if body is None else outlive.json_response(body)


@router.patch("/{alert_id}")
async def update_alert(tenant: Tenant, alert_id: str, body: AlertUpdate = NOTHING) -> Response:
    """Only a status changes anything."""
    held = await _owned(tenant, alert_id)
    if body.status is None:
        return _shown(held)
    by = getattr(body, f"{changes.STAMPED[body.status]}_by") if body.status in changes.STAMPED else None
    return _shown(await changes.moved(held, body.status, by, body.resolution_note))


@router.delete("/{alert_id}")
async def delete_alert(tenant: Tenant, alert_id: str) -> dict[str, str]:
    await _owned(tenant, alert_id)
    await alerts.repository.for_tenant(tenant).delete(alert_id)
    return {"status": "deleted", "alert_id": alert_id}


@router.post("/{alert_id}/acknowledge")
async def acknowledge(tenant: Tenant, alert_id: str, user_id: str) -> Response:
    held = await _owned(tenant, alert_id)
    if held.status != Status.ACTIVE:
        raise HTTPException(400, f"Cannot acknowledge alert with status: {held.status.value}")
    return _shown(await changes.moved(held, Status.ACKNOWLEDGED, user_id))


@router.post("/{alert_id}/resolve")
async def resolve(tenant: Tenant, alert_id: str, user_id: str, note: str | None = None) -> Response:
    held = await _owned(tenant, alert_id)
    if held.status == Status.RESOLVED:
        raise HTTPException(400, "Alert is already resolved")
    return _shown(await changes.moved(held, Status.RESOLVED, user_id, note))


@router.post("/{alert_id}/dismiss")
async def dismiss(tenant: Tenant, alert_id: str, user_id: str) -> Response:
    held = await _owned(tenant, alert_id)
    if held.status == Status.DISMISSED:
        raise HTTPException(400, "Alert is already dismissed")
    return _shown(await changes.moved(held, Status.DISMISSED, user_id))


@router.get("/{alert_id}/history")
async def list_history(tenant: Tenant, alert_id: str) -> Response:
    """Each change of the alert's status, the oldest first; it outlives the alert."""
    lines = await history.repository.for_tenant(tenant).find_json(alert_id=alert_id, order_by="created_at")
    if lines == b"[]":
        await _owned(tenant, alert_id)
    return answers.enveloped("history", lines, alert_id=alert_id)


def _shown(alert: Alert) -> Response:
    return answers.record(alerts.repository, alert)


async def _owned(tenant: str, alert_id: str) -> Alert:
    """The tenant's alert. Raises 404 where there is none, 403 where it is another's: ownership is looked up."""
    held: Alert | None = await alerts.repository.across_tenants().get(alert_id)
    if held is None:
        raise HTTPException(404, "Alert not found")
    if held.tenant_id != tenant:
        raise HTTPException(403, "Access denied")
    return held


HEALTH = {"status": "healthy", "service": "alert-service", "version": "16.0.0"}
app = build(service, "Alert service", router, health=HEALTH, health_paths=("/health", "/healthz", "/readyz"))
