"""`python -m services.home_budget.seed --count 1000`: realistic expenses and incomes, the same for the same seed.

They are written through the service's own stores, so they go where its phase says. Stop the service first while it
works on its JSON files; a second process on one file is refused.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import outlive
from outlive.errors import OutliveError
from outlive.settings import load_dotenv
from services.home_budget import settings
from services.home_budget.schemas import DEFAULT_CURRENCY

FIRST_DAY = date(2023, 1, 1)
DAYS = 1096
BATCH = 500
SHOPS: dict[str, tuple[tuple[str, ...], float, float]] = {
    "Groceries": (("SuperSal", "Rami Levy", "שופרסל", "بقالة النور", "Corner shop"), 140.0, 0.6),
    "Transport": (("Rav-Kav", "Israel Railways", "Gett", "Paz"), 22.0, 0.7),
    "Eating out": (("Café Landwer", "Falafel HaZkenim", "مطعم أبو شكري", "Aroma"), 68.0, 0.5),
    "Household": (("IKEA", "Home Center", "ACE"), 210.0, 0.9),
    "Health": (("Super-Pharm", "Maccabi", "Be"), 85.0, 0.8),
    "Utilities": (("Electric company", "Bezeq", "Water works", "Partner"), 240.0, 0.4),
    "Leisure": (("Cinema City", "Steimatzky", "Spotify", "גן החיות"), 75.0, 0.7),
    "Clothing": (("H&M", "Castro", "Fox"), 180.0, 0.6),
}
WEIGHTS = (34, 18, 16, 6, 8, 6, 8, 4)
ACCOUNTS = ("Visa 1234", "Cash", "Mastercard 9876", "Bank Leumi")
NOTES = (None, None, None, None, "", "shared with Dana", "קנייה שבועית", "هدية", "🎁 birthday", "refund expected")
SOURCES = (("Salary", 14200.0, "Bank Leumi"), ("Freelance", 2600.0, "PayPal"), ("Rent", 3900.0, "Bank Hapoalim"))


def expense_rows(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """`count` expenses without ids, spread over three years, most of them small."""
    chance = random.Random(f"expenses {seed}")
    for _ in range(count):
        category = chance.choices(list(SHOPS), WEIGHTS)[0]
        shops, typical, spread = SHOPS[category]
        yield {
            "date": _day(chance),
            "business": chance.choice(shops),
            "category": category,
            "amount": round(typical * chance.lognormvariate(0, spread), 2),
            "account": chance.choice(ACCOUNTS),
            "currency": chance.choices((DEFAULT_CURRENCY, "$", "€"), (94, 4, 2))[0],
            "notes": chance.choice(NOTES),
        }


def income_rows(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """`count` incomes without ids, over the same three years."""
    chance = random.Random(f"incomes {seed}")
    for _ in range(count):
        category, typical, account = chance.choices(SOURCES, (6, 3, 2))[0]
        yield {
            "date": _day(chance),
            "category": category,
            "amount": round(typical * chance.uniform(0.85, 1.2), 2),
            "account": account,
            "currency": DEFAULT_CURRENCY,
            "notes": chance.choice(NOTES),
        }


def _day(chance: random.Random) -> str:
    return (FIRST_DAY + timedelta(days=chance.randrange(DAYS))).isoformat()


def write(store: Any, rows: Iterator[dict[str, Any]]) -> int:
    """How many rows were stored, ids following the highest one; a unit of work each BATCH rows."""
    record_id = int(store.repository.max("id").result() or 0)
    pending, written = list(rows), 0
    while pending:
        batch, pending = pending[:BATCH], pending[BATCH:]
        with outlive.unit():
            for row in batch:
                record_id += 1
                store.repository.insert({**row, "id": record_id}).result()
        written += len(batch)
    return written


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 when all rows are stored, 1 when refused."""
    parser = argparse.ArgumentParser(prog="python -m services.home_budget.seed", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="expenses to add")
    parser.add_argument("--incomes", type=int, help="incomes to add (default: a tenth of the expenses)")
    parser.add_argument("--seed", type=int, default=1, help="the same number gives the same rows")
    given = parser.parse_args(arguments)
    load_dotenv()
    if settings.is_production():
        print("seed: refused, because ENV is production", file=sys.stderr)
        return 1
    os.environ["SEED_DEMO_DATA"] = "false"
    return _seed(given.count, given.count // 10 if given.incomes is None else given.incomes, given.seed)


def _seed(expense_count: int, income_count: int, seed: int) -> int:
    from services.home_budget.records import expenses, incomes

    try:
        with outlive.open():
            written = write(expenses, expense_rows(expense_count, seed))
            written_incomes = write(incomes, income_rows(income_count, seed))
    except OutliveError as failure:
        print(f"seed: {failure}\n  next: {failure.hint}", file=sys.stderr)
        return failure.exit_code
    print(f"{written} expenses and {written_incomes} incomes added (seed {seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
