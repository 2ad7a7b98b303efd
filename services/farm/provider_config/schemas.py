"""What clients send."""

from __future__ import annotations

from pydantic import BaseModel

from services.farm.provider_config.records import Priority


class Provider(BaseModel):
    provider_name: str
    api_key: str | None = None
    priority: Priority = Priority.PRIMARY
    enabled: bool = True


class Providers(BaseModel):
    """The tenant must be named, and is the path's all the same."""

    tenant_id: str
    map_providers: list[Provider] = []
    weather_providers: list[Provider] = []
    satellite_providers: list[Provider] = []
