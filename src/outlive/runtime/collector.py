"""The cyclic garbage collector while services are open: it does not walk, again and again, what stays anyway.

Python's collector looks at every container each time their number has grown by a quarter, and at the youngest ones
every 700 containers. An image holds containers by the million that have no cycles and live as long as the process, and
a request makes hundreds. While a service is open, what was there before is set aside (`gc.freeze`) and the youngest are
looked at less often. Reference counts go on freeing at once what nobody refers to.
"""

from __future__ import annotations

import gc
import os
import threading

YOUNG = 20_000
_lock = threading.Lock()
_open: set[int] = set()
_before: tuple[int, int, int] | None = None


def _in_child() -> None:
    """A forked child begins with a lock that nobody holds."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_in_child)


def relax(service: object) -> None:
    """Set aside what is there, for as long as this service or another is open; thresholds that are higher stay."""
    global _before
    with _lock:
        if not _open:
            _before = gc.get_threshold()
            if 0 < _before[0] < YOUNG:
                gc.set_threshold(YOUNG, *_before[1:])
        _open.add(id(service))
        gc.freeze()


def tighten(service: object) -> None:
    """The service is closed: after the last one the collector is as it was."""
    global _before
    with _lock:
        _open.discard(id(service))
        if _open or _before is None:
            return
        if gc.get_threshold() == (YOUNG, *_before[1:]):
            gc.set_threshold(*_before)
        _before = None
        gc.unfreeze()
