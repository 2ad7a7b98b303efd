"""The two stores. This module is all that outlive asks of the service, beside `outlive.install(app)`."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import outlive
from services.home_budget import demo_rows, settings
from services.home_budget.models import ExpenseRow, IncomeRow


class Expense(TypedDict):
    date: str
    business: str | None
    category: str
    amount: float
    account: str
    currency: str
    notes: str | None
    id: int


class Income(TypedDict):
    date: str
    category: str
    amount: float
    account: str
    currency: str
    notes: str | None
    id: int


outlive.configure(service="home_budget", migrations=Path(__file__).parent / "migrations")

expenses = outlive.json_file(
    settings.data_folder() / "expenses.json",
    key="id",
    type=Expense,
    model=ExpenseRow,
    default=lambda: [dict(row) for row in demo_rows.EXPENSES] if settings.seeds_demo_rows() else [],
    indent=2,
    ascii=True,
)
incomes = outlive.json_file(
    settings.data_folder() / "incomes.json",
    key="id",
    type=Income,
    model=IncomeRow,
    default=lambda: [dict(row) for row in demo_rows.INCOMES] if settings.seeds_demo_rows() else [],
    indent=2,
    ascii=True,
)
