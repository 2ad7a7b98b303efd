"""The alert service as it was: FastAPI over two dicts of dicts that die with the process."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, FastAPI, Header, HTTPException, Query
from pydantic import BaseModel, Field

app = FastAPI(title="Alert service")

# Storage for alerts and rules
_alerts: dict[str, dict[str, Any]] = {}
_rules: dict[str, dict[str, Any]] = {}


class AlertType(str, Enum):
    WEATHER = "weather"
    PEST = "pest"
    DISEASE = "disease"
    IRRIGATION = "irrigation"
    FERTILIZER = "fertilizer"
    HARVEST = "harvest"
    NDVI_LOW = "ndvi_low"
    NDVI_ANOMALY = "ndvi_anomaly"
    SOIL_MOISTURE = "soil_moisture"
    EQUIPMENT = "equipment"
    GENERAL = "general"


class AlertSeverity(str, Enum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class AlertStatus(str, Enum):
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    DISMISSED = "dismissed"
    RESOLVED = "resolved"
    EXPIRED = "expired"


class ConditionOperator(str, Enum):
    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"


class AlertCreate(BaseModel):
    field_id: str
    tenant_id: str | None = None
    type: AlertType
    severity: AlertSeverity
    title: str = Field(min_length=1, max_length=200)
    title_en: str | None = Field(None, max_length=200)
    message: str = Field(min_length=1, max_length=2000)
    message_en: str | None = Field(None, max_length=2000)
    recommendations: list[str] | None = []
    recommendations_en: list[str] | None = []
    metadata: dict[str, Any] | None = {}
    expires_at: datetime | None = None
    source_service: str | None = None
    correlation_id: str | None = None


class AlertUpdate(BaseModel):
    status: AlertStatus | None = None
    acknowledged_by: str | None = None
    dismissed_by: str | None = None
    resolved_by: str | None = None
    resolution_note: str | None = Field(None, max_length=1000)


class RuleCondition(BaseModel):
    metric: str
    operator: ConditionOperator
    value: float
    duration_minutes: int | None = Field(0, ge=0)


class AlertRuleConfig(BaseModel):
    type: AlertType
    severity: AlertSeverity
    title: str = Field(max_length=200)
    title_en: str | None = None
    message_template: str | None = None


class AlertRuleCreate(BaseModel):
    field_id: str
    tenant_id: str | None = None
    name: str = Field(min_length=1, max_length=100)
    name_en: str | None = None
    enabled: bool = True
    condition: RuleCondition
    alert_config: AlertRuleConfig
    cooldown_hours: int = Field(24, ge=0, le=168)


def get_tenant_id(x_tenant_id: Annotated[str | None, Header(alias="X-Tenant-Id")] = None) -> str:
    """Whose alerts a request is about."""
    if not x_tenant_id:
        raise HTTPException(400, "X-Tenant-Id header is required")
    return x_tenant_id


def get_alert_or_404(alert_id: str, tenant_id: str) -> dict[str, Any]:
    """The alert of an id, if it is the tenant's."""
    alert = _alerts.get(alert_id)
    if alert is None:
        raise HTTPException(404, "Alert not found")
    if alert["tenant_id"] != tenant_id:
        raise HTTPException(403, "Access denied")
    return alert


def now() -> str:
    """This moment as text."""
    return datetime.now(UTC).isoformat()


@app.get("/health")
@app.get("/healthz")
@app.get("/readyz")
def health() -> dict[str, str]:
    return {"status": "healthy", "service": "alert-service", "version": "16.0.0"}


@app.post("/alerts")
async def create_alert(data: AlertCreate, tenant_id: str = Depends(get_tenant_id)) -> dict[str, Any]:
    if data.tenant_id is not None and data.tenant_id != tenant_id:
        raise HTTPException(403, "Tenant ID mismatch")
    alert_id = str(uuid4())
    alert = {
        "id": alert_id,
        **data.model_dump(mode="json"),
        "tenant_id": tenant_id,
        "status": AlertStatus.ACTIVE.value,
        "recommendations": data.recommendations or [],
        "recommendations_en": data.recommendations_en or [],
        "metadata": data.metadata or {},
        "expires_at": data.expires_at and data.expires_at.isoformat(),
        "created_at": now(),
        "acknowledged_at": None,
        "acknowledged_by": None,
        "dismissed_at": None,
        "dismissed_by": None,
        "resolved_at": None,
        "resolved_by": None,
        "resolution_note": None,
    }
    _alerts[alert_id] = alert
    return alert


@app.get("/alerts/field/{field_id}")
async def get_alerts_by_field(
    field_id: str,
    status: AlertStatus | None = None,
    severity: AlertSeverity | None = None,
    alert_type: Annotated[AlertType | None, Query(alias="type")] = None,
    skip: int = Query(0, ge=0),
    limit: int = Query(50, ge=1, le=100),
    tenant_id: str = Depends(get_tenant_id),
) -> dict[str, Any]:
    found = [a for a in _alerts.values() if a["field_id"] == field_id and a["tenant_id"] == tenant_id]
    if status:
        found = [a for a in found if a["status"] == status.value]
    if severity:
        found = [a for a in found if a["severity"] == severity.value]
    if alert_type:
        found = [a for a in found if a["type"] == alert_type.value]
    found.sort(key=lambda a: a["created_at"], reverse=True)
    return {
        "items": found[skip : skip + limit],
        "total": len(found),
        "skip": skip,
        "limit": limit,
        "has_more": skip + limit < len(found),
    }


