"""Each column, type, index and constraint of the alert tables that differs from what requirement 1 asks, and why."""

from __future__ import annotations

from tests.contracts.farm.conftest import Opened, in_database
from tests.contracts.farm.differing import differences, rows, tables

PACKAGE = "services.farm.alerts"
ASKED = {
    "alerts": {
        "alert_id": "uuid", "tenant_id": "varchar(100)", "type": "varchar(50)", "severity": "varchar(20)",
        "status": "varchar(20)", "title": "varchar(200)", "title_ar": "varchar(200)", "message": "text",
        "message_ar": "text", "source": "varchar(100)", "field_ids": "varchar(100)[]", "governorate": "varchar(50)",
        "location": "geography", "created_at": "timestamp", "acknowledged_at": "timestamp",
        "acknowledged_by": "varchar(100)", "resolved_at": "timestamp", "expires_at": "timestamp", "metadata": "jsonb",
    },
    "alert_rules": {
        "rule_id": "uuid", "tenant_id": "varchar(100)", "name": "varchar(200)", "alert_type": "varchar(50)",
        "conditions": "jsonb", "enabled": "bool", "created_at": "timestamp", "updated_at": "timestamp",
    },
}  # fmt: skip
INDEXES = {
    "alerts (tenant_id, type, created_at DESC)", "alerts (status)", "alerts (severity, created_at DESC)",
    "alert_rules (tenant_id)", "alert_rules (enabled)",
}  # fmt: skip
CONSTRAINTS = {"alerts PRIMARY KEY (alert_id)", "alert_rules PRIMARY KEY (rule_id)"}

ODD = "(outlive_position) WHERE (outlive_extra IS NOT NULL)"
LONGER = "lengths are checked where the API says so, and nowhere else"
ZONE = "the API's times are aware"
NAMED = "named as the API names it"
SHOWN = "the API shows it"
PLACE = "two columns are the same on a server with and without PostGIS"
SHEET = "an index that the facts sheet names, in place of the requirement's"
PARTS = "the key of a partitioned table holds the column of its partitions"
REASONS = {
    **dict.fromkeys(
        ["alerts.alert_id", "alerts.id", "alert_rules.rule_id", "alert_rules.id", "alerts.source",
         "alerts.source_service", "alert_rules.alert_type", "alert_rules.alert_config", "alert_rules.conditions",
         "alert_rules.condition", "alerts.title_ar", "alerts.title_en", "alerts.message_ar", "alerts.message_en",
         "alerts.metadata", "alerts.extra_metadata", "alert_rules PRIMARY KEY (rule_id)",
         "alert_rules PRIMARY KEY (id)"],
        NAMED,
    ),
    **dict.fromkeys(
        [f"alerts.{name}" for name in ("tenant_id", "type", "severity", "status", "title", "field_ids", "governorate",
                                       "acknowledged_by")] + ["alert_rules.tenant_id", "alert_rules.name"],
        LONGER,
    ),
    **dict.fromkeys(
        [f"{table}.{name}" for table, row in ASKED.items() for name, kind in row.items() if kind == "timestamp"],
        ZONE,
    ),
    "alerts.expires_at_given": "the text that the API shows, with its zone or without; expires_at is that moment",
    **dict.fromkeys(
        [f"alerts.{name}" for name in (
            "field_id", "recommendations", "recommendations_en", "correlation_id", "dismissed_at", "dismissed_by",
            "resolved_by", "resolution_note",
        )] + [f"alert_rules.{name}" for name in ("field_id", "name_en", "cooldown_hours", "last_triggered_at")],
        SHOWN,
    ),
    "alerts.location": PLACE, "alerts.lat": PLACE, "alerts.lng": PLACE,
    "alerts.fields": "an alert is found by any of its fields", "alerts USING gin (fields)": "the same",
    "alerts.resolution_hours": "the mean time to a resolution is one statement",
    "alerts PRIMARY KEY (alert_id)": PARTS, "alerts PRIMARY KEY (id, created_at)": PARTS,
    "alerts (tenant_id, type, created_at DESC)": "ascending: PostgreSQL reads it backwards",
    "alerts (tenant_id, type, created_at)": "ascending: PostgreSQL reads it backwards",
    **dict.fromkeys(
        ["alerts (status)", "alerts (severity, created_at DESC)", "alert_rules (tenant_id)", "alert_rules (enabled)",
         "alerts (tenant_id, created_at)", "alerts (field_id, status, created_at)", "alerts (type, severity)",
         "alerts (status, expires_at)", "alerts (source_service)", "alert_rules (field_id, enabled)",
         "alert_rules (tenant_id, enabled)", "alert_rules (enabled, last_triggered_at)"],
        SHEET,
    ),
    "alerts (created_at, status, type, severity, outlive_position)"
    " INCLUDE (tenant_id, resolution_hours) WHERE (outlive_extra IS NULL)": "stats of a period, by the index alone",
    "alerts (outlive_position)": "the alert that names a group of the stats",
    "alerts (created_at) WHERE (outlive_extra IS NOT NULL)": "alerts that have more to say than their columns",
    **{f"{table} {ODD}": "the few rows that columns do not decide" for table in ASKED if table != "alerts"},
}  # fmt: skip


@in_database
def test_each_difference_is_named_and_explained(opened: Opened) -> None:
    """Columns, types, defaults, indexes and constraints are as asked, or stand in REASONS; nothing else does."""
    assert differences(opened, ASKED, INDEXES, CONSTRAINTS) == set(REASONS)
    assert tables(opened) - set(ASKED) == {"alert_history"}, "each change of a status, for compliance"


@in_database
def test_alerts_are_partitioned_by_quarter(opened: Opened) -> None:
    """By `created_at`, with a partition for this quarter and for later ones, whose bounds are quarters of a year."""
    [(key,)] = rows(opened, "SELECT pg_get_partkeydef(oid) FROM pg_class WHERE relname = ANY(%s)", ["alerts"])
    assert key == "RANGE (created_at)"
    bounds = rows(
        opened,
        "SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
        " JOIN pg_class AS p ON p.oid = i.inhparent WHERE p.relname = ANY(%s)",
        ["alerts"],
    )
    assert len([bound for (bound,) in bounds if bound != "DEFAULT"]) >= 2
