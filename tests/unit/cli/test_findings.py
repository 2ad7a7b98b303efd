"""Parts of the command line that need no database: findings, printed values, the missing extra."""

from __future__ import annotations

import builtins
import io
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from outlive.cli import checks, main, output, session
from outlive.cli.app import run
from outlive.phases.flow import Note
from outlive.postgres.capabilities import Capabilities
from outlive.settings import Settings

GOOD = Capabilities(
    server_version=180004,
    postgis=None,
    is_superuser=False,
    bypasses_rls=False,
    may_create=True,
    pooler=False,
    max_connections=100,
    connections_in_use=1,
    synchronous_commit="on",
    fsync=True,
    encoding="UTF8",
)


def findings(settings: Settings | None = None, **changes: Any) -> dict[str, checks.Finding]:
    """What the doctor says about a server with these capabilities."""
    can = replace(GOOD, **changes)
    database = SimpleNamespace(capabilities=lambda: can)
    nothing = SimpleNamespace(execute=lambda *_: SimpleNamespace(fetchall=list, fetchone=lambda: None))
    held = SimpleNamespace(database=database, settings=settings or Settings(), conn=nothing)
    return {finding.name: finding for finding in checks.server(held)}  # type: ignore[arg-type]


def test_servers_that_are_not_fit_are_named() -> None:
    """An old server, a foreign encoding and lost durability fail, each with what to do; a good server is all ok."""
    assert {finding.level for finding in findings().values()} == {"ok"}
    assert findings(server_version=130012)["server"].level == "fail"
    assert findings(encoding="SQL_ASCII")["encoding"].level == "fail"
    assert findings(fsync=False)["durability"].level == "fail"
    assert findings(synchronous_commit="off")["durability"].next


def test_a_pooler_wants_a_direct_address() -> None:
    """A pooler is fine with DATABASE_DIRECT_URL and a warning without."""
    assert findings(pooler=True)["pooler"].level == "warn"
    direct = Settings(database={"DATABASE_DIRECT_URL": "postgresql://x"})
    assert findings(direct, pooler=True)["pooler"].level == "ok"


@pytest.mark.parametrize(("free", "level"), [(2 << 30, "ok"), (1 << 29, "warn"), (1 << 20, "fail")])
def test_a_full_disk_is_seen_coming(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    """The journals' disk is judged by its free bytes, also when the folder does not exist yet."""
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    finding = checks.journal_disk(Settings(home=tmp_path / "not" / "there"))
    assert finding.level == level
    assert str(tmp_path) in finding.figure


@pytest.mark.parametrize(("offset_s", "level"), [(0.0, "ok"), (5.0, "warn"), (-120.0, "fail")])
def test_a_wrong_clock_is_seen(offset_s: float, level: str) -> None:
    """The offset between host and server is judged in both directions."""
    now = datetime.now(UTC).timestamp()
    answer = SimpleNamespace(fetchone=lambda: (now + offset_s,))
    assert checks.clock(SimpleNamespace(execute=lambda _: answer)).level == level  # type: ignore[arg-type]


def test_values_in_documents(capsys: pytest.CaptureFixture[str]) -> None:
    """Times become ISO text, bytes base64, sets sorted lists, anything unknown its text."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    output.document({"at": at, "b": b"\x00", "s": {2, 1}, "m": MappingProxyType({"a": 1}), "o": Settings().home})
    shown = capsys.readouterr().out
    for part in ("2026-01-01T00:00:00+00:00", '"AA=="', '"a": 1', ".outlive"):
        assert part in shown


def test_progress_without_a_terminal_repeats_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """In a log each kind of waiting is told once, not every tenth of a second."""
    stream = io.StringIO()
    progress = output.Progress(False, stream)
    for second in range(3):
        progress(Note(f"verify farm/tasks: waiting for a member, {second} s", passing=True))
    progress(Note("verify farm/tasks: member 1 works, 3 s", passing=True))
    assert stream.getvalue().count("\n") == 2


def test_a_missing_extra_names_the_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without Typer the command says what to install; another missing module is not hidden."""
    real = builtins.__import__

    def without(name: str) -> Any:
        def importer(wanted: str, *rest: Any, **more: Any) -> Any:
            if wanted == "outlive.cli.app":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return real(wanted, *rest, **more)

        return importer

    monkeypatch.setattr(builtins, "__import__", without("typer"))
    with pytest.raises(SystemExit) as ended:
        main(["status"])
    assert ended.value.code == 1
    assert "pip install 'outlive[cli]'" in capsys.readouterr().err
    monkeypatch.setattr(builtins, "__import__", without("elsewhere"))
    with pytest.raises(ModuleNotFoundError):
        main(["status"])


def test_main_ends_with_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends with the command's status, with given arguments and with its own."""
    with pytest.raises(SystemExit) as ended:
        main(["nonsense"])
    assert ended.value.code == 2
    monkeypatch.setattr(sys, "argv", ["outlive", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0


def test_an_unexpected_error_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug keeps its traceback; a reader that goes away ends the command quietly."""

    @contextmanager
    def broken(error: Exception) -> Any:
        raise error
        yield

    monkeypatch.setattr(session, "opened", lambda: broken(RuntimeError("bug")))
    with pytest.raises(RuntimeError, match="bug"):
        run(["status"])
    monkeypatch.setattr(session, "opened", lambda: broken(BrokenPipeError()))
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert run(["status"]) == 1


def test_an_operator_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user has no name its number is logged."""

    def nobody() -> str:
        raise KeyError("no such uid")

    monkeypatch.setattr(session.getpass, "getuser", nobody)
    assert session.actor().partition("@")[0].isdigit()
