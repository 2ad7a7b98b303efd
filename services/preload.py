"""What every service imports, imported once: `services.serve_all` forks its services from a process that holds this.

No service is among it: their stores are declared in the process that serves them.
"""

from __future__ import annotations

import gc
import importlib

SHARED = (
    "alembic.command", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.ext.asyncio", "sqlalchemy.orm", "psycopg",
    "psycopg_binary", "fastapi", "fastapi.telemetry._runtime", "uvicorn", "uvicorn.lifespan.on", "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto", "concurrent.futures.thread", "argparse",
    "outlive.postgres.migrate", "outlive.postgres.alembic_env", "outlive.postgres.derive",
    "outlive.postgres.partitions",
    "outlive.runtime.asgi", "outlive.runtime.declare", "outlive.runtime.member", "outlive.runtime.opening",
    "outlive.runtime.service", "outlive.runtime.scrub", "outlive.runtime.upkeep", "outlive.runtime.watch",
    "outlive.stores.json_file", "outlive.stores.mapping", "outlive.stores.repository", "outlive.transfer.fill",
    "services.farm.common.alone", "services.farm.common.answers", "services.farm.common.app",
    "services.farm.common.migrations", "services.farm.common.tables", "services.farm.common.tenant",
)  # fmt: skip


def load() -> None:
    """Imports it, and keeps the collector off it, so that the memory stays shared after a fork."""
    for name in SHARED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


load()
