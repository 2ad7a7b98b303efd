"""Totals of a collection by category, as numbers and as text to show."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool

from services.home_budget.flags import is_feature_enabled

STATISTICS = {"average": "avg", "min": "min", "max": "max"}


async def summarise(repository: Any, conditions: dict[str, Any], user_id: int | None = None) -> dict[str, Any]:
    """Total and totals by category of the records that meet the conditions, categories in insertion order.

    ENHANCED_EXPENSE_STATS adds count, average, min and max, over all and for each category;
    EXPENSE_AMOUNT_V2_FORMAT puts thousand separators into the texts. A text shows the currency if there is only one.
    Raises BadQuery when an amount is no number.
    """
    enhanced = await run_in_threadpool(is_feature_enabled, "ENHANCED_EXPENSE_STATS", user_id)
    grouped = await run_in_threadpool(is_feature_enabled, "EXPENSE_AMOUNT_V2_FORMAT", user_id)
    currencies = list(await repository.count(by="currency", **conditions))
    currency = currencies[0] if len(currencies) == 1 else None
    by_category = await repository.sum("amount", by="category", **conditions)
    categories = {name: _shown(total, currency, grouped) for name, total in by_category.items()}
    overall = _shown(await repository.sum("amount", **conditions), currency, grouped)
    if enhanced:
        await _add_statistics(repository, conditions, overall, categories)
    return {**overall, "categories": [{"category": name, **shown} for name, shown in categories.items()]}


def format_amount(amount: float, currency: str | None, grouped: bool) -> str:
    """`1234.50 ₪`, or `1,234.50 ₪` with thousand separators; no currency leaves the number alone."""
    number = f"{amount:,.2f}" if grouped else f"{amount:.2f}"
    return f"{number} {currency}" if currency else number


def _shown(total: Any, currency: str | None, grouped: bool) -> dict[str, Any]:
    amount = round(float(total), 2)
    return {"total": amount, "formatted": format_amount(amount, currency, grouped)}


async def _add_statistics(
    repository: Any, conditions: dict[str, Any], overall: dict[str, Any], categories: dict[Any, dict[str, Any]]
) -> None:
    overall["count"] = await repository.count(**conditions)
    for name, count in (await repository.count(by="category", **conditions)).items():
        categories[name]["count"] = count
    for label, method in STATISTICS.items():
        ask = getattr(repository, method)
        overall[label] = _rounded(await ask("amount", **conditions))
        for name, value in (await ask("amount", by="category", **conditions)).items():
            categories[name][label] = _rounded(value)


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 2)
