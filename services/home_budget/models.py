"""The three tables in PostgreSQL, as the requirement names them, in schema `public`.

Columns of a record stand in the order of its fields in the JSON file. Ids are given by the service (highest + 1, as
ever), so there is no sequence that could fall behind them.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from sqlalchemy import Boolean, DateTime, Index, MetaData, Numeric, String, Text, UniqueConstraint, func, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.home_budget.schemas import DEFAULT_CURRENCY

NAMES = {
    "ix": "idx_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
CURRENCY_DEFAULT = text(f"'{DEFAULT_CURRENCY}'")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class ExpenseRow(SystemColumns, Base):
    __tablename__ = "expenses"
    __table_args__ = (
        Index("idx_expenses_date", "date"),
        Index("idx_expenses_category", "category"),
        Index("idx_expenses_account", "account"),
        Index("idx_expenses_date_category", "date", "category"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    date: Mapped[dt.date]
    business: Mapped[str | None] = mapped_column(String(255))
    category: Mapped[str] = mapped_column(String(100))
    amount: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    account: Mapped[str] = mapped_column(String(100))
    currency: Mapped[str] = mapped_column(String(10), server_default=CURRENCY_DEFAULT)
    notes: Mapped[str | None] = mapped_column(Text)


class IncomeRow(SystemColumns, Base):
    __tablename__ = "incomes"
    __table_args__ = (
        Index("idx_incomes_date", "date"),
        Index("idx_incomes_category", "category"),
        Index("idx_incomes_account", "account"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    date: Mapped[dt.date]
    category: Mapped[str] = mapped_column(String(100))
    amount: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    account: Mapped[str] = mapped_column(String(100))
    currency: Mapped[str] = mapped_column(String(10), server_default=CURRENCY_DEFAULT)
    notes: Mapped[str | None] = mapped_column(Text)


class FeatureFlagRow(Base):
    """A flag for everybody (`user_id` null) or for one user; null equals null in its unique constraint."""

    __tablename__ = "feature_flags"
    __table_args__ = (UniqueConstraint("name", "user_id", postgresql_nulls_not_distinct=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    enabled: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    user_id: Mapped[int | None]
    description: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.current_timestamp())
    updated_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.current_timestamp())
