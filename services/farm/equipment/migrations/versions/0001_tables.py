"""Equipment, its maintenance, alerts and photos."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.farm.common.migrations import create, document, index_odd_rows, isolate, moment, needed, several, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_equipment_tenant_status", "equipment", ["tenant_id", "status"]),
    ("ix_equipment_type_status", "equipment", ["equipment_type", "status"]),
    ("ix_equipment_field_status", "equipment", ["field_id", "status"]),
    ("ix_equipment_next_maintenance", "equipment", ["next_maintenance_at"]),
    ("ix_equipment_tenant_name", "equipment", ["tenant_id", "name", "outlive_position", "equipment_id"]),
    ("ix_equipment_serial_number", "equipment", ["serial_number"]),
    ("ix_maintenance_equipment_date", "equipment_maintenance", ["equipment_id", "performed_at"]),
    ("ix_maintenance_type", "equipment_maintenance", ["maintenance_type", "performed_at"]),
    ("ix_alerts_overdue", "equipment_alerts", ["is_overdue", "priority"]),
    ("ix_alerts_equipment_due", "equipment_alerts", ["equipment_id", "due_at"]),
    ("ix_alerts_tenant", "equipment_alerts", ["tenant_id"]),
    ("ix_equipment_photos_equipment", "equipment_photos", ["equipment_id", "taken_at"]),
)


def upgrade() -> None:
    _equipment()
    _maintenance()
    _alerts()
    _photos()
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    op.create_index(
        "ix_equipment_totals", "equipment", ["tenant_id", "equipment_type", "status"],
        postgresql_include=["outlive_position"], postgresql_where="deleted_at IS NULL AND outlive_extra IS NULL",
    )  # fmt: skip
    op.create_index("ix_alerts_open_due", "equipment_alerts", ["due_at"], postgresql_where="acknowledged_at IS NULL")
    op.execute("COMMENT ON INDEX ix_equipment_serial_number IS 'outlive: meant to be unique'")
    for table in ("equipment", "equipment_maintenance", "equipment_alerts", "equipment_photos"):
        index_odd_rows(table)


def downgrade() -> None:
    for table in ("equipment_photos", "equipment_alerts", "equipment_maintenance", "equipment"):
        op.drop_table(table)


def _equipment() -> None:
    table = create(
        "equipment",
        needed("equipment_id", words()),
        needed("tenant_id", words()),
        needed("name", words()),
        sa.Column("name_ar", words()),
        needed("equipment_type", words()),
        needed("status", words()),
        sa.Column("brand", words()),
        sa.Column("model", words()),
        sa.Column("serial_number", words()),
        sa.Column("year", sa.BigInteger),
        sa.Column("purchase_date", moment()),
        sa.Column("purchase_price", sa.Numeric),
        sa.Column("field_id", words()),
        sa.Column("location_name", words()),
        sa.Column("horsepower", sa.BigInteger),
        sa.Column("fuel_capacity_liters", sa.Double),
        sa.Column("current_fuel_percent", sa.Double),
        sa.Column("current_hours", sa.Double),
        sa.Column("current_lat", sa.Double),
        sa.Column("current_lon", sa.Double),
        sa.Column("last_maintenance_at", moment()),
        sa.Column("next_maintenance_at", moment()),
        sa.Column("next_maintenance_hours", sa.Double),
        needed("created_at", moment()),
        needed("updated_at", moment()),
        sa.Column("metadata", document()),
        sa.Column("qr_code", words()),
        sa.Column("deleted_at", moment()),
        sa.PrimaryKeyConstraint("equipment_id", name="pk_equipment"),
        sa.UniqueConstraint("qr_code", name="uq_equipment_qr_code"),
    )
    isolate(table)


def _owned(table: str) -> tuple[sa.Column[str], sa.Column[str], sa.ForeignKeyConstraint]:
    owner = sa.ForeignKeyConstraint(
        ["equipment_id"], ["equipment.equipment_id"], name=f"fk_{table}_equipment_id", ondelete="RESTRICT"
    )
    return needed("equipment_id", words()), needed("tenant_id", words()), owner


def _maintenance() -> None:
    table = create(
        "equipment_maintenance",
        needed("record_id", words()),
        *_owned("equipment_maintenance"),
        needed("maintenance_type", words()),
        needed("description", words()),
        sa.Column("description_ar", words()),
        sa.Column("performed_by", words()),
        needed("performed_at", moment()),
        sa.Column("cost", sa.Numeric),
        sa.Column("notes", words()),
        sa.Column("parts_replaced", several()),
        sa.PrimaryKeyConstraint("record_id", name="pk_equipment_maintenance"),
    )
    isolate(table)


def _alerts() -> None:
    table = create(
        "equipment_alerts",
        needed("alert_id", words()),
        *_owned("equipment_alerts"),
        needed("equipment_name", words()),
        needed("maintenance_type", words()),
        needed("description", words()),
        sa.Column("description_ar", words()),
        needed("priority", words()),
        sa.Column("due_at", moment()),
        sa.Column("due_hours", sa.Double),
        needed("is_overdue", sa.Boolean),
        needed("created_at", moment()),
        sa.Column("acknowledged_at", moment()),
        sa.PrimaryKeyConstraint("alert_id", name="pk_equipment_alerts"),
    )
    isolate(table)


def _photos() -> None:
    table = create(
        "equipment_photos",
        needed("photo_id", words()),
        *_owned("equipment_photos"),
        needed("url", words()),
        sa.Column("caption", words()),
        needed("taken_at", moment()),
        needed("created_at", moment()),
        sa.PrimaryKeyConstraint("photo_id", name="pk_equipment_photos"),
    )
    isolate(table)
