"""The journal: what was synced is read back, in order, once; what was refused never is; damage is kept and told.

Long: every case of one promise, read together.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outlive.commit import failpoints, folder, frames, segments
from outlive.commit import journal as journal_module
from outlive.commit.journal import Journal
from outlive.errors import BadSetting, FailPointHit, JournalFull, JournalUnusable

Units = list[tuple[int, bytes]]


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    failpoints.disarm()
    yield
    failpoints.disarm()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    return tmp_path / "home"


def open_one(home: Path, token: str = "one", **limits: int) -> Journal:
    """The journal `token` of the service `tasks`."""
    return Journal.open(home, "tasks", token, **limits)


def crash(journal: Journal) -> None:
    """End the journal as a kill does: nothing more is written, the lock goes with the process."""
    journal._release()


def written(home: Path, *payloads: bytes, **limits: int) -> Path:
    """The single segment, or the folder if there are several, of a journal that crashed after syncing `payloads`."""
    journal = open_one(home, **limits)
    journal.append_many(payloads)
    crash(journal)
    return journal.path / "00000001.wal"


def units(journal: Journal) -> Units:
    """Everything that waits."""
    return list(journal.read())


# What was synced is there


def test_synced_payloads_are_read_in_order(home: Path) -> None:
    """Payloads of any bytes and length come back as they were, in order, under the sequences that append gave."""
    payloads = [b"", b"a", bytes(range(256)), b"\xf5OLF" * 50, "شِقل ₪ 🏠".encode(), b"x" * 100_000]
    journal = open_one(home)
    seqs = [journal.append(payload) for payload in payloads]
    assert seqs == [1, 2, 3, 4, 5, 6]
    assert units(journal) == []
    assert journal.sync() == 6
    assert units(journal) == list(zip(seqs, payloads, strict=True))
    journal.close()


def test_synced_payloads_survive_a_crash(home: Path) -> None:
    """After a crash the same units are there, the un-synced one is not, and sequences go on above them."""
    journal = open_one(home)
    journal.append_many([b"a", b"b"])
    journal.append(b"never acknowledged")
    crash(journal)
    journal = open_one(home)
    assert units(journal) == [(1, b"a"), (2, b"b")]
    assert (journal.torn, journal.damage) == (0, [])
    assert journal.append_many([b"c"]) == [3]
    assert units(journal) == [(1, b"a"), (2, b"b"), (3, b"c")]
    journal.close()


def test_sync_without_payloads_writes_nothing(home: Path) -> None:
    """An empty sync is no write, and an empty group is no error."""
    journal = open_one(home)
    assert journal.sync() == 0
    assert journal.append_many([]) == []
    assert list(journal.path.glob("*.wal")) == []
    journal.close()


def test_close_syncs(home: Path) -> None:
    """A clean close keeps what was appended; a second close does nothing."""
    journal = open_one(home)
    journal.append(b"a")
    journal.close()
    journal.close()
    assert units(open_one(home)) == [(1, b"a")]


def test_a_closed_journal_refuses(home: Path) -> None:
    """Every use that would write raises JournalUnusable after close."""
    journal = open_one(home)
    journal.close()
    for use in (lambda: journal.append(b"a"), journal.sync, lambda: journal.mark_drained(1)):
        with pytest.raises(JournalUnusable, match="closed"):
            use()


def test_one_group_is_one_flush(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many payloads were appended, sync waits for the disk once."""
    journal = open_one(home)
    journal.append_many([b"first, which creates the segment"])
    calls: list[int] = []
    monkeypatch.setattr(segments, "fdatasync", lambda handle: calls.append(handle))
    for _ in range(50):
        journal.append(b"a")
    journal.sync()
    assert len(calls) == 1
    journal.close()


def test_read_starts_where_it_is_told(home: Path) -> None:
    """read(n) begins at sequence n, and never before what is drained."""
    journal = open_one(home)
    journal.append_many([b"a", b"b", b"c", b"d"])
    journal.mark_drained(1)
    assert [seq for seq, _ in journal.read(3)] == [3, 4]
    assert [seq for seq, _ in journal.read(1)] == [2, 3, 4]
    assert list(journal.read(5)) == []
    journal.close()


def test_a_reader_sees_the_journal_as_it_was(home: Path) -> None:
    """Units synced during a read are left out; segments that are drained and deleted under it end it quietly."""
    journal = open_one(home, segment_bytes=1)
    for payload in (b"a", b"b", b"c"):
        journal.append_many([payload])
    reader = journal.read()
    assert next(reader) == (1, b"a")
    journal.append_many([b"d"])
    journal.mark_drained(2)
    assert list(reader) == [(3, b"c")]
    journal.close()


# Segments and the cursor


def test_segments_roll_and_drained_ones_go(home: Path) -> None:
    """A full segment is followed by a new one; marking deletes exactly the segments that hold nothing undrained."""
    journal = open_one(home, segment_bytes=200)
    for number in range(10):
        journal.append_many([b"%d" % number * 60])
    names = sorted(path.name for path in journal.path.glob("*.wal"))
    assert len(names) > 3
    journal.mark_drained(5)
    left = sorted(path.name for path in journal.path.glob("*.wal"))
    assert left == names[-len(left) :]
    assert len(left) < len(names)
    assert [seq for seq, _ in journal.read()] == [6, 7, 8, 9, 10]
    crash(journal)
    assert [seq for seq, _ in open_one(home).read()] == [6, 7, 8, 9, 10]


