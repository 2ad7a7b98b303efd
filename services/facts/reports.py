"""The figures of the coherence report and of the validation summary, made of counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def coherence(total: int, verified: int, categories: Mapping[str, int]) -> dict[str, Any]:
    """The report over all facts; the rate is a percentage."""
    return {
        "total_facts": total,
        "verified_facts": verified,
        "unverified_facts": total - verified,
        "verification_rate": verified / total * 100 if total else 0.0,
        "category_breakdown": dict(categories),
        "categories_count": len(categories),
    }


def summary(statuses: Mapping[str, int], average: float | None) -> dict[str, Any]:
    """The summary over all results; the rate is a percentage."""
    total = sum(statuses.values())
    coherent = statuses.get("coherent", 0)
    return {
        "total_validated": total,
        "coherent": coherent,
        "suspicious": statuses.get("suspicious", 0),
        "noise": statuses.get("noise", 0),
        "average_confidence": round(float(average or 0.0), 3),
        "coherence_rate": round(coherent / total * 100, 2) if total else 0.0,
    }
