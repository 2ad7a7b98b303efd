"""What each phase costs: rates and percentiles from the client's ledger, queries and pool from `outlive status`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from services.home_budget.demo.entries import Entry

REQUEST_LIMIT_MS, QUERY_LIMIT_MS, POOL_LIMIT = 200.0, 100.0, 0.8


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One phase under load; rates are a second, p95 in milliseconds, pool use 0 to 1, None where nothing ran."""

    phase: str
    seconds: float
    requests_s: float
    writes_s: float
    p95_request_ms: float | None
    p95_write_ms: float | None
    p95_query_ms: float | None = None
    pool_use: float | None = None

    def over(self) -> list[str]:
        """The figures that are above their limit."""
        judged = {
            "requests": (self.p95_request_ms, REQUEST_LIMIT_MS),
            "queries": (self.p95_query_ms, QUERY_LIMIT_MS),
            "pool": (self.pool_use, POOL_LIMIT),
        }
        return [name for name, (figure, limit) in judged.items() if figure is not None and figure > limit]

    def facts(self) -> dict[str, Any]:
        """The figures as plain values for `--json`."""
        return asdict(self) | {"over": self.over()}


def measure(
    phase: str, entries: Sequence[Entry], start: float, end: float, members: Sequence[dict[str, Any]] = ()
) -> Figures:
    """Figures of the requests that ended between two moments (Unix seconds), and of what live members report."""
    inside = [entry for entry in entries if start <= entry.at + entry.ms / 1000 < end and entry.outcome == "acked"]
    writes = [entry.ms for entry in inside if entry.is_write]
    seconds = max(end - start, 0.001)
    return Figures(
        phase=phase,
        seconds=round(seconds, 1),
        requests_s=round(len(inside) / seconds, 1),
        writes_s=round(len(writes) / seconds, 1),
        p95_request_ms=p95([entry.ms for entry in inside]),
        p95_write_ms=p95(writes),
        p95_query_ms=_worst(members, "query_p95_ms"),
        pool_use=_worst(members, "pool_use"),
    )


def p95(values: Sequence[float]) -> float | None:
    """The 95th percentile, None without values."""
    if len(values) < 2:
        return values[0] if values else None
    return round(statistics.quantiles(values, n=20, method="inclusive")[-1], 1)


def _worst(members: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [member[name] for member in members if member["live"] and member[name] is not None]
    return max(values, default=None)