def test_a_fully_drained_journal_holds_no_segment(home: Path) -> None:
    """Marking everything frees all its disk, and the journal goes on with higher sequences, also after a restart."""
    journal = open_one(home)
    journal.append_many([b"a", b"b"])
    assert (journal.pending(), journal.pending_bytes) == (2, 2 * frames.FRAME_HEAD + 2)
    journal.mark_drained(2)
    assert (journal.pending(), journal.pending_bytes) == (0, 0)
    assert list(journal.path.glob("*.wal")) == []
    assert journal.append_many([b"c"]) == [3]
    journal.mark_drained(3)
    crash(journal)
    journal = open_one(home)
    assert journal.append_many([b"d"]) == [4]
    assert units(journal) == [(4, b"d")]
    assert journal.damage == []
    journal.close()


def test_marking_backwards_or_too_far_is_harmless(home: Path) -> None:
    """A mark below the cursor changes nothing; one above the last durable unit counts up to it only."""
    journal = open_one(home)
    journal.append_many([b"a", b"b"])
    journal.mark_drained(2)
    journal.mark_drained(1)
    journal.mark_drained(99)
    journal.append_many([b"c"])
    assert units(journal) == [(3, b"c")]
    journal.close()


def test_a_missing_cursor_replays_what_is_there(home: Path) -> None:
    """Without its cursor a journal gives everything that was not deleted: replay twice is safe, a gap is not."""
    journal = open_one(home)
    journal.append_many([b"a", b"b"])
    journal.mark_drained(1)
    crash(journal)
    (journal.path / "cursor").unlink()
    journal = open_one(home)
    assert units(journal) == [(1, b"a"), (2, b"b")]
    assert journal.damage == []
    journal.close()


@pytest.mark.parametrize(
    "content", [b"", b"short", b"\0" * 32, os.urandom(64)], ids=["empty", "short", "zeros", "noise"]
)
def test_an_unreadable_cursor_counts_as_missing(home: Path, content: bytes) -> None:
    """A damaged cursor leads to a replay, never to a unit that is skipped; it works again after the next mark."""
    journal = open_one(home)
    journal.append_many([b"a", b"b"])
    journal.mark_drained(1)
    crash(journal)
    (journal.path / "cursor").write_bytes(content)
    journal = open_one(home)
    assert len(units(journal)) == 2
    journal.mark_drained(1)
    crash(journal)
    assert units(open_one(home)) == [(2, b"b")]


def test_a_torn_cursor_write_leaves_the_old_place(home: Path) -> None:
    """Whatever bytes of one cursor write are lost, the cursor reads as before or as after it."""
    cursor_file = home / "cursor"
    home.mkdir()
    cursor = folder.Cursor(home)
    for seq in (5, 6):
        cursor.store(seq)
    before = cursor_file.read_bytes()
    cursor.store(7)
    after = cursor_file.read_bytes()
    changed = [at for at in range(len(after)) if before[at] != after[at]]
    for stop in range(len(changed) + 1):
        mixed = bytearray(before)
        for at in changed[:stop]:
            mixed[at] = after[at]
        cursor_file.write_bytes(mixed)
        assert folder.Cursor(home).load() == (7 if bytes(mixed) == after else 6)


def test_a_cursor_ahead_of_the_data_is_believed(home: Path) -> None:
    """Units at or below the cursor are not replayed, and new sequences begin above it."""
    journal = open_one(home)
    journal.append_many([b"a"])
    crash(journal)
    folder.Cursor(journal.path).store(0)
    cursor = folder.Cursor(journal.path)
    cursor.load()
    cursor.store(100)
    journal = open_one(home)
    assert units(journal) == []
    assert journal.append_many([b"b"]) == [101]
    assert units(journal) == [(101, b"b")]
    journal.close()


@pytest.mark.parametrize("name", ["journal.before_mark", "journal.after_mark"])
def test_a_crash_while_marking_loses_nothing(home: Path, name: str) -> None:
    """A crash before or after the cursor moved leaves all undrained units and sequences that only rise."""
    journal = open_one(home, segment_bytes=1)
    for payload in (b"a", b"b", b"c"):
        journal.append_many([payload])
    failpoints.arm(name, "raise")
    with pytest.raises(FailPointHit):
        journal.mark_drained(2)
    failpoints.disarm()
    crash(journal)
    journal = open_one(home)
    expected = [1, 2, 3] if name == "journal.before_mark" else [3]
    assert [seq for seq, _ in journal.read()] == expected
    assert journal.damage == []
    journal.close()


# Unfinished writes


def test_a_tail_torn_at_any_byte_costs_only_its_own_frame(home: Path) -> None:
    """Cut anywhere inside the last frame, a journal opens with all frames before it and says that one was torn."""
    path = written(home, b"first", b"second", b"the last frame")
    whole = path.read_bytes()
    last = whole.rindex(b"\xf5OLF")
    for length in range(last, len(whole)):
        path.write_bytes(whole[:length])
        journal = open_one(home)
        assert units(journal) == [(1, b"first"), (2, b"second")], length
        assert journal.torn == (length > last), length
        assert journal.damage == []
        assert path.stat().st_size == last
        crash(journal)
    assert not (path.parent.parent / "corrupt").exists()


