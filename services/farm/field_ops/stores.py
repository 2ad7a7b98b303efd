"""The stores: this module is all that outlive asks of the service, beside `outlive.install`."""

from __future__ import annotations

import outlive
from services.farm.common.app import declare
from services.farm.field_ops import models
from services.farm.field_ops.records import Field, Operation

service = declare("field_ops", __file__)


class FieldRepository(outlive.Repository):
    """Fields in lists, with all they hold."""

    json_view = outlive.JsonView(utc_of={"updated_at": ""})


FIELD = outlive.JsonView(hide=("geometry", "metadata"), utc_of={"updated_at": ""})
OPERATION = outlive.JsonView(hide=("tenant_id", "notes", "metadata"))

fields = outlive.mapping(
    "fields", Field, key="id", tenant="tenant_id", model=models.FieldRow, repository=FieldRepository, service=service,
    indexes=["tenant_id"],
)  # fmt: skip
operations = outlive.mapping(
    "field_operations", Operation, key="id", tenant="tenant_id", model=models.OperationRow, service=service,
    indexes=["field_id", ("tenant_id", "status")],
)  # fmt: skip
