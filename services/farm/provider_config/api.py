"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

import logging
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from services.farm.common import answers, clock
from services.farm.common.app import build
from services.farm.common.ids import prefixed
from services.farm.provider_config.records import KINDS, Change, Config
from services.farm.provider_config.schemas import Providers
from services.farm.provider_config.stores import configs, history, service
from services.farm.provider_config.vault import decrypted, encrypted, masked

DEFAULTS = {
    "map_providers": [("openstreetmap", "primary"), ("esri_satellite", "secondary")],
    "weather_providers": [("open_meteo", "primary")],
    "satellite_providers": [],
}
Tenant = Annotated[str, Path(alias="tenant_id", pattern=r"^[^\x00]+$")]
Listed = dict[str, list[dict[str, Any]]]
router = APIRouter(prefix="/config")
log = logging.getLogger(__name__)


@router.get("/{tenant_id}")
async def get_config(tenant: Tenant) -> dict[str, Any]:
    """The tenant's providers with their keys, or the defaults."""
    held: Config | None = await configs.repository.for_tenant(tenant).get(tenant)
    if held is None:
        return {"tenant_id": tenant, **_defaults(), "is_default": True}
    return {"tenant_id": tenant, **_with_keys({kind: getattr(held, kind) for kind in KINDS}, decrypted)}


@router.post("/{tenant_id}")
async def put_config(tenant: Tenant, body: Providers) -> dict[str, Any]:
    """Replaces all of the tenant's providers; of two that come at the same time the later one counts."""
    given: Listed = body.model_dump(include=set(KINDS), mode="json")
    seen = _with_keys(given, masked)
    repository = configs.repository.across_tenants()  # the key is the tenant, so a put meets its own record alone
    await repository.put(Config(tenant, **_with_keys(given, encrypted), updated_at=clock.now()))
    await _remember(tenant, "updated", seen)
    return {"success": True, "config": {"tenant_id": tenant, **given}}


@router.delete("/{tenant_id}")
async def reset_config(tenant: Tenant) -> dict[str, Any]:
    if await configs.repository.for_tenant(tenant).delete(tenant):
        await _remember(tenant, "reset", None)
    return {"success": True, "message": "Configuration reset to defaults"}


@router.get("/{tenant_id}/history")
async def list_history(
    tenant: Tenant,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """What the tenant's providers were, the newest change first, with masked keys."""
    repository = history.repository.for_tenant(tenant)
    return await answers.page(repository, "history", limit=limit, offset=offset, order_by="-changed_at")


async def _remember(tenant: str, action: str, seen: Listed | None) -> None:
    change = Change(prefixed("change_", 12), tenant, action, clock.now(), None if seen is None else {**seen})
    await history.repository.for_tenant(tenant).insert(change)
    log.info("providers of %s: %s %s", tenant, action, seen or "")


def _with_keys(providers: Listed, how: Callable[[str | None], str | None]) -> Listed:
    """The providers with each API key made another."""
    return {kind: [{**each, "api_key": how(each["api_key"])} for each in listed] for kind, listed in providers.items()}


def _defaults() -> Listed:
    return {
        kind: [{"provider_name": name, "priority": priority, "enabled": True} for name, priority in listed]
        for kind, listed in DEFAULTS.items()
    }


app = build(
    service, "Provider configuration service", router, health={"status": "healthy", "service": "provider-config"}
)
