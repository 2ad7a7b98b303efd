"""The application: routes, health, and the answers to what a ledger refuses."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

import outlive
from outlive.errors import BadQuery, KeyTaken, Unholdable
from services.home_budget.api import collection
from services.home_budget.ledger import InvalidField, Ledger, NotFound
from services.home_budget.records import expenses, incomes
from services.home_budget.schemas import ExpenseCreate, ExpenseUpdate, IncomeCreate, IncomeUpdate

app = FastAPI(title="Home Budget Web Backend")
app.include_router(collection(Ledger("expense", expenses), ExpenseCreate, ExpenseUpdate), prefix="/api/v1")
app.include_router(collection(Ledger("income", incomes), IncomeCreate, IncomeUpdate), prefix="/api/v1")
outlive.install(app)


@app.get("/")
async def root() -> dict[str, str]:
    outlive.show_unsettled()
    return {"message": "Home Budget Web Backend running"}


@app.get("/health")
@app.get("/api/v1/health")
async def health() -> dict[str, str]:
    outlive.show_unsettled()
    return {"status": "ok", "database": "connected" if await outlive.is_connected() else "disconnected"}


@app.exception_handler(NotFound)
async def not_found(_: Request, error: NotFound) -> JSONResponse:
    return JSONResponse({"detail": f"{error.noun.capitalize()} not found"}, 404)


@app.exception_handler(InvalidField)
async def invalid_field(_: Request, _error: InvalidField) -> JSONResponse:
    return JSONResponse({"detail": "Invalid field"}, 400)


@app.exception_handler(BadQuery)
async def bad_query(_: Request, error: BadQuery) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 400)


@app.exception_handler(KeyTaken)
async def key_taken(_: Request, error: KeyTaken) -> JSONResponse:
    return JSONResponse({"detail": f"id {error.key} is taken"}, 409)


@app.exception_handler(Unholdable)
async def unholdable(_: Request, error: Unholdable) -> JSONResponse:
    """The form of every validation error, with the field that cannot be held as its place."""
    field = error.field.split(".", 1)[0]
    detail = {"type": "unholdable", "loc": ["body", field], "msg": f"{field}: {error.reason}"}
    return JSONResponse({"detail": [detail]}, 422)
