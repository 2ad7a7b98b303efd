"""Services as processes: killed under load, led through the phases under load, and asked as the application's role.

CI plays a sample; `OUTLIVE_ALL_SERVICES=1` (`make services`) plays every service.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from outlive.postgres.address import Address
from outlive.postgres.tenancy import role_statements
from tests.contracts.farm.catalogue import SERVICES, Known
from tests.contracts.farm.conftest import PHASES, open_service
from tests.contracts.farm.running import load
from tests.contracts.farm.traces import TRACES

ROOT = Path(__file__).resolve().parents[3]
TRACED = [known for known in SERVICES if known.name in TRACES]
SCOPED = [known for known in TRACED if TRACES[known.name].scoped]
SAMPLE = TRACED if os.environ.get("OUTLIVE_ALL_SERVICES") else TRACED[:1]
sampled = pytest.mark.parametrize("known", SAMPLE, ids=lambda known: known.name)
HEALTH = ("/healthz", "/health")
CLIENTS = 4


@dataclass
class Server:
    """A service as its users start it, on a port of its own."""

    known: Known
    folder: Path
    environment: dict[str, str]
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder.mkdir(exist_ok=True)
        kept = {name: text for name, text in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
        own = {"PORT": str(self.port), "HOST": "127.0.0.1", "PYTHONPATH": path, "OUTLIVE_JOURNAL_MAY_BE_LOST": "true"}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.known.package],
                cwd=self.folder, stdout=log, stderr=log,
                env={**kept, **own, **self.known.environment, **self.environment},
            )  # fmt: skip
        ends = time.monotonic() + 90
        while not self.answers():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < ends, self.log()
            time.sleep(0.1)

    def answers(self) -> bool:
        """Whether a health route says 200."""
        try:
            return any(httpx.get(self.url + path, timeout=5).status_code == 200 for path in HEALTH)
        except httpx.TransportError:
            return False

    def log(self) -> str:
        """What it printed."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-4000:]

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None


