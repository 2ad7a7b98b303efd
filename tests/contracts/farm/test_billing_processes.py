"""Four processes of the billing service at once, in `database`: numbers without a gap, limits and sums that hold; and
what it does while PostgreSQL is away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from outlive.postgres.address import Address
from tests.contracts.farm.billing import ENVIRONMENT, PACKAGE, invoice, plan, subscribe, today  # noqa: F401
from tests.contracts.farm.conftest import PHASES, Opened, in_database, in_forms
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


@in_forms(PHASES[1], PHASES[-1])
def test_no_money_moves_while_postgresql_is_away(http: Running, opened: Opened) -> None:
    """Writes are 503 with when to come again, and nothing of them is there later; the numbers go on without a gap."""
    tenant = subscribe(http, "free")
    due = invoice(http, tenant)
    writes: list[tuple[str, Any]] = [
        (f"/v1/tenants/{tenant}/invoices/generate", None),
        (f"/v1/tenants/{tenant}/usage", {"metric": "fields"}),
        ("/v1/payments", {"invoice_id": due["invoice_id"], "amount": 1, "method": "bank_transfer"}),
    ]
    assert opened.address is not None
    with away(opened.address):
        for path, body in writes:
            answer = http.post(path, json=body)
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True), answer.text
    deadline = time.monotonic() + 30
    while (answer := http.post(writes[0][0])).status_code == 503:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    following = answer.json()["invoice"]
    assert int(following["invoice_number"].rpartition("-")[2]) == int(due["invoice_number"].rpartition("-")[2]) + 1
    assert http.get(f"/v1/tenants/{tenant}/invoices").json() == {"invoices": [due, following], "total": 2}
    assert http.get(f"/v1/tenants/{tenant}/payments").json()["total"] == 0
    assert http.get(f"/v1/tenants/{tenant}/quota").json()["usage"]["fields"]["used"] == 0


@contextmanager
def away(address: Address) -> Iterator[None]:
    """The database takes no connections for the block, and those that were open are gone."""
    name = str(address.database)
    with psycopg.connect(address.with_database("postgres").conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            conn.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))


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