@app.get("/alerts/stats")
async def get_stats(field_id: str | None = None, period: str = "30d") -> dict[str, Any]:
    since = (datetime.now(UTC) - timedelta(days=int(period.removesuffix("d")))).isoformat()
    found = [a for a in _alerts.values() if a["created_at"] >= since]
    if field_id:
        found = [a for a in found if a["field_id"] == field_id]
    by_type: dict[str, int] = {}
    by_severity: dict[str, int] = {}
    by_status: dict[str, int] = {}
    hours = []
    for a in found:
        by_type[a["type"]] = by_type.get(a["type"], 0) + 1
        by_severity[a["severity"]] = by_severity.get(a["severity"], 0) + 1
        by_status[a["status"]] = by_status.get(a["status"], 0) + 1
        if a["status"] == "resolved":
            took = datetime.fromisoformat(a["resolved_at"]) - datetime.fromisoformat(a["created_at"])
            hours.append(took.total_seconds() / 3600)
    total = len(found)
    return {
        "total_alerts": total,
        "active_alerts": by_status.get("active", 0),
        "by_type": by_type,
        "by_severity": by_severity,
        "by_status": by_status,
        "acknowledged_rate": round(by_status.get("acknowledged", 0) / total * 100, 2) if total else 0.0,
        "resolved_rate": round(by_status.get("resolved", 0) / total * 100, 2) if total else 0.0,
        "average_resolution_hours": round(sum(hours) / len(hours), 2) if hours else None,
    }


@app.post("/alerts/rules")
async def create_rule(data: AlertRuleCreate) -> dict[str, Any]:
    rule_id = str(uuid4())
    rule = {
        "id": rule_id,
        **data.model_dump(mode="json"),
        "last_triggered_at": None,
        "created_at": now(),
        "updated_at": now(),
    }
    _rules[rule_id] = rule
    return rule


@app.get("/alerts/rules")
async def get_rules(field_id: str | None = None, enabled: bool | None = None) -> list[dict[str, Any]]:
    found = list(_rules.values())
    if field_id is not None:
        found = [r for r in found if r["field_id"] == field_id]
    if enabled is not None:
        found = [r for r in found if r["enabled"] == enabled]
    return found


@app.delete("/alerts/rules/{rule_id}")
async def delete_rule(rule_id: str) -> dict[str, str]:
    if rule_id not in _rules:
        raise HTTPException(404, "Rule not found")
    del _rules[rule_id]
    return {"status": "deleted", "rule_id": rule_id}


@app.get("/alerts/{alert_id}")
async def get_alert(alert_id: str, tenant_id: str = Depends(get_tenant_id)) -> dict[str, Any]:
    return get_alert_or_404(alert_id, tenant_id)


@app.patch("/alerts/{alert_id}")
async def update_alert(
    alert_id: str, data: AlertUpdate | None = None, tenant_id: str = Depends(get_tenant_id)
) -> dict[str, Any]:
    alert = get_alert_or_404(alert_id, tenant_id)
    if data and data.status:
        alert["status"] = data.status.value
        if data.status == AlertStatus.ACKNOWLEDGED:
            alert["acknowledged_at"] = now()
            alert["acknowledged_by"] = data.acknowledged_by
        elif data.status == AlertStatus.DISMISSED:
            alert["dismissed_at"] = now()
            alert["dismissed_by"] = data.dismissed_by
        elif data.status == AlertStatus.RESOLVED:
            alert["resolved_at"] = now()
            alert["resolved_by"] = data.resolved_by
            alert["resolution_note"] = data.resolution_note
    return alert


@app.delete("/alerts/{alert_id}")
async def delete_alert(alert_id: str, tenant_id: str = Depends(get_tenant_id)) -> dict[str, str]:
    get_alert_or_404(alert_id, tenant_id)
    del _alerts[alert_id]
    return {"status": "deleted", "alert_id": alert_id}


@app.post("/alerts/{alert_id}/acknowledge")
async def acknowledge_alert(alert_id: str, user_id: str, tenant_id: str = Depends(get_tenant_id)) -> dict[str, Any]:
    alert = get_alert_or_404(alert_id, tenant_id)
    if alert["status"] != AlertStatus.ACTIVE.value:
        raise HTTPException(400, f"Cannot acknowledge alert with status: {alert['status']}")
    alert.update(status="acknowledged", acknowledged_at=now(), acknowledged_by=user_id)
    return alert


@app.post("/alerts/{alert_id}/resolve")
async def resolve_alert(
    alert_id: str, user_id: str, note: str | None = None, tenant_id: str = Depends(get_tenant_id)
) -> dict[str, Any]:
    alert = get_alert_or_404(alert_id, tenant_id)
    if alert["status"] == AlertStatus.RESOLVED.value:
        raise HTTPException(400, "Alert is already resolved")
    alert.update(status="resolved", resolved_at=now(), resolved_by=user_id, resolution_note=note)
    return alert


@app.post("/alerts/{alert_id}/dismiss")
async def dismiss_alert(alert_id: str, user_id: str, tenant_id: str = Depends(get_tenant_id)) -> dict[str, Any]:
    alert = get_alert_or_404(alert_id, tenant_id)
    if alert["status"] == AlertStatus.DISMISSED.value:
        raise HTTPException(400, "Alert is already dismissed")
    alert.update(status="dismissed", dismissed_at=now(), dismissed_by=user_id)
    return alert
