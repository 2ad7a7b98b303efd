"""The processes of the demo: a server that can be killed, the load beside it, and the real command line."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
COMMAND_LIMIT_S = 150.0
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


class DemoFailed(Exception):
    """A step of the demo did not happen; the text says which, with the process's own words."""


class CommandRefused(DemoFailed):
    """A command of outlive ended with an error that it named, a closed gate for instance."""


@dataclass
class Server:
    """One version of the service on a port that it keeps over restarts; `folder` is its working directory."""

    module: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The folder of its two files."""
        return self.folder / "data"

    def start(self) -> float:
        """Seconds until it answered. Raises DemoFailed with the end of its log when it does not."""
        began = time.monotonic()
        self.launch()
        while not self.answers():
            if self.process is None or self.process.poll() is not None or time.monotonic() - began > START_LIMIT_S:
                raise DemoFailed(f"{self.module} did not start: {self.last_words()}")
            time.sleep(0.02)
        return time.monotonic() - began

    def launch(self) -> None:
        """Start it without waiting."""
        self.port = self.port or _free_port()
        own = {"PORT": str(self.port), "HOST": "127.0.0.1", "HOME_BUDGET_DATA": str(self.data)}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = _spawn(self.module, self.folder, {**own, **self.environment}, self.folder / "log")

    def answers(self) -> bool:
        """Whether it takes requests now."""
        try:
            return self.get("/")[0] == 200
        except (OSError, ValueError, http.client.HTTPException):
            return False

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON body of one GET. Raises OSError or HTTPException when the server is not there."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()

    def kill(self) -> None:
        """End it as a power cut would."""
        _end(self.process, signal.SIGKILL)
        self.process = None

    def stop(self) -> None:
        """End it in order; kill it when it does not."""
        _end(self.process, signal.SIGTERM)
        self.process = None

    def last_words(self, lines: int = 1) -> str:
        """The end of what it printed."""
        log = self.folder / "log"
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return " | ".join(text.strip().splitlines()[-lines:]) or "it printed nothing"


@dataclass
class Traffic:
    """The load: a process of its own that enters each request in `ledger`."""

    port: int
    ledger: Path
    rows: Path
    options: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        given = ["--port", str(self.port), "--ledger", str(self.ledger), "--rows", str(self.rows), *self.options]
        module = "services.home_budget.demo.traffic"
        self.process = _spawn(module, self.ledger.parent, {}, self.ledger.with_suffix(".log"), given)

    def stop(self) -> None:
        """End it once its requests under way are entered. Raises DemoFailed when it broke before or did not finish."""
        process, self.process = self.process, None
        if process is None:
            return
        broke = process.poll() is not None
        _end(process, signal.SIGTERM)
        if broke or process.returncode != 0:
            raise DemoFailed(f"the load ended with {process.returncode}, see {self.ledger.with_suffix('.log')}")


def outlive(folder: Path, environment: dict[str, str], *words: str) -> dict[str, Any]:
    """The JSON document of one `python -m outlive` command. Raises DemoFailed with what it said when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "outlive", *words, "--json"],
        cwd=folder,
        env={**_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
        check=False,
    )
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise DemoFailed(f"outlive {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}") from None
    if done.returncode:
        raise CommandRefused(f"outlive {' '.join(words)}: {told.get('message')}")
    return told


def _spawn(
    module: str, folder: Path, environment: dict[str, str], log: Path, arguments: list[str] | None = None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", module, *(arguments or [])],
            cwd=folder,
            env={**_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends its processes in order
        )


def _end(process: subprocess.Popen[bytes] | None, how: signal.Signals) -> None:
    if process is None:
        return
    process.send_signal(how)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_LIMIT_S)


def _environment() -> dict[str, str]:
    """Nothing of ours that could name another database or pin a phase."""
    given = {name: text for name, text in os.environ.items() if name in KEPT or name.startswith("COVERAGE_")}
    path = os.pathsep.join((str(REPOSITORY / "src"), str(REPOSITORY)))
    return {**given, "PYTHONPATH": path, "SEED_DEMO_DATA": "false", "PYTHONUNBUFFERED": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
