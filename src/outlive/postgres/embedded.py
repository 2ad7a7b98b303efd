"""A PostgreSQL of the project's own, in `<home>/postgres`, for whoever has none.

The processes of one folder share one server; the last user stops it, however users end (`keeper`). It listens on
loopback only, asks for a random password kept in a file of mode 0600, and keeps fsync on. PostgreSQL refuses to run
as root: there the server runs as another user, and gets the one right to search folders if it could not reach its
data or its binaries otherwise.

Run as a program it is `python -m outlive.postgres.embedded start|stop|status --home FOLDER`.
"""

from __future__ import annotations

import argparse
import atexit
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from outlive.errors import Unreachable
from outlive.postgres import keeper
from outlive.postgres.address import Address
from outlive.postgres.cluster import Cluster


class EmbeddedServer:
    """One folder's server, used by this object from `start` to `stop`; many objects and processes may use it."""

    def __init__(self, home: Path | str, options: Mapping[str, str] | None = None) -> None:
        """`home` is created when needed; `options` are server settings for the start that this object causes."""
        self.home = Path(home).expanduser().resolve()
        self.folder = self.home / "postgres"
        self.cluster = Cluster(self.folder, options or {})
        self._handle: int | None = None
        self._owner = 0

    def start(self) -> Address:
        """The address of the running server, started if need be; this object is its user from here on.

        Calling it again is free, and brings a server back that has died. Raises Unreachable with the server's own
        words when it cannot start.
        """
        self._prepare()
        with self._locked():
            self._enter()
            if keeper.postmaster(self.cluster.data) is None:
                self._refuse_elsewhere()
                self.cluster.launch()
            return self.cluster.address()

    def stop(self, force: bool = False) -> bool:
        """Ends this object's use; True when that stopped the server, as no other user was left.

        With `force` the server stops whoever uses it. In a forked child the parent's use is left alone.
        """
        if not self.folder.exists():
            return False
        with self._locked():
            self._leave()
            if force:
                (self.folder / "pinned").unlink(missing_ok=True)
            return (force or not keeper.live_users(self.folder)) and keeper.halt(self.cluster.data)

    def restart(self) -> Address:
        """The same address, served by a new server process on the same data. Raises Unreachable."""
        self._prepare()
        with self._locked():
            self._enter()
            self._refuse_elsewhere()
            keeper.halt(self.cluster.data)
            self.cluster.launch(same_port=True)
            return self.cluster.address()

    def died(self) -> bool:
        """Whether the server ended without being stopped: its pid file is left behind."""
        return (self.cluster.data / "postmaster.pid").exists() and keeper.postmaster(self.cluster.data) is None

    def revive(self) -> bool:
        """Starts a server that has died, on its port; False when it runs, was stopped, or another user was faster.

        Raises Unreachable when it cannot start.
        """
        with self._locked():
            if not self.died():
                return False
            self._enter()
            self._refuse_elsewhere()
            self.cluster.launch(same_port=True)
            return True

    def kill9(self) -> bool:
        """Kills every process of the server at once, as a power cut would; False when none ran."""
        server = keeper.postmaster(self.cluster.data)
        if server is None:
            return False
        victims = [server.pid, *keeper.children(server.pid)]
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return all(keeper.wait_gone(pid, 10.0) for pid in victims)

    def pin(self) -> None:
        """Keeps the server running without users, until `stop(force=True)`."""
        self._prepare()
        (self.folder / "pinned").touch()

    def users(self) -> list[dict[str, object]]:
        """The live users: pid, since (Unix seconds) and program of each."""
        if not self.folder.exists():
            return []
        with self._locked():
            return keeper.live_users(self.folder)

    @property
    def address(self) -> Address | None:
        """Where the server listens, or None when it does not run."""
        return running(self.home)

    def __enter__(self) -> Address:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _prepare(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = self.home / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as failure:
            raise Unreachable(address=f"embedded in {self.home}", reason=str(failure)) from failure

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with keeper.locked(self.folder / "server.lock"):
                yield
        except (TimeoutError, PermissionError) as failure:
            raise Unreachable(address=f"embedded in {self.home}", reason=str(failure)) from failure

    def _enter(self) -> None:
        """Becomes a user, and sees to it that somebody watches before there is a server to leak."""
        if self._handle is None or self._owner != os.getpid():
            self._handle, self._owner = keeper.join(self.folder), os.getpid()
            atexit.register(self.stop)
        if not keeper.kept(self.folder):
            self.cluster.spawn_keeper()

    def _refuse_elsewhere(self) -> None:
        """A server in another container cannot be seen from here; a second one would ruin their common data."""
        here = keeper.machine()
        for entry in keeper.live_users(self.folder):
            if entry.get("machine", here) != here:
                self._leave()
                reason = f"process {entry['pid']} of another machine or container uses it; give each its OUTLIVE_HOME"
                raise Unreachable(address=f"embedded in {self.home}", reason=reason)

    def _leave(self) -> None:
        if self._handle is not None and self._owner == os.getpid():
            os.close(self._handle)
            atexit.unregister(self.stop)
        self._handle = None


def running(home: Path | str) -> Address | None:
    """The address of the server in `home` if it takes connections now, else None; starts nothing."""
    cluster = Cluster(Path(home).expanduser().resolve() / "postgres", {})
    server = keeper.postmaster(cluster.data)
    return cluster.address() if server is not None and server.ready else None


def main(arguments: list[str] | None = None) -> int:
    """Exit status of the program: 0, or 4 when the server does not run or cannot start."""
    parser = argparse.ArgumentParser(prog="python -m outlive.postgres.embedded", description="The embedded server.")
    parser.add_argument("verb", choices=("start", "stop", "status"))
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("OUTLIVE_HOME", ".outlive")))
    chosen = parser.parse_args(arguments)
    server = EmbeddedServer(chosen.home)
    if chosen.verb == "stop":
        return _say("stopped" if server.stop(force=True) else "was not running")
    if chosen.verb == "start":
        try:
            server.pin()
            server.start()
        except Unreachable as failure:
            sys.stderr.write(f"{failure}\n")
            return failure.exit_code
    where = server.address
    if where is None:
        return _say("not running", Unreachable.exit_code)
    return _say(f"running at {where}, {len(server.users())} users")


def _say(sentence: str, status: int = 0) -> int:
    sys.stdout.write(f"{sentence}\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
