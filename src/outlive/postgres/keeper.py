"""Who uses an embedded server, and the small process that stops it when the last user is gone.

A user is a file in `users/` whose lock a process holds: the kernel drops that lock however the process ends, so a
killed user is never counted. The keeper sleeps in such a lock and polls nothing. This file is also run by path, as a
program, and therefore imports the standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple


class Postmaster(NamedTuple):
    """A live server process of one data folder; `ready` once it takes connections."""

    pid: int
    port: int
    ready: bool


@contextmanager
def locked(path: Path, timeout_s: float = 90.0) -> Iterator[None]:
    """Holds the lock file at `path`. Raises TimeoutError when another process keeps it for `timeout_s`."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + timeout_s
        while not _try_lock(handle):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} is held by another process for {timeout_s:.0f} s")
            time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def join(folder: Path) -> int:
    """A descriptor that makes this process a user until it is closed; call it under the server lock."""
    users = folder / "users"
    users.mkdir(mode=0o700, exist_ok=True)
    draft = folder / f"user.{os.getpid()}.{time.monotonic_ns()}"
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    program = Path(sys.argv[0] or "python").name
    fact = {"pid": os.getpid(), "since": time.time(), "program": program, "machine": machine()}
    os.write(handle, json.dumps(fact).encode())
    draft.rename(users / draft.name.removeprefix("user."))
    return handle


def live_users(folder: Path) -> list[dict[str, object]]:
    """The users that still live, files of dead ones removed; call it under the server lock."""
    found: list[dict[str, object]] = [{"pid": 0, "program": "pinned"}] if (folder / "pinned").exists() else []
    for path in sorted((folder / "users").glob("*")):
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if _try_lock(handle):
                path.unlink()
            else:
                found.append(json.loads(os.read(handle, 4096) or b"{}"))
        finally:
            os.close(handle)
    return found


def machine() -> str:
    """Tells where process ids mean the same: one boot of one machine, one container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return os.uname().nodename


def postmaster(data: Path) -> Postmaster | None:
    """The server that runs on `data`, or None; a stale pid file is seen through."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        pid, port = int(lines[0]), int(lines[3])
    except (OSError, ValueError, IndexError):
        return None
    if not _serves(pid, data):
        return None
    return Postmaster(pid, port, len(lines) > 7 and lines[7].strip() == "ready")


def halt(data: Path, timeout_s: float = 30.0, quit_s: float = 10.0) -> bool:
    """Stops the server of `data`: open transactions roll back, data is flushed. False when none ran.

    A server that does not obey within `timeout_s` is told to quit at once, and after `quit_s` more it is killed; its
    log replays at the next start.
    """
    server = postmaster(data)
    if server is None:
        return False
    for number, patience_s in ((signal.SIGINT, timeout_s), (signal.SIGQUIT, quit_s), (signal.SIGKILL, 10.0)):
        with suppress(ProcessLookupError):
            os.kill(server.pid, number)
        if wait_gone(server.pid, patience_s):
            return True
    raise TimeoutError(f"PostgreSQL process {server.pid} cannot be stopped")


def children(pid: int) -> list[int]:
    """Process ids of the children of `pid`."""
    if not Path("/proc/self").exists():
        listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
        return [int(word) for word in listed.stdout.split()]
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(place.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(place.parent.name))
    return found


def wait_gone(pid: int, timeout_s: float) -> bool:
    """True once process `pid` has ended (a zombie has), False after `timeout_s`."""
    if hasattr(os, "pidfd_open"):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            ended = select.poll()  # select() takes no descriptor above 1023
            ended.register(handle, select.POLLIN)
            return bool(ended.poll(timeout_s * 1000))
        finally:
            os.close(handle)
    deadline = time.monotonic() + timeout_s
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


def alive(pid: int) -> bool:
    """True while `pid` runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return not Path("/proc/self").exists()


def keep(folder: Path) -> None:
    """Waits until the server of `folder` has no user left, then stops it; a second keeper returns at once."""
    watch = os.open(folder / "watch.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _try_lock(watch):
        return
    while True:
        _await_one_death(folder)
        with locked(folder / "server.lock", timeout_s=600.0):
            if not live_users(folder):
                _halt_even_late(folder)
                os.close(watch)
                return


def kept(folder: Path) -> bool:
    """True while a keeper watches `folder`; call it under the server lock."""
    handle = os.open(folder / "watch.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return not _try_lock(handle)
    finally:
        os.close(handle)


def _halt_even_late(folder: Path) -> None:
    """Stops the server, also one that is still coming up because its starter was killed meanwhile."""
    deadline = time.monotonic() + (15.0 if (folder / "starting").exists() else 0.0)
    while not halt(folder / "data") and time.monotonic() < deadline:
        time.sleep(0.05)
    (folder / "starting").unlink(missing_ok=True)


def _await_one_death(folder: Path) -> None:
    while (folder / "pinned").exists():
        time.sleep(2.0)
    for path in sorted((folder / "users").glob("*")):
        with suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
            finally:
                os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _serves(pid: int, data: Path) -> bool:
    if pid <= 1 or not alive(pid):
        return False
    if Path("/proc/self").exists():
        with suppress(OSError):
            return Path(f"/proc/{pid}/cwd").samefile(data)
        return False
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "postgres" in shown.stdout


def _detach() -> None:
    """Continues in a child of init, so that the caller has no child to wait for."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    if os.fork():
        os._exit(0)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    _detach()
    keep(Path(sys.argv[1]))
