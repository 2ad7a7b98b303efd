"""Does a folder outlive its process? A journal on a disk that dies with its container is no journal.

Memory file systems end with the machine, the root of a container ends with the container; a mounted volume stays.
Linux tells which is which in /proc/self/mountinfo; elsewhere a folder counts as lasting.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

IN_MEMORY = frozenset({"tmpfs", "ramfs"})
LAYERED = frozenset({"overlay", "aufs", "overlayfs", "fuse-overlayfs", "fuse.fuse-overlayfs"})
MARKS = ("/.dockerenv", "/run/.containerenv")
VARIABLES = ("container", "KUBERNETES_SERVICE_HOST")
_CGROUP = re.compile(r"docker|kubepods|containerd|libpod|crio")
_OCTAL = re.compile(r"\\([0-7]{3})")


def why_perishable(folder: Path, mountinfo: str, *, contained: bool) -> str | None:
    """Why what is written to `folder` (absolute, links resolved) will not last; None if it will, as far as is known.

    mountinfo: the text of /proc/self/mountinfo. contained: whether this process runs in a container.
    """
    point, kind = "", ""
    for mount, found in _mounts(mountinfo):
        if len(mount) >= len(point) and folder.is_relative_to(mount):
            point, kind = mount, found
    if kind in IN_MEMORY:
        return f"{folder} is on {point}, a {kind}: it is gone when the machine restarts"
    if contained and point == "/" and kind in LAYERED:
        return f"{folder} is on the root file system of a container: it is gone with the container"
    return None


def in_container(env: Mapping[str, str], cgroup: str, exists: Callable[[str], bool]) -> bool:
    """Whether marks of a container are there: its files, its environment, its control group."""
    return (
        any(exists(mark) for mark in MARKS)
        or any(env.get(name) for name in VARIABLES)
        or _CGROUP.search(cgroup) is not None
    )


def look_at(folder: Path) -> str | None:
    """`why_perishable` of a folder of this machine, which need not exist yet."""
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    try:
        cgroup = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        cgroup = ""
    contained = in_container(os.environ, cgroup, os.path.exists)
    return why_perishable(folder.resolve(), mountinfo, contained=contained)


def _mounts(mountinfo: str) -> Iterable[tuple[str, str]]:
    """(mount point, file system) of each line; a later line covers an earlier one at the same place."""
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        words, after = left.split(" "), right.split(" ")
        if dash and len(words) >= 5 and after[0]:
            yield _OCTAL.sub(lambda match: chr(int(match[1], 8)), words[4]), after[0]
