"""`python -m services.serve_all`: services that are started together, each a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx

from outlive.postgres.address import Address
from services.serve_all import SERVICES


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_no_two_services_share_a_port() -> None:
    """There are fifteen, each on a port of its own."""
    assert len({port for _, port in SERVICES.values()}) == len(SERVICES) == 15


def test_services_start_together_and_die_alone(database_address: Address, tmp_path: Path) -> None:
    """Each answers on the port that its variable says, with its memory printed; one is killed, the other lives on."""
    ports = {name: free_port() for name in ("inventory", "facts")}
    named = {f"PORT_{name.upper()}": str(port) for name, port in ports.items()}
    command = [sys.executable, "-m", "services.serve_all", *ports, "--folder", str(tmp_path)]
    environment = {**os.environ, **named, "DATABASE_URL": database_address.libpq_url(), "API_KEY": "k"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        shown = []
        while not (shown and "together" in shown[-1]):
            line = process.stdout.readline()
            assert line, shown
            shown.append(line)
        pids = {found[1]: int(found[2]) for found in (re.match(r"  (\w+) .* (\d+)$", line) for line in shown) if found}
        assert set(pids) == set(ports)
        assert all(httpx.get(f"http://127.0.0.1:{port}/openapi.json").status_code == 200 for port in ports.values())
        os.kill(pids["inventory"], signal.SIGKILL)
        assert httpx.get(f"http://127.0.0.1:{ports['facts']}/health").json()["database"] == "connected"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert not Path(f"/proc/{pids['facts']}").exists()
