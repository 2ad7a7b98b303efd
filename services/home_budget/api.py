"""The routes of one collection.

FastAPI reads the annotations of the nested functions, so they are evaluated here and not kept as text.
"""

from datetime import date
from typing import Any

from fastapi import APIRouter, Path

from services.home_budget.ledger import Ledger, Row, conditions
from services.home_budget.schemas import (
    BulkDeleteRequest,
    ExpenseCreate,
    ExpenseUpdate,
    FieldUpdate,
    IncomeCreate,
    IncomeUpdate,
    fields_of,
    patched_value,
)
from services.home_budget.summary import summarise


def collection(
    ledger: Ledger,
    create_body: type[ExpenseCreate] | type[IncomeCreate],
    update_body: type[ExpenseUpdate] | type[IncomeUpdate],
) -> APIRouter:
    """Routes of a ledger: those of the first version, and read one, replace, filter and summary."""
    router, noun = APIRouter(), ledger.noun
    one = f"/{noun}/{{{noun}_id}}"
    by_id: Any = Path(alias=f"{noun}_id")

    @router.get(f"/{noun}", name=f"list_{noun}s", response_model=None)
    async def list_rows(
        start_date: date | None = None, end_date: date | None = None, category: str | None = None
    ) -> list[Row]:
        return await ledger.find(start_date, end_date, category)

    @router.post(f"/{noun}", name=f"create_{noun}", response_model=None)
    async def create(body: create_body) -> Row:  # type: ignore[valid-type]
        return {"status": "created", noun: await ledger.create(fields_of(body))}

    @router.get(f"/{noun}/summary", name=f"summarise_{noun}s", response_model=None)
    async def summary(
        start_date: date | None = None,
        end_date: date | None = None,
        category: str | None = None,
        user_id: int | None = None,
    ) -> Row:
        return await summarise(ledger.store.repository, conditions(start_date, end_date, category), user_id)

    @router.post(f"/{noun}/bulk-delete", name=f"bulk_delete_{noun}", response_model=None)
    async def bulk_delete(body: BulkDeleteRequest) -> Row:
        return {"status": "deleted", "count": await ledger.delete_many(body.ids)}

    @router.get(one, name=f"get_{noun}", response_model=None)
    async def get(record_id: int = by_id) -> Row:
        return await ledger.get(record_id)

    @router.patch(one, name=f"update_{noun}", response_model=None)
    async def update(body: update_body, record_id: int = by_id) -> Row:  # type: ignore[valid-type]
        change: FieldUpdate = body
        return {"status": "updated", noun: await ledger.set_field(record_id, change.field, patched_value(change))}

    @router.put(one, name=f"replace_{noun}", response_model=None)
    async def replace(body: create_body, record_id: int = by_id) -> Row:  # type: ignore[valid-type]
        return {"status": "updated", noun: await ledger.replace(record_id, fields_of(body))}

    @router.delete(one, name=f"delete_{noun}", response_model=None)
    async def delete(record_id: int = by_id) -> Row:
        await ledger.delete(record_id)
        return {"status": "deleted", "id": record_id}

    return router
