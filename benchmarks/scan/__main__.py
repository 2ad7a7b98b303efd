"""`python -m benchmarks.scan`: both commands as a user types them, alternating, each with its peak memory.

The tree is FILES Python files copied from this environment's packages. The peer is semgrep with the twelve rules of
rules.yaml, which say what its pattern language can of in-memory stores, on as many jobs as there are cores; nothing of
it needs the network once it is installed, which the first run does, into .bench/semgrep.
"""

from __future__ import annotations

import argparse
import json
import os
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
    peak_bytes: int = 0
    files: int = 0
    found: int = 0

    @property
    def rate(self) -> float:
        """Files a second, by the median round."""
        return self.files / statistics.median(self.seconds)

    def run(self) -> None:
        """One round. Raises SystemExit when the command fails."""
        began = perf_counter()
        process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
        watch = threading.Thread(target=self._watch, args=(process,))
        watch.start()
        _, errors = process.communicate()
        self.seconds.append(perf_counter() - began)
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


def _family(parent: psutil.Process) -> list[psutil.Process]:
    return [parent, *parent.children(recursive=True)]


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def make_tree(files: int) -> Path:
    """A folder of that many Python files: this environment's packages, again until there are enough."""
    base = Path(sysconfig.get_path("purelib"))
    packages = sorted(path for path in base.rglob("*.py") if "_vendor" not in path.parts)
    chosen = packages[:: max(len(packages) // files, 1)] if files < len(packages) else packages
    chosen = (chosen * (1 + files // len(chosen)))[:files]
    tree = BENCH / f"tree{files}"
    if tree.exists() and sum(1 for _ in tree.rglob("*.py")) == files:
        return tree
    shutil.rmtree(tree, ignore_errors=True)
    for at, path in enumerate(chosen):
        target = tree / f"copy{at // len(packages)}" / path.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    (tree / ".semgrepignore").write_text("")
    return tree


def install() -> Path:
    """The semgrep command, installed into an environment of its own when it is not there. Raises SystemExit."""
    home = BENCH / "semgrep"
    command = home / "bin" / "semgrep"
    if not command.exists():
        venv.create(home, with_pip=True, clear=True)
        done = subprocess.run([home / "bin" / "pip", "install", "--quiet", "semgrep"], check=False)
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
            print(f"round {number + 1}: {side.name} {side.seconds[-1]:.1f} s", flush=True)
    print(f"\n{'':14}{'files':>8}{'seconds':>10}{'files/s':>10}{'peak MB':>10}{'findings':>10}")
    for side in both:
        row = (
            side.files,
            f"{statistics.median(side.seconds):.1f}",
            f"{side.rate:.0f}",
            f"{side.peak_bytes / 2**20:.0f}",
            side.found,
        )
        print(f"{side.name:14}{row[0]:>8}{row[1]:>10}{row[2]:>10}{row[3]:>10}{row[4]:>10}")
    print(f"\nratio: {both[0].rate / both[1].rate:.1f} times the files a second")


if __name__ == "__main__":
    main()
