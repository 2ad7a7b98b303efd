"""The first versions of the reference services: every store of them is found, and nothing else is called one."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlive.scan.engine import scan
from outlive.scan.report.terminal import row

SERVICES = Path(__file__).resolve().parents[3] / "services"
# By folder, as its code has them: what holds records that die with the process, in the order of files and lines.
STORES = {
    "facts": ["FactsRegistry._facts", "FactsRegistry._results"],
    "farm/alerts": ["_alerts", "_rules"],
    "farm/billing": [
        "PLANS", "TENANTS", "SUBSCRIPTIONS", "INVOICES", "PAYMENTS", "USAGE_RECORDS", "INVOICE_COUNTER",
    ],
    "farm/crop_health": ["DiagnosisService._history"],
    "farm/equipment": ["equipment_db", "maintenance_db", "alerts_db"],
    "farm/field_ops": ["FIELDS", "OPERATIONS"],
    "farm/inventory": ["settings_db"],
    "farm/iot_gateway": ["DeviceRegistry._devices"],
    "farm/notifications": ["FARMER_PROFILES", "NotificationRepository._rows", "PreferenceRepository._rows"],
    "farm/provider_config": ["tenant_configs"],
    "farm/satellite": ["VRAGenerator._prescription_store"],
    "farm/tasks": ["tasks_db", "evidence_db"],
    "farm/vegetation": ["VRAGenerator._prescription_store"],
    "home_budget": ["collection.rows"],
}  # fmt: skip
LEFT_OVER = {"farm/notifications": ["NOTIFICATIONS", "FARMER_NOTIFICATIONS"]}


@pytest.mark.parametrize("name", STORES)
def test_every_store_of_a_first_version_is_found(name: str) -> None:
    """As a store, with a writer; no constant or default is; what a finished move left behind is so named."""
    findings = scan([SERVICES / name / "before"]).findings
    stores = [each for each in findings if each.cls == "store"]
    assert [each.symbol for each in stores] == STORES[name]
    assert [each.symbol for each in stores if not each.writers] == []
    assert [each.symbol for each in findings if each.cls == "leftover"] == LEFT_OVER.get(name, [])
    assert {each.cls for each in findings} <= {"store", "leftover", "constant"}


def test_every_first_version_is_listed() -> None:
    """Each `before` folder of a service is one of those above."""
    assert {each.parent.relative_to(SERVICES).as_posix() for each in SERVICES.rglob("before")} == set(STORES)


def test_copies_are_one_store_with_two_places() -> None:
    """Vegetation and satellite are one piece of work: the table names the second where it shows the first."""
    folders = [SERVICES / "farm" / name / "before" for name in ("vegetation", "satellite")]
    [store] = [each for each in scan([SERVICES / "farm"]).findings if "prescription" in each.symbol]
    assert store.path == "satellite/before/vra_generator.py"
    assert [each.path for each in store.duplicates] == ["vegetation/before/vra_generator.py"]
    assert row(store)[1] == "satellite"
    assert row(store)[5].endswith("; copied in vegetation")
    first, second = ((folder / "vra_generator.py").read_bytes() for folder in folders)
    assert first == second


def test_on_outlive_no_store_is_left() -> None:
    """The services keep no records in memory, save notes of requests that wait half a second to be written; who listens
    to a chat is connection state."""
    ours = {each.symbol: each.cls for each in scan([SERVICES]).findings if "/before/" not in each.path}
    assert [symbol for symbol, cls in ours.items() if cls == "store"] == ["Audit.waiting"]
    assert ours["ConnectionManager.active_connections"] == "connection-state"
