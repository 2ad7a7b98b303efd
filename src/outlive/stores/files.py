"""JSON files as a store's old home: their format, their lock, atomic replacement, and the sidecar.

The sidecar tells, beside the digest of what we wrote last, up to which version the file holds the table's changes, so
that at a start an edit by another hand is told from our own writes and from changes that a crash kept from the file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from outlive.commit import failpoints
from outlive.errors import FileHeld, FileMalformed

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Format:
    """How a JSON file is written: found in the file, kept when it is rewritten."""

    indent: int | str | None = 2
    ascii: bool = False
    newline: bool = False
    separators: tuple[str, str] | None = None

    def render(self, row: Any) -> str:
        """One row's text, as it stands inside the list."""
        text = json.dumps(row, indent=self.indent, ensure_ascii=self.ascii, separators=self.separators)
        if self.indent is None:
            return text
        pad = " " * self.indent if isinstance(self.indent, int) else self.indent
        return pad + text.replace("\n", "\n" + pad)

    def dump(self, rows: list[str]) -> bytes:
        """The file's bytes for a list of rendered rows: what `json.dumps` gives for the whole list."""
        if not rows:
            text = "[]"
        elif self.indent is None:
            text = "[" + (self.separators[0] if self.separators else ", ").join(rows) + "]"
        else:
            text = "[\n" + ",\n".join(rows) + "\n]"
        return (text + ("\n" if self.newline else "")).encode("utf-8", "surrogatepass")


def format_of(text: str, default: Format) -> Format:
    """The format of a file's text; what the text does not show is taken from `default`."""
    body = text.rstrip()
    indent = default.indent
    separators = default.separators
    if match := re.match(r"[\[{]\n([ \t]+)", body):
        space = match[1]
        indent = len(space) if set(space) == {" "} else space
    elif len(body) > 2:
        indent = None
        separators = (",", ":") if '":' in body and '": ' not in body else None
    ascii_only = body.isascii() and ("\\u" in body or default.ascii) if body else default.ascii
    return Format(indent, ascii_only, text.endswith("\n"), separators)


def stamp_of(path: Path) -> Stamp | None:
    """(mtime, size, inode), or None if there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def read_rows(path: Path) -> tuple[Any, str]:
    """The parsed content of a JSON file and its text. Raises FileMalformed."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
        return json.loads(text), text
    except (ValueError, OSError) as error:
        raise FileMalformed(path=str(path), reason=str(error)) from error


def replace(path: Path, content: bytes) -> None:
    """Put new content in the file's place: temporary file, fsync, rename, fsync of the folder."""
    name = write_beside(path, content)
    try:
        os.replace(name, path)
        failpoints.hit("file.after_rename")
    except BaseException:
        name.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_beside(path: Path, content: bytes) -> Path:
    """A temporary file beside `path` that holds `content`, fsync'd, with the mode that `path` has or would get."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            failpoints.hit("file.before_sync")
            os.fsync(file.fileno())
        _keep_mode(path, name)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _keep_mode(path: Path, name: str) -> None:
    try:
        mode = path.stat().st_mode & 0o7777
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        mode = 0o666 & ~umask
    os.chmod(name, mode)


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(content: bytes) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


class FileLock:
    """One writer a file: an flock on a file beside it that names the holder."""

    def __init__(self, path: Path) -> None:
        self.path = path.parent / f".{path.name}.outlive-lock"
        self._target = path
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        return self._handle is not None

    def acquire(self) -> None:
        """Raises FileHeld, with the holder's pid."""
        if self._handle is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = int(os.pread(handle, 32, 0).decode().strip() or 0)
            os.close(handle)
            raise FileHeld(path=str(self._target), pid=pid) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def try_acquire(self) -> bool:
        """Whether this process writes the file now."""
        try:
            self.acquire()
        except FileHeld:
            return False
        return True

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


@dataclass(slots=True)
class Sidecar:
    """What we know of our last write of a file."""

    digest: str
    previous: str
    upto: int
    previous_upto: int
    phase: str
    at: float
    folded: dict[str, int] = field(default_factory=dict)  # newer changes that a journal brought to the file, by key

    @staticmethod
    def path_of(path: Path) -> Path:
        return path.parent / f".{path.name}.outlive"

    @classmethod
    def read(cls, path: Path) -> Sidecar | None:
        """None where there is none, or it cannot be read (then the file counts as edited)."""
        try:
            return cls(**json.loads(cls.path_of(path).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        facts = {name: getattr(self, name) for name in self.__slots__}
        replace(self.path_of(path), json.dumps(facts).encode())

    def upto_of(self, found: str) -> int | None:
        """Up to which version a file with this digest holds the table's changes; None: another hand wrote it."""
        if found == self.digest:
            return self.upto
        return self.previous_upto if found == self.previous else None


def write_with_sidecar(path: Path, content: bytes, upto: int, phase: str, folded: dict[str, int] | None = None) -> None:
    """Replace the file; the sidecar goes first and knows both states, so a crash in between is no foreign edit."""
    announce(path, content, upto, phase, folded)
    replace(path, content)


def announce(path: Path, content: bytes, upto: int, phase: str, folded: dict[str, int] | None = None) -> None:
    """Write the sidecar of a file that is about to hold `content`."""
    old = Sidecar.read(path)
    found = digest(path.read_bytes()) if path.exists() else ""
    old_upto = (old.upto_of(found) if old is not None else None) or 0
    Sidecar(digest(content), found, upto, old_upto, phase, time.time(), folded or {}).write(path)


def keep_aside(path: Path) -> Path:
    """A copy of a file that will be overwritten, beside it."""
    aside = aside_of(path)
    shutil.copy2(path, aside)
    return aside


def aside_of(path: Path) -> Path:
    """A free name beside a file for what another hand made of it."""
    day = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    names = (path.with_name(f"{path.stem}.edited-{day}-{os.getpid()}-{number}{path.suffix}") for number in count(1))
    return next(name for name in names if not name.exists())


def archived(path: Path) -> Path | None:
    """The newest archived copy of a file, or None."""
    found = sorted((path.parent / "archive").glob(f"{path.stem}.*{path.suffix}"), key=lambda old: old.stat().st_mtime)
    return found[-1] if found else None


def archive(path: Path, keep_days: int = 30) -> Path | None:
    """Move a file to `archive/` beside it, named by date and checksum; drops archived ones older than `keep_days`."""
    if not path.exists():
        return None
    folder = path.parent / "archive"
    folder.mkdir(exist_ok=True)
    for old in folder.glob(f"{path.stem}.*{path.suffix}"):
        if time.time() - old.stat().st_mtime > keep_days * 86400:
            old.unlink()
    day = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = folder / f"{path.stem}.{day}.{digest(path.read_bytes())[:16]}{path.suffix}"
    os.replace(path, target)
    os.utime(target)
    sync_folder(path.parent)
    return target
