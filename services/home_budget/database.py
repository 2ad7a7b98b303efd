"""The service's own few questions to PostgreSQL: is it there, and what do the feature flags say.

Records never pass here; outlive keeps them.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache

import psycopg
import sqlalchemy

from outlive.errors import OutliveError
from outlive.postgres import embedded
from outlive.postgres.address import Address
from outlive.settings import Settings

PROBE_LIMIT_S = 1.0
CONNECT_LIMIT_S = 2


def address() -> Address | None:
    """Where PostgreSQL is, by environment or as the embedded server that runs; None when there is none."""
    settings = Settings.from_env()
    return Address.from_settings(settings) or embedded.running(settings.home)


@lru_cache(maxsize=1)
def engine(where: Address) -> sqlalchemy.Engine:
    """A small pool for the feature flags."""
    return sqlalchemy.create_engine(
        where.url(),
        pool_size=1,
        max_overflow=1,
        pool_timeout=CONNECT_LIMIT_S,
        pool_pre_ping=True,
        pool_recycle=3600,
        connect_args={"connect_timeout": CONNECT_LIMIT_S, "prepare_threshold": None},
    )


async def is_connected() -> bool:
    """Whether PostgreSQL answers a query within PROBE_LIMIT_S; never raises."""
    try:
        where = address()
        if where is None:
            return False
        async with asyncio.timeout(PROBE_LIMIT_S):
            async with await psycopg.AsyncConnection.connect(where.conninfo(), autocommit=True) as conn:
                await conn.execute("SELECT 1")
            return True
    except (psycopg.Error, OSError, TimeoutError, OutliveError):
        return False
