"""The rows that a new installation shows, so that the first page is not empty."""

from __future__ import annotations

from typing import Any

from services.home_budget.schemas import DEFAULT_CURRENCY

EXPENSES: tuple[dict[str, Any], ...] = (
    {
        "id": 1,
        "date": "2025-11-01",
        "business": "SuperSal",
        "category": "Groceries",
        "amount": 142.5,
        "account": "Visa 1234",
        "currency": DEFAULT_CURRENCY,
        "notes": "Weekly shopping",
    },
    {
        "id": 2,
        "date": "2025-11-05",
        "business": "Rav-Kav",
        "category": "Transport",
        "amount": 15.0,
        "account": "Cash",
        "currency": DEFAULT_CURRENCY,
        "notes": "Bus to work",
    },
)

INCOMES: tuple[dict[str, Any], ...] = (
    {
        "id": 1,
        "date": "2025-11-01",
        "category": "Salary",
        "amount": 8200.0,
        "account": "Bank Leumi",
        "currency": DEFAULT_CURRENCY,
        "notes": "November salary",
    },
    {
        "id": 2,
        "date": "2025-11-10",
        "category": "Freelance",
        "amount": 1250.0,
        "account": "PayPal",
        "currency": DEFAULT_CURRENCY,
        "notes": "Client project",
    },
)
