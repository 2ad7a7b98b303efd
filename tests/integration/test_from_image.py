"""`outlive rollback --from-image`: the way back while PostgreSQL is really stopped, and the row's when it is back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import outlive
from outlive.cli.app import run
from outlive.errors import PhaseRefused, Unavailable
from outlive.phases.orders import Desk
from outlive.postgres.embedded import EmbeddedServer

Until = Callable[..., Any]
REASON = "the disk of the server is gone"


class Site:
    """A service with a JSON file and a mapping, a server of its own that can be stopped, and the command line."""

    def __init__(self, folder: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self.folder, self.server, self.capsys = folder, server, capsys
        self.url = server.start().libpq_url()
        self.home, self.path = folder / "home", folder / "items.json"
        self.env = {
            "DATABASE_URL": self.url,
            "OUTLIVE_HOME": str(self.home),
            "OUTLIVE_POLL_S": "0.02",
            "DATABASE_CONNECT_TIMEOUT": "2",
        }
        self.services: list[outlive.Service] = []
        monkeypatch.chdir(folder)
        for name, value in self.env.items():
            monkeypatch.setenv(name, value)

    def service(self, phase: Any = "dual_read", **env: str) -> tuple[outlive.Service, Any, Any]:
        """A closed service, its file and its mapping, which begin in `phase` on no word of the environment."""
        service = outlive.Service("site", env={**self.env, **env})
        self.services.append(service)
        items = outlive.json_file(self.path, service=service, default=[{"id": 1}], phase=phase)
        return service, items, outlive.mapping("notes", dict, key="id", service=service, phase=phase)

    def start(self, phase: str = "dual_read") -> tuple[outlive.Service, Any, Any]:
        """The same, running."""
        service, items, notes = self.service(phase)
        service.start()
        return service, items, notes

    def away(self, service: outlive.Service, until: Until) -> None:
        """PostgreSQL is killed, and the service has noticed."""
        self.server.kill9()
        until(lambda: service.watcher.conn is None)

    def cli(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        self.capsys.readouterr()
        status = run(arguments)
        return status, *self.capsys.readouterr()

    def back(self, store: str = "items", *arguments: str) -> Any:
        """The order with its reason, and the document it prints."""
        given = ("rollback", store, "--from-image", "--reason", REASON, "--wait", "20", "--json", *arguments)
        status, out, err = self.cli(*given)
        assert status == 0, out + err
        return json.loads(out)

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Rows of one statement."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            cursor = conn.execute(statement, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def row(self, store: str = "items") -> tuple[str, int]:
        """Phase and epoch of the store's row."""
        return self.sql("SELECT phase, epoch FROM outlive.phase WHERE store = %s", store)[0]  # type: ignore[no-any-return]

    def ids(self) -> list[str]:
        """Keys that the file's table holds, in order."""
        return [row[0] for row in self.sql("SELECT outlive_key FROM site.items ORDER BY outlive_position")]

    def events(self, kind: str) -> list[Any]:
        """(actor, detail) of the events of a kind, oldest first."""
        return self.sql("SELECT actor, detail FROM outlive.event WHERE kind = %s ORDER BY id", kind)

    def stands(self, store: str = "items") -> bool:
        """Whether an order is in force that the row does not say."""
        return Desk(self.home, "site").standing(store) is not None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One server for these tests; each begins with it running and without the tables of the one before."""
    made = EmbeddedServer(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.stop(force=True)


@pytest.fixture
def site(
    tmp_path: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Site]:
    """A site whose services end with the test."""
    made = Site(tmp_path, server, monkeypatch, capsys)
    made.sql("DROP SCHEMA IF EXISTS outlive CASCADE")
    made.sql("DROP SCHEMA IF EXISTS site CASCADE")
    yield made
    for service in made.services:
        service.crash()
    server.restart()


def test_a_member_goes_back_and_its_row_follows(site: Site, until: Until) -> None:
    """Without PostgreSQL dual_read refuses writes; from its image the member journals them, and the row follows."""
    service, items, _ = site.start()
    items.repository.insert({"id": 2}).result()
    before = site.sql("SELECT epoch FROM outlive.service")[0][0]
    site.away(service, until)
    with pytest.raises(Unavailable):
        items.repository.insert({"id": 3}).result()
    answer = site.back()
    assert (answer["from"], answer["to"], answer["state"]) == ("dual_read", "dual_write", "done")
    assert items.phase == "dual_write"
    assert answer["position"]["records"] == 2
    assert answer["position"]["member"] is not None
    items.repository.insert({"id": 3}).result()
    items.repository.delete(1).result()
    assert service.journal_units() == 2
    until(lambda: [row["id"] for row in json.loads(site.path.read_text())] == [2, 3])
    site.server.restart()
    until(lambda: not service.from_image.standing and service.journal_units() == 0)
    assert site.row() == ("dual_write", before + 1)
    assert site.ids() == ["2", "3"]
    ((actor, detail),) = site.events("rollback")
    assert "@" in actor
    assert (detail["reason"], detail["from_image"], detail["order"]) == (REASON, True, answer["order"])
    assert detail["position"]["version"] == answer["position"]["version"]
    assert not site.stands()
    until(lambda: site.sql("SELECT epoch FROM outlive.member WHERE left_at IS NULL")[0][0] == before + 1)


def test_the_way_to_legacy_passes_the_row_through_both_phases(site: Site, until: Until) -> None:
    """`--to legacy` writes the file from the image and serves from it; later the row goes neighbour by neighbour."""
    service, items, _ = site.start()
    items.repository.insert({"id": 2}).result()
    site.away(service, until)
    assert site.back("site/items", "--to", "legacy")["to"] == "legacy"
    items.save([{"id": 2}, {"id": 5}])
    assert [row["id"] for row in json.loads(site.path.read_text())] == [2, 5]
    site.server.restart()
    until(lambda: not service.from_image.standing)
    assert site.row()[0] == "legacy"
    assert [(d["from"], d["to"]) for _, d in site.events("rollback")] == [
        ("dual_read", "dual_write"),
        ("dual_write", "legacy"),
    ]
    assert items.load() == [{"id": 2}, {"id": 5}]


def test_a_mapping_goes_back_too(site: Site, until: Until) -> None:
    """A store without a file journals its units from its image, and they land when PostgreSQL is back."""
    service, _, notes = site.start()
    notes["a"] = {"id": "a", "n": 1}
    site.away(service, until)
    assert site.back("notes")["to"] == "dual_write"
    notes["a"]["n"] = 2
    notes["b"] = {"id": "b"}
    assert service.journal_units() == 2
    site.server.restart()
    until(lambda: not service.from_image.standing and service.journal_units() == 0)
    assert site.row("notes")[0] == "dual_write"
    assert site.row("items")[0] == "dual_read"
    assert len(site.sql("SELECT 1 FROM site.notes")) == 2


def test_what_is_refused_says_why_and_what_to_do(site: Site, until: Until) -> None:
    """No reason, PostgreSQL that answers, a phase ahead, an unknown store, several members: each its own words."""
    service, items, _ = site.start()
    status, _, err = site.cli("rollback", "items", "--from-image")
    assert (status, "--from-image needs --reason TEXT" in err) == (2, True)
    status, out, _ = site.cli("rollback", "items", "--from-image", "--reason", REASON, "--json")
    told = json.loads(out)
    assert (status, told["error"], told["hint"]) == (3, "NoWayBack", "outlive rollback site/items --to dual_write")
    assert "PostgreSQL answers at" in told["message"]
    status, _, err = site.cli("rollback", "items", "--withdraw", "--reason", REASON)
    assert (status, "--withdraw goes with --from-image" in err) == (2, True)
    site.away(service, until)
    status, _, err = site.cli("rollback", "items", "--from-image", "--reason", REASON, "--to", "dual_read")
    assert (status, "leads to dual_write or legacy" in err) == (3, True)
    status, _, err = site.cli("rollback", "nothing", "--from-image", "--reason", REASON)
    assert (status, "no store nothing; known: site/items, site/notes" in err) == (2, True)
    status, _, err = site.cli("rollback", "items", "--from-image", "--reason", REASON, "--withdraw")
    assert (status, "no order stands" in err) == (3, True)
    state = site.home / "state" / "site.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "live": 3}))
    status, _, err = site.cli("rollback", "items", "--from-image", "--reason", REASON)
    assert (status, "3 members live by the last report" in err, "add --force" in err) == (3, True, True)
    assert items.phase == "dual_read"
    assert site.back("items", "--force")["to"] == "dual_write"


def test_a_dry_run_changes_nothing(site: Site, until: Until) -> None:
    """--dry-run asks the member where its image stands, needs no reason, and leaves everything as it was."""
    service, items, _ = site.start()
    site.away(service, until)
    status, out, _ = site.cli("rollback", "items", "--from-image", "--dry-run", "--wait", "20")
    assert status == 0
    assert "would go dual_read -> dual_write from its image" in out
    assert "it stands on group" in out
    assert "dry run: nothing was changed" in out
    assert (items.phase, site.stands()) == ("dual_read", False)


def test_from_database_it_is_refused(site: Site, until: Until) -> None:
    """In `database` no process holds the records: the refusal says so and names the ways that are left."""
    service, items, _ = site.start("database")
    site.away(service, until)
    status, _, err = site.cli("rollback", "items", "--from-image", "--reason", REASON)
    assert status == 3
    assert "no process holds its records in memory" in err
    assert "OUTLIVE_ACCEPT_STALE=true" in err
    assert (items.phase, site.stands()) == ("database", False)


def test_a_pinned_member_refuses(site: Site, until: Until) -> None:
    """A member whose environment pins the phase says which variable, and stays."""
    service, items, _ = site.service(OUTLIVE_PHASE="dual_read")
    service.start()
    site.away(service, until)
    status, _, err = site.cli("rollback", "items", "--from-image", "--reason", REASON, "--wait", "20")
    assert (status, "OUTLIVE_PHASE pins it to dual_read" in err) == (3, True)
    assert (items.phase, site.stands()) == ("dual_read", False)


def test_a_kill_after_the_order_loses_nothing_while_postgresql_is_away(site: Site, until: Until) -> None:
    """After kill -9 a start without PostgreSQL stands where the order put it, on file and journal; the row follows."""
    service, items, _ = site.start()
    items.repository.insert({"id": 2}).result()
    site.away(service, until)
    site.back()
    items.repository.insert({"id": 3}).result()
    service.crash()
    service = outlive.Service("site", env=site.env)
    site.services.append(service)
    items = outlive.json_file(site.path, service=service)
    service.start()
    assert (items.phase, [row["id"] for row in items.load()]) == ("dual_write", [1, 2, 3])
    items.repository.insert({"id": 4}).result()
    site.server.restart()
    until(lambda: not service.from_image.standing and service.degraded is None and service.journal_units() == 0)
    until(lambda: service.watcher.backfills.get("items", {}).get("done"))
    assert site.row()[0] == "dual_write"
    assert site.ids() == ["1", "2", "3", "4"]
    assert [row["id"] for row in items.load()] == [1, 2, 3, 4]


def test_a_kill_after_the_order_is_made_good_by_a_start_with_postgresql(site: Site, until: Until) -> None:
    """A start with PostgreSQL there changes the row first, replays the journal, and serves everything acknowledged."""
    service, items, notes = site.start()
    site.away(service, until)
    site.back("notes")
    site.back("items", "--to", "legacy")
    notes["a"] = {"id": "a"}
    items.save([{"id": 1}, {"id": 7}])
    service.crash()
    site.server.restart()
    service, items, notes = site.service()
    service.start()
    assert (items.phase, notes.phase) == ("legacy", "dual_write")
    assert (site.row("items")[0], site.row("notes")[0]) == ("legacy", "dual_write")
    assert items.load() == [{"id": 1}, {"id": 7}]
    assert dict(notes) == {"a": {"id": "a"}}
    assert not site.stands("items")
    assert len(site.events("rollback")) == 3


def test_with_no_member_the_order_waits_for_the_next_start(site: Site, until: Until) -> None:
    """Rows that the file had missed join when PostgreSQL is back; what was written meanwhile stands beside them."""
    service, items, _ = site.start()
    until(site.path.exists)
    service.watcher.stop()  # the file is not written behind any more
    items.repository.insert({"id": 2}).result()
    service.crash()
    site.server.kill9()
    status, _, err = site.cli("rollback", "notes", "--from-image", "--reason", REASON)
    assert (status, "a mapping has no file" in err) == (3, True)
    assert site.back()["state"] == "left"
    service = outlive.Service("site", env=site.env)
    site.services.append(service)
    items = outlive.json_file(site.path, service=service)
    service.start()
    assert (items.phase, items.load()) == ("dual_write", [{"id": 1}])
    items.repository.insert({"id": 3}).result()
    until(lambda: [row["id"] for row in json.loads(site.path.read_text())] == [1, 3])
    site.server.restart()
    until(lambda: sorted(row["id"] for row in items.load()) == [1, 2, 3])
    until(lambda: not service.from_image.standing)
    assert (site.row()[0], sorted(site.ids())) == ("dual_write", ["1", "2", "3"])


def test_a_row_that_went_elsewhere_is_a_conflict(site: Site, until: Until) -> None:
    """The member says what it found and both ways out, acknowledges nothing, and follows what the operator decides."""
    service, items, _ = site.start()
    before = site.row()
    site.away(service, until)
    site.back()
    items.repository.insert({"id": 2}).result()
    service.crash()
    site.server.restart()
    site.sql("UPDATE outlive.service SET epoch = epoch + 1")
    site.sql("UPDATE outlive.phase SET epoch = %s, changed_by = 'eve@there', reason = 'hurry'", before[1] + 1)
    service, items, _ = site.service()
    with pytest.raises(PhaseRefused, match=r"went to dual_read at epoch \d+ by eve@there \(hurry\).*--withdraw"):
        service.start()
    assert site.events("from_image_conflict")[0][1]["reason"] == REASON
    assert site.row()[0] == "dual_read"
    status, out, _ = site.cli("rollback", "items", "--from-image", "--withdraw", "--reason", "follow the row")
    assert (status, "the next start follows the row" in out) == (0, True)
    service, items, _ = site.service()
    service.start()
    assert (items.phase, items.load()) == ("dual_read", [{"id": 1}, {"id": 2}])
    until(lambda: len(site.events("from_image_withdrawn")) == 1)


def test_a_running_member_meets_a_conflict_and_an_operator_settles_it(site: Site, until: Until) -> None:
    """It stays in dual_write, names the trouble in its report, and is content as soon as the row comes to it."""
    service, items, _ = site.start()
    site.away(service, until)
    site.back()
    lock = service.watcher._lock
    with lock:  # no look at the row before it has moved
        site.server.restart()
        site.sql("UPDATE outlive.service SET epoch = epoch + 1")
        site.sql("UPDATE outlive.phase SET epoch = epoch + 1, changed_by = 'eve@there' WHERE store = 'items'")
    until(lambda: len(site.events("from_image_conflict")) == 1)
    assert items.phase == "dual_write"
    until(lambda: "decide" in json.dumps(site.sql("SELECT report FROM outlive.member WHERE left_at IS NULL")))
    items.repository.insert({"id": 9}).result()
    status, out, err = site.cli("rollback", "items", "--to", "dual_write", "--wait", "20")
    assert status == 0, out + err
    until(lambda: not service.from_image.standing)
    assert site.ids() == ["1", "9"]
    assert "error" not in service.watcher.backfills.get("items", {})


def test_an_order_is_taken_back_by_a_running_member(site: Site, until: Until) -> None:
    """--withdraw: the member follows its row again when PostgreSQL is back, with what it journalled meanwhile."""
    service, items, _ = site.start()
    site.away(service, until)
    site.back()
    items.repository.insert({"id": 2}).result()
    assert site.back("items", "--withdraw")["state"] == "withdrawn"
    assert not site.stands()
    site.server.restart()
    until(lambda: items.phase == "dual_read")
    assert (site.row()[0], site.ids()) == ("dual_read", ["1", "2"])


def test_a_step_whose_note_a_crash_took_is_known_as_its_own(site: Site, until: Until) -> None:
    """A crash between the row's change and the note of it is no conflict: the event log tells whose change it was."""
    service, _, _ = site.start()
    site.away(service, until)
    site.back("items", "--to", "legacy")
    standing = Desk(site.home, "site").standing("items")
    assert standing is not None
    service.crash()
    site.server.restart()
    service, items, _ = site.service()
    service.start()
    assert items.phase == "legacy"
    service.crash()
    epoch = site.row()[1]
    site.sql("UPDATE outlive.phase SET phase = 'dual_write', epoch = epoch - 1 WHERE store = 'items'")
    Desk(site.home, "site").put_standing(standing)
    service, items, _ = site.service()
    service.start()
    assert (items.phase, site.row()[0], site.events("from_image_conflict")) == ("legacy", "legacy", [])
    assert site.row()[1] > epoch - 1


