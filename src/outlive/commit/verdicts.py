"""What an error of PostgreSQL says: a verdict on the data, a reason to try again, or nothing but that it is away."""

from __future__ import annotations

import psycopg

RELATED = ("23001", "23503", "23505", "23P01")  # foreign key (restrict, others), unique, exclusion
CONTENDED = "40001"  # a serialization failure; a constraint trigger may raise it for good
BUSY = (CONTENDED, "40P01", "55P03")
# connection, resources, operator, system and internal errors, transaction states: no verdict on the data
NO_VERDICT = ("08", "24", "25", "26", "28", "2D", "3D", "53", "55", "57", "58", "F0", "XX")


def is_refusal(error: psycopg.Error) -> bool:
    """Whether PostgreSQL refused the data for good, in a statement or at COMMIT, as opposed to being away or busy.

    A trigger may raise any SQLSTATE, so whatever says nothing of the server's own state is a verdict on the data.
    """
    state = error.sqlstate or ""
    return bool(state) and state not in (*BUSY, "40003") and state[:2] not in NO_VERDICT


def is_busy(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is tried again; it wrote nothing."""
    return isinstance(error, psycopg.Error) and (error.sqlstate or "") in BUSY


def is_refusal_or_foreign(error: BaseException) -> bool:
    """Whether the connection that raised this can still be used."""
    return isinstance(error, psycopg.Error) and is_refusal(error)
