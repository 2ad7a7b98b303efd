"""`python -m services.serve_all [NAME ...]`: all services, or those named, each a process, on one PostgreSQL.

Without DATABASE_URL and POSTGRES_*, that is the embedded server of OUTLIVE_HOME. Each service listens on its contract's
port; where two share one, the second stands beside it, and PORT_<NAME> (PORT_EQUIPMENT=9000) says otherwise.
OUTLIVE_PHASE is where their stores stand, `database` unless it is set. Prints how long each took to answer, what
memory and processor time it took, and its process id; ends with Ctrl-C, when none is left, or with `--check` once all
answer.

What all services import is imported once, in a process that they are forked from: that is most of the work of a
start, and that part of their memory is shared. Nothing else is: a service that is killed dies alone.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import runpy
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

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
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Started:
    """A service's process; `took_s` is None until it answers."""

    name: str
    port: int
    process: ForkServerProcess
    log: Path
    took_s: float | None = None

    def answers(self) -> bool:
        """Whether a health route says 200 now. Raises RuntimeError when the process has ended."""
        if self.process.exitcode is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.exitcode}; see {self.log}")
        return any(_status(self.port, path) == 200 for path in HEALTH)

    def memory_mb(self) -> tuple[float, float]:
        """Megabytes: (resident, with its share only of what processes share); zeros once it ended."""
        held = {"Rss": 0.0, "Pss": 0.0}
        with suppress(OSError):
            for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
                name, _, rest = line.partition(":")
                if name in held:
                    held[name] = int(rest.split()[0]) / 1024
        return held["Rss"], held["Pss"]

    def cpu_s(self) -> float:
        """Processor seconds that the process has used; 0 once it ended."""
        with suppress(OSError):
            fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0


def _status(port: int, path: str) -> int:
    """The status of a GET; 0 where nobody answers."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        link.request("GET", path)
        return link.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        link.close()


def main() -> int:
    """Starts them all, shows them, and waits; 0 when all answered."""
    load_dotenv()
    asked = argparse.ArgumentParser(prog="python -m services.serve_all", description="every service at once")
    asked.add_argument("names", nargs="*", metavar="NAME", help=f"only these of {', '.join(SERVICES)}")
    asked.add_argument("--check", action="store_true", help="end once all answer")
    asked.add_argument("--folder", type=Path, default=Path(".outlive/services"), help="where logs and files go")
    given = asked.parse_args()
    if unknown := set(given.names) - set(SERVICES):
        asked.error(f"no such service: {', '.join(sorted(unknown))}")
    settings = Settings.from_env()
    if Address.from_settings(settings) is not None:
        return _serve(given, dict(os.environ))
    with EmbeddedServer(settings.home) as address:
        return _serve(given, {**os.environ, "DATABASE_URL": address.libpq_url()})


def _serve(asked: argparse.Namespace, environment: dict[str, str]) -> int:
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["services.preload"])
    running: list[Started] = []
    try:
        for name in asked.names or SERVICES:
            module, port = SERVICES[name]
            at = int(environment.get(f"PORT_{name.upper()}") or port)
            home = asked.folder.resolve() / name
            log = home / "log"
            home.mkdir(parents=True, exist_ok=True)
            process = processes.Process(target=_become, args=(module, home, log, _own(environment, home, at)))
            process.start()
            running.append(Started(name, at, process, log))
        _wait(running, began)
        _show(running, time.monotonic() - began)
        if not asked.check:
            _watch(running)
    except KeyboardInterrupt:
        pass
    except RuntimeError as failed:
        print(f"serve-all: {failed}", file=sys.stderr)
        return 1
    finally:
        _stop(running)
    return 0


def _own(environment: dict[str, str], home: Path, port: int) -> dict[str, str]:
    """The environment of one service."""
    defaults = {"HOST": "127.0.0.1", "OUTLIVE_PHASE": "database", "OUTLIVE_HOME": str(home / ".outlive")}
    path = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    return {**defaults, **environment, "PORT": str(port), "PYTHONPATH": path}


def _become(module: str, home: Path, log: Path, environment: dict[str, str]) -> None:
    """In a new process: `python -m module` there, with this environment, and what it says in the log."""
    os.chdir(home)
    os.environ.clear()
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    with suppress(OSError):
        Path("/proc/self/comm").write_text(module.rpartition(".")[2], encoding="ascii")  # what `ps` calls it
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__")


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
    print(f"\n{len(running)} services answer after {took_s:.1f} s\n")
    print("                   MB resident  MB of its own  s of processor  process")
    figures = [(*each.memory_mb(), each.cpu_s()) for each in running]
    for each, (resident, own, cpu_s) in zip(running, figures, strict=True):
        print(f"  {each.name:16} {resident:11.1f} {own:14.1f} {cpu_s:15.2f}  {each.process.pid:>7}")
    resident, own, cpu_s = map(sum, zip(*figures, strict=True))
    print(f"  {'together':16} {resident:11.1f} {own:14.1f} {cpu_s:15.2f}", flush=True)


def _watch(running: list[Started]) -> None:
    """Says which service ends; returns once none is left."""
    left = list(running)
    while left:
        time.sleep(0.5)
        for each in [each for each in left if each.process.exitcode is not None]:
            print(f"{each.name} ended with {each.process.exitcode}; see {each.log}", file=sys.stderr, flush=True)
            left.remove(each)


def _stop(running: list[Started]) -> None:
    for each in running:
        each.process.terminate()
    for each in running:
        each.process.join(STOP_LIMIT_S)
        if each.process.exitcode is None:
            each.process.kill()
            each.process.join()


if __name__ == "__main__":
    sys.exit(main())
