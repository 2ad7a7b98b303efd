"""Farmers with crops, fields and channels; notifications, preferences and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.farm.common.migrations import Parts, document, moment, new, several, words

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
    _preferences_and_outbox()
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    for name, table, columns in GIN:
        op.create_index(name, table, columns, postgresql_using="gin")


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def _farmers() -> None:
    with new("farmer_profiles", "farmer_id") as table:
        table.needs(words(), "name", "name_ar", "governorate")
        table.may(words(), "district", "phone", "email", "fcm_token")
        table.needs(words(), "language")
        table.needs(several(), "crops", "field_ids", "channels")
        table.needs(moment(), "created_at", "updated_at")
    for name, what in (("farmer_crops", "crop_type"), ("farmer_fields", "field_id"), ("farmer_channels", "channel")):
        with new(name, "key") as table:
            table.needs(words(), "farmer_id", what)
            table.once("farmer_id", what)
            table.refers("farmer_id", "farmer_profiles.farmer_id")
            if name == "farmer_crops":
                table.needs(words(), "governorate")
                table.needs(moment(), "registered_at")


def _notifications() -> None:
    table = Parts("notifications", "id", sa.Uuid)
    table.needs(words(), "user_id", "type", "priority", "title", "title_ar", "body", "body_ar", "channel")
    table.needs(sa.JSON(none_as_null=True), "data")
    table.needs(sa.Boolean, "is_read")
    table.may(moment(), "read_at")
    table.needs(several(), "target_governorates", "target_crops")
    table.needs(moment(), "created_at")
    table.may(moment(), "expires_at")
    table.needs(moment(), "shown_until")
    table.needs(sa.BigInteger, "outlive_version")
    table.needs(sa.Numeric, "outlive_position")
    op.create_table("notifications", *table.held)


def _preferences_and_outbox() -> None:
    with new("notification_preferences", "key") as table:
        table.needs(words(), "user_id", "channel")
        table.needs(sa.Boolean, "enabled")
        table.needs(words(), "min_priority")
        table.needs(document(), "notification_types")
        table.may(sa.Time, "quiet_hours_start", "quiet_hours_end")
        table.needs(moment(), "created_at", "updated_at")
        table.once("user_id", "channel")
    with new("notification_outbox", "key") as table:
        table.needs(sa.Uuid, "notification_id")
        table.needs(words(), "user_id", "channel", "priority", "state")
        table.needs(moment(), "created_at")
        table.may(moment(), "due_at", "sent_at")
        table.needs(sa.BigInteger, "attempts")
        table.may(words(), "error")
        table.once("notification_id", "channel")
        table.refers("notification_id", "notifications.id")
