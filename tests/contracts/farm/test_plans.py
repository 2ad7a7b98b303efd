"""Every list and every total is served by an index: what PostgreSQL really did, as its auto_explain tells it.

Each service runs on Debian's PostgreSQL, which brings that module; the rows are made by PostgreSQL itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from benchmarks.services.rows import fill
from outlive.postgres.address import Address
from tests.contracts.farm.conftest import POSTGIS, Opened, open_service

ROWS, TENANTS = 20_000, 50
SCANNED = re.compile(r"Seq Scan on (?:public\.)?(\w+)")
TENANT = {"X-Tenant-Id": "tenant7"}
TASK, EQUIPMENT = "/api/v1/tasks", "/api/v1/equipment"
ASKED: dict[str, list[str]] = {
    "tasks": [
        TASK, f"{TASK}?status=pending", f"{TASK}?field_id=tenant7_field3", f"{TASK}?assigned_to=user3tenant7",
        f"{TASK}?task_type=harvest&priority=high&offset=20", f"{TASK}?due_before=2100-01-01T00:00:00Z",
        f"{TASK}?due_after=2020-01-01T00:00:00Z&limit=100", f"{TASK}/today", f"{TASK}/upcoming?days=3",
        f"{TASK}/stats", f"{TASK}/analytics", f"{TASK}/task_000000000007", f"{TASK}/task_000000000007/history",
        "/api/v1/task-templates",
    ],
    "alerts": [
        "/alerts/field/tenant7_field3", "/alerts/field/tenant7_field3?status=active&severity=high&type=pest&skip=1",
        "/alerts/stats", "/alerts/stats?period=7d", "/alerts/stats?field_id=tenant7_field3&period=90d",
        "/alerts/rules?field_id=tenant7_field3", "/alerts/rules?field_id=tenant7_field3&enabled=true",
        "/alerts/8f14e45f-ceea-167a-5a36-dedd4bea2543", "/alerts/8f14e45f-ceea-167a-5a36-dedd4bea2543/history",
    ],
    "equipment": [
        EQUIPMENT, f"{EQUIPMENT}?equipment_type=pump", f"{EQUIPMENT}?status=repair&offset=20",
        f"{EQUIPMENT}?field_id=tenant7_field3", f"{EQUIPMENT}/stats", f"{EQUIPMENT}/alerts",
        f"{EQUIPMENT}/alerts?priority=high&overdue_only=true", f"{EQUIPMENT}/maintenance-due",
        f"{EQUIPMENT}/nearby?lat=13&lon=44&radius_km=5", f"{EQUIPMENT}/qr/QR_7", f"{EQUIPMENT}/eq_00000007",
        f"{EQUIPMENT}/eq_00000007/maintenance", f"{EQUIPMENT}/eq_00000007/photos",
    ],
    "billing": [
        "/v1/plans", "/v1/tenants/tenant7", "/v1/tenants/tenant7/subscription", "/v1/tenants/tenant7/quota",
        "/v1/tenants/tenant7/invoices", "/v1/tenants/tenant7/invoices?status=paid", "/v1/invoices/inv7",
        "/v1/invoices/inv7/history", "/v1/tenants/tenant7/payments", "/v1/reports/revenue",
        "/v1/reports/revenue?start_date=2020-01-01", "/v1/reports/subscriptions",
    ],
    "notifications": [
        "/v1/notifications/farmer/farmer7", "/v1/notifications/farmer/farmer7?unread_only=true&type=weather_alert",
        "/v1/notifications/broadcast", "/v1/notifications/broadcast?governorate=ibb&crop=wheat",
        "/v1/notifications/broadcast?crop=coffee", "/v1/stats",
    ],
    "crop_health": [
        "/v1/diagnoses", "/v1/diagnoses?status=pending", "/v1/diagnoses?severity=high&governorate=ibb&offset=50",
        "/v1/diagnoses?governorate=taiz&status=treated", "/v1/diagnoses/stats",
        "/v1/diagnoses/nearest?lat=13&lng=44", "/v1/epidemics?days=7", "/v1/epidemics?governorate=ibb&days=7",
        "/v1/outbreaks?days=1&radius_km=1",
    ],
}  # fmt: skip


@pytest.fixture
def service(
    request: pytest.FixtureRequest, postgis_server: Address, new_database: Callable[..., Address], tmp_path: Path
) -> Iterator[tuple[Opened, str]]:
    """A service in `database` with many rows, on a database whose plans are told."""
    name: str = request.param
    address = new_database(postgis_server)
    with psycopg.connect(address.conninfo(), autocommit=True) as conn:
        conn.execute("CREATE EXTENSION IF NOT EXISTS postgis")
        for setting, text in (
            ("session_preload_libraries", "auto_explain"),
            ("auto_explain.log_min_duration", "0"),
            ("random_page_cost", "1.1"),
        ):
            database, of = sql.Identifier(str(address.database)), sql.SQL(setting)
            conn.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(database, of, text))
    environment = {"SEED_DEMO_DATA": "false", "ENVIRONMENT": "development"}
    with open_service(f"services.farm.{name}", POSTGIS, address, tmp_path, environment) as opened:
        fill(address, name, ROWS, TENANTS)
        yield opened, name


@pytest.mark.parametrize("service", ASKED, indirect=True)
def test_no_list_and_no_total_reads_a_whole_table(
    service: tuple[Opened, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Asked six times each, so that PostgreSQL's plans for any value are among what was done."""
    opened, name = service
    [log] = _logs(tmp_path_factory)
    big = _big(opened)
    wrong: dict[str, set[str]] = {}
    told = 0
    for path in ASKED[name]:
        began = log.stat().st_size
        for _ in range(6):
            answer = opened.http.get(path, headers=TENANT)
            assert answer.status_code == 200, (path, answer.text)
        for plan in _plans(log, began):
            told += "cost=" in plan
            if big.intersection(SCANNED.findall(plan)):
                wrong.setdefault(_without_lists(plan), set()).add(path)
    assert told >= 6 * len(ASKED[name])
    assert not wrong, "\n".join(f"{sorted(paths)}\n{plan}" for plan, paths in wrong.items())


def _big(opened: Opened) -> set[str]:
    """Tables and partitions with many rows."""
    assert opened.address is not None
    with psycopg.connect(opened.address.conninfo()) as conn:
        found = conn.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= 1000").fetchall()
    return {name for (name,) in found}


def _without_lists(plan: str) -> str:
    """How a plan reads its tables, beside the beginning of its statement."""
    return "\n".join(line.strip()[:200] for line in plan.splitlines() if "Scan" in line or "Query Text" in line)


def _logs(folders: pytest.TempPathFactory) -> list[Path]:
    base = folders.getbasetemp()
    return [*base.glob("postgis-home/**/server.log"), *base.parent.glob("postgis-home/**/server.log")][:1]


def _plans(log: Path, began: int) -> list[str]:
    """What was done since then, plan by plan."""
    with log.open("rb") as file:
        file.seek(began)
        return re.split(r"duration: [\d.]+ ms  plan:", file.read().decode())[1:]
