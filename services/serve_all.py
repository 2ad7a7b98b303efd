"""`python -m services.serve_all`: every service at once, each a process of its own, on one PostgreSQL.

Without DATABASE_URL and POSTGRES_*, that is the embedded server of OUTLIVE_HOME. Each service listens on its contract's
port; where two share one, the second stands beside it, and PORT_<NAME> (PORT_EQUIPMENT=9000) says otherwise.
OUTLIVE_PHASE is where their stores stand, `database` unless it is set. Prints how long each took to answer and the
memory it takes; ends with Ctrl-C, or once all answer with `--check`.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from outlive.postgres.address import Address
from outlive.postgres.embedded import EmbeddedServer
from outlive.settings import Settings, load_dotenv

SERVICES = {
    "equipment": ("services.farm.equipment", 8101),
    "tasks": ("services.farm.tasks", 8103),
    "alerts": ("services.farm.alerts", 8107),
    "billing": ("services.farm.billing", 8089),
    "crop_health": ("services.farm.crop_health", 8095),
    "notifications": ("services.farm.notifications", 8110),
    "inventory": ("services.farm.inventory", 8115),
    "vegetation": ("services.farm.vegetation", 8090),
    "satellite": ("services.farm.satellite", 8091),
    "field_chat": ("services.farm.field_chat", 8099),
    "provider_config": ("services.farm.provider_config", 8104),
    "field_ops": ("services.farm.field_ops", 8080),
    "iot_gateway": ("services.farm.iot_gateway", 8096),
    "home_budget": ("services.home_budget", 8000),
    "facts": ("services.facts", 8001),
}
START_LIMIT_S = 120.0
STOP_LIMIT_S = 30.0
HEALTH = ("/healthz", "/health")


@dataclass
class Started:
    """A service's process; `took_s` is None until it answers."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    took_s: float | None = None

    def answers(self) -> bool:
        """Whether a health route says 200 now. Raises RuntimeError when the process has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}; see {self.log}")
        for path in HEALTH:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=2).status_code == 200:
                    return True
            except httpx.TransportError:
                return False
        return False

    def memory_mb(self) -> float:
        """Resident memory of the process in megabytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


def main() -> int:
    """Starts them all, shows them, and waits; 0 when all answered."""
    load_dotenv()
    asked = argparse.ArgumentParser(prog="python -m services.serve_all", description="every service at once")
    asked.add_argument("--check", action="store_true", help="end once all answer")
    asked.add_argument("--folder", type=Path, default=Path(".outlive/services"), help="where logs and files go")
    given = asked.parse_args()
    settings = Settings.from_env()
    if Address.from_settings(settings) is not None:
        return _serve(given.folder, dict(os.environ), check=given.check)
    with EmbeddedServer(settings.home) as address:
        return _serve(given.folder, {**os.environ, "DATABASE_URL": address.libpq_url()}, check=given.check)


def _serve(folder: Path, environment: dict[str, str], *, check: bool) -> int:
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    running: list[Started] = []
    try:
        running += [_start(name, folder.resolve(), environment) for name in SERVICES]
        _wait(running, began)
        _show(running, time.monotonic() - began)
        while not check and all(each.process.poll() is None for each in running):
            time.sleep(0.5)
    except KeyboardInterrupt:
        pass
    except RuntimeError as failed:
        print(f"serve-all: {failed}", file=sys.stderr)
        return 1
    finally:
        _stop(running)
    return 0


def _start(name: str, folder: Path, environment: dict[str, str]) -> Started:
    module, port = SERVICES[name]
    port = int(environment.get(f"PORT_{name.upper()}") or port)
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    own = {"PORT": str(port), "HOST": "127.0.0.1", "OUTLIVE_PHASE": "database", "OUTLIVE_HOME": str(home / ".outlive")}
    given = {key: text for key, text in environment.items() if key != "PORT"}
    path = os.pathsep.join([str(Path(__file__).resolve().parent.parent), environment.get("PYTHONPATH", "")])
    log = home / "log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=home, env={**own, **given, "PORT": str(port), "PYTHONPATH": path}, stdout=file, stderr=file,
        )  # fmt: skip
    return Started(name, port, process, log)


def _wait(running: list[Started], began: float) -> None:
    """Returns once every service answers. Raises RuntimeError for one that ends or does not answer in time."""
    while waiting := [each for each in running if each.took_s is None]:
        for each in waiting:
            if each.answers():
                each.took_s = time.monotonic() - began
                print(f"{each.name:16} http://127.0.0.1:{each.port}  after {each.took_s:5.1f} s", flush=True)
        if time.monotonic() - began > START_LIMIT_S:
            late = [each for each in running if each.took_s is None]
            raise RuntimeError(f"{', '.join(each.name for each in late)} did not answer; see {late[0].log}")
        time.sleep(0.1)


def _show(running: list[Started], took_s: float) -> None:
    print(f"\n{len(running)} services answer after {took_s:.1f} s; resident memory in MB:")
    for each in running:
        print(f"  {each.name:16} {each.memory_mb():7.1f}")
    print(f"  {'together':16} {sum(each.memory_mb() for each in running):7.1f}", flush=True)


def _stop(running: list[Started]) -> None:
    for each in running:
        each.process.terminate()
    for each in running:
        try:
            each.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            each.process.kill()
            each.process.wait()


if __name__ == "__main__":
    sys.exit(main())
