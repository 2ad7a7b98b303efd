"""With a distribution's PostgreSQL: TLS, which the bundled server lacks, and an older version than the bundled one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlive.errors import Unreachable
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.embedded import EmbeddedServer
from outlive.postgres.migrate import control_revision, downgrade_control, upgrade_control
from outlive.settings import Settings

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
pytestmark = [
    pytest.mark.skipif(not INSTALLED, reason="no PostgreSQL of the distribution: apt-get install postgresql"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl: apt-get install openssl"),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, its key beside it as key.pem."""
    folder = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *made]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "key.pem").chmod(0o600)
    return folder / "cert.pem"


@pytest.fixture(scope="module")
def tls_address(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Address]:
    """Address of the distribution's oldest PostgreSQL with TLS."""
    key = certificate.with_name("key.pem")
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


def test_each_tls_mode_means_what_it_says(tls_address: Address, certificate: Path) -> None:
    """disable sends plain text, require encrypts, verify-full also wants a certificate that it can trust."""
    assert not encrypted(tls_address, sslmode="disable")
    for mode in ("prefer", "require"):
        assert encrypted(tls_address, sslmode=mode)
    for mode in ("verify-ca", "verify-full"):
        assert encrypted(tls_address, sslmode=mode, sslrootcert=str(certificate))
        with pytest.raises(Unreachable, match=r"(?i)certificate"):
            encrypted(tls_address, sslmode=mode, sslrootcert="/nonexistent")
    with pytest.raises(Unreachable, match="does not match host name"):
        encrypted(tls_address, sslmode="verify-full", sslrootcert=str(certificate), host="localhost")


def test_postgres_ssl_mode_reaches_the_server(tls_address: Address) -> None:
    """POSTGRES_SSL_MODE=require gives an encrypted connection."""
    env = {
        "POSTGRES_HOST": tls_address.host,
        "POSTGRES_PORT": str(tls_address.port),
        "POSTGRES_USER": tls_address.user,
        "POSTGRES_PASSWORD": tls_address.options["password"],
        "POSTGRES_DB": tls_address.database,
        "POSTGRES_SSL_MODE": "require",
    }
    address = Address.from_env(env)
    assert address is not None
    assert encrypted(address)


def test_an_older_postgresql_takes_the_control_schema(tls_address: Address) -> None:
    """All control migrations go up and down on the oldest PostgreSQL at hand."""
    database = Database(tls_address, Settings())
    assert upgrade_control(database)
    assert control_revision(database) is not None
    assert database.capabilities().server_version < 180000
    downgrade_control(database)
    assert upgrade_control(database)
    database.dispose()
