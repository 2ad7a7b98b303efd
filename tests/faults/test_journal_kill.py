"""The journal under real kills, real full disks and real races between processes.

A worker process appends units, syncs, marks, and prints each thing that it was told; it dies by SIGKILL at a fail
point. What it printed is the ledger: every acknowledged unit must be there when another process opens the journal.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from outlive.commit import failpoints
from outlive.commit.journal import Journal
from outlive.errors import JournalFull, JournalUnusable

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("OUTLIVE_FAULT_SEED", "20261"))
POINTS = sorted(name for name in failpoints.NAMES if name.startswith("journal."))
pytestmark = pytest.mark.faults

WORKER = """
import random, sys
from pathlib import Path
from outlive.commit.journal import Journal
from outlive.errors import JournalFull

home, token, seed, start = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)
journal = Journal.open(home, "tasks", token, segment_bytes=rng.choice([1, 400, 8 << 20]))
tell = lambda word, *what: print(word, *what, flush=True)
tell("open")
for number in range(start, start + 40):
    group = [b"%d:" % (number * 10 + at) + b"x" * rng.randrange(200) for at in range(rng.randrange(1, 4))]
    ids = [int(payload.split(b":")[0]) for payload in group]
    if rng.random() < 0.15:
        tell("refusing", *ids)
        before = journal._limit_bytes
        journal._limit_bytes = 0
        try:
            journal.append_many(group)
        except JournalFull:
            tell("refused", *ids)
        journal._limit_bytes = before
        continue
    tell("trying", *ids)
    seqs = journal.append_many(group)
    tell("acknowledged", *ids)
    if rng.random() < 0.3:
        seq, payload = rng.choice(list(journal.read()))
        tell("marking", int(payload.split(b":")[0]))
        journal.mark_drained(seq)
        tell("marked", int(payload.split(b":")[0]))
tell("end")
"""


def worker_environment(**more: str) -> dict[str, str]:
    """The environment of a child that imports the package from this work tree."""
    return os.environ | {"PYTHONPATH": str(ROOT / "src")} | more


@dataclass
class Ledger:
    """What workers printed: who was told what, in order. Numbers name units."""

    acknowledged: list[int] = field(default_factory=list)
    tried: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    marked: int = -1
    marking: int = -1
    ended: bool = False

    def read(self, lines: list[str]) -> None:
        """Take in one worker's output; a last line without its newline was not told to anybody."""
        for line in lines:
            word, *rest = line.split()
            ids = [int(number) for number in rest]
            if word == "trying":
                self.tried |= set(ids)
            elif word == "acknowledged":
                self.acknowledged += ids
            elif word == "refused":
                self.refused |= set(ids)
            elif word in {"marking", "marked"}:
                setattr(self, word, max(getattr(self, word), ids[0]))
            self.ended = word == "end"

    def check(self, found: list[int]) -> None:
        """`found` is what a reopened journal holds. Raises AssertionError with the difference."""
        lost = [unit for unit in self.acknowledged if unit > max(self.marked, self.marking) and unit not in found]
        assert lost == [], f"acknowledged and lost: {lost}"
        assert found == sorted(set(found)), f"out of order or twice: {found}"
        assert not self.refused & set(found), f"refused and replayed: {sorted(self.refused & set(found))}"
        assert set(found) <= self.tried, f"never written: {sorted(set(found) - self.tried)}"
        drained = [unit for unit in found if unit <= self.marked]
        assert drained == [], f"marked as drained and replayed: {drained}"


def run_worker(home: Path, token: str, seed: int, start: int, failpoint: str) -> tuple[int, list[str]]:
    """(exit status, complete lines) of one worker."""
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(home), token, str(seed), str(start)],
        env=worker_environment(OUTLIVE_FAILPOINT=failpoint),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode, done.stdout.split("\n")[:-1]


