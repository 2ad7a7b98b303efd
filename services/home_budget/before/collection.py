"""The five routes of one collection over a list that is loaded at start and saved on each write.

FastAPI reads the annotations of the nested functions, so they are evaluated here and not kept as text.
"""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, HTTPException, Path

from services.home_budget import settings
from services.home_budget.before.storage import Row, load_json, save_json
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


def collection(
    noun: str,
    create_body: type[ExpenseCreate] | type[IncomeCreate],
    update_body: type[ExpenseUpdate] | type[IncomeUpdate],
    demo: Iterable[Row],
) -> APIRouter:
    """Routes under /{noun} over {noun}s.json."""
    router = APIRouter()
    filename = f"{noun}s.json"
    one = f"/{noun}/{{{noun}_id}}"
    by_id: Any = Path(alias=f"{noun}_id")
    rows = load_json(filename, [dict(row) for row in demo] if settings.seeds_demo_rows() else [])

    def row_of(record_id: int) -> Row:
        for row in rows:
            if row["id"] == record_id:
                return row
        raise HTTPException(404, f"{noun.capitalize()} not found")

    def remove(ids: Iterable[int]) -> int:
        unwanted = set(ids)
        kept = [row for row in rows if row["id"] not in unwanted]
        count = len(rows) - len(kept)
        rows[:] = kept
        save_json(filename, rows)
        return count

    @router.get(f"/{noun}", name=f"list_{noun}s", response_model=None)
    def list_rows() -> list[Row]:
        return rows

    @router.post(f"/{noun}", name=f"create_{noun}", response_model=None)
    def create(body: create_body) -> Row:  # type: ignore[valid-type]
        highest = max((row["id"] for row in rows if isinstance(row["id"], int | float)), default=0)
        row = {**fields_of(body), "id": int(highest) + 1}
        rows.append(row)
        save_json(filename, rows)
        return {"status": "created", noun: row}

    @router.patch(one, name=f"update_{noun}", response_model=None)
    def update(body: update_body, record_id: int = by_id) -> Row:  # type: ignore[valid-type]
        change: FieldUpdate = body
        row = row_of(record_id)
        if change.field not in row:
            raise HTTPException(400, "Invalid field")
        row[change.field] = patched_value(change)
        save_json(filename, rows)
        return {"status": "updated", noun: row}

    @router.delete(one, name=f"delete_{noun}", response_model=None)
    def delete(record_id: int = by_id) -> Row:
        remove([row_of(record_id)["id"]])
        return {"status": "deleted", "id": record_id}

    @router.post(f"/{noun}/bulk-delete", name=f"bulk_delete_{noun}", response_model=None)
    def bulk_delete(body: BulkDeleteRequest) -> Row:
        return {"status": "deleted", "count": remove(body.ids)}

    return router
