"""The command line over real control tables: what it prints, what it changes, its exit statuses, --json everywhere."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from outlive.cli import checks, output
from outlive.cli.app import run
from outlive.phases.flow import Note
from outlive.postgres.address import Address
from outlive.postgres.connect import Database
from outlive.postgres.embedded import EmbeddedServer
from outlive.settings import Settings
from tests.integration.stand_in import StandIn, plant, wait_until

COMMANDS = ("status", "migrate", "doctor", "advance", "rollback", "verify", "events", "unlanded", "write-off")
Conn = psycopg.Connection[Any]
Cli = Callable[..., "Outcome"]


class Outcome:
    """What a command left: exit status, both streams, and standard output as JSON."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        """The one document that was printed."""
        return json.loads(self.out)


@pytest.fixture
def cli(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in this process, in an empty folder, on the test's database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Outcome(status, out, err)

    return call


@pytest.fixture
def conn(db: Database) -> Iterator[Conn]:
    """A connection to a database that knows farm/tasks in legacy."""
    with db.connect() as opened:
        plant(opened, "farm", "tasks")
        yield opened


def outlive(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line in a process of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE", "POSTGRES"))}
    return subprocess.run(
        [sys.executable, "-m", "outlive", *arguments],
        env=env | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_advance_shows_gates_and_walks(cli: Cli, conn: Conn, db: Database) -> None:
    """advance --to walks neighbour by neighbour, prints each gate with its figure, and says where the store is."""
    with StandIn(db.address, "farm"):
        done = cli("advance", "tasks", "--to", "dual-read", "--wait", 5)
        assert done.status == 0
        assert "farm/tasks: legacy -> dual_write" in done.out
        assert "farm/tasks: dual_write -> dual_read" in done.out
        assert "0 different, 0 missing, 0 extra of 7" in done.out
        assert "is now in dual_read (epoch 3); USE_DATABASE_STORAGE=true DUAL_WRITE_ENABLED=true" in done.out
        assert "\x1b" not in done.out + done.err
        again = cli("advance", "tasks", "--to", "dual_read")
        assert again.out.startswith("farm/tasks is already in dual_read")
        back = cli("rollback", "farm/tasks", "--json", "--reason", "trial")
        assert back.json["phase"] == "dual_write"
        assert [(move["from"], move["to"]) for move in back.json["moves"]] == [("dual_read", "dual_write")]
    events = cli("events", "tasks").out
    assert "dual_read -> dual_write (epoch 4), trial" in events
    assert [event["kind"] for event in cli("events", "--json").json["events"]] == ["rollback", "advance", "advance"]
    assert cli("events", "farm/tasks", "--limit", 1).out.count("\n") == 2
    conn.execute("TRUNCATE outlive.event")
    assert cli("events").out == "no events\n"
    conn.execute("INSERT INTO outlive.event (kind, detail) VALUES ('note', '\"text\"')")
    assert "text" in cli("events").out


def test_closed_gates_refuse_with_status_3(cli: Cli, conn: Conn, db: Database) -> None:
    """A closed gate ends with status 3, the table of gates, a reason and the next command; nothing is changed."""
    with StandIn(db.address, "farm") as member:
        cli("advance", "tasks")
        member.report["query_p95_ms"] = 250.0
        member.verdict["extra"] = 1
        refused = cli("advance", "tasks", "--wait", 1)
        assert refused.status == 3
        assert "CLOSED" in refused.out
        assert "250.0 ms" in refused.out
        assert "next: outlive status farm/tasks" in refused.err
        as_json = cli("advance", "tasks", "--json", "--wait", 1)
        assert as_json.status == 3
        assert as_json.json["error"] == "GateClosed"
        assert "query_p95" in {gate["name"] for gate in as_json.json["closed"]}
        assert as_json.err == ""
        forced = cli("advance", "tasks", "--force", "--reason", "night", "--json")
        assert forced.json["phase"] == "dual_read"


def test_dry_runs_change_nothing(cli: Cli, conn: Conn, db: Database) -> None:
    """--dry-run shows the gates now, the moves after and the measured refill time; rows and requests stay."""
    with StandIn(db.address, "farm") as member:
        preview = cli("advance", "tasks", "--to", "database", "--dry-run")
        assert preview.status == 0
        assert "then dual_write -> dual_read, guarded by backfill, members" in preview.out
        assert "dry run: nothing was changed" in preview.out
        assert cli("rollback", "tasks", "--to", "legacy", "--dry-run").out.startswith("farm/tasks is already in legacy")
        cli("advance", "tasks", "--to", "dual_read", "--wait", 5)
        closed = cli("advance", "tasks", "--dry-run", "--json")
        assert closed.status == 3
        assert (closed.json["dry_run"], closed.json["open"]) == (True, False)
        assert "asks running members for: parity, way_back" in cli("advance", "tasks", "--dry-run").out
        member.report["refill_ms"] = {"tasks": 2340.0}
        cli("advance", "tasks", "--wait", 5)
        back = cli("rollback", "tasks", "--dry-run")
        assert back.status == 0
        assert "2.34 s when last measured" in back.out
        assert "then dual_read -> dual_write" in back.out
    assert conn.execute("SELECT phase FROM outlive.phase").fetchone() == ("database",)
    assert cli("rollback", "tasks", "--dry-run", "--json").json["refill_ms"] == 12.0


def test_status_tells_everything_about_a_store(cli: Cli, conn: Conn, db: Database) -> None:
    """status names phase, flags, members, journal, back-fill, parity with its age, pins and closed gates."""
    with StandIn(db.address, "farm") as member:
        cli("advance", "tasks")
        cli("verify", "tasks")
        member.own["pin"] = "OUTLIVE_PHASE"
        member.report["journal_units"] = 4
        wait_for_pin(conn)
        cli("advance", "tasks", "--wait", 0.2)
        line = cli("status").out.splitlines()[1]
        for word in (
            "farm/tasks",
            "dual_write",
            "DUAL_WRITE_ENABLED=true",
            "7 of 7",
            "equal, ",
            "OUTLIVE_PHASE",
        ):
            assert word in line
        assert "dual_read: closed: members, unpinned, way_back" in line
        detail = cli("status", "tasks").out
        assert "in dual_write since" in detail
        assert "here:42" in detail
        assert f"member {member.id} (here:42) has 4 units in its journal" in detail
        facts = cli("status", "--json").json["stores"][0]
        assert facts["flags"] == {"USE_DATABASE_STORAGE": False, "DUAL_WRITE_ENABLED": True}
        assert facts["pins"] == [{"member": member.id, "variable": "OUTLIVE_PHASE"}]
        assert facts["journal_units"] == 4
        assert facts["parity"]["compared"] == 7
        assert {gate["name"] for gate in facts["gates"] if not gate["open"]} == {"members", "unpinned", "way_back"}


def test_status_in_other_states(cli: Cli, conn: Conn, db: Database) -> None:
    """status shows an empty house, a silent member, a difference, a stale parity, and the end of the way."""
    line = cli("status").out.splitlines()[1]
    assert "never" in line
    assert "dual_write: gates open" in line
    with StandIn(db.address, "farm") as member:
        member.verdict["different"] = 1
        cli("verify", "tasks")
        member.vanish()
        conn.execute("UPDATE outlive.member SET seen_at = now() - interval '3 hours'")
        conn.execute(
            "UPDATE outlive.phase SET phase = 'database', changed_at = now(), changed_by = 'a@b', reason = 'why'"
        )
        detail = cli("status", "tasks").out
        assert "NOT EQUAL, " in detail
        assert " s ago (stale)" in detail
        assert "0 + 1 silent" in detail
        assert "3 h ago" in detail
        assert "by a@b: why" in detail
        assert cli("status", "--json").json["stores"][0]["next"] is None
    conn.execute("DELETE FROM outlive.phase")
    assert "no store yet" in cli("status").out


def test_verify_groups_differences(cli: Cli, conn: Conn, db: Database) -> None:
    """verify prints differences by kind with examples and ends with 3; equal sides end with 0."""
    with StandIn(db.address, "farm") as member:
        equal = cli("verify", "tasks")
        assert (equal.status, "equal; 7 records compared" in equal.out) == (0, True)
        member.verdict |= {"different": 3, "missing": 1}
        member.result = {
            "examples": [
                {"key": "1", "kind": "different", "field": "status", "image": "done", "table": "x" * 99},
                {"key": "7", "kind": "missing", "field": ""},
            ]
        }
        found = cli("verify", "tasks")
        assert found.status == 3
        assert "3 differ between memory and PostgreSQL" in found.out
        assert "1 are in memory but not in PostgreSQL" in found.out
        shown = [line.split() for line in found.out.splitlines()[-2:]]
        assert shown[0][:5] == ["different", "status", "1", "1", '"done"']
        assert shown[0][5].startswith('"xxx')
        assert shown[1] == ["missing", "-", "1", "7", "there", "-"]
        member.verdict["planted_found"] = False
        assert "counts for nothing" in cli("verify", "tasks").out
        document = cli("verify", "tasks", "--json")
        assert (document.status, document.json["equal"], document.json["different"]) == (3, False, 3)
    gone = cli("verify", "tasks", "--json")
    assert (gone.status, gone.json["error"]) == (3, "RequestUnanswered")


def test_unlanded_changes_are_shown_and_settled(cli: Cli, conn: Conn) -> None:
    """unlanded lists what did not land with its reason; --settle marks the named ones, once, and --all shows them."""
    conn.execute(
        "INSERT INTO outlive.unlanded (service, store, key, op, document, field, reason, sqlstate)"
        " VALUES ('farm', 'tasks', 'a', 'put', '\\x00', 'name', 'NUL', '22021'), ('farm', 'tasks', 'b', 'put', NULL,"
        " NULL, NULL, NULL)"
    )
    shown = cli("unlanded", "tasks").out
    assert "NUL [22021]" in shown
    listed = cli("unlanded", "tasks", "--json").json["unlanded"]
    assert listed[0]["document"] == "AA=="
    first, second = (change["id"] for change in listed)
    assert cli("unlanded", "tasks", "--settle", first, second, "--dry-run").out.startswith("farm/tasks: would settle")
    settled = cli("unlanded", "tasks", "--settle", first, 999, "--reason", "by hand")
    assert f"settled {first}" in settled.out
    assert "not open: 999" in settled.out
    assert cli("unlanded", "tasks", "--settle", first).status == 2
    assert cli("unlanded", "tasks", first).status == 2
    assert cli("unlanded", "tasks", "--settle", second, "--json").json["settled"] == [second]
    assert cli("unlanded", "tasks").out == "farm/tasks: nothing is unlanded\n"
    assert "settled: by hand" in cli("unlanded", "tasks", "--all").out
    assert '"how": "by hand"' in cli("events").out


def test_names_of_stores(cli: Cli, conn: Conn) -> None:
    """A store of two services must be named with its service; an unknown one gives the list; both end with status 2."""
    plant(conn, "shop", "tasks")
    unclear = cli("advance", "tasks")
    assert unclear.status == 2
    assert "farm/tasks, shop/tasks" in unclear.err
    assert cli("advance", "shop/tasks", "--dry-run").status == 0
    unknown = cli("advance", "orders", "--json")
    assert unknown.status == 2
    assert unknown.json["known"] == "farm/tasks, shop/tasks"


def test_write_off(cli: Cli, conn: Conn, db: Database) -> None:
    """write-off needs a reason, shows on --dry-run, fences the member, and is in the event log."""
    with StandIn(db.address, "farm") as member:
        assert cli("write-off", member.id).status == 2
        assert "would be written off" in cli("write-off", member.id, "--reason", "gone", "--dry-run").out
        assert cli("write-off", member.id, "--reason", "gone", "--json").json["service"] == "farm"
        assert cli("write-off", member.id, "--reason", "gone").status == 2
    assert cli("events", "--limit", 1).out.splitlines()[1].split()[3] == "write_off"


def test_usage_is_status_2(cli: Cli) -> None:
    """Wrong arguments end with status 2 and name the help, as text and as JSON."""
    for arguments in (("nonsense",), ("advance",), ("advance", "tasks", "--force"), ("advance", "x", "--wait", "-1")):
        wrong = cli(*arguments)
        assert wrong.status == 2
        assert "--help" in wrong.err
    assert cli("advance", "--json").json["error"] == "Usage"
    assert cli("advance", "tasks", "--to", "nowhere").status == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_json(cli: Cli, name: str) -> None:
    """Every command explains itself in plain text and knows --json."""
    page = cli(name, "--help")
    assert page.status == 0
    assert "--json" in page.out
    assert "\x1b" not in page.out
    first = next(line.strip() for line in page.out.splitlines()[1:] if line.strip())
    assert first.endswith(".")
    assert cli("--help").out.count(name) >= 1


def test_migrate_makes_the_control_schema(
    empty_database: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the schema commands name `outlive migrate`, which makes it once; --dry-run only prints its SQL."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", empty_database.libpq_url())
    assert run(["status", "--json"]) == 1
    missing = json.loads(capsys.readouterr().out)
    assert (missing["error"], missing["hint"]) == ("NoControl", "outlive migrate")
    assert run(["doctor"]) == 1
    assert "outlive migrate" in capsys.readouterr().out
    assert run(["migrate"]) == 0
    assert "is now at revision" in capsys.readouterr().out
    assert run(["migrate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is False
    assert run(["doctor"]) == 0
    capsys.readouterr()
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert run(["migrate", "--dry-run"]) == 0
    assert "CREATE TABLE outlive.phase" in capsys.readouterr().out
    assert run(["migrate", "--dry-run", "--json"]) == 0
    assert "CREATE TABLE outlive.phase" in json.loads(capsys.readouterr().out)["sql"]


def test_doctor_finds_what_hurts(cli: Cli, conn: Conn, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """doctor names a sequence behind its column, pins, silent members and a connection budget that does not fit."""
    healthy = cli("doctor")
    assert healthy.status == 0
    assert healthy.out.count("\nok") >= 8
    conn.execute("CREATE TABLE orders (id serial PRIMARY KEY, number bigint GENERATED BY DEFAULT AS IDENTITY)")
    conn.execute("INSERT INTO orders VALUES (41, 1)")
    monkeypatch.setenv("FF_DUAL_WRITE_ENABLED", "true")
    with StandIn(db.address, "farm", connections=100_000) as member, StandIn(db.address, "farm") as gone:
        member.own["pin"] = "OUTLIVE_PHASE_TASKS"
        gone.vanish()
        conn.execute("UPDATE outlive.member SET seen_at = now() - interval '1 hour' WHERE id = %s", (gone.id,))
        wait_for_pin(conn)
        found = cli("doctor", "--json")
        assert found.status == 1
        lines = {(line["name"], line["level"]): line for line in found.json["checks"]}
        behind = [line for line in found.json["checks"] if (line["name"], line["level"]) == ("sequences", "fail")]
        assert ["orders.id holds 41" in line["figure"] for line in behind] == [True, False]
        assert all("setval" in line["next"] for line in behind)
        assert "FF_DUAL_WRITE_ENABLED" in lines["environment", "warn"]["figure"]
        assert "OUTLIVE_PHASE_TASKS" in lines["pins", "warn"]["figure"]
        assert lines["member", "warn"]["next"].endswith(f"outlive write-off {gone.id} --reason TEXT")
        assert ("connections", "fail") in lines
    conn.execute("SELECT setval('orders_id_seq', 41), setval('orders_number_seq', 1)")
    assert cli("doctor").status == 0


def test_doctor_lists_values_that_stand_twice(cli: Cli, conn: Conn) -> None:
    """By an index's comment, with its columns and the rows' keys, the most frequent 20; NULL is no value."""
    conn.execute('CREATE TABLE "Odd ones" (a int, b text, "k 1" int, k2 int, PRIMARY KEY ("k 1", k2))')
    conn.execute('CREATE INDEX pairs ON "Odd ones" (a, b); CREATE INDEX others ON "Odd ones" (b)')
    conn.execute("COMMENT ON INDEX pairs IS 'outlive: meant to be unique'; COMMENT ON INDEX others IS 'unique'")
    conn.execute("INSERT INTO \"Odd ones\" SELECT n, 'x', n, 0 FROM generate_series(1, 30) AS n")
    conn.execute("INSERT INTO \"Odd ones\" SELECT NULL, 'x', n, 2 FROM generate_series(1, 30) AS n")
    assert "1 indexes meant to be unique, no value twice" in cli("doctor").out
    conn.execute("INSERT INTO \"Odd ones\" SELECT greatest(n, 6), 'x', n, 1 FROM generate_series(1, 30) AS n")
    found = [line for line in cli("doctor", "--json").json["checks"] if line["name"] == "duplicates"]
    assert {line["level"] for line in found} == {"warn"}
    assert len(found) == 21
    assert found[0]["figure"].endswith(
        "'6, x' stands 7 times in public.Odd ones (a, b): 1, 1; 2, 1; 3, 1; 4, 1; 5, 1; …"
    )
    assert found[1]["figure"].endswith("stands 2 times in public.Odd ones (a, b): 10, 0; 10, 1")


def wait_for_pin(conn: Conn) -> None:
    """Returns once a member reported its pin."""
    wait_until(
        lambda: conn.execute("SELECT 1 FROM outlive.member WHERE report::text LIKE '%OUTLIVE_PHASE%'").fetchone()
    )


def test_a_role_that_is_no_superuser(conn: Conn, db: Database) -> None:
    """The doctor tells superuser, RLS bypass, missing rights and a good role apart."""
    cases = {"SUPERUSER": "superuser", "BYPASSRLS": "bypasses", "NOBYPASSRLS": "may not create"}
    for option, words in cases.items():
        name = f"outlive_role_{option.lower()}_{os.getpid()}"
        conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p' {option}")
        try:
            assert words in role_finding(db, name).figure
            if option == "NOBYPASSRLS":
                conn.execute(f"GRANT CREATE ON DATABASE {db.address.database} TO {name}")
                assert role_finding(db, name).level == "ok"
                conn.execute(f"REVOKE CREATE ON DATABASE {db.address.database} FROM {name}")
        finally:
            conn.execute(f"DROP ROLE {name}")


def role_finding(db: Database, role: str) -> checks.Finding:
    """What the doctor says about `role`."""
    from outlive.cli.session import Session

    address = Address({**db.address.options, "user": role, "password": "p"})
    settings = Settings(database={"DATABASE_URL": "set"})
    other = Database(address, settings)
    try:
        with other.connect() as conn:
            findings = {finding.name: finding for finding in checks.server(Session(settings, other, conn))}
    finally:
        other.dispose()
    return findings["role"]


def test_unreachable_is_status_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command that needs PostgreSQL ends with 4 when it is away, and the password is nowhere shown."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "postgresql://farm:s3cret@127.0.0.1:1/none")
    for arguments in (["status"], ["migrate"], ["doctor"], ["advance", "x"], ["verify", "x"], ["events"]):
        assert run([*arguments, "--json"]) == 4
        out, err = capsys.readouterr()
        assert "s3cret" not in out + err
        assert json.loads(out)
    monkeypatch.delenv("DATABASE_URL")
    assert run(["status"]) == 4
    assert "or set DATABASE_URL or POSTGRES_*" in capsys.readouterr().err
    assert not (tmp_path / ".outlive").exists()


def test_a_connection_lost_on_the_way_is_status_4(cli: Cli, conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losing the connection in the middle of a command is told in a sentence; other database errors end with 1."""
    monkeypatch.setattr(
        "outlive.cli.commands.events.read_events",
        lambda *_: failing_step("SELECT pg_terminate_backend(pg_backend_pid())"),
    )
    assert cli("events").status == 4
    monkeypatch.setattr("outlive.cli.commands.events.read_events", lambda *_: failing_step("SELECT 1/0"))
    broken = cli("events", "--json")
    assert broken.json["hint"] == "outlive doctor"
    assert (broken.status, broken.json["error"], broken.json["sqlstate"]) == (1, "DivisionByZero", "22012")
    monkeypatch.setattr("outlive.cli.commands.events.read_events", lambda *_: failing_step("TABLE outlive.nothing"))
    assert cli("events", "--json").json["error"] == "NoControl"