def test_a_head_torn_at_any_byte_is_an_empty_segment(home: Path) -> None:
    """Cut anywhere inside a new segment's head, even to nothing, the journal opens and the file is gone."""
    path = written(home, b"a")
    whole = path.read_bytes()
    for length in range(whole.index(b"\xf5OLF") + 1):
        path.write_bytes(whole[:length])
        journal = open_one(home)
        assert units(journal) == []
        assert journal.damage == [], length
        assert not path.exists()
        crash(journal)


@pytest.mark.parametrize("zeros", [1, 10, 24, 4096])
def test_a_tail_of_zeros_is_an_unfinished_write(home: Path, zeros: int) -> None:
    """A file that grew before its data arrived (a power cut) opens without damage."""
    path = written(home, b"a")
    with path.open("ab") as file:
        file.write(bytes(zeros))
    journal = open_one(home)
    assert units(journal) == [(1, b"a")]
    assert (journal.torn, journal.damage) == (1, [])
    crash(journal)


def test_a_zero_filled_new_segment_is_an_unfinished_write(home: Path) -> None:
    """A new segment of zeros only holds nothing and is no damage."""
    path = written(home, b"a")
    path.write_bytes(bytes(100))
    journal = open_one(home)
    assert (units(journal), journal.torn, journal.damage) == ([], 1, [])
    crash(journal)


def test_an_unfinished_write_of_several_frames_keeps_the_whole_ones(home: Path) -> None:
    """Of a torn group the frames that are whole are kept, the cut one is not, new units follow in a new segment."""
    path = written(home, b"a", b"b", b"c")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    journal = open_one(home)
    assert journal.append_many([b"d"]) == [3]
    crash(journal)
    journal = open_one(home)
    assert units(journal) == [(1, b"a"), (2, b"b"), (3, b"d")]
    assert (journal.torn, journal.damage) == (0, [])
    crash(journal)


def test_a_corrupt_last_frame_is_cut_off_and_kept_aside(home: Path) -> None:
    """A last frame of full length that does not prove itself is tolerated, counted, and its bytes are kept."""
    path = written(home, b"a", b"last")
    whole = path.read_bytes()
    broken = whole[:-1] + bytes([whole[-1] ^ 1])
    path.write_bytes(broken)
    journal = open_one(home)
    assert units(journal) == [(1, b"a")]
    assert journal.torn == 1
    (damage,) = journal.damage
    assert Path(damage.kept_as).read_bytes() == broken
    crash(journal)
    journal = open_one(home)
    assert (journal.torn, journal.damage) == (0, [])
    crash(journal)


# Damage


def test_a_corrupt_byte_anywhere_costs_at_most_its_own_frame(home: Path) -> None:
    """Change any byte before the last frame: all other frames are read, the damage is reported and kept aside."""
    path = written(home, b"one", b"two", b"three")
    whole = path.read_bytes()
    starts = [at for at in range(len(whole)) if whole.startswith(b"\xf5OLF", at)]
    corrupt = path.parent.parent / "corrupt"
    for at in range(starts[-1]):
        broken = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        path.write_bytes(broken)
        journal = open_one(home)
        hurt = sum(start <= at for start in starts)  # 0: the segment's head
        expected = [unit for unit in [(1, b"one"), (2, b"two"), (3, b"three")] if unit[0] != hurt]
        assert units(journal) == expected, at
        (damage,) = journal.damage
        assert (damage.path, damage.offset) == (str(path), starts[hurt - 1] if hurt else 0)
        assert damage.reason
        assert Path(damage.kept_as).parent == corrupt
        assert Path(damage.kept_as).read_bytes() == broken
        crash(journal)
        assert path.read_bytes() == broken


def test_evidence_outlives_the_drained_segment(home: Path) -> None:
    """Draining deletes the damaged segment, never its copy; one damage seen at two starts is kept once."""
    path = written(home, b"uno", b"due")
    path.write_bytes(path.read_bytes().replace(b"uno", b"0no"))
    for _ in range(2):
        journal = open_one(home)
        assert len(journal.damage) == 1
        crash(journal)
    journal = open_one(home)
    journal.mark_drained(2)
    journal.close(remove=True)
    assert not journal.path.exists()
    (kept,) = (path.parent.parent / "corrupt").iterdir()
    assert b"0no" in kept.read_bytes()


@pytest.mark.parametrize("lost", ["first", "middle", "cut"])
def test_missing_frames_are_damage(home: Path, lost: str) -> None:
    """A segment that vanished, or was cut at a frame's end, is noticed by the segment after it."""
    journal = open_one(home, segment_bytes=1)
    for payload in (b"a", b"b", b"c"):
        journal.append_many([payload])
    crash(journal)
    first, middle, _ = sorted(journal.path.glob("*.wal"))
    if lost == "cut":
        middle.write_bytes(middle.read_bytes()[: middle.read_bytes().index(b"\xf5OLF")])
    else:
        (first if lost == "first" else middle).unlink()
    journal = open_one(home)
    gone = 1 if lost == "first" else 2
    assert [seq for seq, _ in journal.read()] == [seq for seq in (1, 2, 3) if seq != gone]
    assert [f"units {gone} to {gone} before it are missing" == damage.reason for damage in journal.damage] == [True]
    crash(journal)


