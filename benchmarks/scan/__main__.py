"""`python -m benchmarks.scan`: both commands as a user types them, alternating, each with its peak memory.

The tree is FILES Python files copied from this environment's packages and, after those, from the standard library. The
peer is semgrep with the twelve rules of rules.yaml, which say what its pattern language can of in-memory stores, on as
many jobs as there are cores; nothing of it needs the network once it is installed, which the first run does, into
.bench/semgrep, as requirements/bench-scan.txt says.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import threading
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import psutil

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / ".bench"
RULES = Path(__file__).with_name("rules.yaml")
PINS = ROOT / "requirements" / "bench-scan.txt"
FILES = 5_000
ROUNDS = 3
JOBS = os.cpu_count() or 1


@dataclass
class Side:
    """One of the two: its command, how many files its last output says it read, and what each round took."""

    name: str
    command: list[str]
    count: Callable[[], tuple[int, int]]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    files: int = 0
    found: int = 0

    @property
    def rate(self) -> float:
        """Files a second, by the median round."""
        return self.files / statistics.median(self.seconds)

    def run(self) -> None:
        """One round. Raises SystemExit when the command fails."""
        began, used = perf_counter(), _children_cpu()
        process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
        watch = threading.Thread(target=self._watch, args=(process,))
        watch.start()
        _, errors = process.communicate()
        self.seconds.append(perf_counter() - began)
        self.cpu.append(_children_cpu() - used)
        watch.join()
        if process.returncode:
            sys.exit(f"{self.name} failed: {errors.decode(errors='replace')[-2000:]}")
        self.files, self.found = self.count()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Keeps the largest sum of resident memory over the command and its children."""
        try:
            parent = psutil.Process(process.pid)
            while process.poll() is None:
                self.peak_bytes = max(self.peak_bytes, sum(_resident(each) for each in _family(parent)))
                threading.Event().wait(0.05)
        except psutil.NoSuchProcess:
            return


def _children_cpu() -> float:
    """CPU seconds of all children that ended so far, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _family(parent: psutil.Process) -> list[psutil.Process]:
    return [parent, *parent.children(recursive=True)]


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def make_tree(files: int) -> Path:
    """A folder of that many Python files: packages, then the standard library, both again until there are enough."""
    every = [each for folder in ("purelib", "stdlib") for each in _sources(Path(sysconfig.get_path(folder)))]
    tree = BENCH / f"real{files}"
    if tree.exists() and sum(1 for _ in tree.rglob("*.py")) == files:
        return tree
    shutil.rmtree(tree, ignore_errors=True)
    for at in range(files):
        base, path = every[at % len(every)]
        target = (
            tree / f"copy{at // len(every)}" / base.name.replace("site-packages", "packages") / path.relative_to(base)
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    (tree / ".semgrepignore").write_text("")
    return tree


def _sources(base: Path) -> list[tuple[Path, Path]]:
    """The Python files below a folder that a scan reads, in order of name, each with the folder."""
    left_out = {"_vendor", "site-packages"}
    return [(base, path) for path in sorted(base.rglob("*.py")) if not left_out & set(path.relative_to(base).parts)]


def install() -> Path:
    """The semgrep command, installed into an environment of its own when it is not there. Raises SystemExit."""
    home = BENCH / "semgrep"
    command = home / "bin" / "semgrep"
    if not command.exists():
        venv.create(home, with_pip=True, clear=True)
        done = subprocess.run([home / "bin" / "pip", "install", "--quiet", "--require-hashes", "-r", PINS], check=False)
        if done.returncode or not command.exists():
            sys.exit("semgrep could not be installed; the comparison needs it once from the network")
    return command


def sides(semgrep: Path, tree: Path) -> Iterator[Side]:
    """outlive and its peer."""
    ours, theirs = BENCH / "outlive.json", BENCH / "semgrep.json"
    yield Side(
        "outlive scan",
        [sys.executable, "-m", "outlive", "scan", str(tree), "--json", "-o", str(ours)],
        lambda: _ours(ours),
    )
    flags = ["--json", "--quiet", "--metrics=off", "--disable-version-check", "--no-git-ignore", f"--jobs={JOBS}"]
    command = [str(semgrep), "scan", *flags, f"--config={RULES}", f"--output={theirs}", str(tree)]
    yield Side("semgrep", command, lambda: _theirs(theirs))


def _ours(path: Path) -> tuple[int, int]:
    whole = json.loads(path.read_text("utf-8"))
    return whole["files"], len(whole["findings"])


def _theirs(path: Path) -> tuple[int, int]:
    whole = json.loads(path.read_text("utf-8"))
    return len([each for each in whole["paths"]["scanned"] if each.endswith(".py")]), len(whole["results"])


def main() -> None:
    """Prints each side's files a second, seconds and peak memory, and the ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description="outlive scan beside semgrep.")
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    wanted = parser.parse_args()
    BENCH.mkdir(exist_ok=True)
    semgrep, tree = install(), make_tree(wanted.files)
    both = list(sides(semgrep, tree))
    print(f"{wanted.files} files, {JOBS} cores, {wanted.rounds} rounds each, alternating", flush=True)
    for number in range(wanted.rounds):
        for side in both:
            side.run()
            print(f"round {number + 1}: {side.name} {side.seconds[-1]:.1f} s, {side.cpu[-1]:.1f} CPU s", flush=True)
    print(f"\n{'':14}{'files':>8}{'seconds':>10}{'CPU s':>10}{'files/s':>10}{'peak MB':>10}{'findings':>10}")
    for side in both:
        row = (
            side.files,
            f"{statistics.median(side.seconds):.1f}",
            f"{statistics.median(side.cpu):.1f}",
            f"{side.rate:.0f}",
            f"{side.peak_bytes / 2**20:.0f}",
            side.found,
        )
        print(f"{side.name:14}{row[0]:>8}" + "".join(f"{each:>10}" for each in row[1:]))
    print(f"\nratio: {both[0].rate / both[1].rate:.1f} times the files a second")


if __name__ == "__main__":
    main()
