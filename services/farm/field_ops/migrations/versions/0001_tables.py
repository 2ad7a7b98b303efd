"""Fields and operations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.farm.common.migrations import create, document, index_odd_rows, isolate, moment, needed, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _fields()
    _operations()
    op.create_index("ix_fields_tenant", "fields", ["tenant_id", "outlive_position", "id"])
    op.create_index("ix_field_operations_field", "field_operations", ["field_id", "outlive_position", "id"])
    op.create_index("ix_field_operations_tenant_status", "field_operations", ["tenant_id", "status"])
    for table in ("fields", "field_operations"):
        index_odd_rows(table)


def downgrade() -> None:
    op.drop_table("field_operations")
    op.drop_table("fields")


def _fields() -> None:
    table = create(
        "fields",
        needed("id", words()),
        needed("tenant_id", words()),
        needed("name", words()),
        sa.Column("name_ar", words()),
        needed("area_hectares", sa.Double),
        sa.Column("crop_type", words()),
        sa.Column("geometry", document()),
        needed("metadata", document()),
        needed("created_at", moment()),
        needed("updated_at", moment()),
        sa.PrimaryKeyConstraint("id", name="pk_fields"),
    )
    isolate(table)


def _operations() -> None:
    table = create(
        "field_operations",
        needed("id", words()),
        needed("tenant_id", words()),
        needed("field_id", words()),
        needed("operation_type", words()),
        needed("status", words()),
        sa.Column("scheduled_date", words()),
        sa.Column("completed_date", moment()),
        sa.Column("notes", words()),
        needed("metadata", document()),
        needed("created_at", moment()),
        sa.PrimaryKeyConstraint("id", name="pk_field_operations"),
    )
    isolate(table)
