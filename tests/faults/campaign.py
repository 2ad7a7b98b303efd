"""Many runs on one embedded PostgreSQL: start a worker, do something to it, start it again, check what is there."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql

from outlive.phases.changes import Order
from outlive.phases.control import walk
from outlive.phases.flow import run as run_flow
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.embedded import EmbeddedServer
from outlive.postgres.migrate import upgrade_control
from outlive.postgres.tables import StoreTable
from outlive.records import RecordType
from tests.faults.ledger import Image, Ledger, Numbers, Violation, compare
from tests.faults.proxy import Proxy
from tests.faults.scenarios import AWAY_POINTS, CUTS, DRAIN_POINTS, Scenario
from tests.faults.workload import Maker

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 20.0
PLAIN = ssl.create_default_context()  # only http is spoken; one context for all clients saves their start


@dataclass(slots=True)
class Result:
    """One run: what was wrong, whether the fault happened, how many units were acknowledged and refused, seconds."""

    scenario: Scenario
    violations: list[Violation] = field(default_factory=list)
    reached: bool = False
    acks: int = 0
    refusals: int = 0
    seconds: float = 0.0
    folder: Path | None = None


class Campaign:
    """The server, the proxy before it and the nursery, shared by runs one after another."""

    def __init__(self, folder: Path | None = None, address: Address | None = None) -> None:
        """With an `address` that server is used, and faults that kill the server are not."""
        self._own = tempfile.mkdtemp(prefix="ol-faults-") if folder is None else None
        self.folder = Path(self._own) if self._own is not None else Path(str(folder))
        self.server = EmbeddedServer(self.folder / "home") if address is None else None
        self._address = address

    def __enter__(self) -> Campaign:
        self.address = self._address or self.server_started()
        name = f"faults_{secrets.token_hex(4)}"
        with psycopg.connect(self.address.conninfo(), autocommit=True) as conn:
            conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self.address = self.address.with_database(name)
        database = Database(self.address)
        upgrade_control(database)
        database.dispose()
        self.proxy = Proxy(str(self.address.host), int(self.address.port or 5432))
        self.proxied = self.address.libpq_url().replace(f":{self.address.port}/", f":{self.proxy.port}/")
        self.nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        )  # fmt: skip
        return self

    def server_started(self) -> Address:
        """The embedded server's address."""
        assert self.server is not None
        return self.server.start()

    def __exit__(self, *_: object) -> None:
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        self.nursery.stdin.close()
        self.nursery.wait(20)
        self.nursery.stdout.close()
        self.proxy.close()
        if self.server is not None:
            self.server.stop(force=True)
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def ask_nursery(self, order: dict[str, Any]) -> int:
        """The nursery's answer to one order."""
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        self.nursery.stdin.write(json.dumps(order) + "\n")
        self.nursery.stdin.flush()
        return int(self.nursery.stdout.readline())

    def run(self, scenario: Scenario) -> Result:
        """One run from an empty service to its verdict; the folder stays where something was wrong."""
        result = Result(scenario)
        began = time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix=f"run-{scenario.number}-", dir=self.folder))
        run = Run(self, scenario, folder)
        try:
            run.go()
        except Exception as error:
            run.violations.append(Violation("harness", type(error).__name__, str(error)[:600]))
        finally:
            run.end()
        result.violations, result.reached = run.violations, run.reached
        result.acks, result.refusals = run.ledger.acks, run.ledger.refusals
        result.seconds = time.monotonic() - began
        if result.violations:
            result.folder = folder
            (folder / "ledger.jsonl").write_text("\n".join(map(json.dumps, run.lines)))
        else:
            shutil.rmtree(folder, ignore_errors=True)
        return result


