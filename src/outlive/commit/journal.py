"""The local write-ahead file that takes units while PostgreSQL cannot.

What `sync` returned for is on disk and is read back, in order, until it is marked as drained. What `sync` raised for
is not there, in this process and in the next. Layout of the bytes: `frames`; of the folder: `folder`.

    journal = Journal.open(home, "tasks", token)
    seq = journal.append(unit)
    journal.sync([seq])                     # acknowledge only after this
    for seq, unit in journal.read():
        replay(unit)
        journal.mark_drained(seq)
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from outlive.commit import folder, segments
from outlive.commit.failpoints import hit
from outlive.commit.frames import FRAME_HEAD, MAX_PAYLOAD, Head, Hole
from outlive.commit.segments import SUFFIX, Loaded, Segment
from outlive.errors import JournalCorrupt, JournalFull, JournalUnusable

SEGMENT_BYTES = 8 << 20
_open_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


class Journal:
    """One process start's journal. Sequences rise strictly from 1; a refused one leaves a gap, none is used twice.

    damage: what was found damaged, each kept aside; torn: unfinished writes that were cut off at open. Safe for use
    by several threads. After a fork the child gets JournalUnusable from everything that would write.
    """

    def __init__(self, path: Path, lock: int, *, segment_bytes: int, limit_bytes: int | None) -> None:
        self.path = path
        self.service, self.token = folder.owner(path)
        self.damage: list[JournalCorrupt] = []
        self.torn = 0
        self._lock_file = lock
        self._segment_bytes = segment_bytes
        self._limit_bytes = limit_bytes
        self._pid = os.getpid()
        self._io = threading.Lock()
        self._state = threading.Lock()
        self._buffer: list[tuple[int, bytes]] = []
        self._segments: list[Segment] = []
        self._current: Segment | None = None
        self._unclean: Segment | None = None
        self._refused: list[range] = []
        self._cursor = folder.Cursor(path)
        self._drained = self._synced = self._number = 0
        self._closed = False
        self._load()
        self._next = self._synced + 1
        _open_journals.add(self)

    @classmethod
    def open(
        cls,
        root: Path,
        service: str,
        token: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        limit_bytes: int | None = None,
    ) -> Journal:
        """The journal in `<root>/journal/<service>/<token>/`, created or taken up again; held until `close`.

        limit_bytes bounds what waits to be drained. Raises JournalUnusable when the folder cannot be used or another
        process holds it, BadSetting for a service or token that names no folder.
        """
        path = folder.service_folder(root, service) / token
        try:
            path, lock = folder.take(root, service, token)
            try:
                folder.describe(path, service, token)
                return cls(path, lock, segment_bytes=segment_bytes, limit_bytes=limit_bytes)
            except BaseException:
                os.close(lock)
                raise
        except OSError as error:
            raise _unusable(path, error) from error

    @classmethod
    def orphans(cls, root: Path, service: str, *, segment_bytes: int = SEGMENT_BYTES) -> list[Journal]:
        """Journals of dead processes with units to replay or damage to report, oldest first, claimed for this process.

        Empty ones are deleted. Close each with `remove=True` once it is replayed. Raises JournalUnusable when one
        cannot be read; none is claimed then.
        """
        found: list[Journal] = []
        claimed = []
        try:
            claimed = folder.claim(root, service)
            while claimed:
                path, lock = claimed[0]
                journal = cls(path, lock, segment_bytes=segment_bytes, limit_bytes=None)
                claimed.pop(0)
                found.append(journal)
                if not journal.pending() and not journal.damage:
                    found.pop().close(remove=True)
        except BaseException as error:
            for journal in found:
                journal._release()
            for _, lock in claimed:
                os.close(lock)
            if isinstance(error, OSError):
                raise _unusable(folder.service_folder(root, service), error) from error
            raise
        return found

    def append(self, payload: bytes) -> int:
        """The payload's sequence; it is in memory only until `sync`. Raises JournalFull above 4 GiB."""
        return self._append([payload])[0]

    def append_many(self, payloads: Sequence[bytes]) -> list[int]:
        """The payloads' sequences, after one `sync` of them all: all are durable, or JournalFull and none is."""
        seqs = self._append(payloads)
        self.sync(seqs)
        return seqs

    def sync(self, seqs: Iterable[int] = ()) -> int:
        """The last durable sequence, after one write and one fdatasync for everything appended.

        Raises JournalFull when the disk or the limit refuses: then nothing that was appended remains, and the journal
        goes on. Name your sequences where others call `sync` too: it also raises for one that was refused in
        another's call.
        """
        with self._writing():
            with self._state:
                group, self._buffer = self._buffer, []
            if group:
                self._write_or_refuse(group)
            lost = [seq for seq in seqs if seq > self._synced or (self._refused and self._was_refused(seq))]
            if lost:
                raise JournalFull(path=str(self.path), reason=f"unit {lost[0]} was refused with an earlier group")
            return self._synced

    def read(self, from_seq: int = 0) -> Iterator[tuple[int, bytes]]:
        """(sequence, payload) of the durable, undrained units from `from_seq` on, in order.

        Units synced after the call are left out. A unit that went bad on disk is kept aside and named in `damage`.
        """
        with self._state:
            after, upto, found = max(self._drained, from_seq - 1), self._synced, list(self._segments)
        for segment in found:
            for item in segment.read(after, upto):
                if isinstance(item, Hole):
                    self._report(segment.path, item)
                else:
                    yield item

    def mark_drained(self, upto_seq: int) -> None:
        """Remember, durably, that every unit up to `upto_seq` needs no replay; delete segments that hold no other.

        Raises JournalFull when the disk refuses; the units are then replayed again after a restart.
        """
        with self._writing():
            upto = min(upto_seq, self._synced)
            if upto > self._drained:
                hit("journal.before_mark")
                self._on_disk(lambda: self._cursor.store(upto))
                self._drained = upto
                hit("journal.after_mark")
            self._on_disk(self._drop)

    def pending(self) -> int:
        """How many durable units wait to be drained."""
        with self._state:
            return sum(segment.units_after(self._drained) for segment in self._segments)

    @property
    def pending_bytes(self) -> int:
        """How many bytes wait to be drained."""
        with self._state:
            return sum(segment.bytes_after(self._drained) for segment in self._segments)

    def close(self, *, remove_if_empty: bool = False, remove: bool = False) -> None:
        """Sync, and give the journal up for others to claim; a second call does nothing.

        remove_if_empty: delete the folder if nothing waits. remove: the caller says that everything was replayed;
        raises JournalUnusable, and deletes nothing, if something waits still. Raises JournalFull as `sync` does.
        """
        if self._closed or os.getpid() != self._pid:
            return self._release()
        try:
            self.sync()
            waiting = self.pending()
            if remove and waiting:
                raise JournalUnusable(path=str(self.path), reason=f"{waiting} units wait to be drained")
            if (remove or remove_if_empty) and not waiting:
                self._on_disk(lambda: folder.delete(self.path))
        finally:
            self._release()

    def _was_refused(self, seq: int) -> bool:
        return any(seq in gap for gap in self._refused)

    def _append(self, payloads: Sequence[bytes]) -> list[int]:
        self._check_usable()
        for payload in payloads:
            if len(payload) > MAX_PAYLOAD:
                raise JournalFull(path=str(self.path), reason=f"a unit of {len(payload)} bytes is too large")
        with self._state:
            first = self._next
            self._next += len(payloads)
            seqs = list(range(first, self._next))
            self._buffer.extend(zip(seqs, payloads, strict=True))
        return seqs

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._check_usable()
        with self._io:
            self._check_usable()
            yield

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise JournalUnusable(
                path=str(self.path), reason=f"it is that of process {self._pid}, which forked this one"
            )
        if self._closed:
            raise JournalUnusable(path=str(self.path), reason="it is closed")

    def _write_or_refuse(self, group: Sequence[tuple[int, bytes]]) -> None:
        try:
            self._take_back()
            self._check_limit(sum(len(payload) + FRAME_HEAD for _, payload in group))
            self._write(group)
        except BaseException:
            first, stop = group[0][0], group[-1][0] + 1
            if self._refused and self._refused[-1].stop == first:
                first = self._refused.pop().start
            self._refused.append(range(first, stop))
            raise

    def _write(self, group: Sequence[tuple[int, bytes]]) -> None:
        segment = self._writable()
        try:
            written = segment.write(group)
        except BaseException as error:
            self._unclean = segment
            with suppress(JournalFull):
                self._take_back()
            if isinstance(error, OSError):
                raise self._full(error) from error
            raise
        with self._state:
            segment.keep(written)
            self._synced = written[-1].seq
            if segment is not self._current:
                self._enlist(segment)

    def _enlist(self, segment: Segment) -> None:
        if self._current is not None:
            self._current.close()
        self._current = segment
        self._number = segment.head.number
        self._segments.append(segment)

    def _take_back(self) -> None:
        """Finish taking back a refused group; until that is durable nothing else is accepted."""
        if self._unclean is not None:
            self._on_disk(self._unclean.undo)
            self._unclean = None

    def _check_limit(self, more_bytes: int) -> None:
        limit = self._limit_bytes
        if limit is not None and self.pending_bytes + more_bytes > limit:
            raise JournalFull(path=str(self.path), reason=f"{more_bytes} more bytes would pass its limit of {limit}")

    def _writable(self) -> Segment:
        if self._current is not None and self._current.size < self._segment_bytes:
            return self._current
        head = Head(self.service, self.token, self._number + 1, self._synced)
        return Segment(self.path / f"{head.number:08d}{SUFFIX}", head)

    def _drop(self) -> None:
        while self._segments and not self._segments[0].units_after(self._drained):
            segment = self._segments[0]
            segment.remove()
            with self._state:
                self._segments.remove(segment)
            if segment is self._current:
                self._current = None

    def _load(self) -> None:
        drained = known = self._cursor.load()
        self._drained = self._synced = drained or 0
        paths = sorted(path for path in self.path.glob(f"*{SUFFIX}") if path.stem.isdecimal())
        last = 0
        for path in paths:
            loaded = segments.load(path, (self.service, self.token), path == paths[-1], last)
            known = self._take_in(loaded, known)
            last = max(last, *loaded.segment.seqs[-1:], 0)
            self._number = int(path.stem)
        if drained is None:
            self._cursor.store(0)
        self._drop()

    def _take_in(self, loaded: Loaded, known: int | None) -> int | None:
        """Take in one segment; known: the last sequence that is accounted for, None after damage. Returns the next."""
        segment, torn = loaded.segment, loaded.torn
        before = segment.head.previous
        if known is not None and before > known:
            self._report(segment.path, Hole(0, 0, f"units {known + 1} to {before} before it are missing", False))
        for hole in loaded.holes:
            self._report(segment.path, hole)
        if torn is not None:
            self.torn += 1
            if not torn.cut:
                self._report(segment.path, torn)
            segments.cut(segment, torn.offset)
        self._segments.append(segment)
        last = max(before, *segment.seqs[-1:], 0)
        self._synced = max(self._synced, last)
        return None if loaded.holes else max(last, known or 0)

    def _report(self, path: Path, hole: Hole) -> None:
        if not any(known.path == str(path) and known.offset == hole.offset for known in self.damage):
            kept = segments.keep_aside(path, self.path.parent / folder.CORRUPT)
            self.damage.append(
                JournalCorrupt(path=str(path), offset=hole.offset, reason=hole.reason, kept_as=str(kept))
            )

    def _on_disk(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OSError as error:
            raise self._full(error) from error

    def _full(self, error: OSError) -> JournalFull:
        return JournalFull(path=str(self.path), reason=error.strerror or str(error))

    def _release(self) -> None:
        self._closed = True
        for segment in self._segments:
            segment.close()
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1


def _unusable(path: Path, error: OSError) -> JournalUnusable:
    where = f": {error.filename}" if error.filename else ""
    return JournalUnusable(path=str(path), reason=f"{error.strerror or error}{where}")


def _forget_in_child() -> None:
    """Let go of the parent's files after a fork: a child that held its locks would keep it from ever being claimed."""
    for journal in list(_open_journals):
        journal._release()


os.register_at_fork(after_in_child=_forget_in_child)
