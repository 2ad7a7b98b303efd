"""The store: this module is all that outlive asks of the service, beside `outlive.install`."""

from __future__ import annotations

import outlive
from services.farm.common.app import declare
from services.farm.inventory import models
from services.farm.inventory.records import AlertSettings

service = declare("inventory", __file__)


class SettingsRepository(outlive.Repository):
    """Settings without the tenant that they belong to."""

    json_view = outlive.JsonView(hide=("tenant_id",))


settings = outlive.mapping(
    "inventory_alert_settings", AlertSettings, key="tenant_id", tenant="tenant_id", model=models.AlertSettingsRow,
    repository=SettingsRepository, service=service,
)  # fmt: skip
