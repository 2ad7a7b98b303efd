"""How a connection is set up, and how a pooler is recognised, written once for sync and async."""

from __future__ import annotations

import logging
from typing import Any

import psycopg

from outlive.postgres.drive import Ask, Step
from outlive.settings import Settings

# A role called outlive would otherwise find, and create, its unqualified tables in the control schema.
_OWN_SCHEMA_IS_NOT_THE_DEFAULT = (
    "SELECT set_config('search_path', 'public', false)"
    " WHERE current_user = 'outlive' AND current_setting('search_path') = '\"$user\", public'"
)
_TIMEOUT_AND_TRUST = "SELECT set_config('statement_timeout', %s, false), set_config('outlive.across', %s, false)"
log = logging.getLogger("outlive.sql")


def prepare_session(
    info: psycopg.ConnectionInfo, settings: Settings, pooler: bool | None, *, trusted: bool = False
) -> Step[bool]:
    """True when a pooler stands between; the session then has UTC, ISO dates and no more.

    A pooler is recognised by its process id, which is not the server's own. Only settings that poolers carry over
    from server to server are made through one; a statement timeout would leak to other clients, and so would the
    right of a `trusted` connection to every tenant's rows.
    """
    if pooler is None:
        rows = yield Ask("SELECT pg_backend_pid()")
        pooler = rows[0][0] != info.backend_pid
    yield Ask(
        "SELECT set_config(name, value, false)"
        " FROM (VALUES ('TimeZone', 'UTC'), ('DateStyle', 'ISO, MDY'), ('IntervalStyle', 'postgres')) AS w(name, value)"
        " WHERE current_setting(name) <> value"
    )
    if not pooler:
        timeout_ms = str(int(settings.statement_timeout_s * 1000))
        across = "on" if trusted else ""
        yield Ask(_TIMEOUT_AND_TRUST, [timeout_ms, across])
        yield Ask(_OWN_SCHEMA_IS_NOT_THE_DEFAULT)
    return pooler


class EchoCursor(psycopg.Cursor[Any]):
    """Logs each statement, never its values: those are people's data."""

    echoes = True

    def execute(self, query: Any, params: Any = None, **options: Any) -> EchoCursor:
        """Runs `query` as psycopg's cursor does."""
        _echo(self, query)
        return super().execute(query, params, **options)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        """Runs `query` for each of `params_seq` as psycopg's cursor does."""
        _echo(self, query)
        super().executemany(query, params_seq, **options)


class AsyncEchoCursor(psycopg.AsyncCursor[Any]):
    """Logs each statement, never its values."""

    echoes = True

    async def execute(self, query: Any, params: Any = None, **options: Any) -> AsyncEchoCursor:
        """Runs `query` as psycopg's cursor does."""
        _echo(self, query)
        return await super().execute(query, params, **options)

    async def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        """Runs `query` for each of `params_seq` as psycopg's cursor does."""
        _echo(self, query)
        await super().executemany(query, params_seq, **options)


def _echo(cursor: Any, query: Any) -> None:
    if log.isEnabledFor(logging.INFO):
        text = query.as_string(cursor) if hasattr(query, "as_string") else query
        log.info("%s", text.decode() if isinstance(text, bytes) else text)
