"""The store: this module is all that outlive asks of the service, beside `outlive.install`."""

from __future__ import annotations

from typing import Any

import outlive
from services.farm.common.app import declare
from services.farm.iot_gateway import models
from services.farm.iot_gateway.records import Device

service = declare("iot_gateway", __file__)
devices = outlive.mapping(
    "devices", Device, key="device_id", tenant="tenant_id", model=models.DeviceRow, service=service,
    indexes=["field_id", "device_type", "status"],
)  # fmt: skip


def registry(tenant: str | None = None) -> Any:
    """The devices of a tenant; without one those of all, as the contract has it."""
    return devices.repository.across_tenants() if tenant is None else devices.repository.for_tenant(tenant)
