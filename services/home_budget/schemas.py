"""What clients send: the request bodies of both versions of the service. Unknown body fields are ignored."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

DEFAULT_CURRENCY = "₪"


class ExpenseCreate(BaseModel):
    date: str
    business: str | None = None
    category: str
    amount: float
    account: str
    currency: str | None = None
    notes: str | None = None


class IncomeCreate(BaseModel):
    date: str
    category: str
    amount: float
    account: str
    currency: str | None = None
    notes: str | None = None


class FieldUpdate(BaseModel):
    field: str
    value: str | float | None


class ExpenseUpdate(FieldUpdate):
    pass


class IncomeUpdate(FieldUpdate):
    pass


class BulkDeleteRequest(BaseModel):
    ids: list[int]


def fields_of(body: ExpenseCreate | IncomeCreate) -> dict[str, Any]:
    """All fields of a new or replaced record but its id, in file order; an absent or empty currency is the shekel."""
    fields = body.model_dump()
    fields["currency"] = fields["currency"] or DEFAULT_CURRENCY
    return fields


def patched_value(update: FieldUpdate) -> str | float | int | None:
    """The value to store: a null currency becomes the shekel, a whole number as id stays an integer."""
    if update.field == "currency" and update.value is None:
        return DEFAULT_CURRENCY
    if update.field == "id" and isinstance(update.value, float) and update.value.is_integer():
        return int(update.value)
    return update.value
