"""What the control tables need not keep for ever: old events, answered requests, superseded verifications; and the
partitions that tables need next.

One member of a service does it at a time, in pieces that hold no lock for long. Tombstones, unlanded changes and
members stay: they decide what a late journal may do.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import psycopg

from outlive.postgres.partitions import keep_ahead
from outlive.postgres.tables import StoreTable

log = logging.getLogger("outlive")
EVERY_S = 600.0
PIECE_ROWS = 1000

_ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended('outlive:upkeep:' || %s, 0))"
_EVENTS = """
DELETE FROM outlive.event WHERE id IN (
    SELECT id FROM outlive.event WHERE service = %s AND at < now() - make_interval(secs => %s) ORDER BY at LIMIT %s)
"""
_REQUESTS = """
DELETE FROM outlive.request WHERE id IN (
    SELECT id FROM outlive.request WHERE service = %s AND done_at < now() - make_interval(secs => %s) LIMIT %s)
"""
# the newest of each store and mode stays, however old: it is what status and gates go by
_VERIFICATIONS = """
DELETE FROM outlive.verification WHERE id IN (
    SELECT v.id FROM outlive.verification AS v
    WHERE v.service = %s AND v.finished_at < now() - make_interval(secs => %s)
    AND EXISTS (SELECT FROM outlive.verification AS n WHERE (n.service, n.store) = (v.service, v.store)
                AND n.mode IS NOT DISTINCT FROM v.mode AND n.finished_at IS NOT NULL AND n.id > v.id)
    ORDER BY v.id LIMIT %s)
"""


def partitions(conn: psycopg.Connection[Any], tables: Iterable[StoreTable]) -> list[str]:
    """Make the partitions that come next, and those that the DEFAULT partitions have rows for; their names.

    What cannot be made now, because of a lock or a right, is logged and left to the next time: writes go to DEFAULT.
    """
    made: list[str] = []
    for table in tables:
        try:
            made += keep_ahead(conn, table)
        except psycopg.Error as error:
            if conn.closed:
                raise
            log.warning("outlive: partitions of %s/%s: %s", table.service, table.store, error)
    return made


def tidy(conn: psycopg.Connection[Any], service: str, keep_days: float, piece_rows: int = PIECE_ROWS) -> bool:
    """Delete up to `piece_rows` rows a table that are older than `keep_days`; whether more of them may be left.

    Nothing, and False, while another member is at it.
    """
    with conn.transaction():
        if not conn.execute(_ALONE, (service,)).fetchall()[0][0]:
            return False
        values = (service, keep_days * 86400, piece_rows)
        counts = [conn.execute(statement, values).rowcount for statement in (_EVENTS, _REQUESTS, _VERIFICATIONS)]
    return max(counts) >= piece_rows
