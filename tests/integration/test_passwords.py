"""Passwords that do not last: asked for anew with each connection."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from outlive.errors import BadSetting, Unreachable
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.runtime import health
from outlive.runtime.service import Service
from outlive.settings import Settings

Change = Callable[[str], None]


@pytest.fixture
def role(pg_server: Address) -> Iterator[tuple[Address, Change]]:
    """An address of a role of its own, without password, and what changes the role's password."""
    name = f"token_{secrets.token_hex(4)}"
    with psycopg.connect(pg_server.conninfo(), autocommit=True) as conn:

        def change(password: str) -> None:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            conn.execute(statement.format(sql.Identifier(name), sql.Literal(password)))

        conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        options = {key: value for key, value in pg_server.options.items() if key != "password"}
        yield Address({**options, "user": name}), change
        conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def variables(address: Address, command: str) -> dict[str, str]:
    """The role's address as variables, with a command."""
    return {
        "POSTGRES_HOST": address.host, "POSTGRES_PORT": str(address.port), "POSTGRES_USER": address.user,
        "POSTGRES_DB": address.database, "POSTGRES_PASSWORD_COMMAND": command,
    }  # fmt: skip


def who(database: Database) -> str:
    """Whom a new connection belongs to."""
    with database.connect() as conn:
        row = conn.execute("SELECT current_user").fetchone()
        assert row is not None
        return str(row[0])


def test_a_command_is_asked_for_each_connection(role: tuple[Address, Change], tmp_path: Path) -> None:
    """A password that changes between two connections is no obstacle, blocking or on a loop; an old one is."""
    address, change = role
    file = tmp_path / "tok en"
    settings = Settings.from_env(variables(address, f"cat {shlex.quote(str(file))}"))
    database = Database.from_settings(settings)
    service = Service("tokens", settings)

    async def on_a_loop() -> bool:
        (await database.connect_async()).pgconn.finish()
        return await health.connected(service)

    for password in ("first one", "second"):
        change(password)
        file.write_text(password + "\n", encoding="utf-8")
        assert who(database) == address.user
        assert asyncio.run(on_a_loop())
    file.write_text("first one\n", encoding="utf-8")
    with pytest.raises(Unreachable, match="password authentication failed") as refused:
        who(database)
    assert "first one" not in str(refused.value) + repr(database) + repr(settings)
    assert not asyncio.run(health.connected(service))
    database.dispose()


def test_a_function_is_asked_for_each_connection(role: tuple[Address, Change]) -> None:
    """`Settings.password` gives the password of an address that has none; one that fails is told without its reason."""
    address, change = role
    change("secret")
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        return "secret"

    settings = replace(Settings.from_env({"DATABASE_URL": address.libpq_url()}), password=token)
    database = Database.from_settings(settings)
    assert [who(database), who(database)] == [address.user] * 2
    assert len(asked) == 2

    def broken() -> str:
        raise KeyError("s3cret")

    with pytest.raises(Unreachable, match=r"the password cannot be had \(KeyError\)") as failed:
        who(Database.from_settings(replace(settings, password=broken)))
    assert "s3cret" not in str(failed.value)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/no/such/program", r"/no/such/program cannot be run \(FileNotFoundError\)"),
        (f"{sys.executable} -c 'raise SystemExit(3)'", "ended with status 3"),
        ("true", "true printed nothing"),
    ],
)
def test_a_command_that_gives_no_password(pg_server: Address, command: str, reason: str) -> None:
    """The error names the program and what became of it."""
    address = Address.from_env(variables(pg_server, command))
    assert address is not None
    with pytest.raises(Unreachable, match=reason):
        who(Database(address))


def test_two_passwords_are_refused() -> None:
    """A command beside POSTGRES_PASSWORD, and one whose quotes do not close, are settings that cannot be used."""
    for more in (
        {"POSTGRES_PASSWORD": "p", "POSTGRES_PASSWORD_COMMAND": "cat"},
        {"POSTGRES_PASSWORD_COMMAND": "cat 'a"},
    ):
        with pytest.raises(BadSetting, match="POSTGRES_PASSWORD_COMMAND"):
            Address.from_env({"POSTGRES_HOST": "h", **more})


def test_an_address_with_a_password_asks_nobody() -> None:
    """The password of a DATABASE_URL counts; without one the command is asked, past a pooler too."""
    command = {"POSTGRES_PASSWORD_COMMAND": "printf token"}
    for url, password in (("postgresql://u:own@h/d", "own"), ("postgresql://u@h/d", "token")):
        settings = Settings.from_env({"DATABASE_URL": url, "DATABASE_DIRECT_URL": url, **command})
        for address in (Address.from_settings(settings), Address.direct(settings)):
            assert address is not None
            assert address.asked()["password"] == password
            assert "token" not in address.masked() + repr(address)
