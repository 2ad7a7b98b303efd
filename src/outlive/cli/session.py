"""How a command reaches its database, and finds the store that the operator named."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from outlive.errors import AmbiguousStore, NoControl, UnknownStore, Unreachable
from outlive.phases.control import Limits, Order, StoreName, read_stores
from outlive.postgres.address import Address
from outlive.postgres.connect import Connection, Database
from outlive.postgres.drive import drive
from outlive.postgres.embedded import running
from outlive.settings import Settings, load_dotenv

SERVICE_CONNECTIONS = 2
JOIN_S = 2.0


@dataclass(frozen=True)
class Session:
    """One command's settings and its connection."""

    settings: Settings
    database: Database
    conn: Connection
    started_server: bool = False

    def find(self, name: str) -> StoreName:
        """The store that `name` (STORE or SERVICE/STORE) means. Raises UnknownStore, AmbiguousStore."""
        self.let_services_join()
        return pick(drive(read_stores(), self.conn), name)

    def let_services_join(self) -> None:
        """Gives services of this folder a moment to find an embedded server that this command had to start."""
        server, ends = self.database.server, time.monotonic() + JOIN_S
        while self.started_server and server is not None and len(server.users()) < 2 and time.monotonic() < ends:
            time.sleep(0.05)

    def order(self, store: StoreName, **wishes: Any) -> Order:
        """The operator's order for `store`, with limits from the environment."""
        connections = self.settings.connections + SERVICE_CONNECTIONS
        limits = Limits.from_env(os.environ)
        return Order(
            service=store.service,
            store=store.store,
            actor=actor(),
            limits=limits,
            connections_per_member=connections,
            **wishes,
        )


@contextmanager
def opened(*, control: bool = True, create: bool = False) -> Iterator[Session]:
    """A session on the database of `.env` and environment, else of the embedded server of this folder.

    `create` makes that server where there is none yet. Raises Unreachable, BadAddress, BadSetting; NoControl when the
    schema `outlive` is missing, unless `control` is False.
    """
    settings = read_settings()
    starts = settings.embedded and running(settings.home) is None
    database = find_database(settings, create)
    try:
        with database.connect() as conn:
            if control:
                check_control(conn, database)
            yield Session(settings, database, conn, starts)
    finally:
        database.dispose()


def read_settings() -> Settings:
    """The settings of `.env` and environment. Raises BadSetting."""
    load_dotenv()
    return Settings.from_env()


def find_database(settings: Settings, create: bool = False) -> Database:
    """The database that is meant; unless `create`, an embedded server is started only where its folder exists.

    Raises Unreachable.
    """
    if not create and Address.from_settings(settings) is None and not (settings.home / "postgres").is_dir():
        where = f"embedded in {settings.home.resolve()}"
        reason = "outlive migrate makes one there; or set DATABASE_URL or POSTGRES_*"
        raise Unreachable(address=where, reason=reason)
    return Database.from_settings(settings)


def check_control(conn: Connection, database: Database) -> None:
    """Raises NoControl when the control tables do not exist."""
    row = conn.execute("SELECT to_regclass('outlive.request') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        raise NoControl(address=database.address.masked())


def pick(stores: list[StoreName], name: str) -> StoreName:
    """The store among `stores` that `name` means. Raises UnknownStore, AmbiguousStore."""
    exact = [store for store in stores if str(store) == name]
    found = exact or [store for store in stores if store.store == name]
    if not found:
        raise UnknownStore(name=name, known=", ".join(str(store) for store in stores) or "none")
    if len(found) > 1:
        raise AmbiguousStore(name=name, candidates=", ".join(str(store) for store in found))
    return found[0]


def actor() -> str:
    """Who gives the order, as the event log names them: user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def require_reason(force: bool, reason: str) -> None:
    """Raises typer.BadParameter when something is forced without a reason."""
    if force and not reason.strip():
        raise typer.BadParameter("--force needs --reason TEXT; it goes to the event log")


def home_of(settings: Settings) -> Path:
    """The folder that holds the journals, or the nearest existing one above it."""
    folder = settings.home.resolve()
    while not folder.exists():
        folder = folder.parent
    return folder