def failing_step(statement: str) -> Any:
    """A step whose only statement fails."""
    from outlive.postgres.drive import Ask

    yield Ask(statement)  # type: ignore[arg-type]


def test_dotenv_and_the_module_entry(database_url: str, tmp_path: Path) -> None:
    """`python -m outlive` reads .env of the working directory; a real variable wins over it."""
    (tmp_path / ".env").write_text(f"DATABASE_URL={database_url}\n")
    code = "import os, sys; os.chdir(sys.argv.pop(1)); from outlive.cli import main; main()"
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    command = [sys.executable, "-c", code, str(tmp_path), "status"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "no store yet; start a service that declares one\n"), done.stderr
    env["DATABASE_URL"] = "postgresql://127.0.0.1:1/none"
    assert subprocess.run(command, env=env, capture_output=True, timeout=60, check=False).returncode == 4
    assert outlive("--version").stdout.startswith("outlive ")
    assert outlive().returncode == 2


def test_the_embedded_server_of_the_folder_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without an address migrate makes a server in OUTLIVE_HOME; later commands start it and stop it afterwards."""
    home = tmp_path / "home"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIVE_HOME", str(home))
    assert run(["migrate"]) == 0
    assert run(["advance", "tasks"]) == 2
    assert run(["doctor"]) == 0
    assert "the embedded server's own" in capsys.readouterr().out
    wait_until(lambda: EmbeddedServer(home).address is None)


def test_a_terminal_gets_a_drawn_table(conn: Conn, database_url: str) -> None:
    """On a terminal tables are drawn and progress lines are overwritten; the same facts are in them."""
    master, slave = pty.openpty()
    env = os.environ | {"DATABASE_URL": database_url, "TERM": "xterm", "COLUMNS": "200"}
    command = [sys.executable, "-m", "outlive", "status", "tasks"]
    with subprocess.Popen(command, env=env, stdout=slave, stderr=slave) as process:
        os.close(slave)
        text = b""
        while chunk := read_terminal(master):
            text += chunk
        os.close(master)
        assert process.wait(30) == 0
    shown = text.decode()
    assert "\x1b[" in shown
    assert "─" in shown
    assert "legacy" in shown


def read_terminal(master: int) -> bytes:
    """The next bytes from a pseudo terminal, nothing at its end."""
    try:
        return os.read(master, 65536)
    except OSError:
        return b""


class Terminal(list[str]):
    """A stream that says it is a terminal and keeps what is written."""

    write = list.append

    def isatty(self) -> bool:
        """Always."""
        return True

    def flush(self) -> None:
        """Nothing is held back."""


def test_progress_overwrites_itself_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Passing lines replace each other and are wiped before a lasting one; --json keeps everything quiet."""
    screen = Terminal()
    progress = output.Progress(False, screen)  # type: ignore[arg-type]
    for note in (Note("verify, 1 s", passing=True), Note("verify, 2 s", passing=True), Note("done")):
        progress(note)
    assert "".join(screen) == "\r\x1b[Kverify, 1 s\r\x1b[Kverify, 2 s\r\x1b[K"
    assert capsys.readouterr().out == "done\n"
    quiet = output.Progress(True, screen)  # type: ignore[arg-type]
    quiet(Note("nothing"))
    assert capsys.readouterr().out == ""


def test_ages_are_short() -> None:
    """Ages are shown in the largest fitting unit."""
    assert [output.age(seconds) for seconds in (5, 180, 7200, 345600)] == ["5 s", "3 min", "2 h", "4 d"]
