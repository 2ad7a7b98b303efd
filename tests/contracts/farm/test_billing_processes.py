"""Four processes of the billing service at once, in `database`: numbers without a gap, limits and sums that hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.contracts.farm.billing import ENVIRONMENT, PACKAGE, invoice, plan, subscribe, today  # noqa: F401
from tests.contracts.farm.conftest import Opened, in_database
from tests.contracts.farm.running import Running

ROOT = Path(__file__).resolve().parents[3]
PROCESSES = 4


@in_database
def test_four_processes(http: Running, opened: Opened, tmp_path: Path) -> None:
    """No invoice number is missing or given twice, no use goes beyond the limit, no payment is lost or refused."""
    tenants = [subscribe(http) for _ in range(3)]
    counted = subscribe(http, plan(http, "Sixty", limits={"calls": 60}))
    first = int(invoice(http, tenants[0])["invoice_number"].rpartition("-")[2])
    due = invoice(http, subscribe(http, "enterprise"))["invoice_id"]
    told = {"invoices": tenants * 4, "usage": [counted, "calls", 20], "payments": [due, 10]}
    said = together(opened, told, tmp_path)

    numbers = [number for each in said for number in each["numbers"]]
    expected = [f"SAH-{today().year}-{first + 2 + each:04d}" for each in range(12 * PROCESSES)]
    assert sorted(numbers) == expected
    usage = [status for each in said for status in each["usage"]]
    assert (usage.count(200), usage.count(429)) == (60, 20 * PROCESSES - 60)
    assert http.get(f"/v1/tenants/{counted}/quota").json()["usage"]["calls"]["used"] == 60
    assert [status for each in said for status in each["payments"]] == [200] * 10 * PROCESSES
    assert http.get(f"/v1/invoices/{due}").json()["invoice"]["amount_paid"] == 10 * PROCESSES


def together(opened: Opened, told: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """What each process says after it did what it was told; they begin together."""
    assert opened.address is not None
    with ExitStack() as started:
        workers = [
            started.enter_context(_worker(opened.address.libpq_url(), folder / str(n))) for n in range(PROCESSES)
        ]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write(json.dumps(told) + "\n")
            worker.stdin.flush()
        said = [json.loads(worker.communicate(timeout=120)[0]) for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * PROCESSES
    return said


def _worker(url: str, home: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "DATABASE_URL": url,
        "OUTLIVE_PHASE": "database",
        "OUTLIVE_HOME": str(home),
    }
    environment["PYTHONPATH"] = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    command = [sys.executable, "-m", "tests.contracts.farm.billing_worker"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
