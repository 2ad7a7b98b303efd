"""The service as users run it: a process of its own on a free port, with its log at hand when it fails."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).resolve().parents[3]
START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0


@dataclass
class Service:
    """A started server; `folder` is its working directory and holds `data` and `log`."""

    module: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    measured: bool = True
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """The folder of its two files."""
        return self.folder / "data"

    def log(self) -> str:
        """All that it printed, restarts included."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> Service:
        """Start and wait until it answers. Raises AssertionError with its log when it does not."""
        self.port = free_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        own = {"PORT": str(self.port), "HOST": "127.0.0.1", "HOME_BUDGET_DATA": str(self.data)}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=self.folder,
                env={**environment(self.measured), **own, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_it_answers()
        return self

    def stop(self) -> None:
        """End it in order; a process that does not end in time is killed and reported."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.module} did not stop:\n{self.log()}") from None
        self.process = None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(STOP_LIMIT_S)
            self.process = None

    def _wait_until_it_answers(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.module} ended with {self.process.returncode}:\n{self.log()}")
            try:
                if httpx.get(f"{self.url}/", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        self.kill()
        raise AssertionError(f"{self.module} did not answer in {START_LIMIT_S} s:\n{self.log()}")


def environment(measured: bool = True) -> dict[str, str]:
    """What a process needs of ours; flags and addresses of the surrounding run stay out, coverage on request."""
    kept = ["PATH", "HOME", "LANG", "TMPDIR"]
    kept += [name for name in os.environ if measured and name.startswith("COVERAGE_")]
    given = {name: text for name, text in os.environ.items() if name in kept}
    return {**given, "PYTHONPATH": os.pathsep.join((str(REPOSITORY / "src"), str(REPOSITORY)))}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
