"""One of several processes of the billing service: told on its first line what to ask for, it says what came out.

`python -m tests.contracts.farm.billing_worker` reads `{invoices: [tenant...], usage: [tenant, metric, calls], payments:
[invoice, calls]}` once it has said "ready", and prints `{numbers, usage, payments}`: invoice numbers, statuses of both.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.contracts.farm.running import Running, load

AT_ONCE = 5


def work(http: Running, told: dict[str, Any]) -> dict[str, Any]:
    """Everything that was told, a few requests at a time."""
    tenant, metric, calls = told["usage"]
    invoice, payments = told["payments"]
    asked = [("POST", f"/v1/tenants/{each}/invoices/generate", {}) for each in told["invoices"]]
    asked += [("POST", f"/v1/tenants/{tenant}/usage", {"json": {"metric": metric}})] * calls
    paid = {"json": {"invoice_id": invoice, "amount": 1, "method": "cash"}}
    asked += [("POST", "/v1/payments", paid)] * payments
    first, second = len(told["invoices"]), len(told["invoices"]) + calls
    order = sorted(range(len(asked)), key=lambda each: each % 7)  # all three kinds at once
    answers: dict[int, Any] = {}
    for start in range(0, len(order), AT_ONCE):
        now = order[start : start + AT_ONCE]
        answers.update(zip(now, http.together(*(asked[each] for each in now)), strict=True))
    made = [answers[each] for each in range(len(asked))]
    return {
        "numbers": [
            each.json()["invoice"]["invoice_number"] if each.status_code == 200 else None for each in made[:first]
        ],
        "usage": [each.status_code for each in made[first:second]],
        "payments": [each.status_code for each in made[second:]],
    }


def main() -> None:
    """Serve one order."""
    with Running(load("services.farm.billing", "api").app) as http:
        print("ready", flush=True)
        told = json.loads(sys.stdin.readline())
        print(json.dumps(work(http, told)), flush=True)


if __name__ == "__main__":
    main()
