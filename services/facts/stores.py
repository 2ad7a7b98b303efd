"""The stores: this module is all that outlive asks of the service, beside `outlive.install`."""

from __future__ import annotations

from pathlib import Path

import outlive
from services.facts import models
from services.facts.records import ApiRequest, Fact, ValidationResult

service = outlive.Service("facts")
service.configure(migrations=Path(__file__).parent / "migrations", version_table="facts_version")


class FactRepository(outlive.Repository):
    """Facts as their seven public fields."""

    json_view = outlive.JsonView(hide=("updated_at", "validation_status", "validation_score"))


facts = outlive.mapping(
    "facts", Fact, key="id", model=models.FactRow, repository=FactRepository, service=service,
    indexes=["category", "verified"],
)  # fmt: skip
results = outlive.mapping(
    "validation_results", ValidationResult, key="id", model=models.ValidationRow, service=service, indexes=["status"]
)
# Who is asked for is of no use to a request, so that it waits neither for these nor for a journal of these.
requests = outlive.mapping(
    "api_requests", ApiRequest, key="id", model=models.RequestRow, when_away="refuse", service=service,
    indexes=["created_at"],
)  # fmt: skip
