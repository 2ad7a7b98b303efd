"""The journal's files: one segment at a time is written, all can be read, what is damaged is kept aside.

Only the newest segment of a journal may end in an unfinished write. A segment that existed when its journal was opened
is never written again, except that such an end is cut off.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from outlive.commit import frames
from outlive.commit.failpoints import hit
from outlive.commit.frames import Frame, Head, Hole
from outlive.errors import JournalUnusable

SUFFIX = ".wal"
Group = Sequence[tuple[int, bytes]]

fdatasync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


def sync_folder(path: Path) -> None:
    """Make creations, renames and removals in the folder `path` durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(slots=True, eq=False)
class Segment:
    """One file; `seqs` rise strictly and name its durable, intact frames. `size` is its durable length in bytes."""

    path: Path
    head: Head
    size: int = 0
    seqs: array[int] = field(default_factory=lambda: array("Q"))
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    lengths: array[int] = field(default_factory=lambda: array("Q"))
    handle: int | None = None

    def add(self, frame: Frame) -> None:
        """Know one more durable frame."""
        self.offsets.append(frame.offset)
        self.lengths.append(frame.length)
        self.seqs.append(frame.seq)

    def units_after(self, seq: int) -> int:
        """How many frames are newer than `seq`."""
        return len(self.seqs) - bisect_right(self.seqs, seq)

    def bytes_after(self, seq: int) -> int:
        """How many bytes lie from the first frame newer than `seq` to the segment's end."""
        first = bisect_right(self.seqs, seq)
        return self.size - self.offsets[first] if first < len(self.seqs) else 0

    def write(self, group: Group) -> list[Frame]:
        """The frames of `group`, durable on disk but not yet known to this object; `keep` or `undo` must follow.

        Raises OSError, with any part of the group in the file.
        """
        start = b"" if self.size else self.head.encode()
        blocks, found, offset = [start], [], self.size + len(start)
        for seq, payload in group:
            blocks.append(frames.encode(seq, payload, self.head.salt))
            found.append(Frame(seq, offset, len(payload)))
            offset = found[-1].end
        hit("journal.before_write")
        self._put(b"".join(blocks))
        hit("journal.after_write")
        self._sync()
        return found

    def keep(self, written: list[Frame]) -> None:
        """Know what `write` returned."""
        self.size = written[-1].end
        seqs, offsets, lengths = zip(*written, strict=True)
        self.offsets.extend(offsets)
        self.lengths.extend(lengths)
        self.seqs.extend(seqs)

    def undo(self) -> None:
        """Take back, durably, what `write` left behind without `keep`. Raises OSError; may be called again."""
        if self.size:
            os.ftruncate(self._open(), self.size)
            os.fsync(self._open())
        else:
            self.remove()

    def remove(self) -> None:
        """Delete the file."""
        self.close()
        self.path.unlink(missing_ok=True)
        sync_folder(self.path.parent)

    def close(self) -> None:
        """Give the file descriptor back."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def read(self, after: int, upto: int) -> Iterator[tuple[int, bytes] | Hole]:
        """(sequence, payload) of frames with after < sequence <= upto; a Hole for one that no longer proves itself.

        Ends early when the file was removed, which is done only to drained segments.
        """
        first, last = bisect_right(self.seqs, after), bisect_left(self.seqs, upto + 1)
        if first == last:
            return
        with suppress(FileNotFoundError), open(self.path, "rb") as file:
            for place in zip(self.seqs[first:last], self.offsets[first:last], self.lengths[first:last], strict=True):
                yield self._read_one(file, Frame(*place))

    def _read_one(self, file: BinaryIO, frame: Frame) -> tuple[int, bytes] | Hole:
        file.seek(frame.offset)
        data = file.read(frame.end - frame.offset)
        found = frames.frame_at(data, 0, self.head.salt)
        if found == (frame._replace(offset=0), True):
            return frame.seq, data[frames.FRAME_HEAD :]
        return Hole(frame.offset, frame.end, f"frame {frame.seq} changed on disk", False)

    def _put(self, data: bytes) -> None:
        rest, offset, handle = memoryview(data), self.size, self._open()
        while rest:
            done = os.pwrite(handle, rest, offset)
            rest, offset = rest[done:], offset + done

    def _sync(self) -> None:
        hit("journal.before_sync")
        fdatasync(self._open())
        if not self.size:
            sync_folder(self.path.parent)
        hit("journal.after_sync")

    def _open(self) -> int:
        if self.handle is None:
            create = 0 if self.size else os.O_CREAT | os.O_EXCL
            self.handle = os.open(self.path, os.O_RDWR | create, 0o600)
        return self.handle


@dataclass(slots=True)
class Loaded:
    """What a file held: the segment, the damage in it, its unfinished end."""

    segment: Segment
    holes: list[Hole]
    torn: Hole | None


def load(path: Path, names: tuple[str, str], newest: bool, after: int) -> Loaded:
    """The segment in the file `path`. names: (service, token), used where its head is damaged.

    newest: an unfinished end is expected here; it is not cut off yet. after: frames that do not follow it are
    repeats, and holes. Raises JournalUnusable for a format that a newer version wrote; OSError.
    """
    data = path.read_bytes()
    head, offset, version = frames.read_head(data)
    if version != frames.FORMAT:
        raise JournalUnusable(path=str(path), reason=f"format {version} is newer than this version of outlive")
    segment = Segment(path, head or Head(*names, int(path.stem), -1), len(data))
    holes = []
    for item in frames.scan(data, offset, segment.head.salt):
        if isinstance(item, Hole):
            holes.append(item)
        elif item.seq <= (segment.seqs[-1] if segment.seqs else after):
            holes.append(Hole(item.offset, item.end, f"frame {item.seq} is a repeat", False))
        else:
            segment.add(item)
    if head is None and not segment.seqs and frames.head_is_cut(data):
        holes = [Hole(0, len(data), "the segment's head is cut short", True)]
    torn = holes.pop() if newest and holes and holes[-1].end == len(data) else None
    return Loaded(segment, holes, torn)


def cut(segment: Segment, offset: int) -> None:
    """Cut an unfinished end off the segment's file, durably; a file that is cut to nothing is deleted."""
    if offset:
        with open(segment.path, "r+b") as file:
            file.truncate(offset)
            os.fsync(file.fileno())
        segment.size = offset
    else:
        segment.remove()


def keep_aside(path: Path, aside: Path) -> Path:
    """A copy of `path` in the folder `aside`, named by its content so that one damage is kept once. Raises OSError."""
    data = path.read_bytes()
    kept = aside / f"{path.parent.name}-{path.stem}-{crc32(data):08x}{SUFFIX}"
    if not kept.exists():
        aside.mkdir(mode=0o700, exist_ok=True)
        part = kept.with_suffix(".part")
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(kept)
        sync_folder(aside)
        sync_folder(aside.parent)
    return kept
