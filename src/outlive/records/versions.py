"""Versions: numbers below 2**63 that order all changes of all members.

41 bits milliseconds since 2020-01-01 UTC (lasts until 2089), 12 bits counter, 10 bits member. Members whose numbers
agree in the low 10 bits can draw equal versions; PostgreSQL's commit order decides between them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

EPOCH_MS = 1_577_836_800_000
LEAD_LIMIT_MS = 60_000

_MEMBER_BITS = 10
_COUNTER_BITS = 12
_TICK_BITS = _MEMBER_BITS + _COUNTER_BITS


def time_ms(version: int) -> int:
    """Unix milliseconds at which `version` was drawn, by the clock that drew it."""
    return (version >> _TICK_BITS) + EPOCH_MS


class VersionClock:
    """Draws versions; each is greater than every one drawn or observed before. Safe to share by threads.

    `now_ms` gives Unix milliseconds. `clamped` counts observed versions that lay more than 60 s ahead of now.
    """

    def __init__(self, member: int, now_ms: Callable[[], int]) -> None:
        self._member = member & ((1 << _MEMBER_BITS) - 1)
        self._now_ms = now_ms
        self._offset_ms = 0
        self._last = 0
        self._lock = threading.Lock()
        self.clamped = 0

    def next(self) -> int:
        """A version above all that were drawn or observed; never behind the clock."""
        with self._lock:
            tick = (self._now_ms() + self._offset_ms - EPOCH_MS) << _COUNTER_BITS
            least = (self._last >> _MEMBER_BITS) + 1
            self._last = version = (max(least, tick)) << _MEMBER_BITS | self._member
            return version

    def observe(self, version: int) -> None:
        """Makes later versions greater than `version`; one far ahead counts as 60 s ahead and raises `clamped`."""
        with self._lock:
            limit = self._now() + LEAD_LIMIT_MS << _TICK_BITS
            if version > limit:
                self.clamped += 1
                version = limit
            self._last = max(self._last, version)

    def set_offset_ms(self, offset_ms: int) -> None:
        """Sets what is added to `now_ms`: PostgreSQL's clock minus this machine's, in milliseconds."""
        with self._lock:
            self._offset_ms = offset_ms

    def _now(self) -> int:
        return max(0, self._now_ms() + self._offset_ms - EPOCH_MS)

    def wall_ms(self) -> int:
        """This machine's Unix milliseconds, without the offset."""
        return self._now_ms()

    def rename(self, member: int) -> None:
        """Draw under another member number from now on."""
        with self._lock:
            self._member = member & ((1 << _MEMBER_BITS) - 1)
