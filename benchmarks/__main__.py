"""`python -m benchmarks`: every benchmark, one after the other, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

NAMES = ("writes", "away", "reads", "http", "transfer", "services")

if __name__ == "__main__":
    runs = {name: subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False) for name in NAMES}
    failed = [name for name, run in runs.items() if run.returncode]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
