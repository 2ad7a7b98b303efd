"""The stores: this module is all that outlive asks of the service, beside `outlive.install`."""

from __future__ import annotations

import outlive
from services.farm.common.app import declare
from services.farm.provider_config import models
from services.farm.provider_config.records import Change, Config

service = declare("provider_config", __file__)


class HistoryRepository(outlive.Repository):
    """Changes without the tenant that they belong to."""

    json_view = outlive.JsonView(hide=("tenant_id",))


configs = outlive.mapping(
    "provider_configs", Config, key="tenant_id", tenant="tenant_id", model=models.ConfigRow, service=service
)
history = outlive.mapping(
    "provider_config_history", Change, key="change_id", tenant="tenant_id", model=models.ChangeRow,
    repository=HistoryRepository, service=service, indexes=[("tenant_id", "changed_at")],
)  # fmt: skip
