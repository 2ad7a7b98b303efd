"""Whether PostgreSQL answers, for a service's health route."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg

from outlive.errors import OutliveError
from outlive.postgres import embedded
from outlive.postgres.address import Address

if TYPE_CHECKING:
    from outlive.runtime.service import Service

PROBE_LIMIT_S = 1.0


async def connected(service: Service) -> bool:
    """True when PostgreSQL answers a query within PROBE_LIMIT_S, over a connection of its own; never raises.

    A pool that is busy says nothing about the server, so the probe takes none of its connections.
    """
    try:
        settings = service.settings
        where = Address.from_settings(settings) or embedded.running(settings.home)
        if where is None:
            return False
        options: dict[str, Any] = await asyncio.to_thread(where.asked) if where.secret else where.asked()
        async with asyncio.timeout(PROBE_LIMIT_S):
            async with await psycopg.AsyncConnection.connect(**options, autocommit=True) as conn:
                await conn.execute("SELECT 1")
        return True
    except (psycopg.Error, OSError, TimeoutError, OutliveError):
        return False