def test_an_emptied_segment_in_the_middle_is_damage(home: Path) -> None:
    """A zero-length segment that is not the newest is reported; the segments around it are read."""
    journal = open_one(home, segment_bytes=1)
    for payload in (b"a", b"b", b"c"):
        journal.append_many([payload])
    crash(journal)
    sorted(journal.path.glob("*.wal"))[1].write_bytes(b"")
    journal = open_one(home)
    assert units(journal) == [(1, b"a"), (3, b"c")]
    assert len(journal.damage) == 1
    crash(journal)


def test_a_torn_end_of_an_older_segment_is_damage(home: Path) -> None:
    """Only the newest segment may end in an unfinished write; elsewhere the same bytes are damage and stay as found."""
    journal = open_one(home, segment_bytes=1)
    journal.append_many([b"a", b"b"])
    journal.append_many([b"c"])
    crash(journal)
    first = min(journal.path.glob("*.wal"))
    cut = first.read_bytes()[:-1]
    first.write_bytes(cut)
    journal = open_one(home)
    assert units(journal) == [(1, b"a"), (3, b"c")]
    assert (journal.torn, len(journal.damage)) == (0, 1)
    assert first.read_bytes() == cut
    crash(journal)


def test_a_repeated_frame_is_read_once(home: Path) -> None:
    """A frame that occurs twice is replayed once; the second is reported as damage."""
    path = written(home, b"a", b"b")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[whole.index(b"\xf5OLF") :] + b"\xf5O")
    journal = open_one(home)
    assert units(journal) == [(1, b"a"), (2, b"b")]
    assert [damage.reason for damage in journal.damage] == ["frame 1 is a repeat", "frame 2 is a repeat"]
    crash(journal)


def test_frames_of_another_journal_are_no_frames(home: Path) -> None:
    """Bytes of a journal inside a damaged payload, or of another segment, are never replayed as units of this one."""
    inner = written(home, b"not this one's").read_bytes()
    journal = open_one(home, "two")
    journal.append_many([b"a", inner, b"c"])
    crash(journal)
    path = journal.path / "00000001.wal"
    broken = bytearray(path.read_bytes())
    broken[broken.index(inner) - 1] ^= 1
    path.write_bytes(broken)
    journal = open_one(home, "two")
    assert units(journal) == [(1, b"a"), (3, b"c")]
    crash(journal)


def test_a_renamed_folder_is_still_read(home: Path) -> None:
    """A journal that an operator moved reads under its new name, and its frames still prove themselves."""
    path = written(home, b"a")
    moved = path.parent.with_name("moved")
    path.parent.rename(moved)
    (journal,) = Journal.orphans(home, "tasks")
    assert units(journal) == [(1, b"a")]
    assert (journal.token, journal.damage) == ("one", [])
    journal.close()


@pytest.mark.parametrize("member", [None, b"{", b"[]"])
def test_a_lost_description_does_not_matter(home: Path, member: bytes | None) -> None:
    """Without a readable member.json the folder's own name says whose the journal is."""
    path = written(home, b"a")
    if member is None:
        (path.parent / "member.json").unlink()
    else:
        (path.parent / "member.json").write_bytes(member)
    (journal,) = Journal.orphans(home, "tasks")
    assert (journal.token, units(journal), journal.damage) == ("one", [(1, b"a")], [])
    journal.close()


def test_a_unit_that_rots_after_open_is_told_once(home: Path) -> None:
    """A frame that goes bad between open and read is skipped, kept aside and reported once, not replayed."""
    journal = open_one(home)
    journal.append_many([b"uno", b"due"])
    path = journal.path / "00000001.wal"
    path.write_bytes(path.read_bytes().replace(b"uno", b"0no"))
    for _ in range(2):
        assert units(journal) == [(2, b"due")]
    (damage,) = journal.damage
    assert damage.reason == "frame 1 changed on disk"
    assert b"0no" in Path(damage.kept_as).read_bytes()
    journal.close()


def test_a_newer_format_is_refused(home: Path) -> None:
    """A segment that a newer version wrote is neither read nor changed nor called damaged."""
    path = written(home, b"a")
    data = bytearray(path.read_bytes())
    head, end, _ = frames.read_head(bytes(data))
    assert head is not None
    text = bytes(data[10:end])
    data[3] = 9
    data[6:10] = frames.crc32(text, 9).to_bytes(4, "little")
    path.write_bytes(data)
    for use in (open_one, lambda home: Journal.orphans(home, "tasks")):
        with pytest.raises(JournalUnusable, match="format 9 is newer"):
            use(home)
    assert path.read_bytes() == data
    assert not (path.parent.parent / "corrupt").exists()


def test_what_is_no_segment_is_left_alone(home: Path) -> None:
    """A file that is not a numbered segment is neither read nor deleted."""
    path = written(home, b"a")
    note = path.with_name("notes.wal")
    note.write_text("mine")
    journal = open_one(home)
    assert units(journal) == [(1, b"a")]
    crash(journal)
    assert note.read_text() == "mine"


# Refusals


