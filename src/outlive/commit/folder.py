"""Where journals lie and who owns them: `<home>/journal/<service>/<token>/`, one folder a process start.

The owner holds a file lock on `lock` for as long as it lives; whoever can take the lock of a folder has found a dead
process's journal. `cursor` says how far the journal is drained. Evidence of damage lies in `<service>/corrupt/`.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import time
from pathlib import Path
from urllib.parse import quote
from zlib import crc32

from outlive.commit.segments import SUFFIX, fdatasync, sync_folder
from outlive.errors import BadSetting, JournalUnusable

CORRUPT = "corrupt"
_LOCK, _MEMBER, _CURSOR = "lock", "member.json", "cursor"
_PATIENCE_S = 0.5


def service_folder(root: Path, service: str) -> Path:
    """The folder of a service's journals; other characters than letters, digits and `_.-~` are percent-encoded."""
    return root / "journal" / _name("service", service)


def take(root: Path, service: str, token: str) -> tuple[Path, int]:
    """(folder, lock) of the journal `token`, created where it is missing and held until the lock is closed.

    Raises JournalUnusable when another process holds it, OSError when it cannot be created.
    """
    path = service_folder(root, service) / _name("token", token)
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        _make(path)
        try:
            lock = _try_lock(path, os.O_CREAT)
        except FileNotFoundError:
            continue
        if lock is not None:
            return path, lock
        time.sleep(0.01)
    raise JournalUnusable(path=str(path), reason="another process holds it")


def claim(root: Path, service: str) -> list[tuple[Path, int]]:
    """(folder, lock) of every journal whose process is dead, oldest first; each is held by one claimer only."""
    parent = service_folder(root, service)
    found = []
    for path in parent.iterdir() if parent.is_dir() else ():
        if path.name == CORRUPT or not path.is_dir():
            continue
        try:
            lock = _try_lock(path)
        except FileNotFoundError:
            _remove_if_bare(path)
            continue
        if lock is not None:
            found.append((path, lock))
    return sorted(found, key=lambda item: (_started_ns(item[0]), item[0].name))


def describe(path: Path, service: str, token: str) -> None:
    """Write, durably, whose journal the folder is; a folder that is described stays as it was."""
    if (path / _MEMBER).exists():
        return
    facts = {"service": service, "token": token, "pid": os.getpid(), "host": socket.gethostname()}
    part = path / f"{_MEMBER}.part"
    with open(part, "w", encoding="utf-8") as file:
        json.dump(facts | {"started_ns": time.time_ns()}, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path / _MEMBER)
    sync_folder(path)


def owner(path: Path) -> tuple[str, str]:
    """(service, token) of the journal in the folder, from its description, else from the folder's own name."""
    facts = _facts(path)
    return str(facts.get("service", path.parent.name)), str(facts.get("token", path.name))


def delete(path: Path) -> None:
    """Delete a journal's folder, its lock last. What is no part of a journal is left, and the folder with it."""
    for file in (*sorted(path.glob(f"*{SUFFIX}")), path / _CURSOR, path / _MEMBER, path / _LOCK):
        file.unlink(missing_ok=True)
    _remove_if_bare(path)


class Cursor:
    """How far a journal is drained, durably, in two slots written in turn: a torn write leaves the other one.

    The file keeps its size, so that a full disk does not stop it from moving. A cursor that is missing or unreadable
    reads as None: everything that is still there is then replayed again, which changes nothing.
    """

    _SLOT = struct.Struct("<4sQI")
    _MAGIC = b"OLC\x01"

    def __init__(self, folder: Path) -> None:
        self._path = folder / _CURSOR
        self._slot = 0

    def load(self) -> int | None:
        """The last drained sequence."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        best: int | None = None
        for slot in range(len(data) // self._SLOT.size):
            magic, seq, crc = self._SLOT.unpack_from(data, slot * self._SLOT.size)
            if magic == self._MAGIC and crc == self._crc(seq) and seq >= (best or 0):
                best, self._slot = seq, slot
        return best

    def store(self, seq: int) -> None:
        """Move the cursor. Raises OSError, with the old place still on disk."""
        new = not self._path.exists()
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            slot = 1 - self._slot
            data = self._SLOT.pack(self._MAGIC, seq, self._crc(seq))
            os.pwrite(handle, data * 2 if new else data, 0 if new else slot * self._SLOT.size)
            fdatasync(handle)
        finally:
            os.close(handle)
        self._slot = slot
        if new:
            sync_folder(self._path.parent)

    def _crc(self, seq: int) -> int:
        return crc32(seq.to_bytes(8, "little"), crc32(self._MAGIC))


def _name(what: str, text: str) -> str:
    name = quote(text, safe="")
    if not name or name.startswith(".") or name == CORRUPT or len(name) > 200:
        raise BadSetting(name=what, value=text, reason="it cannot name a journal's folder")
    return name


def _make(path: Path) -> None:
    if path.is_dir():
        return
    _make(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_folder(path.parent)


def _try_lock(path: Path, flags: int = 0) -> int | None:
    handle = os.open(path / _LOCK, os.O_RDWR | flags, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), (path / _LOCK).stat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _remove_if_bare(path: Path) -> None:
    try:
        path.rmdir()
        sync_folder(path.parent)
    except OSError:
        pass


def _facts(path: Path) -> dict[str, object]:
    try:
        facts = json.loads((path / _MEMBER).read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _started_ns(path: Path) -> int:
    started = _facts(path).get("started_ns")
    if isinstance(started, int):
        return started
    try:
        return (path / _LOCK).stat().st_mtime_ns
    except OSError:
        return 0
