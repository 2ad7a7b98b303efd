"""Priorities with their reasons, impact, effort and phases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from outlive.scan.catalogue import Catalogue, Entry, Finding, Site
from outlive.scan.config import Override, ScanConfig
from outlive.scan.effort import HOURS, days, estimate, formula
from outlive.scan.rank import rank, ranked
from outlive.scan.words import held, plural, singular, words
from tests.unit.scan.farm import finding, guide

GUIDE = {
    "TENANTS": "critical",
    "INVOICES": "critical",
    "PAYMENTS": "critical",
    "USAGE_RECORDS": "critical",
    "DiagnosisService._history": "critical",
    "FARMER_PROFILES": "critical",
    "tasks_db": "high",
    "evidence_db": "high",
    "_alerts": "high",
    "_rules": "high",
    "equipment_db": "high",
    "maintenance_db": "high",
    "settings_db": "medium",
    "VRAGenerator._prescription_store": "medium",
    "provider_configs": "low",
    "NOTIFICATIONS": "low",
}


def test_priorities_are_those_of_the_guide() -> None:
    """Every store that people ranked by hand has the priority that they gave to it or to its service."""
    found = {each.symbol: each.priority for each in guide().findings}
    assert {symbol: found[symbol] for symbol in GUIDE} == GUIDE


def test_points_add_up_to_what_is_told() -> None:
    """The points of a store's reasons sum to the total that the last reason names."""
    for each in guide().stores():
        told = [int(points) for reason in each.priority_reasons for points in re.findall(r"\(([+-]\d+)\)$", reason)]
        assert each.priority_reasons[-1] == f"{sum(told)} points: {each.priority}"


def test_hours_are_the_sum_of_their_terms() -> None:
    """The estimate is its printed terms added up; a leftover costs its removal, anything accepted nothing."""
    for each in guide().findings:
        assert each.effort_hours == round(sum(hours for _, hours in each.effort_terms), 1)
        assert formula(each.effort_hours, each.effort_terms).startswith(f"{each.effort_hours:.1f} h")
    hours = {each.symbol: each.effort_hours for each in guide().findings}
    assert hours["NOTIFICATIONS"] == HOURS["removal"]
    assert hours["ConnectionManager.active"] == 0


def test_risks_cost_hours() -> None:
    """More call sites, fields and risks never make a migration cheaper."""
    plain = finding("s", 1, "tasks", "dict[str, Task]", record="Task")
    base, _ = estimate(plain, ScanConfig())
    for risky in (
        finding("s", 1, "tasks", "dict[str, list[Task]]", record="Task"),
        finding("s", 1, "tasks", "dict[str, Task]", record="Task", in_place=True),
        finding("s", 1, "tasks", "json file", record="Task"),
        finding("s", 1, "tasks", "dict", record=""),
        finding("s", 1, "tasks", "dict[str, Task]", record="Task", iterated_while_mutated=True, rebound=True),
    ):
        assert estimate(risky, ScanConfig())[0] > base


@pytest.mark.parametrize(
    ("kind", "points"), [("http", 50), ("bot", 50), ("schedule", 40), ("cli", 35), ("startup", 25)]
)
def test_who_writes_counts(kind: str, points: int) -> None:
    """A store that requests write weighs more than one written by timers, commands or start-up."""
    site = Site("a.py", 9, "put", "set item", Entry(kind, "x", "door", "a.py", 8))
    found = rank(Finding("a.py", 1, 1, "thing", "store", "dict", writers=(site,)), ScanConfig())
    assert f"(+{points})" in found.priority_reasons[0]


def test_impact_is_never_graver_than_the_priority() -> None:
    """No sentence of a store is above the store's own priority, the gravest comes first, and every store has one."""
    order = ["CRITICAL", "HIGH", "MEDIUM", "LOW"]
    for each in guide().stores():
        levels = [order.index(line.partition(": ")[0]) for line in each.impact]
        assert levels == sorted(levels)
        assert levels[0] >= order.index(each.priority.upper())
        assert all(" = " in line or "acceptable loss" in line for line in each.impact), each.impact


def test_phases_follow_the_gravest_store() -> None:
    """A service moves as a whole, in the phase of its gravest store; leftovers come last, the rest in none."""
    phases = {each.symbol: each.phase for each in guide().findings}
    assert [phases[name] for name in ("PLANS", "tasks_db", "settings_db", "provider_configs", "NOTIFICATIONS")] == [
        1, 2, 3, 4, 4,
    ]  # fmt: skip
    assert phases["ConnectionManager.active"] == 0


def test_overrides_decide() -> None:
    """An override changes class or priority of what it matches, and says so first; the first match wins."""
    config = ScanConfig(
        overrides=(
            Override("rebuilt at start", symbol="_alerts", cls="cache"),
            Override("the auditors ask", path="apps/services/task-*", priority="critical"),
            Override("never reached", symbol="tasks_db", priority="low"),
        )
    )
    found = {each.symbol: each for each in guide(config).findings}
    assert (found["_alerts"].cls, found["_alerts"].effort_hours) == ("cache", 0)
    assert found["_alerts"].reasons[0] == "outlive.toml says cache: rebuilt at start"
    assert found["tasks_db"].priority == "critical"
    assert found["tasks_db"].priority_reasons[0] == "outlive.toml says critical: the auditors ask"


def test_a_team_has_words_points_and_hours_of_its_own() -> None:
    """Added words are understood, points and hours replaced."""
    config = ScanConfig(words={"accounting": ("tariff",)}, points={"accounting": 45}, effort={"store": 10.0})
    found = rank(finding("s", 1, "tariffs", "dict[str, Any]"), config)
    assert (found.priority, found.effort_hours > 10) == ("critical", True)
    assert "accounting: tariff (+45)" in found.priority_reasons


def test_an_empty_catalogue_stays_empty() -> None:
    """Nothing found, nothing ranked."""
    assert ranked(Catalogue(Path("/x"))).findings == ()


@pytest.mark.parametrize(
    ("symbol", "record", "what"),
    [
        ("tasks_db", "Task", "tasks"),
        ("USAGE_RECORDS", "UsageRecord", "usage records"),
        ("DiagnosisService._history", "dict", "diagnosis history"),
        ("_items", "Todo", "todos"),
        ("store", "", "records"),
        ("app.state.sessions", "", "sessions"),
        ("userProfiles", "", "user profiles"),
        ("maintenance_db", "MaintenanceRecord", "maintenance records"),
        ("المهام", "", "المهام"),
        ("_", "", "records"),
    ],
)
def test_what_a_store_holds_is_read_from_its_name(symbol: str, record: str, what: str) -> None:
    """The container's name says what it holds, the record's type where the name says nothing."""
    assert " ".join(held(symbol, record)) == what


def test_words_and_numbers() -> None:
    """Identifiers split at case, digits and underscores; plurals and singulars undo each other."""
    assert words("HTTPServer2_taskList") == ("http", "server", "2", "task", "list")
    for one, many in (
        ("task", "tasks"),
        ("policy", "policies"),
        ("box", "boxes"),
        ("diagnosis", "diagnoses"),
        ("day", "days"),
    ):
        assert (plural(one), singular(many)) == (many, one)
    assert singular("status") == plural("status") == "status"
    assert [days(hours, ScanConfig()) for hours in (0, 1, 6, 16)] == ["0 days", "0.5 days", "1 day", "3 days"]
