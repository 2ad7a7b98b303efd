"""Tasks, their evidence and history, and templates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from services.farm.common.migrations import create, document, index_odd_rows, isolate, moment, needed, several, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("tasks", "task_evidence", "task_history", "task_templates")
INDEXES = (
    ("ix_tasks_tenant_status", "tasks", ["tenant_id", "status"]),
    ("ix_tasks_assigned_status", "tasks", ["assigned_to", "status"]),
    ("ix_tasks_field_status", "tasks", ["field_id", "status"]),
    ("ix_tasks_due_status", "tasks", ["due_date", "status"]),
    ("ix_tasks_position", "tasks", ["outlive_position"]),
    ("ix_task_evidence_task", "task_evidence", ["task_id", "captured_at"]),
    ("ix_task_history_task", "task_history", ["task_id", "created_at"]),
    ("ix_task_history_action", "task_history", ["action", "created_at"]),
    ("ix_task_history_performed_by", "task_history", ["performed_by", "created_at"]),
    ("ix_task_templates_tenant_name", "task_templates", ["tenant_id", "name"]),
)
LIVE_INDEXES = (
    ("ix_tasks_tenant_due", ["tenant_id", "due_date"]),
    ("ix_tasks_tenant_completed", ["tenant_id", "status", "completed_at"]),
)


def upgrade() -> None:
    _tasks()
    _evidence()
    _history()
    _templates()
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    for name, columns in LIVE_INDEXES:
        op.create_index(name, "tasks", columns, postgresql_where="deleted_at IS NULL")
    op.create_index(
        "ix_tasks_totals", "tasks", ["tenant_id", "status", "due_date"], postgresql_include=["outlive_position"],
        postgresql_where="deleted_at IS NULL AND outlive_extra IS NULL",
    )  # fmt: skip
    for table in TABLES:
        index_odd_rows(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _tasks() -> None:
    table = create(
        "tasks",
        needed("task_id", words()),
        needed("tenant_id", words()),
        needed("title", words()),
        sa.Column("title_ar", words()),
        sa.Column("description", words()),
        sa.Column("description_ar", words()),
        needed("task_type", words()),
        needed("priority", words()),
        needed("status", words()),
        sa.Column("field_id", words()),
        sa.Column("zone_id", words()),
        sa.Column("assigned_to", words()),
        needed("created_by", words()),
        sa.Column("due_date", moment()),
        sa.Column("due_date_given", words()),
        sa.Column("scheduled_time", words()),
        sa.Column("estimated_duration_minutes", sa.BigInteger),
        sa.Column("actual_duration_minutes", sa.BigInteger),
        needed("created_at", moment()),
        needed("updated_at", moment()),
        sa.Column("completed_at", moment()),
        sa.Column("completion_notes", words()),
        needed("evidence", JSONB),
        sa.Column("task_metadata", document()),
        sa.Column("astronomical_score", sa.BigInteger),
        sa.Column("moon_phase_at_due_date", words()),
        sa.Column("lunar_mansion_at_due_date", words()),
        sa.Column("optimal_time_of_day", words()),
        needed("suggested_by_calendar", sa.Boolean),
        sa.Column("astronomical_recommendation", document()),
        needed("astronomical_warnings", several()),
        sa.Column("deleted_at", moment()),
        sa.PrimaryKeyConstraint("task_id", name="pk_tasks"),
    )
    isolate(table)


def _owned(table: str) -> tuple[sa.Column[str], sa.Column[str], sa.ForeignKeyConstraint]:
    owner = sa.ForeignKeyConstraint(["task_id"], ["tasks.task_id"], name=f"fk_{table}_task_id", ondelete="RESTRICT")
    return needed("task_id", words()), needed("tenant_id", words()), owner


def _evidence() -> None:
    table = create(
        "task_evidence",
        needed("evidence_id", words()),
        *_owned("task_evidence"),
        needed("type", words()),
        needed("content", words()),
        needed("captured_at", moment()),
        sa.Column("lat", sa.Double),
        sa.Column("lon", sa.Double),
        sa.PrimaryKeyConstraint("evidence_id", name="pk_task_evidence"),
    )
    isolate(table)


def _history() -> None:
    table = create(
        "task_history",
        needed("history_id", sa.Uuid),
        *_owned("task_history"),
        needed("action", words()),
        sa.Column("old_status", words()),
        sa.Column("new_status", words()),
        needed("performed_by", words()),
        sa.Column("changes", document()),
        sa.Column("notes", words()),
        needed("created_at", moment()),
        sa.PrimaryKeyConstraint("history_id", name="pk_task_history"),
    )
    isolate(table)


def _templates() -> None:
    table = create(
        "task_templates",
        needed("template_id", words()),
        needed("tenant_id", words()),
        needed("name", words()),
        needed("title", words()),
        sa.Column("title_ar", words()),
        sa.Column("description", words()),
        sa.Column("description_ar", words()),
        needed("task_type", words()),
        needed("priority", words()),
        sa.Column("field_id", words()),
        sa.Column("zone_id", words()),
        sa.Column("assigned_to", words()),
        sa.Column("scheduled_time", words()),
        sa.Column("estimated_duration_minutes", sa.BigInteger),
        sa.Column("metadata", document()),
        needed("created_at", moment()),
        sa.PrimaryKeyConstraint("template_id", name="pk_task_templates"),
    )
    isolate(table)
