"""From source to guide: the services of the hand-made guide, read by the real engine."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from outlive.scan import engine
from outlive.scan.catalogue import Catalogue
from outlive.scan.config import ScanConfig
from outlive.scan.propose import proposals
from outlive.scan.rank import ranked
from outlive.scan.report import guide
from tests.unit.scan.test_guide import section

FILE = re.compile(r"^(\S+):\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """The ranked catalogue of farm.md's files."""
    root = tmp_path_factory.mktemp("farm")
    for name, text in FILE.findall(Path(__file__).with_name("farm.md").read_text(encoding="utf-8")):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return ranked(engine.scan([root], config=ScanConfig()))


def test_stores_and_priorities(catalogue: Catalogue) -> None:
    """Every store of the guide's services is found with the guide's priority, leftovers are none."""
    found = {each.symbol: each.priority for each in catalogue.stores()}
    assert found == {
        "TENANTS": "critical",
        "SUBSCRIPTIONS": "critical",
        "INVOICES": "critical",
        "PAYMENTS": "critical",
        "USAGE_RECORDS": "critical",
        "INVOICE_COUNTER": "critical",
        "DiagnosisService._history": "critical",
        "FARMER_PROFILES": "critical",
        "settings_db": "medium",
    }
    leftovers = {each.symbol for each in catalogue.findings if each.cls == "leftover"}
    assert leftovers == {"NOTIFICATIONS", "FARMER_NOTIFICATIONS"}


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ("billing-core", "**Location:** `apps/services/billing-core/src/main.py`"),
        ("billing-core", "**Lines:** 58-63"),
        ("billing-core", "✅ `subscriptions` table - PARTLY DONE"),
        ("billing-core", "    amount numeric NOT NULL,  -- was float; numeric keeps amounts exact"),
        ("billing-core", "    currency text NOT NULL DEFAULT 'USD',"),
        ("billing-core", "    processed_at timestamptz NOT NULL,"),
        ("billing-core", 'ON usage_records (tenant_id, metric, "timestamp" DESC);  -- GET /usage'),
        ("billing-core", "CREATE SEQUENCE invoice_counter AS bigint;"),
        ("billing-core", "FOREIGN KEY (invoice_id) REFERENCES invoices (invoice_id);"),
        ("billing-core", 'PAYMENTS = outlive.mapping("payments", Payment, key="payment_id", tenant="tenant_id")'),
        ("crop-health-ai", "Bounded (older records are dropped at 1000)"),
        ("crop-health-ai", "USING gist (point(longitude, latitude));"),
        ("crop-health-ai", "ON diagnosis_history (governorate, created_at DESC);  -- GET /history"),
        ("notification-service", "✅ `NOTIFICATIONS` - ALREADY DONE: remove it"),
        ("notification-service", "NotificationRepository took over"),
        ("inventory-service", "**MEDIUM:** Lost settings = users must set them again"),
    ],
)
def test_the_guide_tells_it(catalogue: Catalogue, service: str, told: str) -> None:
    """What the hand-made guide says of these services comes out of their source."""
    text = section(guide.render(catalogue, ScanConfig(), today=date(2026, 1, 1)), service)
    assert told in text, text


def test_every_store_has_a_table_and_a_line(catalogue: Catalogue) -> None:
    """Each store is proposed a table and the declaration that takes its place."""
    for each, proposal in proposals(catalogue.findings).items():
        assert proposal.create[0].startswith(("CREATE TABLE ", "CREATE SEQUENCE ")), each.symbol
        assert proposal.declare.startswith(f"{each.name} = outlive."), each.symbol
