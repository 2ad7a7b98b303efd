"""The inventory service's alert settings as they were: FastAPI over a dict that dies with the process."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI(title="Inventory service")


class AlertSettings(BaseModel):
    expiry_warning_days: int = 30
    expiry_critical_days: int = 7
    enable_email_alerts: bool = True
    enable_push_alerts: bool = True
    alert_check_interval: int = 60


settings_db: dict[str, dict[str, Any]] = {}


@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "healthy", "service": "sahool-inventory-service"}


@app.get("/v1/alerts/settings")
async def get_settings(tenant_id: str = "tenant_demo") -> dict[str, Any]:
    return settings_db.get(tenant_id) or AlertSettings().model_dump()


@app.put("/v1/alerts/settings")
async def put_settings(settings: AlertSettings, tenant_id: str = "tenant_demo") -> dict[str, Any]:
    settings_db[tenant_id] = settings.model_dump()
    return settings_db[tenant_id]
