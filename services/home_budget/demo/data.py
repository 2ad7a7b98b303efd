"""The data of the demo: realistic expenses and incomes in the first version's two files, the same for one seed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from outlive.postgres.address import Address
from services.home_budget.demo.entries import Row
from services.home_budget.demo.processes import DemoFailed, Server
from services.home_budget.seed import expense_rows, income_rows

NOUNS = ("expense", "income")
TABLES = {
    "expense": "SELECT id, date, business, category, amount, account, currency, notes FROM public.expenses",
    "income": "SELECT id, date, category, amount, account, currency, notes FROM public.incomes",
}


def generate(folder: Path, expense_count: int, seed: int) -> dict[str, list[Row]]:
    """The records by noun, after they were written to expenses.json and incomes.json as the first version would."""
    made = {"expense": expense_rows(expense_count, seed), "income": income_rows(expense_count // 10, seed)}
    rows = {noun: _numbered(islice(made[noun], expense_count)) for noun in NOUNS}
    folder.mkdir(parents=True)
    for noun, found in rows.items():
        (folder / f"{noun}s.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    return rows


def from_api(server: Server) -> dict[str, list[Row]]:
    """All records as clients see them. Raises DemoFailed when the service does not answer."""
    found = {}
    for noun in NOUNS:
        status, rows = server.get(f"/api/v1/{noun}")
        if status != 200:
            raise DemoFailed(f"GET /api/v1/{noun} answered {status}: {rows}")
        found[noun] = rows
    return found


def from_table(address: Address) -> dict[str, list[Row]]:
    """All records as PostgreSQL holds them, asked without outlive."""
    with psycopg.connect(address.conninfo()) as conn, conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return {noun: [_plain(row) for row in cursor.execute(query).fetchall()] for noun, query in TABLES.items()}


def _numbered(rows: Iterable[Row]) -> list[Row]:
    return [{**row, "id": number} for number, row in enumerate(rows, 1)]


def _plain(row: Mapping[str, Any]) -> Row:
    return {**row, "date": row["date"].isoformat(), "amount": float(row["amount"])}
