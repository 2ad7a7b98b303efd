"""Products, with what they lack and their score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.facts.schemas import SCORES, RawProductData

NEEDED = ("make", "model", "category", "price")


def processed(products: Sequence[RawProductData]) -> dict[str, Any]:
    """A summary, and a row for each product."""
    rows = [_row(product.model_dump()) for product in products]
    valid = sum(not row["missing_fields"] for row in rows)
    return {"summary": {"processed": len(rows), "valid": valid, "invalid": len(rows) - valid}, "results": rows}


def _row(product: dict[str, Any]) -> dict[str, Any]:
    missing = [name for name in NEEDED if isinstance(product[name], str) and not product[name].strip()]
    return {"product": product, "missing_fields": missing, "bbfb_score": score(product["attributes"])}


def score(attributes: dict[str, Any]) -> float | None:
    """The mean of the scores that are there, three digits; None without any."""
    given = [attributes[name] for name in SCORES if attributes.get(name) is not None]
    return round(sum(given) / len(given), 3) if given else None
