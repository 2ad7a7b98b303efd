"""Alerts, rules, and the history of alerts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from alembic import op

from outlive.postgres.partitions import create_ahead
from services.farm.common.migrations import create, document, index_odd_rows, isolate, moment, needed, several, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_alerts_tenant_created", "alerts", ["tenant_id", "created_at"]),
    ("ix_alerts_field_status_created", "alerts", ["field_id", "status", "created_at"]),
    ("ix_alerts_type_severity", "alerts", ["type", "severity"]),
    ("ix_alerts_status_expires", "alerts", ["status", "expires_at"]),
    ("ix_alerts_source", "alerts", ["source_service"]),
    ("ix_alerts_tenant_type", "alerts", ["tenant_id", "type", "created_at"]),
    ("ix_alerts_position", "alerts", ["outlive_position"]),
    ("ix_rules_field_enabled", "alert_rules", ["field_id", "enabled"]),
    ("ix_rules_tenant_enabled", "alert_rules", ["tenant_id", "enabled"]),
    ("ix_rules_enabled_triggered", "alert_rules", ["enabled", "last_triggered_at"]),
    ("ix_alert_history_alert", "alert_history", ["alert_id", "created_at"]),
)


def upgrade() -> None:
    _alerts()
    _rules()
    _history()
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    op.create_index(
        "ix_alerts_created", "alerts", ["created_at", "status", "type", "severity", "outlive_position"],
        postgresql_include=["tenant_id", "resolution_hours"], postgresql_where="outlive_extra IS NULL",
    )  # fmt: skip
    op.create_index("ix_alerts_fields", "alerts", ["fields"], postgresql_using="gin")
    index_odd_rows("alerts", "created_at")
    for table in ("alert_rules", "alert_history"):
        index_odd_rows(table)


def downgrade() -> None:
    for table in ("alert_history", "alert_rules", "alerts"):
        op.drop_table(table)


def _alerts() -> None:
    table = create(
        "alerts",
        needed("id", words()),
        needed("tenant_id", words()),
        needed("field_id", words()),
        needed("fields", several()),
        needed("type", words()),
        needed("severity", words()),
        needed("status", words()),
        needed("title", words()),
        sa.Column("title_en", words()),
        needed("message", words()),
        sa.Column("message_en", words()),
        needed("recommendations", several()),
        needed("recommendations_en", several()),
        needed("extra_metadata", document()),
        sa.Column("source_service", words()),
        sa.Column("correlation_id", words()),
        needed("created_at", moment()),
        sa.Column("expires_at", moment()),
        sa.Column("expires_at_given", words()),
        *_stamps("acknowledged"),
        *_stamps("dismissed"),
        *_stamps("resolved"),
        sa.Column("resolution_note", words()),
        sa.Column("resolution_hours", sa.Double),
        sa.Column("field_ids", several()),
        sa.Column("governorate", words()),
        sa.Column("lat", sa.Double),
        sa.Column("lng", sa.Double),
        sa.PrimaryKeyConstraint("id", "created_at", name="pk_alerts"),
        postgresql_partition_by="RANGE (created_at)",
    )
    isolate(table)
    create_ahead(op, "alerts", "quarter", around=dt.datetime.now(dt.UTC).date())


def _stamps(what: str) -> tuple[sa.Column[Any], sa.Column[Any]]:
    return sa.Column(f"{what}_at", moment()), sa.Column(f"{what}_by", words())


def _rules() -> None:
    create(
        "alert_rules",
        needed("id", words()),
        sa.Column("tenant_id", words()),
        needed("field_id", words()),
        needed("name", words()),
        sa.Column("name_en", words()),
        needed("enabled", sa.Boolean),
        needed("condition", document()),
        needed("alert_config", document()),
        needed("cooldown_hours", sa.BigInteger),
        sa.Column("last_triggered_at", moment()),
        needed("created_at", moment()),
        needed("updated_at", moment()),
        sa.PrimaryKeyConstraint("id", name="pk_alert_rules"),
    )


def _history() -> None:
    table = create(
        "alert_history",
        needed("history_id", words()),
        needed("alert_id", words()),
        needed("tenant_id", words()),
        sa.Column("old_status", words()),
        needed("new_status", words()),
        sa.Column("performed_by", words()),
        sa.Column("note", words()),
        needed("created_at", moment()),
        sa.PrimaryKeyConstraint("history_id", name="pk_alert_history"),
    )
    isolate(table)
