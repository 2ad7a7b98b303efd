"""Putting new content in a file's place so that an edit by another hand is never overwritten unseen.

Between the last look at a file and its replacement another program may write it. Where the operating system can
exchange two names at once (Linux), what was displaced is still there afterwards and is compared with what was known;
elsewhere the look directly before the rename is all there is.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from outlive.commit import failpoints
from outlive.stores import files
from outlive.stores.files import Stamp

AT_FDCWD = -100
NOREPLACE, EXCHANGE = 1, 2
RACY_NS = 2_000_000_000  # a file changed as lately as this can change again without a new time


@dataclass(frozen=True, slots=True)
class Seen:
    """What a file is known to be: its stamp (None: no file), and its content's digest if that was ever read."""

    stamp: Stamp | None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Swapped:
    """Whether the content is in the file's place now, with which stamp; displaced: what another hand had put there."""

    done: bool
    stamp: Stamp | None = None
    displaced: Path | None = None


def swap(path: Path, content: bytes, seen: Seen, *, anyway: bool = False) -> Swapped:
    """Put `content` in the place of the file that was `seen`: temporary file, fsync, exchange, fsync of the folder.

    Not done when another file stands there already, unless `anyway`. One that was displaced although it is not the one
    seen is kept beside the new one, under a name of its own. Raises OSError; the file is then as it was.
    """
    name = files.write_beside(path, content)
    ours, displaced = files.stamp_of(name), None
    try:
        now = files.stamp_of(path)
        if now is not None and now != seen.stamp and not anyway:
            return Swapped(False)
        failpoints.hit("file.before_swap")
        done, exchanged = _place(name, path, exists=now is not None)
        failpoints.hit("file.after_rename")
        if exchanged and _foreign(name, seen):
            displaced = files.aside_of(path)
            os.replace(name, displaced)
    finally:
        name.unlink(missing_ok=True)
    files.sync_folder(path.parent)
    return Swapped(done, ours, displaced)


def _place(name: Path, path: Path, *, exists: bool) -> tuple[bool, bool]:
    """(the content is in place, `name` is now what stood there). Another hand may have made or removed the file."""
    code = _rename(name, path, EXCHANGE if exists else NOREPLACE)
    if code in (errno.ENOENT, errno.EEXIST):
        return False, False
    if code:  # not this kernel, this file system, or this sandbox; what else is wrong, the rename below tells
        os.replace(name, path)
    return True, not code and exists


def _foreign(name: Path, seen: Seen) -> bool:
    """Whether what was displaced differs from what was seen; by its bytes, unless its time says enough."""
    stamp = files.stamp_of(name)
    racy = stamp is not None and time.time_ns() - stamp[0] < RACY_NS
    if stamp == seen.stamp and not (racy and seen.digest):
        return False
    return not seen.digest or files.digest(name.read_bytes()) != seen.digest


def _rename(name: Path, path: Path, flags: int) -> int:
    """0, or the error number of renameat2."""
    call = _renameat2()
    if call is None:
        return errno.ENOSYS
    return call(os.fsencode(name), os.fsencode(path), flags)


@cache
def _renameat2() -> Callable[[bytes, bytes, int], int] | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int

    def call(name: bytes, path: bytes, flags: int) -> int:
        return ctypes.get_errno() if function(AT_FDCWD, name, AT_FDCWD, path, flags) else 0

    return call
