"""Feature flags: environment, then the user's row, then the row for everybody, then the default.

The two storage flags are a view of the phase that outlive keeps; they have no row and cannot be written here.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy.dialects.postgresql import insert

from outlive.errors import OutliveError, Unreachable
from outlive.phases.flags import flags_of, resolve
from outlive.settings import boolean
from services.home_budget import database
from services.home_budget.models import FeatureFlagRow
from services.home_budget.records import expenses

logger = logging.getLogger(__name__)
STORAGE_FLAGS = ("USE_DATABASE_STORAGE", "DUAL_WRITE_ENABLED")
QUIET_S = 2.0
_quiet_until = 0.0


@dataclass(eq=False, kw_only=True)
class StorageFlagIsAView(OutliveError):
    """A storage flag cannot be written: it shows the phase of the stores."""

    message = "{name} is a view of the phase and cannot be set; use: outlive advance expenses (or: outlive rollback)"
    hint = "outlive advance expenses"
    exit_code = 3
    name: str = "?"


def is_feature_enabled(name: str, user_id: int | None = None, default: bool = False) -> bool:
    """Whether a feature is on, for everybody or for one user.

    FF_<NAME> in the environment (true 1 yes on / false 0 no off, any case) decides first; row names are
    case-sensitive. Never raises: a database that does not answer counts as one without rows.
    """
    if name.upper() in STORAGE_FLAGS:
        return _view_of_phase(name.upper())
    told = boolean(os.environ.get(f"FF_{name.upper()}", ""))
    if told is None:
        told = _row(name, user_id)
    return default if told is None else told


def set_feature(name: str, enabled: bool, user_id: int | None = None, description: str | None = None) -> None:
    """Write the row of a flag. Raises StorageFlagIsAView for the storage flags, Unreachable without PostgreSQL."""
    if name.upper() in STORAGE_FLAGS:
        raise StorageFlagIsAView(name=name)
    where = database.address()
    if where is None:
        raise Unreachable(address="(none)", reason="no address is set and no embedded server runs")
    row = {"name": name, "enabled": enabled, "user_id": user_id, "description": description}
    changed = {"enabled": enabled} if description is None else {"enabled": enabled, "description": description}
    statement = insert(FeatureFlagRow).values(row)
    conflict = statement.on_conflict_do_update(index_elements=["name", "user_id"], set_=changed)
    try:
        with database.engine(where).begin() as conn:
            conn.execute(conflict)
    except sqlalchemy.exc.SQLAlchemyError as failure:
        raise Unreachable(address=where.masked(), reason=type(failure).__name__) from failure


def _view_of_phase(name: str) -> bool:
    flags = flags_of(resolve(os.environ, "expenses", expenses.phase).phase)
    return flags.use_database_storage if name == "USE_DATABASE_STORAGE" else flags.dual_write_enabled


def _row(name: str, user_id: int | None) -> bool | None:
    """What the table says; None without a row or an answer. After a failure it is not asked for QUIET_S."""
    global _quiet_until
    if time.monotonic() < _quiet_until:
        return None
    try:
        where = database.address()
        if where is None:
            return None
        with database.engine(where).begin() as conn:
            conn.execute(sqlalchemy.text("SET LOCAL statement_timeout = '2s'"))
            told: bool | None = conn.execute(_query(name, user_id)).scalar()
            return told
    except (sqlalchemy.exc.SQLAlchemyError, OutliveError, OSError) as failure:
        logger.warning("feature flag %s: the database gave no answer (%s)", name, type(failure).__name__)
        _quiet_until = time.monotonic() + QUIET_S
        return None


def _query(name: str, user_id: int | None) -> sqlalchemy.Select[Any]:
    row = FeatureFlagRow
    mine = row.user_id.is_(None) if user_id is None else row.user_id.is_(None) | (row.user_id == user_id)
    return sqlalchemy.select(row.enabled).where(row.name == name, mine).order_by(row.user_id.nulls_last()).limit(1)
