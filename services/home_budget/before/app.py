"""The application of the first version."""

from __future__ import annotations

from fastapi import FastAPI

from services.home_budget import demo_rows
from services.home_budget.before.collection import collection
from services.home_budget.schemas import ExpenseCreate, ExpenseUpdate, IncomeCreate, IncomeUpdate

app = FastAPI(title="Home Budget Web Backend")
app.include_router(collection("expense", ExpenseCreate, ExpenseUpdate, demo_rows.EXPENSES), prefix="/api/v1")
app.include_router(collection("income", IncomeCreate, IncomeUpdate, demo_rows.INCOMES), prefix="/api/v1")


@app.get("/")
def root() -> dict[str, str]:
    return {"message": "Home Budget Web Backend running"}


@app.get("/health")
@app.get("/api/v1/health")
def health() -> dict[str, str]:
    return {"status": "ok"}
