"""The tables in PostgreSQL."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Annotated, Any

from sqlalchemy import JSON, Boolean, Index, MetaData, Numeric, Time, UniqueConstraint, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, Moment, Object, Several, Whole, Words, odd_rows, refers

Id = Annotated[uuid.UUID, mapped_column(Uuid)]
Clock = Annotated[dt.time, mapped_column(Time)]
Yes = Annotated[bool, mapped_column(Boolean)]
Kept = Annotated[dict[str, Any], mapped_column(JSON(none_as_null=True))]  # keeps the order of keys, as JSONB does not


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class ProfileRow(SystemColumns, Base):
    __tablename__ = "farmer_profiles"
    __table_args__ = (Index("idx_farmer_governorate", "governorate"), odd_rows("farmer_profiles"))

    farmer_id: Mapped[Words] = mapped_column(primary_key=True)
    name: Mapped[Words]
    name_ar: Mapped[Words]
    governorate: Mapped[Words]
    district: Mapped[Words | None]
    phone: Mapped[Words | None]
    email: Mapped[Words | None]
    fcm_token: Mapped[Words | None]
    language: Mapped[Words]
    crops: Mapped[Several]
    field_ids: Mapped[Several]
    channels: Mapped[Several]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class CropRow(SystemColumns, Base):
    __tablename__ = "farmer_crops"
    __table_args__ = (
        UniqueConstraint("farmer_id", "crop_type"),
        Index("ix_farmer_crops_crop_governorate", "crop_type", "governorate"),
        odd_rows("farmer_crops"),
    )

    key: Mapped[Words] = mapped_column(primary_key=True)
    farmer_id: Mapped[Words] = refers("farmer_profiles.farmer_id")
    crop_type: Mapped[Words]
    governorate: Mapped[Words]
    registered_at: Mapped[Moment]


class FieldRow(SystemColumns, Base):
    __tablename__ = "farmer_fields"
    __table_args__ = (UniqueConstraint("farmer_id", "field_id"), odd_rows("farmer_fields"))

    key: Mapped[Words] = mapped_column(primary_key=True)
    farmer_id: Mapped[Words] = refers("farmer_profiles.farmer_id")
    field_id: Mapped[Words]


class ChannelRow(SystemColumns, Base):
    __tablename__ = "farmer_channels"
    __table_args__ = (UniqueConstraint("farmer_id", "channel"), odd_rows("farmer_channels"))

    key: Mapped[Words] = mapped_column(primary_key=True)
    farmer_id: Mapped[Words] = refers("farmer_profiles.farmer_id")
    channel: Mapped[Words]


class NotificationRow(Base):
    """Without `outlive_extra`, so that indexes alone count notifications: every value is one that its column holds."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("ix_notifications_user_created", "user_id", "created_at"),
        Index("ix_notifications_user_read", "user_id", "is_read", "shown_until"),
        Index("ix_notifications_created", "created_at"),
        Index("ix_notifications_shown_until", "shown_until"),
        Index("ix_notifications_type_expires", "type", "expires_at", "outlive_position"),
        Index("ix_notifications_position", "outlive_position"),
        Index("ix_notifications_governorates", "target_governorates", postgresql_using="gin"),
        Index("ix_notifications_crops", "target_crops", postgresql_using="gin"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Words]
    type: Mapped[Words]
    priority: Mapped[Words]
    title: Mapped[Words]
    title_ar: Mapped[Words]
    body: Mapped[Words]
    body_ar: Mapped[Words]
    channel: Mapped[Words]
    data: Mapped[Kept]
    is_read: Mapped[Yes]
    read_at: Mapped[Moment | None]
    target_governorates: Mapped[Several]
    target_crops: Mapped[Several]
    created_at: Mapped[Moment]
    expires_at: Mapped[Moment | None]
    shown_until: Mapped[Moment]
    outlive_version: Mapped[Whole]
    outlive_position: Mapped[Decimal] = mapped_column(Numeric)


class PreferenceRow(SystemColumns, Base):
    __tablename__ = "notification_preferences"
    __table_args__ = (UniqueConstraint("user_id", "channel"), odd_rows("notification_preferences"))

    key: Mapped[Words] = mapped_column(primary_key=True)
    user_id: Mapped[Words]
    channel: Mapped[Words]
    enabled: Mapped[Yes]
    min_priority: Mapped[Words]
    notification_types: Mapped[Object]
    quiet_hours_start: Mapped[Clock | None]
    quiet_hours_end: Mapped[Clock | None]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class MessageRow(SystemColumns, Base):
    __tablename__ = "notification_outbox"
    __table_args__ = (
        Index("ix_notification_outbox_due", "state", "due_at"),
        Index("ix_notification_outbox_user", "user_id", "state"),
        UniqueConstraint("notification_id", "channel"),
        odd_rows("notification_outbox"),
    )

    key: Mapped[Words] = mapped_column(primary_key=True)
    notification_id: Mapped[Id] = refers("notifications.id")
    user_id: Mapped[Words]
    channel: Mapped[Words]
    priority: Mapped[Words]
    created_at: Mapped[Moment]
    due_at: Mapped[Moment | None]
    state: Mapped[Words]
    attempts: Mapped[Whole]
    error: Mapped[Words | None]
    sent_at: Mapped[Moment | None]
