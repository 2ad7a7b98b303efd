"""A service in every form: the first version, and ours in each phase, all behind the same HTTP tests.

A test module names its package in PACKAGE; each form is opened once a module, in this process, on a database of its
own. Tests keep apart by tenants, or by ids that they make up.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from outlive.postgres.address import Address
from tests.contracts.farm.running import Running, load


@dataclass(frozen=True)
class Form:
    """One way to run a service: a phase, or None for what it was before; `postgis`: on Debian's PostgreSQL."""

    name: str
    phase: str | None
    postgis: bool = False

    @property
    def ours(self) -> bool:
        """Whether it stands on outlive."""
        return self.phase is not None

    @property
    def strict(self) -> bool:
        """Whether a value that PostgreSQL cannot hold is refused."""
        return self.phase in ("dual_read", "database")


BEFORE = Form("before", None)
PHASES = [Form(name, name) for name in ("legacy", "dual_write", "dual_read", "database")]
POSTGIS = Form("postgis", "database", postgis=True)


def in_forms(*forms: Form) -> pytest.MarkDecorator:
    """Runs a test in these forms only."""
    return pytest.mark.parametrize("form", forms, indirect=True, scope="module", ids=lambda form: form.name)


in_every_phase = in_forms(*PHASES, POSTGIS)
in_database = in_forms(PHASES[-1])
in_both_builds = in_forms(PHASES[-1], POSTGIS)


# Modules that are tested in every form each time; the others in three, and in all with OUTLIVE_ALL_SERVICES (make
# services), for six forms of fifteen services take longer than the rest of the tests together.
IN_ALL_FORMS = frozenset({"test_equipment", "test_inventory"})
LONG = frozenset({"test_the_phases_change_under_load"})
EVERYWHERE = frozenset({"before", "legacy", "database"})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of a module and form stay on one worker, which opens it once; some forms wait for `make services`."""
    everything = bool(os.environ.get("OUTLIVE_ALL_SERVICES"))
    later = []
    for item in items:
        if not everything and getattr(item, "originalname", "") in LONG:
            later.append(item)
        form = getattr(item, "callspec", None) and item.callspec.params.get("form")  # type: ignore[attr-defined]
        if not isinstance(form, Form):
            continue
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{form.name}"))
        if not everything and form.name not in EVERYWHERE and item.path.stem not in IN_ALL_FORMS:
            later.append(item)
    if later:
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if item not in set(later)]


@pytest.fixture(scope="module", params=[BEFORE, *PHASES, POSTGIS], ids=lambda form: form.name)
def form(request: pytest.FixtureRequest) -> Form:
    """Each form in turn; tests of what the first version did not have are marked `in_every_phase`."""
    chosen: Form = request.param
    return chosen


@pytest.fixture(scope="session")
def new_database(pg_server: Address) -> Iterator[Callable[..., Address]]:
    """Makes empty databases that live as long as the test run, on the embedded server or on a given one."""
    with ExitStack() as databases:
        yield lambda server=pg_server: databases.enter_context(_database(server))


@contextmanager
def _database(server: Address) -> Iterator[Address]:
    name = f"farm_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield server.with_database(name)
    with suppress(psycopg.OperationalError), psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def opened(form: Form, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The module's service in one form, open, without demo records unless the module says SEEDED = True."""
    package: str = request.module.PACKAGE
    seeded = getattr(request.module, "SEEDED", False)
    environment = {"SEED_DEMO_DATA": str(seeded).lower(), **getattr(request.module, "ENVIRONMENT", {})}
    address = None
    if form.phase not in (None, "legacy"):
        server = request.getfixturevalue("postgis_server") if form.postgis else request.getfixturevalue("pg_server")
        address = request.getfixturevalue("new_database")(server)
        if form.postgis:
            with psycopg.connect(address.conninfo(), autocommit=True) as conn:
                conn.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    with open_service(package, form, address, tmp_path_factory.mktemp("home"), environment) as service:
        yield service


@dataclass
class Opened:
    """A service that answers: `http`, and for ours the package's modules by `module(name)`."""

    http: Running
    package: str
    address: Address | None

    def module(self, name: str) -> Any:
        """A module of the package, as the running service has it."""
        import sys

        return sys.modules[f"{self.package}.{name}"]


@contextmanager
def open_service(
    package: str, form: Form, address: Address | None, home: Path, environment: dict[str, str]
) -> Iterator[Opened]:
    """A service in one form for the block."""
    own = {**environment, "OUTLIVE_HOME": str(home)}
    if form.phase is not None:
        own["OUTLIVE_PHASE"] = form.phase
    if address is not None:
        own["DATABASE_URL"] = address.libpq_url()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "OUTLIVE_PHASE", "PORT"):
            patch.delenv(name, raising=False)
        for name, text in own.items():
            patch.setenv(name, text)
        app = load(package, "api" if form.ours else "before.app").app
        with Running(app) as http:
            yield Opened(http, package, address)


@pytest.fixture
def http(opened: Opened) -> Running:
    """Requests to the service of this form."""
    return opened.http


@pytest.fixture
def tenant() -> str:
    """A tenant that nobody used."""
    return f"tenant_{uuid.uuid4().hex[:10]}"
