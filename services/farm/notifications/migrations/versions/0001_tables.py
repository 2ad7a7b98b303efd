"""Farmers with crops, fields and channels; notifications, preferences and the outbox."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from services.farm.common.migrations import create, document, index_odd_rows, moment, needed, several, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INDEXES = (
    ("idx_farmer_governorate", "farmer_profiles", ["governorate"]),
    ("ix_farmer_crops_crop_governorate", "farmer_crops", ["crop_type", "governorate"]),
    ("ix_notifications_user_created", "notifications", ["user_id", "created_at"]),
    ("ix_notifications_user_read", "notifications", ["user_id", "is_read", "shown_until"]),
    ("ix_notifications_created", "notifications", ["created_at"]),
    ("ix_notifications_shown_until", "notifications", ["shown_until"]),
    ("ix_notifications_type_expires", "notifications", ["type", "expires_at", "outlive_position"]),
    ("ix_notifications_position", "notifications", ["outlive_position"]),
    ("ix_notification_outbox_due", "notification_outbox", ["state", "due_at"]),
    ("ix_notification_outbox_user", "notification_outbox", ["user_id", "state"]),
)
GIN = (
    ("ix_notifications_governorates", "notifications", ["target_governorates"]),
    ("ix_notifications_crops", "notifications", ["target_crops"]),
)
TABLES = (
    "notification_outbox", "notification_preferences", "notifications", "farmer_channels", "farmer_fields",
    "farmer_crops", "farmer_profiles",
)  # fmt: skip


def upgrade() -> None:
    _farmers()
    _notifications()
    _preferences()
    _outbox()
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    for name, table, columns in GIN:
        op.create_index(name, table, columns, postgresql_using="gin")
    for table in TABLES:
        if table != "notifications":
            index_odd_rows(table)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def _farmers() -> None:
    create(
        "farmer_profiles",
        needed("farmer_id", words()),
        needed("name", words()),
        needed("name_ar", words()),
        needed("governorate", words()),
        sa.Column("district", words()),
        sa.Column("phone", words()),
        sa.Column("email", words()),
        sa.Column("fcm_token", words()),
        needed("language", words()),
        needed("crops", several()),
        needed("field_ids", several()),
        needed("channels", several()),
        needed("created_at", moment()),
        needed("updated_at", moment()),
        sa.PrimaryKeyConstraint("farmer_id", name="pk_farmer_profiles"),
    )
    _part("farmer_crops", "crop_type", needed("governorate", words()), needed("registered_at", moment()))
    _part("farmer_fields", "field_id")
    _part("farmer_channels", "channel")


def _part(table: str, what: str, *more: sa.Column[Any]) -> None:
    """What belongs to a farmer, each once."""
    create(
        table,
        needed("key", words()),
        needed("farmer_id", words()),
        needed(what, words()),
        *more,
        sa.PrimaryKeyConstraint("key", name=f"pk_{table}"),
        sa.UniqueConstraint("farmer_id", what, name=f"uq_{table}_farmer_id_{what}"),
        sa.ForeignKeyConstraint(
            ["farmer_id"], ["farmer_profiles.farmer_id"], name=f"fk_{table}_farmer_id", ondelete="RESTRICT"
        ),
    )


def _notifications() -> None:
    op.create_table(
        "notifications",
        needed("id", sa.Uuid),
        needed("user_id", words()),
        needed("type", words()),
        needed("priority", words()),
        needed("title", words()),
        needed("title_ar", words()),
        needed("body", words()),
        needed("body_ar", words()),
        needed("channel", words()),
        needed("data", sa.JSON(none_as_null=True)),
        needed("is_read", sa.Boolean),
        sa.Column("read_at", moment()),
        needed("target_governorates", several()),
        needed("target_crops", several()),
        needed("created_at", moment()),
        sa.Column("expires_at", moment()),
        needed("shown_until", moment()),
        needed("outlive_version", sa.BigInteger),
        needed("outlive_position", sa.Numeric),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
    )


def _preferences() -> None:
    create(
        "notification_preferences",
        needed("key", words()),
        needed("user_id", words()),
        needed("channel", words()),
        needed("enabled", sa.Boolean),
        needed("min_priority", words()),
        needed("notification_types", document()),
        sa.Column("quiet_hours_start", sa.Time),
        sa.Column("quiet_hours_end", sa.Time),
        needed("created_at", moment()),
        needed("updated_at", moment()),
        sa.PrimaryKeyConstraint("key", name="pk_notification_preferences"),
        sa.UniqueConstraint("user_id", "channel", name="uq_notification_preferences_user_id_channel"),
    )


def _outbox() -> None:
    create(
        "notification_outbox",
        needed("key", words()),
        needed("notification_id", sa.Uuid),
        needed("user_id", words()),
        needed("channel", words()),
        needed("priority", words()),
        needed("created_at", moment()),
        sa.Column("due_at", moment()),
        needed("state", words()),
        needed("attempts", sa.BigInteger),
        sa.Column("error", words()),
        sa.Column("sent_at", moment()),
        sa.PrimaryKeyConstraint("key", name="pk_notification_outbox"),
        sa.UniqueConstraint("notification_id", "channel", name="uq_notification_outbox_notification_id_channel"),
        sa.ForeignKeyConstraint(
            ["notification_id"], ["notifications.id"], name="fk_notification_outbox_notification_id",
            ondelete="RESTRICT",
        ),
    )  # fmt: skip
