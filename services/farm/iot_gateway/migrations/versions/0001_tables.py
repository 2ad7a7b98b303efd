"""Devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.farm.common.migrations import create, document, index_odd_rows, isolate, moment, needed, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = create(
        "devices",
        needed("device_id", words()),
        needed("tenant_id", words()),
        needed("field_id", words()),
        needed("device_type", words()),
        needed("name_ar", words()),
        needed("name_en", words()),
        needed("status", words()),
        sa.Column("last_seen", moment()),
        sa.Column("last_reading", document()),
        sa.Column("battery_level", sa.Double),
        sa.Column("location", document()),
        needed("metadata", document()),
        needed("created_at", moment()),
        sa.PrimaryKeyConstraint("device_id", name="pk_devices"),
    )
    isolate(table)
    op.create_index("ix_devices_field", "devices", ["field_id", "outlive_position", "device_id"])
    op.create_index("ix_devices_type", "devices", ["device_type", "outlive_position", "device_id"])
    op.create_index("ix_devices_tenant", "devices", ["tenant_id"])
    op.create_index("ix_devices_last_seen", "devices", ["last_seen"])
    index_odd_rows("devices")


def downgrade() -> None:
    op.drop_table("devices")
