"""The stores: this module is all that outlive asks of the service, beside `outlive.install`."""

from __future__ import annotations

import outlive
from services.farm.alerts import models
from services.farm.alerts.records import Alert, Rule, Transition
from services.farm.common.app import declare

service = declare("alerts", __file__)


class AlertRepository(outlive.Repository):
    """Alerts as clients see them: what the first version did not have is shown where it was given."""

    json_view = outlive.JsonView(
        hide=("fields", "resolution_hours", "ends_at"),
        gather={"location": ("lat", "lng")},
        unless_none=("field_ids", "governorate", "location"),
    )


alerts = outlive.mapping(
    "alerts", Alert, key="id", tenant="tenant_id", model=models.AlertRow, repository=AlertRepository, service=service,
    place=("lat", "lng"), partition_by=("created_at", "quarter"),
    indexes=[("tenant_id", "created_at"), ("status", "ends_at"), "field_id"],
)  # fmt: skip
rules = outlive.mapping(
    "alert_rules", Rule, key="id", model=models.RuleRow, service=service, indexes=[("field_id", "enabled"), "enabled"]
)
history = outlive.mapping(
    "alert_history", Transition, key="history_id", tenant="tenant_id", model=models.TransitionRow, service=service,
    indexes=[("alert_id", "created_at")],
)  # fmt: skip
