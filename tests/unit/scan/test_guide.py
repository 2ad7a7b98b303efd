"""All that the hand-made guide says of a store, the generated one says too."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from outlive.scan.catalogue import Catalogue
from outlive.scan.config import ScanConfig
from outlive.scan.rank import ranked
from outlive.scan.report import guide as report
from tests.unit.scan.farm import finding, guide

TODAY = date(2026, 1, 1)
# the guide's fields of one service -> what the generated section has for it
FIELDS = {
    "location": r"^\*\*Location:\*\* `apps/services/billing-core/src/main\.py`",
    "lines": r"^\*\*Lines:\*\* 550-556$",
    "symbols and types": r"^PAYMENTS: Dict\[str, Payment\] = \{\}  # line 554$",
    "partly migrated": r"^SUBSCRIPTIONS: Dict\[str, Subscription\] = \{\}  # line 552, partly migrated$",
    "counter": r"^INVOICE_COUNTER: int = 0  # line 556$",
    "impact": r"^- \*\*CRITICAL:\*\* Lost invoices = money",
    "impact of lesser weight": r"^- \*\*HIGH:\*\* Lost plans = ",
    "required": r"^\d\. ❌ `tenants` table - migrate `TENANTS`$",
    "partly done": r"^\d\. ✅ `subscriptions` table - PARTLY DONE \(Partially migrated\)$",
    "table": r"^CREATE TABLE payments \($",
    "key": r"^    PRIMARY KEY \(payment\\?_id\)$",
    "amount": r"^    amount numeric NOT NULL",
    "optional": r"^    stripe_payment_id text,$",
    "default": r"^    currency text NOT NULL DEFAULT 'USD',$",
    "time": r"^    processed_at timestamptz NOT NULL,$",
    "json": r"^    line_items jsonb NOT NULL,$",
    "reference": r"^ALTER TABLE payments ADD CONSTRAINT \S+ FOREIGN KEY \(invoice_id\) REFERENCES invoices \(",
    "index": r"^CREATE INDEX idx_payments_tenant_id_invoice_id ON payments \(tenant_id, invoice_id\);",
    "index with order": r"^CREATE INDEX \S+ ON usage_records \(tenant_id, metric, \"timestamp\" DESC\);",
    "effort": r"^- `PAYMENTS`: \d+\.\d h = 2\.0 store \+ 0\.4 call sites \(2 × 0\.2\) \+ 0\.9 fields \(9 × 0\.1\) \+ ",
    "time to migrate": r"^\*\*Estimated migration time:\*\* [\d.]+ days \([\d.]+ h\)",
    "phase": r"^\*\*Phase:\*\* 1$",
}


def section(text: str, service: str) -> str:
    """The part of the guide about one service."""
    found = re.search(rf"^#### \d+\. {service}$.*?^---$", text, re.MULTILINE | re.DOTALL)
    assert found, service
    return found.group()


@pytest.fixture(scope="module")
def text() -> str:
    """The guide of the farm."""
    return report.render(guide(), ScanConfig(), today=TODAY)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_the_guide_is_there(text: str, field: str) -> None:
    """A service's section holds each thing that the hand-made guide told of it."""
    assert re.search(FIELDS[field], section(text, "billing-core"), re.MULTILINE), section(text, "billing-core")


def test_the_frame_is_the_guide_s(text: str) -> None:
    """Summary, priorities, phases with weeks, order, totals, a checklist of twelve steps, what was not read."""
    assert "**Scanned:** 2026-01-01" in text
    assert "**Priority:** CRITICAL" in text
    for priority in ("Critical", "High", "Medium", "Low"):
        assert f"### {priority} priority" in text
    assert re.search(r"^### Phase 1: Critical services \(week 1-\d\)$", text, re.MULTILINE)
    assert re.search(r"^1\. \*\*billing-core\*\* - [\d.]+ days", text, re.MULTILINE)
    assert "   - Remove `NOTIFICATIONS`" in text
    assert len(re.findall(r"^- \[ \] \d+\. ", text, re.MULTILINE)) == 12
    assert "`apps/services/old/main.py:3`: Python 2" in text


def test_what_stands_apart_in_the_guide_stands_here(text: str) -> None:
    """Bounds, places, duplicates, finished migrations and settings are said of the stores that have them."""
    health = section(text, "crop-health-ai")
    assert "**Lines:** 41-90" in health
    assert "older records are dropped at 1000" in health
    assert "USING gist (point(longitude, latitude))" in health
    assert "No spatial queries" in health
    told = section(text, "notification-service")
    assert "✅ `NOTIFICATIONS` - ALREADY DONE: remove it (NotificationRepository took over)" in told
    assert "**LOW:** Already migrated to a database (just remove it)" in told
    assert "`apps/services/satellite-service/src/vra_generator.py:267` (satellite-service)" in section(
        text, "vegetation-analysis-service"
    )
    assert "acceptable loss" in section(text, "vegetation-analysis-service")
    assert "**Line:** 289" in section(text, "inventory-service")


def test_the_rest_is_one_flag_away(text: str) -> None:
    """Accepted classes are counted, and listed with their reasons on request."""
    assert "1 connection-state, 1 registry." in text
    assert "devices announce themselves again" not in text
    whole = report.render(guide(), ScanConfig(), today=TODAY, every=True)
    assert (
        "| registry | iot-gateway | `apps/services/iot-gateway/src/registry.py:77` | `DeviceRegistry._devices` |"
        in whole
    )


def test_no_partition_of_a_table_that_has_none(text: str) -> None:
    """The generated SQL repeats no mistake of the hand-made one: zones are kept, nothing partitions a plain table."""
    assert "PARTITION OF" not in text
    assert not re.search(r"\btimestamp(?!tz)\b NOT NULL", re.sub(r'"timestamp"', "", text))
    assert not re.search(r"\b(float4|real|money)\b(?= NOT NULL)", text)


def test_a_clean_house() -> None:
    """Without a store the guide says so and proposes nothing."""
    clean = report.render(ranked(Catalogue(Path("/x/clean"), files=3)), ScanConfig(), today=TODAY)
    assert "No in-memory store was found" in clean
    assert "CREATE TABLE" not in clean


def test_names_cannot_break_the_page() -> None:
    """Backticks, pipes, brackets and fences in source names stay text."""
    hostile = finding("a|b <script>", 1, "x`y|z", "dict[str, '``` | x']", declaration="x = {}  # ```\nmore")
    text = report.render(ranked(Catalogue(Path("/x"), (hostile,))), ScanConfig(), today=TODAY)
    assert "#### 1. a|b \\<script\\>" in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and "x`y" in line]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [8]
    assert "````python\nx = {}  # ```" in text
