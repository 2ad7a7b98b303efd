"""Named places where a test stops, delays or breaks the running process; nothing happens unless a test asks.

A process is told by `OUTLIVE_FAILPOINT="commit.after=kill:3;journal.before_sync=sleep:0.2"`, a test in the same
process by `arm`. Actions:

    kill[:N]    SIGKILL to this process at the Nth hit (1 when left out)
    raise[:N]   raise FailPointHit at the Nth hit (at every hit when left out)
    sleep:S     sleep S seconds at every hit

`hit` costs one truth test while nothing is armed.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from outlive.errors import BadSetting, FailPointHit

VARIABLE = "OUTLIVE_FAILPOINT"

NAMES = frozenset(
    {
        "journal.before_write",
        "journal.after_write",
        "journal.before_sync",
        "journal.after_sync",
        "journal.before_mark",
        "journal.after_mark",
        "backfill.chunk",
        "load.chunk",
        "commit.before",
        "commit.after",
        "ack.before",
        "ack.after",
        "drain.before_mark",
        "file.before_sync",
        "file.before_swap",
        "file.after_rename",
        "image.after",
        "image.before",
    }
)


@dataclass(slots=True)
class _Point:
    """An armed fail point; `act` runs at the `at`-th hit, or at every hit when `at` is None."""

    act: Callable[[], object]
    at: int | None
    hits: int = 0


_armed: dict[str, _Point] = {}
_lock = threading.Lock()


def hit(name: str) -> None:
    """Do what was armed for `name`, usually nothing. Raises FailPointHit, or what an armed callable raises."""
    if _armed:
        _fire(name)


def arm(name: str, action: str | Callable[[], object], times: int | None = None) -> None:
    """Let `hit(name)` do `action`: a word of the module's table or a callable; replaces what was armed there.

    times counts from 1: act at that hit only; None: as the action's own number says, a callable at every hit.
    Raises BadSetting for a name outside NAMES and for an action that is none.
    """
    if name not in NAMES:
        raise BadSetting(name=VARIABLE, value=name, reason=f"no such fail point; there are {', '.join(sorted(NAMES))}")
    act, at = (action, None) if callable(action) else _parse(name, action)
    with _lock:
        _armed[name] = _Point(act, at if times is None else times)


def disarm(name: str | None = None) -> None:
    """Forget one armed fail point, or all of them."""
    with _lock:
        if name is None:
            _armed.clear()
        else:
            _armed.pop(name, None)


def arm_from(text: str) -> None:
    """Arm what `text` says, in the form of OUTLIVE_FAILPOINT. Raises BadSetting where it says nothing known."""
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, action = part.partition("=")
        arm(name.strip(), action.strip())


def _fire(name: str) -> None:
    with _lock:
        point = _armed.get(name)
        if point is None:
            return
        point.hits += 1
        due = point.at is None or point.hits == point.at
    if due:
        point.act()


def _parse(name: str, action: str) -> tuple[Callable[[], object], int | None]:
    word, colon, number = action.partition(":")
    try:
        if word == "kill":
            return _kill, int(number) if colon else 1
        if word == "raise":
            return partial(_raise, name), int(number) if colon else None
        if word == "sleep":
            return partial(time.sleep, float(number)), None
    except ValueError:
        pass
    raise BadSetting(name=VARIABLE, value=f"{name}={action}", reason="use kill[:N], raise[:N] or sleep:SECONDS")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(name: str) -> None:
    raise FailPointHit(name=name)


arm_from(os.environ.get(VARIABLE, ""))