def failing(error: int, after: int = 0) -> Callable[..., object]:
    """A stand-in for an os call that fails with `error` from the call after `after` good ones on."""
    calls = iter(range(10**6))

    def fail(*_: object) -> object:
        if next(calls) < after:
            return None
        raise OSError(error, os.strerror(error))

    return fail


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("call", ["fdatasync", "pwrite"])
def test_a_refused_group_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: int, first: bool, call: str
) -> None:
    """Whatever the disk refuses, sync raises JournalFull; no byte of the group stays, and the journal goes on."""
    journal = open_one(home)
    kept: Units = []
    if not first:
        kept = [(journal.append_many([b"kept"])[0], b"kept")]
    with monkeypatch.context() as patch:
        patch.setattr(segments if call == "fdatasync" else segments.os, call, failing(error))
        journal.append(b"refused one")
        journal.append(b"refused two")
        with pytest.raises(JournalFull, match=os.strerror(error)):
            journal.sync()
    assert units(journal) == kept
    assert journal.pending() == len(kept)
    assert not any(b"refused" in path.read_bytes() for path in journal.path.glob("*.wal"))
    (seq,) = journal.append_many([b"later"])
    assert units(journal) == [*kept, (seq, b"later")]
    crash(journal)
    journal = open_one(home)
    assert units(journal) == [*kept, (seq, b"later")]
    assert (journal.torn, journal.damage) == (0, [])
    crash(journal)


def test_short_writes_are_completed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that the kernel takes in pieces is written whole."""
    real = os.pwrite
    journal = open_one(home)
    monkeypatch.setattr(segments.os, "pwrite", lambda handle, data, at: real(handle, bytes(data)[:7], at))
    journal.append_many([b"a" * 100, b"b"])
    monkeypatch.undo()
    crash(journal)
    assert units(open_one(home)) == [(1, b"a" * 100), (2, b"b")]


def test_a_half_written_group_is_taken_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up in the middle of a write leaves no frame of that group, not even whole ones."""
    real = os.pwrite
    journal = open_one(home)
    journal.append_many([b"kept"])
    size = (journal.path / "00000001.wal").stat().st_size

    def half(handle: int, data: memoryview, at: int) -> int:
        if at > size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, bytes(data)[:60], at)

    monkeypatch.setattr(segments.os, "pwrite", half)
    with pytest.raises(JournalFull):
        journal.append_many([b"whole on disk", b"x" * 100])
    monkeypatch.undo()
    assert (journal.path / "00000001.wal").stat().st_size == size
    crash(journal)
    assert units(open_one(home)) == [(1, b"kept")]


@pytest.mark.parametrize("where", ["before_write", "after_write", "before_sync", "after_sync"])
def test_any_exception_in_sync_is_a_refusal(home: Path, where: str) -> None:
    """Whatever interrupts sync, even after the data is on disk: the caller was not told yes, so nothing is replayed."""
    journal = open_one(home)
    journal.append_many([b"kept"])
    failpoints.arm(f"journal.{where}", "raise")
    with pytest.raises(FailPointHit):
        journal.append_many([b"refused"])
    failpoints.disarm()
    assert units(journal) == [(1, b"kept")]
    crash(journal)
    assert units(open_one(home)) == [(1, b"kept")]


def test_nothing_is_accepted_until_a_refusal_is_undone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk refuses even the taking back, later groups are refused too; afterwards all is as it should be."""
    journal = open_one(home)
    journal.append_many([b"kept"])
    with monkeypatch.context() as patch:
        patch.setattr(segments, "fdatasync", failing(errno.EIO))
        patch.setattr(segments.os, "ftruncate", failing(errno.EIO))
        for _ in range(2):
            with pytest.raises(JournalFull):
                journal.append_many([b"refused"])
    assert units(journal) == [(1, b"kept")]
    (seq,) = journal.append_many([b"later"])
    assert units(journal) == [(1, b"kept"), (seq, b"later")]
    crash(journal)
    assert units(open_one(home)) == [(1, b"kept"), (seq, b"later")]


def test_the_limit_refuses_and_draining_helps(home: Path) -> None:
    """A group that would pass limit_bytes is refused whole; what is drained counts no more."""
    journal = open_one(home, limit_bytes=300)
    seqs = journal.append_many([b"a" * 100, b"b" * 100])
    with pytest.raises(JournalFull, match="limit of 300"):
        journal.append_many([b"c" * 100])
    assert [seq for seq, _ in journal.read()] == seqs
    journal.mark_drained(seqs[0])
    (seq,) = journal.append_many([b"c" * 100])
    assert [number for number, _ in journal.read()] == [seqs[1], seq]
    journal.close()


def test_a_unit_larger_than_a_frame_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload that a frame cannot hold is refused at append, with its neighbours in the same call."""
    monkeypatch.setattr(journal_module, "MAX_PAYLOAD", 10)
    journal = open_one(home)
    with pytest.raises(JournalFull, match="11 bytes is too large"):
        journal.append_many([b"fits", b"x" * 11])
    assert journal.sync() == 0
    journal.close()


def test_a_refusal_in_anothers_sync_is_heard(home: Path) -> None:
    """A caller whose unit went down with another caller's sync learns it from its own, and keeps learning it."""
    journal = open_one(home)
    mine = journal.append(b"mine")
    failpoints.arm("journal.before_sync", "raise:1")
    with pytest.raises(FailPointHit):
        journal.append_many([b"the other's"])
    later = journal.append_many([b"later"])
    for _ in range(2):
        with pytest.raises(JournalFull, match=f"unit {mine} was refused"):
            journal.sync([mine, *later])
    journal.mark_drained(later[0])
    with pytest.raises(JournalFull):
        journal.sync([mine])
    assert journal.sync(later) == later[0]
    journal.close()


