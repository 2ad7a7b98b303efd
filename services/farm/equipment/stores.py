"""The stores: this module is all that outlive asks of the service, beside `outlive.install`."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import outlive
from services.farm.common.app import declare
from services.farm.equipment import models
from services.farm.equipment.records import Alert, Equipment, Maintenance, Photo

service = declare("equipment", __file__)


class EquipmentRepository(outlive.Repository):
    """Deleted equipment stays in the table and is left out of every answer."""

    json_view = outlive.JsonView(hide=("deleted_at",), utc="", utc_of={"purchase_date": "Z"})

    async def live(self, equipment_id: str) -> Equipment | None:
        """The equipment of an id that is not deleted."""
        held: Equipment | None = await self.get(equipment_id)
        return held if held is not None and held.deleted_at is None else None

    async def change(self, equipment_id: str, at: dt.datetime, **fields: Any) -> Equipment | None:
        """The equipment with these fields set, updated at that time; None if it is deleted or was never there."""
        if await self.live(equipment_id) is None:
            return None
        changed: Equipment | None = await self.patch(equipment_id, updated_at=at, **fields)
        return changed


class OwnedRepository(outlive.Repository):
    """What belongs to a machine; its tenant is not shown."""

    json_view = outlive.JsonView(hide=("tenant_id",), utc="")


class AlertRepository(outlive.Repository):
    """Alerts that were stored; whether somebody has seen one is not shown."""

    json_view = outlive.JsonView(hide=("tenant_id", "acknowledged_at"), utc="")


equipment = outlive.mapping(
    "equipment", Equipment, key="equipment_id", tenant="tenant_id", model=models.EquipmentRow,
    place=("current_lat", "current_lon"), repository=EquipmentRepository, service=service,
    indexes=[("tenant_id", "name"), ("tenant_id", "status"), ("tenant_id", "equipment_type"), "qr_code"],
)  # fmt: skip


def machines(tenant: str) -> EquipmentRepository:
    """One tenant's equipment."""
    return cast(EquipmentRepository, equipment.repository).for_tenant(tenant)


maintenance = outlive.mapping(
    "equipment_maintenance", Maintenance, key="record_id", tenant="tenant_id", model=models.MaintenanceRow,
    repository=OwnedRepository, service=service, indexes=[("equipment_id", "performed_at")],
)  # fmt: skip
alerts = outlive.mapping(
    "equipment_alerts", Alert, key="alert_id", tenant="tenant_id", model=models.AlertRow, repository=AlertRepository,
    service=service, indexes=["tenant_id"],
)  # fmt: skip
photos = outlive.mapping(
    "equipment_photos", Photo, key="photo_id", tenant="tenant_id", model=models.PhotoRow, repository=OwnedRepository,
    service=service, indexes=["equipment_id"],
)  # fmt: skip
