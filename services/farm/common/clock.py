"""The time, in one place, so that a test can set it."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """This moment, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


def today() -> dt.datetime:
    """The beginning of the current day in UTC."""
    return now().replace(hour=0, minute=0, second=0, microsecond=0)


def in_utc(moment: dt.datetime) -> dt.datetime:
    """The same moment in UTC; a naive time counts as UTC. What UTC's calendar does not reach is its first or last."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=dt.UTC)
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError:
        first, last = dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)
        return first if moment.year == 1 else last