def test_a_refused_mark_keeps_the_units(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the cursor cannot move nothing is deleted, and a later mark works."""
    journal = open_one(home)
    journal.append_many([b"a"])
    with monkeypatch.context() as patch:
        patch.setattr(folder, "fdatasync", failing(errno.EIO))
        with pytest.raises(JournalFull):
            journal.mark_drained(1)
    assert units(journal) == [(1, b"a")]
    journal.mark_drained(1)
    assert units(journal) == []
    journal.close()


# Owners


def test_a_live_journal_is_never_claimed(home: Path) -> None:
    """The journal of a living process, even this one, is no orphan, and nobody else can open it."""
    journal = open_one(home)
    journal.append_many([b"a"])
    assert Journal.orphans(home, "tasks") == []
    with pytest.raises(JournalUnusable, match="another process holds it"):
        open_one(home)
    journal.close()


def test_orphans_come_oldest_first_and_once(home: Path) -> None:
    """Dead processes' journals are claimed in the order of their starts; while claimed, nobody else gets them."""
    for token in ("zeta", "alpha", "mid"):
        journal = open_one(home, token)
        journal.append_many([token.encode()])
        crash(journal)
    first = Journal.orphans(home, "tasks")
    assert [journal.token for journal in first] == ["zeta", "alpha", "mid"]
    assert Journal.orphans(home, "tasks") == []
    for journal in first:
        ((seq, payload),) = units(journal)
        assert payload == journal.token.encode()
        journal.mark_drained(seq)
        journal.close(remove=True)
    assert Journal.orphans(home, "tasks") == []
    assert list((home / "journal" / "tasks").iterdir()) == []


def test_orphans_of_another_service_are_left(home: Path) -> None:
    """Only the service's own journals are claimed; a service without journals has none."""
    crash_path = written(home, b"a")
    assert Journal.orphans(home, "billing") == []
    assert crash_path.exists()


def test_empty_orphans_are_deleted(home: Path) -> None:
    """A dead process's journal with nothing in it, or a folder that never got its lock, goes without being returned."""
    crash(open_one(home))
    (home / "journal" / "tasks" / "stillborn").mkdir()
    (home / "journal" / "tasks" / "a file").write_text("x")
    assert Journal.orphans(home, "tasks") == []
    assert [path.name for path in (home / "journal" / "tasks").iterdir()] == ["a file"]


def test_an_orphan_with_damage_only_is_returned(home: Path) -> None:
    """A journal whose units are all damaged is handed over for its report, then can be removed."""
    path = written(home, b"uno", b"due")
    path.write_bytes(path.read_bytes().replace(b"uno", b"0no").replace(b"due", b"2ue"))
    (journal,) = Journal.orphans(home, "tasks")
    assert units(journal) == []
    assert len(journal.damage) == 2
    journal.close(remove=True)
    assert [path.name for path in (home / "journal" / "tasks").iterdir()] == ["corrupt"]


def test_remove_refuses_while_units_wait(home: Path) -> None:
    """close(remove=True) never deletes units that nobody drained; the journal stays claimable."""
    written(home, b"a")
    (journal,) = Journal.orphans(home, "tasks")
    with pytest.raises(JournalUnusable, match="1 units wait"):
        journal.close(remove=True)
    (journal,) = Journal.orphans(home, "tasks")
    assert units(journal) == [(1, b"a")]
    journal.close()


def test_remove_if_empty(home: Path) -> None:
    """close(remove_if_empty=True) deletes an empty journal and keeps one with units."""
    journal = open_one(home)
    journal.append_many([b"a"])
    journal.close(remove_if_empty=True)
    assert journal.path.exists()
    journal = open_one(home)
    journal.mark_drained(1)
    journal.close(remove_if_empty=True)
    assert not journal.path.exists()


def test_a_folder_with_foreign_files_is_kept(home: Path) -> None:
    """Deleting a journal leaves files that are not its own, and does not fail."""
    journal = open_one(home)
    (journal.path / "note.txt").write_text("mine")
    journal.close(remove=True)
    assert [path.name for path in journal.path.iterdir()] == ["note.txt"]


def test_a_crash_before_the_folder_is_removed_is_healed(home: Path) -> None:
    """A folder whose lock was deleted last, and whose removal was cut short, is removed by the next claimer."""
    journal = open_one(home)
    (journal.path / "lock").unlink()
    crash(journal)
    assert Journal.orphans(home, "tasks") == []


def test_a_lock_on_a_deleted_folder_is_no_claim(home: Path) -> None:
    """Whoever gets the lock of a journal that was deleted meanwhile has not claimed anything."""
    path = home / "journal" / "tasks" / "one"
    real = folder.fcntl.flock

    def delete_first(handle: int, flags: int) -> None:
        real(handle, flags)
        shutil.rmtree(path)

    crash(open_one(home))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder.fcntl, "flock", delete_first)
        assert folder.claim(home, "tasks") == []


