"""With a distribution's PostgreSQL: TLS, which the bundled server lacks, and an older version than the bundled one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from outlive.errors import BadAddress, Unreachable
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.embedded import EmbeddedServer
from outlive.postgres.migrate import control_revision, downgrade_control, upgrade_control
from outlive.settings import Settings

NEW = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
pytestmark = [
    pytest.mark.skipif(not INSTALLED, reason="no PostgreSQL of the distribution: apt-get install postgresql"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl: apt-get install openssl"),
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of a test authority; beside it the server's for 127.0.0.1, which it signed, and another one's."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ca", "other"):
        openssl(folder, "req", "-x509", *NEW, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    openssl(folder, "req", *NEW, "-subj", "/CN=127.0.0.1", "-keyout", "key.pem", "-out", "request.pem")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
    by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"]
    openssl(folder, "x509", "-req", "-days", "2", "-in", "request.pem", "-out", "cert.pem", *by)
    (folder / "key.pem").chmod(0o600)
    return folder / "ca.pem"


def openssl(folder: Path, *words: str) -> None:
    """Run openssl in a folder."""
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def tls_address(tmp_path_factory: pytest.TempPathFactory, authority: Path) -> Iterator[Address]:
    """Address of the distribution's oldest PostgreSQL with TLS."""
    certificate, key = authority.with_name("cert.pem"), authority.with_name("key.pem")
    if os.geteuid() == 0:
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        account = known.get("postgres") or known["nobody"]
        os.chown(key, account.pw_uid, account.pw_gid)
    options = {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTLIVE_POSTGRES_BIN", str(INSTALLED[0].parent))
        server = EmbeddedServer(tmp_path_factory.mktemp("distribution"), options)
        address = server.start()
    yield address
    server.stop()


def encrypted(address: Address, **options: str) -> bool:
    """Whether a connection with these options is encrypted."""
    with Database(Address({**address.options, **options})).connect() as conn:
        row = conn.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert row is not None
        return bool(row[0])


def test_each_tls_mode_means_what_it_says(tls_address: Address, authority: Path) -> None:
    """disable sends plain text, require encrypts, verify-ca wants the authority's certificate, verify-full the name
    too."""
    other = str(authority.with_name("other.pem"))
    assert not encrypted(tls_address, sslmode="disable")
    for mode in ("prefer", "require"):
        assert encrypted(tls_address, sslmode=mode)
    for mode in ("verify-ca", "verify-full"):
        assert encrypted(tls_address, sslmode=mode, sslrootcert=str(authority))
        for wrong in ("/nonexistent", other):
            with pytest.raises(Unreachable, match=r"(?i)certificate"):
                encrypted(tls_address, sslmode=mode, sslrootcert=wrong)
    assert encrypted(tls_address, sslmode="verify-ca", sslrootcert=str(authority), host="localhost")
    with pytest.raises(Unreachable, match="does not match host name"):
        encrypted(tls_address, sslmode="verify-full", sslrootcert=str(authority), host="localhost")


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_postgres_variables_reach_the_server(tls_address: Address, authority: Path, mode: str) -> None:
    """POSTGRES_HOST and its like give an encrypted connection in each mode, and say which authority is trusted."""
    variables = variables_of(tls_address, POSTGRES_SSL_MODE=mode, POSTGRES_SSL_ROOT_CERT=str(authority))
    address = Address.from_settings(Settings.from_env(variables))
    assert address is not None
    assert encrypted(address)
    other = str(authority.with_name("other.pem"))
    wrong = Address.from_env({**variables, "POSTGRES_SSL_ROOT_CERT": other})
    assert wrong is not None
    with pytest.raises(Unreachable, match=r"(?i)certificate"):
        encrypted(wrong)


def variables_of(address: Address, **more: str) -> dict[str, str]:
    """The address as POSTGRES_* variables."""
    return {
        "POSTGRES_HOST": address.host,
        "POSTGRES_PORT": str(address.port),
        "POSTGRES_USER": address.user,
        "POSTGRES_PASSWORD": address.options["password"],
        "POSTGRES_DB": address.database,
        **more,
    }


def test_tls_below_1_2_is_refused(tls_address: Address, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that speaks nothing newer is not spoken to, whatever libpq's environment says; nor may an address ask
    for it."""
    monkeypatch.setenv("PGSSLMINPROTOCOLVERSION", "TLSv1")
    plain = Database(Address({**tls_address.options, "sslmode": "disable"}))
    limits = {
        "ssl_min_protocol_version": "TLSv1",
        "ssl_max_protocol_version": "TLSv1.1",
        "ssl_ciphers": "ALL:@SECLEVEL=0",
    }
    with plain.connect() as conn:
        for name, value in limits.items():
            conn.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        conn.execute("SELECT pg_reload_conf()")
        try:
            wait_for(tls_address, works=False)
            with pytest.raises(Unreachable, match=r"(?i)protocol"):
                encrypted(tls_address, sslmode="verify-full", sslrootcert=str(authority))
        finally:
            for name in limits:
                conn.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))
            conn.execute("SELECT pg_reload_conf()")
            wait_for(tls_address, works=True)
    for name in ("ssl_min_protocol_version", "ssl_max_protocol_version"):
        with pytest.raises(BadAddress, match=r"below TLSv1\.2"):
            Address.parse(f"postgresql://h/d?{name}=TLSv1.1")
    assert (
        Address.parse("postgresql://h/d?ssl_min_protocol_version=TLSv1.3").asked()["ssl_min_protocol_version"]
        == "TLSv1.3"
    )


def wait_for(address: Address, *, works: bool) -> None:
    """Until the server has read its settings again."""
    ends = time.monotonic() + 20
    while True:
        try:
            encrypted(address, sslmode="require")
            there = True
        except Unreachable:
            there = False
        if there is works:
            return
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_an_older_postgresql_takes_the_control_schema(tls_address: Address) -> None:
    """All control migrations go up and down on the oldest PostgreSQL at hand."""
    database = Database(tls_address, Settings())
    assert upgrade_control(database)
    assert control_revision(database) is not None
    assert database.capabilities().server_version < 180000
    downgrade_control(database)
    assert upgrade_control(database)
    database.dispose()