@dataclass
class Load:
    """Clients that enter records and look for them again; `kept` are (number, answer) of what was acknowledged."""

    server: Server
    tenant: str
    kept: list[tuple[int, Any]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    running: bool = True

    @contextmanager
    def __call__(self) -> Iterator[Load]:
        """The clients work for the block."""
        threads = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.running = False
            for thread in threads:
                thread.join(60)

    def _client(self, number: int) -> None:
        trace = TRACES[self.server.known.name]
        with httpx.Client(base_url=self.server.url, timeout=30) as http:
            while self.running:
                number += CLIENTS
                method, path, options = trace.enter(self.tenant, number)
                try:
                    answer = http.request(method, path, **options)
                except httpx.TransportError:
                    return  # the server is gone: what it did not acknowledge may be there or not
                if answer.is_success:
                    self.kept.append((number, answer.json()))
                else:
                    self.failed.append(f"{answer.status_code} {answer.text[:200]}")

    def missing(self) -> list[int]:
        """The acknowledged records that are not found."""
        trace = TRACES[self.server.known.name]
        with httpx.Client(base_url=self.server.url, timeout=30) as http:
            asked = [(number, trace.found(self.tenant, number, answer)) for number, answer in self.kept]
            return [
                number
                for number, (method, path, more) in asked
                if http.request(method, path, **more).status_code != 200
            ]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a service with an environment; it ends with the test."""
    started: list[Server] = []

    def begin(known: Known, **environment: str) -> Server:
        server = Server(known, tmp_path / known.name, {"SEED_DEMO_DATA": "false", **environment})
        started.append(server)
        server.start()
        return server

    yield begin
    for server in started:
        server.end(signal.SIGKILL)


@sampled
@pytest.mark.parametrize("phase", ["dual_write", "database"])
def test_nothing_acknowledged_is_lost_to_kill_9(
    known: Known, phase: str, serve: Callable[..., Server], new_database: Callable[..., Address]
) -> None:
    """Killed while clients write, started again: every record that was acknowledged is found."""
    server = serve(known, DATABASE_URL=new_database().libpq_url(), OUTLIVE_PHASE=phase)
    load = Load(server, f"tenant_{uuid.uuid4().hex[:8]}")
    with load():
        ends = time.monotonic() + 30
        while len(load.kept) < 40 and time.monotonic() < ends:
            time.sleep(0.05)
        server.end(signal.SIGKILL)
    assert len(load.kept) >= 40, (load.failed[:3], server.log())
    assert load.failed == []
    server.start()
    assert load.missing() == []


@sampled
@pytest.mark.timeout(600)  # two commands a store, each a process, beside the load
def test_the_phases_change_under_load(
    known: Known, serve: Callable[..., Server], new_database: Callable[..., Address]
) -> None:
    """To `database` and back while clients write: no request fails, and every record is found in the end."""
    address = new_database()
    server = serve(known, DATABASE_URL=address.libpq_url())
    names = [each.name for each in load_stores(known)]
    load = Load(server, f"tenant_{uuid.uuid4().hex[:8]}")
    with load():
        for name in names:
            command(known, address, "advance", name, "--to", "database", "--force", "--reason", "a test of the change")
        for name in reversed(names):
            command(known, address, "rollback", name, "--force", "--reason", "a test of the change")
    assert load.failed == []
    assert load.kept
    assert load.missing() == []


def load_stores(known: Known) -> list[Any]:
    """The service's stores, parents before children as they are declared."""
    return list(load(known.package, "stores").service.everything())


def command(known: Known, address: Address, *words: str) -> None:
    """Run an outlive command for the service."""
    name = known.package.rpartition(".")[2]
    done = subprocess.run(
        [sys.executable, "-c", "from outlive.cli import main; main()", words[0], f"{name}/{words[1]}", *words[2:]],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "DATABASE_URL": address.libpq_url(), "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])


NAMED = """
SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""
TENANTS = """
SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relrowsecurity AND c.relforcerowsecurity
"""


@pytest.mark.parametrize("known", SCOPED, ids=lambda known: known.name)
def test_the_applications_role_sees_one_tenant(
    known: Known, new_database: Callable[..., Address], tmp_path: Path
) -> None:
    """As the application's role, SQL that names no tenant sees no row, and one that names one sees its own only; the
    service itself works as that role."""
    address, role = new_database(), f"app_{uuid.uuid4().hex[:8]}"
    environment = {"SEED_DEMO_DATA": "false", **known.environment}
    with open_service(known.package, PHASES[-1], address, tmp_path / "owner", environment):
        pass
    with psycopg.connect(address.conninfo(), autocommit=True) as conn:
        for statement in role_statements(role, ["public"], password="app"):
            conn.execute(statement.encode())
        tables = [name for (name,) in conn.execute(TENANTS).fetchall()]
        named = {name for (name,) in conn.execute(NAMED).fetchall()}
    unscoped = {"alert_rules"} if known.name == "alerts" else set()  # the contract lets a rule have no tenant
    assert named - unscoped == set(tables)
    if not tables:
        return
    app = Address({**address.options, "user": role, "password": "app"})
    trace, tenants = TRACES[known.name], ["tenant_one", "tenant_two"]
    with open_service(known.package, PHASES[-1], app, tmp_path / "app", environment) as service:
        for number, tenant in enumerate(tenants):
            method, path, options = trace.enter(tenant, number)
            answer = service.http.request(method, path, **options)
            assert answer.is_success, answer.text
            method, path, options = trace.found(tenant, number, answer.json())
            assert service.http.request(method, path, **options).status_code == 200
    with psycopg.connect(address.conninfo()) as conn:
        kept = {value for name in tables for value in tenants_in(conn, name)}
    assert len(kept) >= 2
    seen: dict[str | None, set[str]] = {None: set(), **{tenant: set() for tenant in kept}}
    with psycopg.connect(app.conninfo(), autocommit=True) as conn:
        for tenant, found in seen.items():
            conn.execute("SELECT set_config('outlive.tenant', %s, false)", [tenant or ""])
            for name in tables:
                found.update(tenants_in(conn, name))
    assert seen == {None: set(), **{tenant: {tenant} for tenant in kept}}


def tenants_in(conn: psycopg.Connection[Any], table: str) -> set[str]:
    """The tenants of the rows that this session sees."""
    rows = conn.execute(sql.SQL("SELECT DISTINCT tenant_id FROM {}").format(sql.Identifier(table))).fetchall()
    return {value for (value,) in rows}