def numbers(journal: Journal) -> list[int]:
    """The units that the journal holds."""
    return [int(payload.split(b":")[0]) for _, payload in journal.read()]


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_loses_nothing_acknowledged(tmp_path: Path, point: str) -> None:
    """Killed at a journal's fail point four times in a row, one journal still holds all that was acknowledged."""
    rng = random.Random(f"{SEED} {point}")
    print(f"seed: OUTLIVE_FAULT_SEED={SEED}")
    ledger = Ledger()
    killed = 0
    for start in range(4):
        failpoint = f"{point}=kill:{rng.randrange(1, 12 if 'mark' not in point else 5)}"
        status, lines = run_worker(tmp_path, "one", rng.randrange(10**6), start * 100, failpoint)
        killed += status != 0
        ledger.read(lines)
        journal = Journal.open(tmp_path, "tasks", "one")
        ledger.check(numbers(journal))
        assert journal.damage == []
        journal.close()
    assert killed >= 2, "the fail point was not reached often enough to prove anything"


def test_a_kill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Killed from outside at a random moment of its work, a process leaves every acknowledged unit to its claimer."""
    rng = random.Random(SEED)
    print(f"seed: OUTLIVE_FAULT_SEED={SEED}")
    for turn in range(12):
        home = tmp_path / str(turn)
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(home), "one", str(rng.randrange(10**6)), "0"],
            env=worker_environment(OUTLIVE_FAILPOINT="journal.before_sync=sleep:0.002;journal.after_write=sleep:0.002"),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdout is not None
        lines = [worker.stdout.readline() for _ in range(rng.randrange(1, 60))]
        worker.kill()
        lines += worker.stdout.read().splitlines(keepends=True)
        worker.wait(20)
        worker.stdout.close()
        ledger = Ledger()
        ledger.read([line.rstrip("\n") for line in lines if line.endswith("\n")])
        orphans = Journal.orphans(home, "tasks")
        ledger.check([unit for orphan in orphans for unit in numbers(orphan)])
        for orphan in orphans:
            assert orphan.damage == []
            orphan.close()


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ([1, 2], "lost"),
        ([1, 2, 3, 3], "twice"),
        ([2, 1, 3], "order"),
        ([1, 2, 3, 9], "refused"),
        ([1, 2, 3, 7], "never"),
    ],
)
def test_the_ledger_sees_planted_faults(found: list[int], word: str) -> None:
    """The checker of these tests fails on a loss, a repeat, a wrong order, a refused and an invented unit."""
    ledger = Ledger()
    ledger.read(["trying 1 2 3", "acknowledged 1 2 3", "refused 9"])
    ledger.check([1, 2, 3])
    with pytest.raises(AssertionError, match=word):
        ledger.check(found)


def test_the_ledger_sees_a_drained_unit_come_back() -> None:
    """The checker of these tests fails when a unit is replayed that was marked."""
    ledger = Ledger()
    ledger.read(["trying 1 2", "acknowledged 1 2", "marking 1", "marked 1"])
    ledger.check([2])
    with pytest.raises(AssertionError, match="marked as drained"):
        ledger.check([1, 2])


# Races between processes


CLAIMER = """
import sys
from pathlib import Path
from outlive.commit.journal import Journal
sys.stdin.readline()
for journal in Journal.orphans(Path(sys.argv[1]), "tasks"):
    for seq, payload in journal.read():
        print(payload.decode())
        journal.mark_drained(seq)
    journal.close(remove=True)