def test_a_start_survives_a_claimer_that_deletes_its_folder(home: Path) -> None:
    """A process that starts while another clears its still empty folder away makes it again."""
    real, deleted = os.open, []

    def delete_once(path: Path, *rest: int) -> int:
        if path.name == "lock" and not deleted:
            deleted.append(path)
            path.parent.rmdir()
        return real(path, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder.os, "open", delete_once)
        journal = open_one(home)
    journal.append_many([b"a"])
    crash(journal)
    assert units(open_one(home)) == [(1, b"a")]


def test_an_unreadable_orphan_releases_the_others(home: Path) -> None:
    """When one journal cannot be read the claim fails as a whole, and every journal can be claimed again."""
    for token in ("a", "b", "c"):
        journal = open_one(home, token)
        journal.append_many([b"x"])
        crash(journal)
    segment = home / "journal" / "tasks" / "b" / "00000001.wal"
    data = segment.read_bytes()
    segment.unlink()
    segment.mkdir()
    with pytest.raises(JournalUnusable, match="directory"):
        Journal.orphans(home, "tasks")
    segment.rmdir()
    segment.write_bytes(data)
    assert [journal.token for journal in Journal.orphans(home, "tasks")] == ["a", "b", "c"]


def test_an_unlockable_folder_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks is refused clearly: without a lock two processes could replay one journal."""
    monkeypatch.setattr(folder.fcntl, "flock", failing(errno.ENOLCK))
    with pytest.raises(JournalUnusable, match="locks available"):
        open_one(home)


@pytest.mark.parametrize("token", ["", ".", "..", ".hidden", "corrupt", "x" * 300])
def test_a_name_that_names_no_folder_is_refused(home: Path, token: str) -> None:
    """A token or service that would leave the journal's folder, or meet the evidence, is a bad setting."""
    with pytest.raises(BadSetting):
        open_one(home, token)
    with pytest.raises(BadSetting):
        Journal.open(home, token, "one")


def test_any_service_name_has_its_own_folder(home: Path) -> None:
    """Names with slashes, spaces or other scripts stay inside the home and apart from each other."""
    for service in ("home/budget", "home budget", "משק בית"):
        journal = Journal.open(home, service, "one")
        journal.append_many([service.encode()])
        crash(journal)
    for service in ("home/budget", "home budget", "משק בית"):
        (journal,) = Journal.orphans(home, service)
        assert journal.service == service
        assert units(journal) == [(1, service.encode())]
        journal.close()


def test_a_file_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    """A home that is a file gives JournalUnusable with the path, the reason and what to do."""
    blocked = tmp_path / "home"
    blocked.write_text("I am a file")
    with pytest.raises(JournalUnusable, match="File exists") as caught:
        open_one(blocked)
    assert str(blocked) in str(caught.value)
    assert "OUTLIVE_HOME" in caught.value.hint


# Forks and threads


