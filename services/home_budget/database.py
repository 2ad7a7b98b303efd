"""The service's own connection to PostgreSQL, for the feature flags.

Records never pass here; outlive keeps them.
"""

from __future__ import annotations

from functools import lru_cache

import psycopg
import sqlalchemy

from outlive.postgres import embedded
from outlive.postgres.address import Address
from outlive.settings import Settings

CONNECT_LIMIT_S = 2


def address() -> Address | None:
    """Where PostgreSQL is, by environment or as the embedded server that runs; None when there is none."""
    settings = Settings.from_env()
    return Address.from_settings(settings) or embedded.running(settings.home)


@lru_cache(maxsize=1)
def engine(where: Address) -> sqlalchemy.Engine:
    """A small pool for the feature flags."""
    return sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(**where.asked(), connect_timeout=CONNECT_LIMIT_S, prepare_threshold=None),
        pool_size=1,
        max_overflow=1,
        pool_timeout=CONNECT_LIMIT_S,
        pool_pre_ping=True,
        pool_recycle=3600,
    )
