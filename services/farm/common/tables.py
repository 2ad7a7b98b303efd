"""What the services' tables share: names of constraints, and column types that hold all that the APIs accept.

The requirements' VARCHAR(n) and NUMERIC(p,s) would refuse texts and numbers that the API always took, so texts are TEXT
and numbers have no fixed scale. Texts compare by code point, as Python does, so that an index serves the same order.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any

from sqlalchemy import BigInteger, Date, DateTime, Double, ForeignKey, Index, Numeric, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

# Python types with the column they have in every table of a service.
Words = Annotated[str, mapped_column(Text(collation="C"))]
Whole = Annotated[int, mapped_column(BigInteger)]
Measure = Annotated[float, mapped_column(Double)]
Money = Annotated[float, mapped_column(Numeric)]
Sum = Annotated[Decimal, mapped_column(Numeric)]
Many = Annotated[int, mapped_column(Numeric)]  # any whole number; bigint would refuse what the API takes
Day = Annotated[dt.date, mapped_column(Date)]
Moment = Annotated[dt.datetime, mapped_column(DateTime(timezone=True))]
Object = Annotated[dict[str, Any], mapped_column(JSONB(none_as_null=True))]
Several = Annotated[list[str], mapped_column(ARRAY(Text(collation="C")))]
Lines = Annotated[list[Any], mapped_column(JSONB(none_as_null=True))]


PLAIN = text("outlive_extra IS NULL")  # of an index that counts by itself: rows that their columns tell all of


def refers(place: str, **more: Any) -> Any:
    """A column that refers to `table.column`, which cannot be deleted meanwhile."""
    return mapped_column(ForeignKey(place, ondelete="RESTRICT"), **more)


def odd_rows(table: str, column: str = "outlive_position") -> Index:
    """For `__table_args__`: how a query finds the few rows of which `outlive_extra` says more than their columns.

    Without it each list by SQL reads the whole table for them. Its migration: `index_odd_rows`.
    """
    return Index(f"ix_{table}_extra", column, postgresql_where=text("outlive_extra IS NOT NULL"))
