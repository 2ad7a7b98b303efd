"""How often somebody may ask, counted in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from services.facts.settings import Rate

REMEMBERED = 10_000


class Limiter:
    """Requests of each asker in a window that begins with the first of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._windows: dict[Hashable, tuple[float, int]] = {}

    def wait_s(self, asker: Hashable, rate: Rate) -> float | None:
        """Counts a request; None if it may be answered, else the seconds until the next one may."""
        now = self.clock()
        ends, count = self._windows.get(asker, (0.0, 0))
        if ends <= now:
            self._forget(now)
            ends, count = now + rate.seconds, 0
        if count >= rate.times:
            return ends - now
        self._windows[asker] = ends, count + 1
        return None

    def _forget(self, now: float) -> None:
        """Leaves windows that are over behind, and the oldest where there are still too many."""
        if len(self._windows) < REMEMBERED:
            return
        live = {asker: window for asker, window in self._windows.items() if window[0] > now}
        self._windows = dict(list(live.items())[-REMEMBERED // 2 :])