CHILD = """
import sys, outlive, outlive.errors
service = outlive.Service("site")
notes = outlive.mapping("notes", dict, key="id", service=service, phase="dual_read")
service.start()
print("up", flush=True)
for line in sys.stdin:
    key = line.strip()
    try:
        notes[key] = {"id": key}
        print("kept", key, flush=True)
    except outlive.errors.Unavailable as error:
        print("refused", type(error).__name__, flush=True)
"""


def test_a_real_process_that_is_killed_after_the_order(site: Site, until: Until) -> None:
    """kill -9 after the order, a start with PostgreSQL: every acknowledged write is there, the row has followed."""

    def child() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ}
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    def say(process: subprocess.Popen[str], key: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(key + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    process = child()
    try:
        assert say(process, "a") == "kept a"
        site.server.kill9()
        assert say(process, "b") == "refused Unavailable"
        assert site.back("notes")["to"] == "dual_write"
        assert say(process, "c") == "kept c"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    site.server.restart()
    process = child()
    assert say(process, "d") == "kept d"
    process.communicate()
    keys = [row[0] for row in site.sql("SELECT outlive_key FROM site.notes ORDER BY outlive_position")]
    assert keys == ['"a"', '"c"', '"d"']
    assert site.row("notes")[0] == "dual_write"