print("end")
"""


def test_orphans_are_claimed_once_by_processes_that_race(tmp_path: Path) -> None:
    """Of three processes that claim at the same moment each orphan is replayed by exactly one; a live one by none."""
    for number in range(40):
        journal = Journal.open(tmp_path, "tasks", f"dead-{number}")
        journal.append_many([b"%d" % number])
        journal.close()
    living = Journal.open(tmp_path, "tasks", "living")
    living.append_many([b"999"])
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, str(tmp_path)],
            env=worker_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.write("go\n")
        claimer.stdin.flush()
    told = [claimer.communicate(timeout=60)[0].split() for claimer in claimers]
    assert [lines.pop() for lines in told] == ["end"] * 3
    assert sorted(int(line) for lines in told for line in lines) == list(range(40))
    assert [path.name for path in (tmp_path / "journal" / "tasks").iterdir()] == ["living"]
    living.close()


def test_a_claimer_that_is_killed_leaves_the_rest_to_the_next(tmp_path: Path) -> None:
    """A process killed while it replays an orphan has drained what it marked; the next claimer gets all the rest."""
    journal = Journal.open(tmp_path, "tasks", "dead")
    journal.append_many([b"%d" % number for number in range(10)])
    journal.close()
    done = subprocess.run(
        [sys.executable, "-c", CLAIMER, str(tmp_path)],
        env=worker_environment(OUTLIVE_FAILPOINT="journal.after_mark=kill:4"),
        input="go\n",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (orphan,) = Journal.orphans(tmp_path, "tasks")
    assert [int(payload) for _, payload in orphan.read()] == [4, 5, 6, 7, 8, 9]
    orphan.close()


# Full disks and forbidden folders


def in_child(work: Callable[[], None]) -> int:
    """Exit status of a forked child that runs `work`."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            print(f"child: {error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fill_until_full(journal: Journal, payload: bytes) -> list[int]:
    """Sequences that the journal took before it raised JournalFull."""
    taken: list[int] = []
    for _ in range(10_000):
        try:
            taken += journal.append_many([payload])
        except JournalFull:
            return taken
    raise AssertionError("the disk never filled up")


def test_a_file_size_limit_refuses_the_write(tmp_path: Path) -> None:
    """At RLIMIT_FSIZE a write is refused whole; earlier units stay readable, and writes work once the limit is gone."""

    def child() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        journal = Journal.open(tmp_path, "tasks", "one")
        taken = fill_until_full(journal, b"x" * 1500)
        assert len(taken) == 13
        assert [seq for seq, _ in journal.read()] == taken
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        taken += journal.append_many([b"after"])
        assert [seq for seq, _ in journal.read()] == taken
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(child) == -signal.SIGKILL
    (journal,) = Journal.orphans(tmp_path, "tasks")
    payloads = [payload for _, payload in journal.read()]
    assert payloads == [b"x" * 1500] * 13 + [b"after"]
    assert (journal.torn, journal.damage) == (0, [])
    journal.close()


@contextmanager
def small_disk(path: Path, size_bytes: int) -> Iterator[Path]:
    """A tmpfs of its own; the test is skipped, visibly, where this user may not mount one."""
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "outlive-test", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"a small tmpfs needs root and CAP_SYS_ADMIN: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all that is left of the disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 512)
    assert shutil.disk_usage(disk).free == 0
    return ballast


@pytest.mark.parametrize("segment_bytes", [1, 30_000, 8 << 20])
def test_a_full_disk_refuses_the_write(tmp_path: Path, segment_bytes: int) -> None:
    """A full disk refuses writes whole; units stay readable, marking works, and so do writes once space is back."""
    with small_disk(tmp_path / "disk", 400_000) as disk:
        reserve = disk / "reserve"
        reserve.write_bytes(b"x" * 50_000)
        journal = Journal.open(disk / "home", "tasks", "one", segment_bytes=segment_bytes)
        taken = fill_until_full(journal, b"x" * 3000)
        assert len(taken) > 20
        for _ in range(3):
            with pytest.raises(JournalFull, match="No space left"):
                journal.append_many([b"refused" * 10_000])
        assert [seq for seq, _ in journal.read()] == taken
        ballast = fill(disk)
        journal.mark_drained(taken[4])
        assert [seq for seq, _ in journal.read()] == taken[5:]
        ballast.unlink()
        reserve.unlink()
        journal.mark_drained(taken[9])
        later = journal.append_many([b"after"])
        journal._release()
        journal = Journal.open(disk / "home", "tasks", "one")
        found = list(journal.read())
        assert [seq for seq, _ in found] == taken[10:] + later
        assert {payload for _, payload in found} == {b"x" * 3000, b"after"}
        assert (journal.torn, journal.damage) == (0, [])
        journal.mark_drained(later[0])
        journal.close(remove=True)


def test_a_new_journal_on_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    """A journal that cannot even be created says so with path and reason."""
    with small_disk(tmp_path / "disk", 16_384) as disk:
        fill(disk)
        with pytest.raises(JournalUnusable, match="No space left"):
            Journal.open(disk, "tasks", "one")


def test_damage_on_a_full_disk_is_not_dropped(tmp_path: Path) -> None:
    """When the evidence of damage cannot be kept aside the journal is refused and left as it is."""
    with small_disk(tmp_path / "disk", 400_000) as disk:
        journal = Journal.open(disk, "tasks", "one")
        journal.append_many([b"uno" * 40_000, b"due"])
        journal.close()
        path = journal.path / "00000001.wal"
        broken = path.read_bytes().replace(b"unouno", b"0no0no", 1)
        path.write_bytes(broken)
        ballast = fill(disk)
        with pytest.raises(JournalUnusable, match="No space left"):
            Journal.open(disk, "tasks", "one")
        assert path.read_bytes() == broken
        ballast.unlink()
        journal = Journal.open(disk, "tasks", "one")
        assert [payload for _, payload in journal.read()] == [b"due"]
        assert len(journal.damage) == 1
        journal.close()


def as_ordinary_user(work: Callable[[], None]) -> int:
    """Exit status of a child that runs `work` without root's rights."""

    def child() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        work()

    return in_child(child)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that an ordinary user can reach, and cannot write."""
    path = Path(tempfile.mkdtemp(prefix="outlive-", dir="/tmp"))
    path.chmod(0o555)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


def test_a_forbidden_folder_is_a_clear_error(open_folder: Path) -> None:
    """Without the right to write, open says which folder and why, and names the setting that moves it."""

    def child() -> None:
        with pytest.raises(JournalUnusable, match="Permission denied") as caught:
            Journal.open(open_folder, "tasks", "one")
        assert str(open_folder) in str(caught.value)
        assert "OUTLIVE_HOME" in caught.value.hint

    assert as_ordinary_user(child) == 0
    assert list(open_folder.iterdir()) == []


def test_anothers_orphan_that_cannot_be_read_is_a_clear_error(open_folder: Path) -> None:
    """A dead process's journal that this user may not open is told, not passed over."""
    open_folder.chmod(0o755)
    journal = Journal.open(open_folder, "tasks", "one")
    journal.append_many([b"a"])
    journal.close()
    for path in (open_folder / "journal", open_folder / "journal" / "tasks", journal.path):
        path.chmod(0o755)
    (journal.path / "lock").chmod(0)

    def child() -> None:
        with pytest.raises(JournalUnusable, match="Permission denied"):
            Journal.orphans(open_folder, "tasks")

    assert as_ordinary_user(child) == 0


def test_a_read_only_disk_refuses(tmp_path: Path) -> None:
    """A disk that turns read-only refuses writes and marks clearly, keeps units readable, and recovers when it can."""
    with small_disk(tmp_path / "disk", 400_000) as disk:
        journal = Journal.open(disk, "tasks", "one", segment_bytes=1)
        journal.append_many([b"a"])
        journal.append_many([b"b"])
        journal._current.close()  # type: ignore[union-attr]
        os.close(journal._lock_file)
        journal._lock_file = -1
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(JournalFull, match="Read-only"):
            journal.append_many([b"c"])
        with pytest.raises(JournalFull, match="Read-only"):
            journal.mark_drained(1)
        with pytest.raises(JournalUnusable, match="Read-only"):
            Journal.open(disk, "tasks", "two")
        assert [payload for _, payload in journal.read()] == [b"a", b"b"]
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        journal.append_many([b"d"])
        assert [payload for _, payload in journal.read()] == [b"a", b"b", b"d"]
        journal.close()
