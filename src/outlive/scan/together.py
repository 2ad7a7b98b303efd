"""Two halves of one piece of work at the same time: one here, one in a child of this process that sends its result."""

from __future__ import annotations

import marshal
import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any, TypeVar

Here = TypeVar("Here")


def can_fork() -> bool:
    """Whether a child with this process's memory can be made, and a second core is there for it."""
    forks = "fork" in multiprocessing.get_all_start_methods()
    return forks and (os.cpu_count() or 1) > 1 and not multiprocessing.current_process().daemon


def together(here: Callable[[], Here], there: Callable[[], Any]) -> tuple[Here, Any]:
    """What both give. `there` runs in a child, so it changes nothing here; its result is plain tuples, lists and texts.

    When the child dies, `there` runs here after all.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(ours)
        _send(theirs, there)
    os.close(theirs)
    try:
        found = here()
        with open(ours, "rb") as pipe:
            data = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    _, status = os.waitpid(child, 0)
    return found, there() if status else marshal.loads(data)  # noqa: S302 - made by a child of this process


def _send(pipe: int, work: Callable[[], Any]) -> None:
    """Writes what the work gives and ends the process, without what a normal end would run."""
    status = 1
    try:
        with open(pipe, "wb") as out:
            out.write(marshal.dumps(work()))
        status = 0
    finally:
        os._exit(status)
