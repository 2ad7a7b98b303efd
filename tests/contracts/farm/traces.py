"""How a record gets into each service, and where it is found again; a service that is not named is not killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Request = tuple[str, str, dict[str, Any]]


@dataclass(frozen=True)
class Trace:
    """How a record gets into a service, and where it is found again.

    `enter(tenant, number)` is a request that keeps something; `found(tenant, number, answer)` is a request that answers
    200 only where that is kept. A service that is not `scoped` has no tenants.
    """

    enter: Callable[[str, int], Request]
    found: Callable[[str, int, Any], Request]
    scoped: bool = True


def of(tenant: str, **more: Any) -> dict[str, Any]:
    """Options of a request with the tenant in its header."""
    return {"headers": {"X-Tenant-Id": tenant}, **more}


ALERT = {"field_id": "f", "type": "pest", "severity": "high", "message": "m"}
ALERTS = Trace(
    lambda tenant, number: ("POST", "/alerts", of(tenant, json={**ALERT, "title": f"a{number}"})),
    lambda tenant, number, answer: ("GET", f"/alerts/{answer['id']}", of(tenant)),
)
EQUIPMENT = Trace(
    lambda tenant, number: (
        "POST",
        "/api/v1/equipment",
        of(tenant, json={"name": f"e{number}", "equipment_type": "pump"}),
    ),
    lambda tenant, number, answer: ("GET", f"/api/v1/equipment/{answer['equipment_id']}", of(tenant)),
)
TASKS = Trace(
    lambda tenant, number: ("POST", "/api/v1/tasks", of(tenant, json={"title": f"t{number}"})),
    lambda tenant, number, answer: ("GET", f"/api/v1/tasks/{answer['task_id']}", of(tenant)),
)
SUBSCRIBER = {"name_ar": "م", "email": "a@example.com", "phone": "1", "plan_id": "starter"}
BILLING = Trace(
    lambda tenant, number: ("POST", "/v1/tenants", {"json": {**SUBSCRIBER, "name": f"{tenant} {number}"}}),
    lambda tenant, number, answer: ("GET", f"/v1/tenants/{answer['tenant_id']}", {}),
)
OWNER = {"headers": {"X-Api-Key": "generated"}}
FACTS = Trace(
    lambda tenant, number: (
        "POST",
        "/facts",
        {**OWNER, "json": {"id": f"{tenant}.{number}", "category": "c", "statement": f"f{number}", "tags": ["t"]}},
    ),
    lambda tenant, number, answer: ("GET", f"/facts/{answer['id']}", OWNER),
    scoped=False,
)
FIELD_OPS = Trace(
    lambda tenant, number: (
        "POST",
        "/fields",
        {"json": {"tenant_id": tenant, "name": f"f{number}", "area_hectares": 1}},
    ),
    lambda tenant, number, answer: ("GET", f"/fields/{answer['id']}", {}),
)
DEVICE = {"field_id": "f", "device_type": "camera", "name_ar": "ا", "name_en": "d"}
IOT = Trace(
    lambda tenant, number: (
        "POST", "/device/register", {"json": {**DEVICE, "tenant_id": tenant, "device_id": f"{tenant}-{number}"}},
    ),
    lambda tenant, number, answer: ("GET", f"/device/{answer['device']['device_id']}", {}),
)  # fmt: skip
CHAT = Trace(
    lambda tenant, number: (
        "POST", "/chat/threads",
        {"json": {"tenant_id": tenant, "scope_type": "task", "scope_id": f"t{number}", "created_by": "u"}},
    ),
    lambda tenant, number, answer: ("GET", f"/chat/threads/{answer['thread_id']}", {"params": {"tenant_id": tenant}}),
)  # fmt: skip
SETTINGS = Trace(
    lambda tenant, number: (
        "PUT", "/v1/alerts/settings", {"params": {"tenant_id": tenant}, "json": {"expiry_warning_days": number}}
    ),
    lambda tenant, number, answer: ("GET", "/v1/alerts/settings", {"params": {"tenant_id": tenant}}),
)  # fmt: skip
VRA_BODY = {"latitude": 15.3, "longitude": 44.2, "vra_type": "fertilizer", "target_rate": 100, "unit": "kg/ha"}
VRA = Trace(
    lambda tenant, number: ("POST", "/v1/vra/generate", {"json": {**VRA_BODY, "field_id": f"{tenant}-{number}"}}),
    lambda tenant, number, answer: ("GET", f"/v1/vra/prescription/{answer['id']}", {}),
)
PROVIDERS = {"map_providers": [{"provider_name": "openstreetmap"}], "weather_providers": [], "satellite_providers": []}
PROVIDER = Trace(
    lambda tenant, number: (
        "POST", f"/config/{tenant}_{number}", {"json": {**PROVIDERS, "tenant_id": f"{tenant}_{number}"}}
    ),
    lambda tenant, number, answer: ("GET", f"/config/{tenant}_{number}", {}),
)  # fmt: skip
TRACES = {
    "alerts": ALERTS,
    "billing": BILLING,
    "equipment": EQUIPMENT,
    "facts": FACTS,
    "field_chat": CHAT,
    "field_ops": FIELD_OPS,
    "inventory": SETTINGS,
    "iot_gateway": IOT,
    "provider_config": PROVIDER,
    "tasks": TASKS,
    "vegetation": VRA,
}
