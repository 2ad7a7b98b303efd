"""One tenant never sees another: not through the repository, and not in SQL as the application's role."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import outlive
from outlive.cli.app import run
from outlive.errors import BadQuery, ForeignTenant, KeyTaken, Unscoped
from outlive.postgres.address import Address
from outlive.postgres.tenancy import role_statements


@dataclasses.dataclass
class Note:
    id: int
    tenant_id: str | None = None
    text: str = ""
    hours: int = 0


class Notes(outlive.Repository):
    """A repository with a method of its own."""

    def busy(self, least: int) -> Any:
        """Notes of many hours."""
        return self.find(hours__gte=least, order_by="-hours")


PHASES = ["legacy", "dual_write", "dual_read", "database"]
Open = Callable[..., Any]


@pytest.fixture
def opened(database_address: Address, tmp_path: Path) -> Iterator[Open]:
    """Opens a service with a store of notes, as any role, in any phase."""
    services: list[outlive.Service] = []

    def open_as(phase: str, url: str | None = None, **options: Any) -> Any:
        env = {
            "DATABASE_URL": url or database_address.libpq_url(),
            "OUTLIVE_HOME": str(tmp_path / f"home{len(services)}"),
            "OUTLIVE_JOURNAL_MAY_BE_LOST": "true",
        }
        service = outlive.Service("house", env=env)
        options = {"key": "id", "tenant": "tenant_id", "repository": Notes, **options}
        notes = outlive.mapping("notes", Note, service=service, phase=phase, **options)  # type: ignore[arg-type]
        service.start()
        services.append(service)
        return notes

    yield open_as
    for service in reversed(services):
        service.close()


@pytest.mark.parametrize("phase", PHASES)
def test_a_scope_is_all_that_a_repository_sees_and_writes(opened: Open, phase: str) -> None:
    """Reads leave other tenants out, writes of theirs are refused, and without a scope nothing is answered."""
    everything = opened(phase).repository
    for call in (
        lambda: everything.find(),
        lambda: everything.get(1),
        lambda: everything.put(Note(1)),
        lambda: everything.bulk_delete([1]),
        lambda: everything.count(),
        lambda: everything.page(),
    ):
        with pytest.raises(Unscoped, match="for_tenant"):
            call()
    east, west, both = everything.for_tenant("east"), everything.for_tenant("west"), everything.across_tenants()
    east.insert(Note(1, None, "one", 3)).result()
    assert east.bulk_put([Note(2, "east", "two", 1), Note(3, None, "three", 5)]).result() == 2
    west.put(Note(4, "west", "four", 9)).result()
    assert [note.tenant_id for note in both.find().result()] == ["east", "east", "east", "west"]
    assert [note.id for note in east.busy(2).result()] == [3, 1]
    assert east.get(4).result() is None
    assert west.keys().result() == [4]
    assert (east.count().result(), west.sum("hours").result(), both.max("hours").result()) == (3, 9, 9)
    assert [note.id for note in east.page(limit=5).result().records] == [1, 2, 3]
    for refused in (
        lambda: east.put(Note(4, "east")),
        lambda: east.insert(Note(9, "west")),
        lambda: east.patch(4, text="mine"),
        lambda: east.patch(1, tenant_id="west"),
        lambda: east.delete(4),
        lambda: east.bulk_delete([1, 4]),
        lambda: east.bulk_put([Note(1), Note(4)]),
    ):
        with pytest.raises((ForeignTenant, KeyTaken)):
            refused().result()
    assert both.count(by="tenant_id").result() == {"east": 3, "west": 1}
    assert east.patch(1, hours=4).result() == Note(1, "east", "one", 4)
    assert east.bulk_delete([1, 2, 7]).result() == 2
    assert both.keys().result() == [3, 4]


def test_only_a_store_with_a_tenant_has_scopes(opened: Open) -> None:
    """A scope of a store without a tenant, or for nobody, is refused."""
    plain = opened("legacy", tenant=None).repository
    with pytest.raises(BadQuery, match="without tenant="):
        plain.for_tenant("east")
    for nobody in ("", None, 1.5, True):
        with pytest.raises(BadQuery, match="names no tenant"):
            opened("legacy").repository.for_tenant(nobody)


@pytest.fixture
def app(database_address: Address) -> Iterator[tuple[str, Callable[[], str]]]:
    """(name of a role for the application, what makes it once there are tables and gives its address)."""
    name = f"app_{uuid.uuid4().hex[:8]}"

    def make() -> str:
        with psycopg.connect(database_address.conninfo(), autocommit=True) as conn:
            for statement in role_statements(name, ["house"], password="secret"):
                conn.execute(statement)  # type: ignore[arg-type]
        parts = {**psycopg.conninfo.conninfo_to_dict(database_address.conninfo()), "user": name, "password": "secret"}
        host, port, base = parts["host"], parts.get("port", 5432), parts["dbname"]
        return (
            f"postgresql://{name}:secret@{host}:{port}/{base}"
            if not str(host).startswith("/")
            else (f"postgresql://{name}:secret@/{base}?host={host}&port={port}")
        )

    yield name, make
    with psycopg.connect(database_address.conninfo(), autocommit=True) as conn:
        conn.execute(f'DROP OWNED BY "{name}"')  # type: ignore[arg-type]
        conn.execute(f'DROP ROLE "{name}"')  # type: ignore[arg-type]


def test_postgresql_shows_the_application_only_the_tenant_it_names(
    app: tuple[str, Callable[[], str]], opened: Open
) -> None:
    """As the application's role: no row without a setting, one tenant's with it, and no write for another."""
    notes = opened("database")
    notes.repository.across_tenants().bulk_put([Note(1, "east"), Note(2, "west"), Note(3, "west")]).result()
    url = app[1]()
    count = "SELECT count(*) FROM house.notes"
    with psycopg.connect(url) as conn:
        assert conn.execute(count).fetchone() == (0,)
        conn.execute("SELECT set_config('outlive.tenant', 'west', true)")
        assert conn.execute(count).fetchone() == (2,)
        assert conn.execute("UPDATE house.notes SET text = 'x' WHERE id = 1").rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("UPDATE house.notes SET tenant_id = 'east'")
        conn.rollback()
        assert conn.execute(count).fetchone() == (0,)


@pytest.mark.parametrize("phase", ["dual_write", "dual_read", "database"])
def test_a_service_works_as_the_applications_role(app: tuple[str, Callable[[], str]], opened: Open, phase: str) -> None:
    """Under forced row-level security images are filled, scopes answer, writes land, and other tenants stay away."""
    first = opened(phase)
    first.repository.across_tenants().bulk_put([Note(1, "east"), Note(2, "west")]).result()
    first._store.host.close()
    notes = opened(phase, app[1]())
    east = notes.repository.for_tenant("east")
    if phase != "database":
        assert sorted(notes) == [1, 2]
    east.put(Note(3, None, "new")).result()
    assert [note.id for note in east.find(order_by="-id").result()] == [3, 1]
    assert east.get(1).result() == Note(1, "east")
    assert east.get(2).result() is None
    assert east.count(by=("tenant_id",)).result() == {("east",): 2}
    assert notes.repository.across_tenants().count().result() == 3
    with pytest.raises(ForeignTenant):
        east.put(Note(2, "east")).result()
    with notes._store.host.session() as conn:
        assert conn.execute("SELECT count(*) FROM house.notes").fetchone() == (0,)


def test_commands_make_the_role_and_tell_what_binds_it(
    opened: Open,
    database_address: Address,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """`migrate --app-role` makes a role that sees nothing by itself; `status` names unscoped mappings, `doctor` a
    superuser that no policy binds."""
    notes = opened("dual_write")
    notes.repository.across_tenants().insert(Note(1, "east")).result()
    name = f"app_{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("DATABASE_URL", database_address.libpq_url())
    monkeypatch.setenv("OUTLIVE_HOME", str(tmp_path))
    assert run(["migrate", "--app-role", name]) == 0
    with psycopg.connect(database_address.conninfo(), autocommit=True) as conn:
        conn.execute(f'SET ROLE "{name}"')  # type: ignore[arg-type]
        assert conn.execute("SELECT count(*) FROM house.notes").fetchone() == (0,)
        conn.execute("SELECT set_config('outlive.tenant', 'east', false)")
        assert conn.execute("SELECT count(*) FROM house.notes").fetchone() == (1,)
        conn.execute("RESET ROLE")
        conn.execute(f'DROP OWNED BY "{name}"')  # type: ignore[arg-type]
        conn.execute(f'DROP ROLE "{name}"')  # type: ignore[arg-type]
    capsys.readouterr()
    assert run(["status"]) == 0
    assert "unscoped: the mapping of house/notes" in capsys.readouterr().out
    run(["doctor"])
    assert "row-level security of 1 tables does not bind this role" in capsys.readouterr().out