class Life:
    """One worker process, and what it tells."""

    def __init__(self, run: Run, number: int, spec: dict[str, Any], env: dict[str, str]) -> None:
        self.run = run
        self.number = number
        pipe = run.folder / f"pipe-{number}"
        os.mkfifo(pipe)
        self.log = run.folder / f"worker-{number}.log"
        handle = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        spec = spec | {"pipe": str(pipe), "life": number}
        self.pid = run.campaign.ask_nursery({"spec": spec, "env": env, "log": str(self.log)})
        self.told: dict[str, dict[str, Any]] = {}
        self.ended = threading.Event()
        self.status: int | None = None
        self.news = threading.Condition()
        self.clients: list[threading.Thread] = []
        self.quit = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(handle,), daemon=True)
        self._reader.start()

    def _read(self, handle: int) -> None:
        """Read until the pipe has no writer any more; the first writer may still be on its way."""
        os.set_blocking(handle, True)
        rest, seen = b"", False
        while True:
            data = os.read(handle, 1 << 16)
            if not data:
                if seen or not _alive(self.pid):
                    break
                time.sleep(0.002)
                continue
            seen = True
            *lines, rest = (rest + data).split(b"\n")
            try:
                for line in lines:
                    self.take(json.loads(line))
            except (KeyError, ValueError, TypeError) as error:
                self.run.violations.append(
                    Violation("harness", f"life {self.number}", f"a line made no sense: {error!r}")
                )
                os.kill(self.pid, signal.SIGKILL)
                break
        os.close(handle)
        self.ended.set()
        with self.news:
            self.news.notify_all()

    def take(self, line: dict[str, Any]) -> None:
        """Note one line, told by the worker or by one of our own clients."""
        with self.news:
            if line["kind"] in {"intent", "ack", "refused", "unknown"}:
                self.run.lines.append(line)
                self.run.ledger.read(line)
            elif line["kind"] in {"drawn", "taking"}:
                self.run.numbers.read(line)
            elif line["kind"] in {"crash", "stuck"}:
                self.run.violations.append(Violation(line["kind"], f"life {self.number}", line["why"]))
            else:
                if line["kind"] == "image":
                    self.run.check(self.number, line["image"])
                self.told[line["kind"] + line.get("at", "")] = line
            self.news.notify_all()

    def wait(self, condition: Callable[[], Any], limit_s: float = LIMIT_S) -> bool:
        """Until the condition holds (True), or the process has ended or the time is over (False)."""
        with self.news:
            self.news.wait_for(lambda: condition() or self.ended.is_set(), limit_s)
            return bool(condition())

    def idle(self, owners: int) -> bool:
        """Whether no owner has anything more to do."""
        return all(f"idlet{number}" in self.told for number in range(1, owners + 1))

    def died(self, limit_s: float) -> bool:
        """Whether the process ends within the time."""
        return self.ended.wait(limit_s)

    def kill(self) -> None:
        """SIGKILL, whatever it is doing."""
        if not self.ended.is_set():
            os.kill(self.pid, signal.SIGKILL)
        self.close()

    def close(self) -> int:
        """Wait for the process; its exit status."""
        self.quit.set()
        for client in self.clients:
            client.join(30)
        if self.status is None:
            self.ended.wait(LIMIT_S)
            self.status = self.run.campaign.ask_nursery({"wait": self.pid})
            self._reader.join(10)
        return self.status


