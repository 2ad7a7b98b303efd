"""Rows that are fetched while the ones before are worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg


def ahead(cursor: psycopg.ServerCursor[Any], size: int) -> Iterator[list[Any]]:
    """A server cursor's rows, `size` at a time, the next ones under way; its connection is nobody else's."""
    with ThreadPoolExecutor(1, thread_name_prefix="outlive-fetch") as fetcher:
        waiting = fetcher.submit(cursor.fetchmany, size)
        while rows := waiting.result():
            waiting = fetcher.submit(cursor.fetchmany, size)
            yield rows