def in_child(work: Callable[[], object]) -> int:
    """Exit status of a forked child that runs `work`: 0, or 1 if it raises, or the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_forked_child_does_not_write_into_its_parents_journal(home: Path) -> None:
    """In the child every write raises JournalUnusable, close changes nothing, and the parent goes on undisturbed."""
    journal = open_one(home)
    journal.append_many([b"parent"])
    journal.append(b"buffered in the parent")

    def child() -> None:
        for use in (lambda: journal.append(b"child"), journal.sync, lambda: journal.mark_drained(1)):
            with pytest.raises(JournalUnusable, match="forked"):
                use()
        journal.close(remove_if_empty=True)
        with pytest.raises(JournalUnusable, match="another process holds it"):
            open_one(home)
        own = open_one(home, "child")
        own.append_many([b"child"])

    assert in_child(child) == 0
    journal.sync()
    assert [payload for _, payload in journal.read()] == [b"parent", b"buffered in the parent"]
    crash(journal)
    orphans = Journal.orphans(home, "tasks")
    assert sorted(payload for orphan in orphans for _, payload in orphan.read()) == sorted(
        [b"parent", b"buffered in the parent", b"child"]
    )


def test_a_child_does_not_keep_its_dead_parents_journal(home: Path) -> None:
    """A worker that lives on after the process that forked it died does not keep that journal from being claimed."""
    told_r, told_w = os.pipe()
    end_r, end_w = os.pipe()

    def parent() -> None:
        journal = open_one(home)
        journal.append_many([b"a"])
        if os.fork() == 0:
            os.close(end_w)
            os.write(told_w, b"1")
            os.read(end_r, 1)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(parent) == -signal.SIGKILL
    assert os.read(told_r, 1) == b"1"
    (journal,) = Journal.orphans(home, "tasks")
    assert units(journal) == [(1, b"a")]
    for handle in (end_w, end_r, told_r, told_w):
        os.close(handle)


def test_a_fork_during_a_sync_does_not_hang_the_child(home: Path) -> None:
    """A child forked while another thread is inside sync gets its error at once instead of waiting for that thread."""
    journal = open_one(home)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        leave.wait(20)

    failpoints.arm("journal.before_sync", hold)
    thread = threading.Thread(target=lambda: journal.append_many([b"a"]))
    thread.start()
    assert inside.wait(20)

    def child() -> None:
        for use in (lambda: journal.append(b"child"), journal.sync):
            with pytest.raises(JournalUnusable, match="forked"):
                use()

    assert in_child(child) == 0
    leave.set()
    thread.join(20)
    assert units(journal) == [(1, b"a")]
    journal.close()


def test_many_threads_lose_nothing(home: Path) -> None:
    """Units that several threads append and sync while another drains are each read exactly once, in order."""
    journal = open_one(home, segment_bytes=2000)
    told: dict[int, bytes] = {}
    drained: Units = []
    done = threading.Event()

    def write(name: int) -> None:
        for number in range(60):
            payload = b"%d-%d" % (name, number)
            seq = journal.append(payload)
            journal.sync([seq])
            told[seq] = payload

    def drain() -> None:
        while not done.is_set() or journal.pending():
            for unit in journal.read():
                drained.append(unit)
                journal.mark_drained(unit[0])

    writers = [threading.Thread(target=write, args=(name,)) for name in range(3)]
    drainer = threading.Thread(target=drain)
    for thread in (*writers, drainer):
        thread.start()
    for thread in writers:
        thread.join(60)
    done.set()
    drainer.join(60)
    assert drained == sorted(told.items())
    journal.close()


# Everything together


def test_member_json_says_whose_it_is(home: Path) -> None:
    """member.json names service, token, pid and host; a restart of the same token leaves it."""
    crash(open_one(home))
    path = home / "journal" / "tasks" / "one" / "member.json"
    facts = json.loads(path.read_bytes())
    assert (facts["service"], facts["token"], facts["pid"]) == ("tasks", "one", os.getpid())
    crash(open_one(home))
    assert json.loads(path.read_bytes()) == facts


STEP = st.one_of(
    st.tuples(st.just("append"), st.binary(max_size=40)),
    st.tuples(st.just("sync"), st.none()),
    st.tuples(st.just("refuse"), st.sampled_from(["before_write", "after_write", "before_sync", "after_sync"])),
    st.tuples(st.just("crash"), st.integers(0, 60)),
    st.tuples(st.just("mark"), st.integers(0, 40)),
    st.tuples(st.just("close"), st.none()),
)


class Model:
    """A journal beside the plain list of what it must hold."""

    def __init__(self, home: Path, segment_bytes: int) -> None:
        self.home, self.segment_bytes = home, segment_bytes
        self.durable: Units = []
        self.buffered: Units = []
        self.refused: set[int] = set()
        self.open()

    def open(self) -> None:
        """Start, or start again."""
        self.journal = open_one(self.home, segment_bytes=self.segment_bytes)
        self.refused = set()

    def append(self, payload: bytes) -> None:
        """One unit that is not acknowledged yet."""
        self.buffered.append((self.journal.append(payload), payload))

    def sync(self, _: None) -> None:
        """Everything buffered becomes durable."""
        self.journal.sync([seq for seq, _ in self.buffered])
        self.durable += self.buffered
        self.buffered = []

    def refuse(self, where: str) -> None:
        """A sync that fails takes everything buffered with it."""
        failpoints.arm(f"journal.{where}", "raise:1")
        try:
            self.journal.sync()
        except FailPointHit:
            assert self.buffered
            self.refused |= {seq for seq, _ in self.buffered}
            self.buffered = []
        failpoints.disarm()

    def crash(self, torn_bytes: int) -> None:
        """The process dies, in the middle of a write of which `torn_bytes` reached the disk, and starts again."""
        crash(self.journal)
        paths = sorted(self.journal.path.glob("*.wal"))
        maybe: Units = []
        if self.buffered and paths:
            head, _, _ = frames.read_head(paths[-1].read_bytes())
            assert head is not None
            group = b"".join(frames.encode(seq, payload, head.salt) for seq, payload in self.buffered)
            with paths[-1].open("ab") as file:
                file.write(group[:torn_bytes])
            length = 0
            for seq, payload in self.buffered:
                length += frames.FRAME_HEAD + len(payload)
                maybe += [(seq, payload)] if length <= torn_bytes else []
        self.buffered = []
        self.open()
        self.durable += maybe  # whole on disk, though nobody was told: kept, as nobody was told no either

    def mark(self, upto: int) -> None:
        """Everything up to a sequence is drained."""
        self.journal.mark_drained(upto)
        self.durable = [unit for unit in self.durable if unit[0] > upto]

    def close(self, _: None) -> None:
        """A clean end and a new start."""
        self.journal.close(remove_if_empty=True)
        self.durable += self.buffered
        self.buffered = []
        self.open()

    def check(self) -> None:
        """The journal holds the list, and nothing else."""
        assert units(self.journal) == self.durable
        assert self.journal.pending() == len(self.durable)
        assert self.journal.damage == []
        assert not self.refused & {seq for seq, _ in self.journal.read()}
        assert (self.journal.pending_bytes > 0) == bool(self.durable)


@given(steps=st.lists(STEP, max_size=30), segment_bytes=st.sampled_from([1, 150, 1 << 20]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_equals_a_plain_list(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, object]], segment_bytes: int
) -> None:
    """After any appends, syncs, refusals, marks, torn crashes and restarts the journal holds what a list would."""
    model = Model(tmp_path_factory.mktemp("journal"), segment_bytes)
    try:
        for name, argument in steps:
            getattr(model, name)(argument)
            model.check()
    finally:
        failpoints.disarm()
        crash(model.journal)
