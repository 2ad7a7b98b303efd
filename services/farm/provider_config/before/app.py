"""The provider configuration service as it was: FastAPI over a dict that dies with the process."""

from enum import Enum
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI(title="Provider configuration service")


class ProviderPriority(str, Enum):
    PRIMARY = "primary"
    SECONDARY = "secondary"
    TERTIARY = "tertiary"
    DISABLED = "disabled"


class ProviderConfig(BaseModel):
    provider_name: str
    api_key: str | None = None
    priority: ProviderPriority = ProviderPriority.PRIMARY
    enabled: bool = True


class TenantProviderConfig(BaseModel):
    tenant_id: str
    map_providers: list[ProviderConfig] = []
    weather_providers: list[ProviderConfig] = []
    satellite_providers: list[ProviderConfig] = []


tenant_configs: dict[str, TenantProviderConfig] = {}


@app.get("/healthz")
def health() -> dict[str, Any]:
    return {"status": "healthy", "service": "provider-config"}


@app.get("/config/{tenant_id}")
async def get_tenant_config(tenant_id: str) -> Any:
    if tenant_id in tenant_configs:
        return tenant_configs[tenant_id]
    return {
        "tenant_id": tenant_id,
        "map_providers": [
            {"provider_name": "openstreetmap", "priority": "primary", "enabled": True},
            {"provider_name": "esri_satellite", "priority": "secondary", "enabled": True},
        ],
        "weather_providers": [{"provider_name": "open_meteo", "priority": "primary", "enabled": True}],
        "satellite_providers": [],
        "is_default": True,
    }


@app.post("/config/{tenant_id}")
async def update_tenant_config(tenant_id: str, config: TenantProviderConfig) -> dict[str, Any]:
    config.tenant_id = tenant_id
    tenant_configs[tenant_id] = config
    return {"success": True, "config": config}


@app.delete("/config/{tenant_id}")
async def reset_tenant_config(tenant_id: str) -> dict[str, Any]:
    tenant_configs.pop(tenant_id, None)
    return {"success": True, "message": "Configuration reset to defaults"}
