"""When a farmer may be disturbed. Quiet hours are times of the clock in Yemen, where all governorates lie."""

from __future__ import annotations

import datetime as dt

from services.farm.notifications.records import Preference, Priority

YEMEN = dt.timezone(dt.timedelta(hours=3), "Asia/Aden")  # the same all year


def allowed_from(wish: Preference | None, priority: Priority, now: dt.datetime) -> dt.datetime | None:
    """When a message of this priority may go out: now, the end of the quiet hours, or None for not until the farmer
    asks for less important ones too. `wish` is None for a farmer who said nothing."""
    if wish is None:
        return now
    if priority.rank < wish.min_priority.rank:
        return None
    return _after_quiet(wish.quiet_hours_start, wish.quiet_hours_end, now)


def _after_quiet(start: dt.time | None, end: dt.time | None, now: dt.datetime) -> dt.datetime:
    """The moment itself, or the end of the quiet hours that it lies in.

    They begin at `start`, are over at `end`, and may pass midnight; from a time to itself is no time.
    """
    if start is None or end is None or start == end:
        return now
    local = now.astimezone(YEMEN)
    clock = local.time()
    quiet = start <= clock < end if start < end else clock >= start or clock < end
    if not quiet:
        return now
    day = local.date() if clock < end else local.date() + dt.timedelta(days=1)
    return dt.datetime.combine(day, end, YEMEN).astimezone(dt.UTC)
