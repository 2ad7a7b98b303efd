"""The home budget in every form: the first version, and ours in each phase, all behind the same HTTP tests."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql

from outlive.postgres.address import Address
from tests.contracts.home_budget.process import Service

BEFORE = "services.home_budget.before"
OURS = "services.home_budget"


@dataclass(frozen=True)
class Form:
    """One way to run the service."""

    name: str
    module: str = OURS
    use_database: bool = False
    dual_write: bool = False

    @property
    def measured(self) -> bool:
        """Whether coverage is measured inside it: its code is the same in all phases, and slow when watched."""
        return self.name in ("before", "dual_write")

    @property
    def has_database(self) -> bool:
        """Whether PostgreSQL must be there for it to start."""
        return self.use_database or self.dual_write

    @property
    def strict(self) -> bool:
        """Whether a value that a column cannot hold is refused."""
        return self.use_database

    def environment(self, database_url: str | None) -> dict[str, str]:
        """The storage flags, as the requirement names them, and the address where one is needed."""
        if self.module == BEFORE:
            return {}
        flags = {
            "FF_USE_DATABASE_STORAGE": str(self.use_database).lower(),
            "FF_DUAL_WRITE_ENABLED": str(self.dual_write).lower(),
        }
        return {**flags, "DATABASE_URL": database_url} if database_url else flags


FORMS = {
    form.name: form
    for form in (
        Form("before", module=BEFORE),
        Form("legacy"),
        Form("dual_write", dual_write=True),
        Form("dual_read", use_database=True, dual_write=True),
        Form("database", use_database=True),
    )
}
PHASES = [name for name, form in FORMS.items() if form.module == OURS]
in_every_phase = pytest.mark.parametrize("form", PHASES, indirect=True, scope="session")
Start = Callable[..., Service]


@pytest.fixture(scope="session")
def new_database(pg_server: Address) -> Iterator[Callable[[], str]]:
    """Makes empty databases that live as long as the test run; gives their DATABASE_URL."""
    with ExitStack() as databases:
        yield lambda: databases.enter_context(_database(pg_server))


@contextmanager
def _database(pg_server: Address) -> Iterator[str]:
    name = f"home_budget_{secrets.token_hex(6)}"
    with psycopg.connect(pg_server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield pg_server.with_database(name).libpq_url()
    with psycopg.connect(pg_server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session", params=FORMS)
def form(request: pytest.FixtureRequest) -> Form:
    """Each form in turn; tests of what the first version did not have are marked `in_every_phase`."""
    return FORMS[request.param]


@pytest.fixture(scope="session")
def server(form: Form, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Service]:
    """One running service a form, shared by the tests that go through `client`."""
    address = request.getfixturevalue("new_database")() if form.has_database else None
    environment = {**form.environment(address), "SEED_DEMO_DATA": "false"}
    service = Service(form.module, tmp_path_factory.mktemp(form.name), environment, form.measured).start()
    yield service
    service.stop()


@pytest.fixture
def start(form: Form, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Start a service of this form in an empty folder, on a database of its own; keywords are more environment."""
    started: list[Service] = []

    def begin(**environment: str) -> Service:
        address = request.getfixturevalue("new_database")() if form.has_database else None
        service = Service(
            form.module, tmp_path / str(len(started)), {**form.environment(address), **environment}, form.measured
        )
        started.append(service)
        return service.start()

    yield begin
    for service in started:
        service.stop()


@pytest.fixture
def client(server: Service) -> Iterator[httpx.Client]:
    """HTTP on the shared service, both collections emptied first."""
    with httpx.Client(base_url=server.url, timeout=30) as http:
        for noun in ("expense", "income"):
            ids = [row["id"] for row in http.get(f"/api/v1/{noun}").json()]
            http.post(f"/api/v1/{noun}/bulk-delete", json={"ids": ids}).raise_for_status()
        yield http


@pytest.fixture(params=["expense", "income"])
def noun(request: pytest.FixtureRequest) -> str:
    """Both collections in turn: they have the same shape and the same rules."""
    name: str = request.param
    return name
