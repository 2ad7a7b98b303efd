"""Many records without the garbage collector: while they are made it would walk all of them again and again."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_depth = 0
_was_on = False
_MANY = 20_000


@contextmanager
def collector_paused() -> Iterator[None]:
    """Cyclic garbage waits until the block (the last of several, in any thread) ends; reference counts go on."""
    global _depth, _was_on
    with _lock:
        if _depth == 0:
            _was_on = gc.isenabled()
            gc.disable()
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _was_on:
                if gc.get_count()[0] > _MANY:
                    _set_old()
                gc.enable()


def _set_old() -> None:
    """What was made in the block counts as old at once: the next small collection does not walk all of it."""
    others = gc.get_freeze_count()
    gc.freeze()
    if not others:  # what somebody has set aside stays aside, with what was made now
        gc.unfreeze()