class Run:
    """One scenario being played."""

    def __init__(self, campaign: Campaign, scenario: Scenario, folder: Path) -> None:
        self.campaign = campaign
        self.scenario = scenario
        self.folder = folder
        self.rng = random.Random(f"{scenario.seed} director")
        self.service = f"run_{scenario.number}_{folder.name.rpartition('-')[2].lower()}"
        self.ledger = Ledger()
        self.numbers = Numbers()
        self.lines: list[dict[str, Any]] = []
        self.violations: list[Violation] = []
        self.lives = 0
        self.reached = False
        self.life: Life | None = None
        self.mapping = scenario.phase != "legacy" or scenario.fault == "hot advance"
        self.mounted: Path | None = None

    # -- lives -------------------------------------------------------------------------------------------------

    def begin(self, failpoint: str = "", *, file_limit: int = 0, **env: str) -> Life:
        """Start a worker and check what it found at its start; its traffic runs from then on."""
        self.lives += 1
        s = self.scenario
        spec = {
            "folder": str(self.folder), "service": self.service, "second": s.second, "phase": s.phase, "away": s.away,
            "mapping": self.mapping, "driver": s.driver, "seed": s.seed, "owners": s.owners, "file_limit": file_limit,
            "aborts": s.fault != "hot advance",  # a bare dict has no way back
        }  # fmt: skip
        environment = {
            "DATABASE_URL": self.campaign.proxied, "OUTLIVE_HOME": str(self.folder / "home"), "OUTLIVE_POLL_S": "0.05",
            "OUTLIVE_FAILPOINT": failpoint, "PATH": os.environ.get("PATH", ""),
            "OUTLIVE_JOURNAL_MAY_BE_LOST": "true", **env,
        }  # fmt: skip
        life = self.life = Life(self, self.lives, spec, environment)
        if s.driver == "loop":
            self._begin_loop(life, file_limit)
        else:
            life.wait(lambda: "imagestart" in life.told)
        return life

    def _begin_loop(self, life: Life, file_limit: int) -> None:
        if not life.wait(lambda: "port" in life.told):
            return
        base = f"http://127.0.0.1:{life.told['port']['port']}"
        try:
            with httpx.Client(base_url=base, timeout=LIMIT_S, trust_env=False, verify=PLAIN) as client:
                life.take({"kind": "image", "at": "start", "image": client.get("/image").json()})
                client.post("/seed")
                if file_limit:
                    client.get("/image?limit=1")
        except httpx.TransportError:
            return
        for number in range(1, self.scenario.owners + 1):
            thread = threading.Thread(target=self._client, args=(life, base, f"t{number}"), daemon=True)
            life.clients.append(thread)
            thread.start()

    def _client(self, life: Life, base: str, owner: str) -> None:
        rng = random.Random(f"{self.scenario.seed} {life.number} {owner}")
        s, state = self.scenario, self.ledger.owner(owner).state
        maker = Maker(rng, owner, s.second, state, only_second=not self.mapping, telling=s.phase == "database")
        with httpx.Client(base_url=base, timeout=LIMIT_S, trust_env=False, verify=PLAIN) as client:
            while not life.quit.is_set():
                ops = maker.unit()
                number = f"{life.number}.{owner}.{maker.serial}"
                abort = rng.randrange(len(ops)) if rng.random() < 0.08 else None
                order = {"ops": ops, "abort": abort, "threads": rng.random() < 0.3}
                life.take({"kind": "intent", "id": number, "owner": owner, "ops": ops})
                try:
                    answer = client.post("/unit", json=order)
                except httpx.TransportError:
                    return
                if not self._told(life, number, answer):
                    break
                maker.state = self.ledger.owner(owner).state
        life.take({"kind": f"idle{owner}"})

    def _told(self, life: Life, number: str, answer: httpx.Response) -> bool:
        """False if the outcome is unknown."""
        if answer.status_code == 200:
            life.take({"kind": "ack", "id": number})
        elif answer.status_code == 500:
            life.take({"kind": "crash", "why": f"500 for unit {number}"})
        else:
            why = answer.text
            life.take({"kind": "unknown" if "unknown" in why else "refused", "id": number, "why": why})
            time.sleep(0.005)
            return "unknown" not in why
        return True

    def finish(self, life: Life) -> bool:
        """Let the worker settle and close; checks what it held. False if it died on the way."""
        if self.scenario.driver == "loop":
            life.quit.set()
            for client in life.clients:
                client.join(LIMIT_S)
            if not life.ended.is_set() and "port" in life.told:
                try:
                    url = f"http://127.0.0.1:{life.told['port']['port']}/image"
                    image = httpx.get(url, timeout=LIMIT_S, trust_env=False, verify=PLAIN).json()
                    life.take({"kind": "image", "at": "end", "image": image})
                except httpx.TransportError:
                    pass
        if not life.ended.is_set():
            os.kill(life.pid, signal.SIGUSR1)
        if not life.died(LIMIT_S):
            os.kill(life.pid, signal.SIGUSR2)  # its threads' stacks, into its log
            life.died(1.0)
            stacks = life.log.read_text()[-6000:] if life.log.exists() else ""
            self.violations.append(Violation("stuck", f"life {life.number}", f"it did not close:\n{stacks}"))
            life.kill()
        status = life.close()
        if status not in {0, -signal.SIGKILL}:
            tail = life.log.read_text()[-1500:] if life.log.exists() else ""
            self.violations.append(Violation("crash", f"life {life.number}", f"exit status {status}: {tail}"))
        return "closed" in life.told

    def check(self, life: int, image: dict[str, Any]) -> None:
        """Hold an image against the ledger as it was when the image was told."""
        found = self.ledger.check(Image.of(image))
        self.violations += [Violation(v.kind, f"life {life}: {v.where}", v.detail) for v in found]

    def traffic(self, life: Life, units: int) -> bool:
        """Until this many more units are acknowledged."""
        goal = self.ledger.acks + units
        return life.wait(lambda: self.ledger.acks >= goal or life.idle(self.scenario.owners))

    # -- the play ----------------------------------------------------------------------------------------------

    def go(self) -> None:
        """First life with its fault, then a life that shows what is left of it and goes on."""
        fault = self.scenario.fault
        if fault == "backfill.chunk":
            self._backfill()
        elif fault == "hot advance":
            self._hot_advance()
        elif self.scenario.in_replay:
            self._replay()
        elif fault in AWAY_POINTS or fault in DRAIN_POINTS:
            self._journal_point()
        elif "." in fault:
            life = self.begin(f"{fault}=kill:{self.scenario.at}")
            self.reached = life.died(4.0)
            self._over(life)
        else:
            self._other(fault)
        self.campaign.proxy.up()
        self._last()

    def _over(self, life: Life) -> None:
        if life.ended.is_set():
            life.close()
        else:
            self.finish(life)

    def _journal_point(self) -> None:
        s, proxy = self.scenario, self.campaign.proxy
        at = min(s.at, 6) if s.fault in AWAY_POINTS else s.at
        life = self.begin(f"{s.fault}=kill:{at}")
        self.traffic(life, self.rng.randrange(1, 20))
        proxy.down()
        if s.fault in DRAIN_POINTS:
            self.traffic(life, self.rng.randrange(1, 40))
            proxy.up()
        self.reached = life.died(6.0)
        proxy.up()
        self._over(life)

    def _replay(self) -> None:
        """Killed while away, then killed again while what it journalled is replayed."""
        life = self.begin()
        self.traffic(life, self.rng.randrange(1, 20))
        self.campaign.proxy.down()
        self.traffic(life, self.rng.randrange(5, 60))
        life.kill()
        self.campaign.proxy.up()
        life = self.begin(f"{self.scenario.fault}=kill:{self.scenario.at}")
        self.reached = life.died(4.0)
        self._over(life)

    def _other(self, fault: str) -> None:
        proxy = self.campaign.proxy
        limit = self.rng.randrange(6_000, 40_000) if fault == "disk full" else 0
        if limit and self.rng.random() < 0.5 and self._mount_small_disk():
            limit = 0
        life = self.begin(file_limit=limit)
        self.traffic(life, self.rng.randrange(3, 40))
        if fault == "kill any time":
            time.sleep(self.rng.random() * 0.1)
            life.kill()
        elif fault in {"kill while away", "away and back"}:
            proxy.down()
            self._some_answers(life, 30)
            if fault == "kill while away":
                life.kill()
            proxy.up()
        elif fault.startswith("server killed"):
            self._kill_server(life)
        elif fault == "disk full":
            proxy.down()
            self.reached = life.wait(self._refused_for_want_of_disk, 10)
            proxy.up()
        else:
            self._cut(life, fault)
        if fault.startswith(("kill ", "away ")):
            self.reached = True
        if not life.ended.is_set():
            self.traffic(life, self.rng.randrange(5, 30))
            if fault.endswith(("then process", "then kill")):
                life.kill()
        self._over(life)

    def _refused_for_want_of_disk(self) -> bool:
        return sum("ournal" in line.get("why", "") for line in self.lines) >= 3

    def _mount_small_disk(self) -> bool:
        """Whether the journals lie on a file system of 64 KiB now; root may do that, others get a file-size limit."""
        journals = self.folder / "home" / "journal"
        journals.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(journals)]
        if os.geteuid() == 0 and shutil.which("mount"):
            done = subprocess.run(command, check=False, capture_output=True)
            self.mounted = journals if done.returncode == 0 else None
        return self.mounted is not None

    def _some_answers(self, life: Life, most: int) -> None:
        goal = self.ledger.acks + self.ledger.refusals + self.rng.randrange(1, most)
        owners = self.scenario.owners
        life.wait(lambda: self.ledger.acks + self.ledger.refusals >= goal or life.idle(owners), 10)

    def _kill_server(self, life: Life) -> None:
        server = self.campaign.server
        assert server is not None
        self.reached = server.kill9()
        if self.rng.random() < 0.7:
            self._some_answers(life, 30)
        server.restart()

    def _cut(self, life: Life, fault: str) -> None:
        proxy = self.campaign.proxy
        where: Any = {CUTS[0]: "before", CUTS[1]: "race"}.get(fault, "after")
        for _ in range(self.rng.randrange(1, 4)):
            before = proxy.cuts
            proxy.cut(where, then_down="away" in fault)
            life.wait(lambda: proxy.cuts > before, 5)  # noqa: B023
            self.reached = self.reached or proxy.cuts > before
            self._some_answers(life, 15)
            if "kill" in fault and self.rng.random() < 0.5:
                life.kill()
                break
            proxy.up()
            self._some_answers(life, 10)

    def _seed_file(self) -> None:
        rows = [
            {"id": 10_000 + n, "note": f"before {n}", "tags": [n], "deep": {"level": {"value": n}}} for n in range(450)
        ]
        (self.folder / "rows.json").write_text(json.dumps(rows, indent=2))
        unit = {"kind": "intent", "id": "file", "owner": "t1", "ops": [["put", "rows", row["id"], row] for row in rows]}
        for line in (unit, {"kind": "ack", "id": "file"}):
            self.lines.append(line)
            self.ledger.read(line)

    def _backfill(self) -> None:
        """A file's records in `legacy`; then the environment asks for dual_write, and the copy is killed."""
        self._seed_file()
        life = self.begin()
        self.traffic(life, self.rng.randrange(3, 30))
        if self.rng.random() < 0.5:
            life.kill()
        else:
            self.finish(life)
        life = self.begin(f"backfill.chunk=kill:{self.scenario.at}", OUTLIVE_PHASE="dual_write")
        self.reached = life.died(6.0)
        self._over(life)

    def _hot_advance(self) -> None:
        """Under traffic from legacy to dual_write; a kill after the back-fill must find everything in PostgreSQL."""
        self._seed_file()
        life = self.begin()
        self.traffic(life, self.rng.randrange(3, 30))
        with psycopg.connect(self.campaign.address.conninfo(), autocommit=True) as conn:
            for store in ("things", "rows"):
                order = Order(service=self.service, store=store, actor="faults", reason="test", wait_s=20, poll_s=0.02)
                run_flow(walk(order, "dual_write"), conn)
            self.reached = life.wait(lambda: self._backfilled(conn), 20)
        self.traffic(life, self.rng.randrange(3, 30))
        life.kill()

    def _backfilled(self, conn: psycopg.Connection[Any]) -> bool:
        rows = conn.execute("SELECT backfill FROM outlive.phase WHERE service = %s", (self.service,)).fetchall()
        return all(row[0] and row[0].get("done") for row in rows)

    def _last(self) -> None:
        """A life without a fault: checked at its start and end; then image, table and file must be one."""
        env = {"OUTLIVE_PHASE": "dual_write"} if self.scenario.fault == "backfill.chunk" else {}
        life = self.begin(**env)
        self.traffic(life, 8)
        if not self.finish(life):
            tail = life.log.read_text()[-2500:] if life.log.exists() else ""
            self.violations.append(Violation("crash", "last life", f"it did not close: {tail}"))
            return
        if self.scenario.phase != "legacy":
            self.violations += self.numbers.check(self.ledger)
        image = Image.of(life.told["imageend"]["image"])
        in_file = None
        if self.scenario.second == "rows" and self.scenario.phase != "database":
            in_file = json.loads((self.folder / "rows.json").read_text())
        if self.scenario.phase == "legacy" and not self.scenario.fault.startswith(("back", "hot")):
            table = Image(image.things, image.events, image.rows)
        else:
            table = self._table()
        self.violations += compare(image, table, in_file)
        self.violations += self._leftovers()

    def _table(self) -> Image:
        key = "id" if self.scenario.phase == "database" else None
        return Image(
            self._rows("things", key) if self.mapping else [],
            [record for _, record in self._rows("events", None)] if self.scenario.second == "events" else [],
            [record for _, record in self._rows("rows", "id")] if self.scenario.second == "rows" else [],
        )

    def _rows(self, store: str, key: str | None) -> list[tuple[Any, Any]]:
        table = StoreTable.derive(self.service, store, RecordType.of(dict), key)
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in table.column_names)
        relation = sql.Identifier(str(table.table.schema), table.table.name)
        statement = sql.SQL("SELECT {} FROM {} ORDER BY outlive_position, {}").format(
            columns, relation, sql.Identifier(table.key_name)
        )
        with psycopg.connect(self.campaign.address.conninfo()) as conn:
            found = [table.read(row) for row in conn.execute(statement)]
        return [(stored.key, table.record_type.record(stored.document)) for stored in found]

    def _leftovers(self) -> Iterator[Violation]:
        """Changes that did not land, journals that were not drained, damage."""
        with psycopg.connect(self.campaign.address.conninfo()) as conn:
            statement = "SELECT store, key, reason FROM outlive.unlanded WHERE service = %s"
            for store, key, reason in conn.execute(statement, (self.service,)):
                yield Violation("unlanded", f"{store}[{key}]", reason)
        journals = self.folder / "home" / "journal" / self.service
        for path in sorted(journals.iterdir()) if journals.is_dir() else ():
            yield Violation("journal", path.name, f"left behind: {sorted(p.name for p in path.iterdir())}")

    def end(self) -> None:
        """Nothing of the run stays alive."""
        self.campaign.proxy.up()
        if self.life is not None and self.life.status is None:
            self.life.kill()
        if self.mounted is not None:
            subprocess.run(["umount", str(self.mounted)], check=False, capture_output=True)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def campaign(folder: Path | None = None) -> Iterator[Campaign]:
    """A campaign for the block."""
    with Campaign(folder) as one:
        yield one
