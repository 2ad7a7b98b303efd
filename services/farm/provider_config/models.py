"""The tables in PostgreSQL."""

from __future__ import annotations

from typing import Annotated, Any

from sqlalchemy import JSON, Index, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, Moment, Words, odd_rows

# Text, so that keys keep their order; nothing is asked inside.
List = Annotated[list[dict[str, Any]], mapped_column(JSON(none_as_null=True))]
Whole = Annotated[dict[str, Any], mapped_column(JSON(none_as_null=True))]


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class ConfigRow(SystemColumns, Base):
    __tablename__ = "provider_configs"
    __table_args__ = (odd_rows("provider_configs"),)

    tenant_id: Mapped[Words] = mapped_column(primary_key=True)
    map_providers: Mapped[List]
    weather_providers: Mapped[List]
    satellite_providers: Mapped[List]
    updated_at: Mapped[Moment]


class ChangeRow(SystemColumns, Base):
    __tablename__ = "provider_config_history"
    __table_args__ = (
        Index("ix_provider_config_history_tenant_changed", "tenant_id", "changed_at"),
        odd_rows("provider_config_history"),
    )

    change_id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words]
    action: Mapped[Words]
    changed_at: Mapped[Moment]
    config: Mapped[Whole | None]
