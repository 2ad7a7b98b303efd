"""What every service has: its package, the document of its API, and what a request to it needs."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENTS = Path(__file__).resolve().parent.parent / "openapi"


@dataclass(frozen=True)
class Known:
    """A service: `headers` go with every generated request, `environment` is what it is started with."""

    name: str
    package: str
    document: str
    headers: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its code lies."""
        spec = importlib.util.find_spec(self.package)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        return Path(next(iter(spec.submodule_search_locations)))


KEY = {"X-Api-Key": "generated"}
TENANT = {"X-Tenant-Id": "tenant_generated"}
SERVICES = [
    Known("alerts", "services.farm.alerts", "alert-service", TENANT),
    Known("billing", "services.farm.billing", "billing-core", environment={"ENVIRONMENT": "development"}),
    Known("crop_health", "services.farm.crop_health", "crop-health-ai"),
    Known("equipment", "services.farm.equipment", "equipment-service"),
    Known("vegetation", "services.farm.vegetation", "vegetation-analysis-service"),
    Known("satellite", "services.farm.satellite", "satellite-service"),
    Known("facts", "services.facts", "taas", KEY, {"API_KEY": KEY["X-Api-Key"], "VALIDATE_RATE_LIMIT": "1000/minute"}),
    Known("field_chat", "services.farm.field_chat", "field-chat"),
    Known("field_ops", "services.farm.field_ops", "field-ops"),
    Known("inventory", "services.farm.inventory", "inventory-service"),
    Known("iot_gateway", "services.farm.iot_gateway", "iot-gateway"),
    Known("provider_config", "services.farm.provider_config", "provider-config"),
    Known("tasks", "services.farm.tasks", "task-service", headers=TENANT),
    Known("notifications", "services.farm.notifications", "notification-service"),
]
